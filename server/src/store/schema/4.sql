-- Version 4. Of each document the first 16 bytes of the SHA-256 over its id, a zero byte and its body, as they were
-- written. None for a document of before until the server has looked at it; an empty one where that was no document.
ALTER TABLE documents ADD COLUMN digest BLOB;

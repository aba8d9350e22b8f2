-- Version 6. Of each attachment record the first 16 bytes of the SHA-256 over document id, name, type, size and digest of
-- the file, each with a zero byte behind it, as they were written. None for a record of before until the server has
-- looked at it; an empty one where that was no record.
ALTER TABLE attachments ADD COLUMN digest BLOB;

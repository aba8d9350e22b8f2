-- Version 1. Writes go to the live generation of their collection.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- The counters are kept by the triggers below, in the transaction of each write.
CREATE TABLE generations (
    id INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    documents INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    attachments INTEGER NOT NULL DEFAULT 0,
    attachment_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE collections (
    name TEXT PRIMARY KEY,
    live INTEGER NOT NULL REFERENCES generations (id)
) STRICT, WITHOUT ROWID;

-- Pages of a snapshot run along the primary key: ids compare as UTF-8 bytes.
CREATE TABLE documents (
    generation INTEGER NOT NULL,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (generation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (
    generation INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (generation, document_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachments_by_blob ON attachments (sha256, generation);

-- Backup tokens live outside all collections: a restore does not touch them.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created TEXT NOT NULL,
    created_by TEXT NOT NULL,
    last_used TEXT
) STRICT, WITHOUT ROWID;

CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
    UPDATE generations SET documents = documents + 1, bytes = bytes + length(NEW.body) + 1
    WHERE id = NEW.generation;
END;

CREATE TRIGGER document_changed AFTER UPDATE ON documents BEGIN
    UPDATE generations SET bytes = bytes + length(NEW.body) - length(OLD.body) WHERE id = NEW.generation;
END;

CREATE TRIGGER document_removed AFTER DELETE ON documents BEGIN
    DELETE FROM attachments WHERE generation = OLD.generation AND document_id = OLD.id;
    UPDATE generations SET documents = documents - 1, bytes = bytes - length(OLD.body) - 1
    WHERE id = OLD.generation;
END;

CREATE TRIGGER attachment_added AFTER INSERT ON attachments BEGIN
    UPDATE generations SET attachments = attachments + 1, attachment_bytes = attachment_bytes + NEW.size
    WHERE id = NEW.generation;
END;

CREATE TRIGGER attachment_changed AFTER UPDATE ON attachments BEGIN
    UPDATE generations SET attachment_bytes = attachment_bytes + NEW.size - OLD.size WHERE id = NEW.generation;
END;

CREATE TRIGGER attachment_removed AFTER DELETE ON attachments BEGIN
    UPDATE generations SET attachments = attachments - 1, attachment_bytes = attachment_bytes - OLD.size
    WHERE id = OLD.generation;
END;

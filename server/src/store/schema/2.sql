-- Version 2. A restore stages generations beside the live ones; what its commit takes out of them is a restore point.

-- The position at which the live generation became that.
ALTER TABLE collections ADD COLUMN since INTEGER NOT NULL DEFAULT 0;

-- The restore session that stages it.
ALTER TABLE generations ADD COLUMN session TEXT;

-- The position of the last deletion in it: what is gone carries no position of its own.
ALTER TABLE generations ADD COLUMN shrunk INTEGER NOT NULL DEFAULT 0;

-- What changed since a preview. Staged rows have position 0 and are left out.
CREATE INDEX documents_by_seq ON documents (generation, seq) WHERE seq > 0;
CREATE INDEX attachments_by_seq ON attachments (generation, seq) WHERE seq > 0;

-- Sessions that are open, and how those of the last day ended.
CREATE TABLE restores (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    owner TEXT NOT NULL,
    user TEXT NOT NULL,
    begun TEXT NOT NULL,
    mode TEXT NOT NULL,
    archive TEXT NOT NULL,
    collections TEXT NOT NULL,
    state TEXT NOT NULL,
    ended TEXT,
    forget INTEGER,
    outcome TEXT
) STRICT, WITHOUT ROWID;

-- The states from before restores, in the order of the positions that these made.
CREATE TABLE restore_points (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    created TEXT NOT NULL,
    user TEXT NOT NULL,
    action TEXT NOT NULL,
    archive TEXT
) STRICT, WITHOUT ROWID;

-- A whole generation from before; or, where documents were merged into the live one, what they took the place of.
CREATE TABLE restore_point_parts (
    point TEXT NOT NULL REFERENCES restore_points (id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    generation INTEGER NOT NULL UNIQUE REFERENCES generations (id),
    merged INTEGER NOT NULL,
    PRIMARY KEY (point, collection)
) STRICT, WITHOUT ROWID;

-- What a merge added and nothing stood in the place of; `name` is empty for the document itself.
CREATE TABLE added (
    generation INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (generation, document_id, name)
) STRICT, WITHOUT ROWID;

-- Who backed up or restored what. It only grows.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;

CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;

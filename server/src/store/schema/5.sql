-- Logins that go on. Each began with a password, and has one refresh token at a time.
CREATE TABLE logins (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    state TEXT NOT NULL,
    begun INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

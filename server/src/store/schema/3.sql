-- What the undo of a restore point did, for whoever asks again because the answer got lost.
CREATE TABLE undone (
    point TEXT NOT NULL PRIMARY KEY,
    outcome TEXT NOT NULL,
    forget INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What people say of runs: tags to find them by, and notes. Both stay with a run wherever it goes.

CREATE TABLE tag (
    run INTEGER NOT NULL REFERENCES run (id),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    added_at INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tag_by_name ON tag (name);

CREATE TABLE note (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id),
    written_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX note_by_run ON note (run);

CREATE VIEW tags AS
SELECT run, name AS tag, strftime('%Y-%m-%dT%H:%M:%fZ', added_at / 1000.0, 'unixepoch') AS added_at FROM tag;

CREATE VIEW notes AS
SELECT id AS note, run, strftime('%Y-%m-%dT%H:%M:%fZ', written_at / 1000.0, 'unixepoch') AS written_at, text FROM note;

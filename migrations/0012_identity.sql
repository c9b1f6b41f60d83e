-- A record knows who it is and which files are its own. The record, every execution and every run have a random id that stays
-- with them wherever the file goes; the folder of checkpoints beside the record carries the record's id, too. Paths of artefacts
-- are relative to that folder: a record that is moved with its folder finds them, and a copy without it names nobody else's.
CREATE TABLE record_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL CHECK (length(id) = 32),
    copied_from TEXT                        -- the id of the record that `db copy` made this one of
) STRICT;
INSERT INTO record_identity (one, id) VALUES (1, lower(hex(randomblob(16))));

ALTER TABLE execution ADD COLUMN identity TEXT CHECK (length(identity) = 32);
UPDATE execution SET identity = lower(hex(randomblob(16)));
CREATE UNIQUE INDEX execution_by_identity ON execution (identity);
ALTER TABLE run ADD COLUMN identity TEXT CHECK (length(identity) = 32);
UPDATE run SET identity = lower(hex(randomblob(16)));
CREATE UNIQUE INDEX run_by_identity ON run (identity);

ALTER TABLE artefact ADD COLUMN verified_at INTEGER;        -- when the lab last read the file back and found what was written
ALTER TABLE artefact ADD COLUMN unusable_at INTEGER;        -- when the lab found that it is not there or not what was written …
ALTER TABLE artefact ADD COLUMN unusable_reason TEXT;       -- … and what it found

-- Until now a file lay at <record>-checkpoints/group-<n>/<name>, and the row had its absolute path. What lies elsewhere keeps its
-- path, and is never touched again. (What rtrim takes away up to the last slash is whatever is no slash.)
WITH named AS (
    SELECT id, path, rtrim(path, replace(path, '/', '')) AS folder FROM artefact WHERE path LIKE '/%'
), grouped AS (
    SELECT id, substr(path, length(folder) + 1) AS name, rtrim(folder, '/') AS folder FROM named
), rooted AS (
    SELECT id, name, folder, rtrim(folder, replace(folder, '/', '')) AS root FROM grouped
)
UPDATE artefact SET path = substr(rooted.folder, length(rooted.root) + 1) || '/' || rooted.name
FROM rooted
WHERE rooted.id = artefact.id AND rooted.name NOT IN ('', '.', '..') AND rooted.root LIKE '%-checkpoints/'
    AND substr(rooted.folder, length(rooted.root) + 1) GLOB 'group-[0-9]*';

CREATE VIEW records AS
SELECT id AS record_id, copied_from FROM record_identity;

DROP VIEW executions;
CREATE VIEW executions AS
SELECT e.name AS experiment, x.number AS execution, x.kind, x.question, x.content_hash, x.toml_path, x.toml,
    strftime('%Y-%m-%dT%H:%M:%fZ', x.created_at / 1000.0, 'unixepoch') AS created_at,
    x.command_line, x.working_directory, x.host, x.lab_version, x.lab_sha256, x.worker_sha256, x.source_commit,
    x.source_dirty, x.identity AS execution_id
FROM execution x JOIN experiment e ON e.id = x.experiment;

DROP VIEW runs;
CREATE VIEW runs AS
SELECT r.id AS run, e.name AS experiment, x.number AS execution, c.label AS cell, r.seed, r.status, r.reason,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') AS finished_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch') AS created_at,
    x.kind, r.steps, r.steps_done, r.attempts, g.number AS batch_group, r.content_hash, c.number AS cell_number,
    s.number AS superseded_by_execution, r.identity AS run_id
FROM run r
JOIN cell c ON c.id = r.cell
JOIN execution x ON x.id = c.execution
JOIN experiment e ON e.id = x.experiment
LEFT JOIN batch_group g ON g.id = r.batch_group
LEFT JOIN execution s ON s.id = r.superseded_by;

DROP VIEW artefacts;
CREATE VIEW artefacts AS
SELECT l.run, l.step, a.kind, a.path, a.sha256, a.size_bytes,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch') AS written_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.removed_at / 1000.0, 'unixepoch') AS removed_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.unusable_at / 1000.0, 'unixepoch') AS unusable_at, a.unusable_reason
FROM artefact_run l JOIN artefact a ON a.id = l.artefact;

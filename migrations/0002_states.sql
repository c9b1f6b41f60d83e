-- Who computes a run right now, and how its state changed over time.

CREATE TABLE lease (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid_namespace TEXT NOT NULL,            -- containers on one host share its boot but not its process numbers
    pid INTEGER NOT NULL,
    process_started_at INTEGER NOT NULL,    -- clock ticks after boot, so that a reused process number is noticed
    acquired_at INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    released_at INTEGER
) STRICT;

-- The runs that a lease holds; a row goes away when the run stops running.
CREATE TABLE held_run (
    run INTEGER PRIMARY KEY REFERENCES run (id),
    lease INTEGER NOT NULL REFERENCES lease (id)
) STRICT;

CREATE TABLE state_change (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id),
    changed_at INTEGER NOT NULL,
    from_status TEXT,                       -- NULL: the run was planned
    to_status TEXT NOT NULL,
    reason TEXT,
    step INTEGER                            -- steps done, or the first step that differed after a resume
) STRICT;

CREATE INDEX state_change_by_run ON state_change (run);

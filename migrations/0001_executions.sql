-- What was planned: experiments, their executions, cells with typed parameters, batch groups with their frozen plans,
-- and one row a run (cell × seed).

CREATE TABLE experiment (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE execution (
    id INTEGER PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiment (id),
    number INTEGER NOT NULL,                -- counts an experiment's executions from 1
    kind TEXT NOT NULL,
    question TEXT,
    toml TEXT NOT NULL,                     -- the file as it was given
    toml_path TEXT,
    content_hash TEXT NOT NULL,             -- SHA-256 of the resolved content
    created_at INTEGER NOT NULL,            -- all times are milliseconds since 1970, UTC; the views print ISO 8601
    command_line TEXT NOT NULL,
    working_directory TEXT NOT NULL,
    host TEXT NOT NULL,
    lab_version TEXT NOT NULL,
    lab_sha256 TEXT NOT NULL,
    worker_sha256 TEXT,
    source_commit TEXT,
    source_dirty INTEGER CHECK (source_dirty IN (0, 1)),
    UNIQUE (experiment, number)
) STRICT;

-- Versions of libraries and compilers, one row each, so that a new library needs no migration.
CREATE TABLE software_version (
    execution INTEGER NOT NULL REFERENCES execution (id),
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (execution, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE cell (
    id INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL REFERENCES execution (id),
    number INTEGER NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (execution, number),
    UNIQUE (execution, label)
) STRICT;

-- What an ablation axis set in a cell.
CREATE TABLE cell_setting (
    cell INTEGER NOT NULL REFERENCES cell (id),
    axis INTEGER NOT NULL,                  -- position of the axis in the TOML, from 0
    axis_name TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('boolean', 'integer', 'float', 'text', 'json', 'none')),
    value ANY,
    non_finite TEXT CHECK (non_finite IN ('nan', 'inf', '-inf')),
    PRIMARY KEY (cell, axis, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE parameter_key (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Every hyper-parameter of a cell after all defaults were filled in.
CREATE TABLE parameter (
    cell INTEGER NOT NULL REFERENCES cell (id),
    key INTEGER NOT NULL REFERENCES parameter_key (id),
    type TEXT NOT NULL CHECK (type IN ('boolean', 'integer', 'float', 'text', 'json', 'none')),
    value ANY,
    non_finite TEXT CHECK (non_finite IN ('nan', 'inf', '-inf')),
    PRIMARY KEY (cell, key)
) STRICT, WITHOUT ROWID;

-- Runs that one worker computes together, with the plan it is handed.
CREATE TABLE batch_group (
    id INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL REFERENCES execution (id),
    number INTEGER NOT NULL,
    frozen TEXT NOT NULL,                   -- the GroupPlan as JSON
    UNIQUE (execution, number)
) STRICT;

CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- a number that was shown once is never given again
    cell INTEGER NOT NULL REFERENCES cell (id),
    seed INTEGER NOT NULL,
    content_hash TEXT NOT NULL,             -- of all that decides the run's numbers, the seed included
    steps INTEGER NOT NULL,
    batch_group INTEGER REFERENCES batch_group (id),
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'finished', 'failed', 'interrupted', 'superseded')),
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    steps_done INTEGER NOT NULL DEFAULT 0,  -- as of the last checkpoint or end
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    superseded_by INTEGER REFERENCES execution (id),
    UNIQUE (cell, seed)
) STRICT;

CREATE INDEX run_by_content ON run (content_hash);
CREATE INDEX run_by_group ON run (batch_group);
CREATE INDEX run_by_status ON run (status);

-- `--needed`: cells × seeds of an execution that an earlier finished run answers; they have no run of their own.
CREATE TABLE answer (
    cell INTEGER NOT NULL REFERENCES cell (id),
    seed INTEGER NOT NULL,
    run INTEGER NOT NULL REFERENCES run (id),
    PRIMARY KEY (cell, seed)
) STRICT, WITHOUT ROWID;

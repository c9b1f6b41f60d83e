-- What was measured at which step: metrics with their latest values, realised schedules, evaluations.
-- Rows are clustered by (run, step): a batch group appends to one place a run, and a run's history lies together.

CREATE TABLE metric_key (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- SQLite stores NaN as NULL, so what is not finite is named.
CREATE TABLE metric (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    key INTEGER NOT NULL,
    value REAL,
    non_finite TEXT CHECK (non_finite IN ('nan', 'inf', '-inf')),
    PRIMARY KEY (run, step, key)
) STRICT, WITHOUT ROWID;

-- So that a table over hundreds of runs never reads their histories.
CREATE TABLE latest_metric (
    run INTEGER NOT NULL,
    key INTEGER NOT NULL,
    step INTEGER NOT NULL,
    value REAL,
    non_finite TEXT CHECK (non_finite IN ('nan', 'inf', '-inf')),
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE schedule (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    kappa REAL,                             -- NULL (NaN): a method with one policy
    leader_learning_rate REAL,
    follower_learning_rate REAL,            -- NULL (NaN): a method with one policy
    leader_updates INTEGER NOT NULL,
    follower_updates INTEGER NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluation_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE evaluation_subject (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE evaluation (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    name INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    value REAL,
    non_finite TEXT CHECK (non_finite IN ('nan', 'inf', '-inf')),
    low REAL,
    high REAL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run, step, name, subject)
) STRICT, WITHOUT ROWID;

-- What a resume with `--allow-divergence` replaced, under the state change that says so.
CREATE TABLE superseded_metric (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    key INTEGER NOT NULL,
    value REAL,
    non_finite TEXT,
    PRIMARY KEY (run, state_change, step, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_schedule (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    kappa REAL,
    leader_learning_rate REAL,
    follower_learning_rate REAL,
    leader_updates INTEGER NOT NULL,
    follower_updates INTEGER NOT NULL,
    PRIMARY KEY (run, state_change, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_evaluation (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    name INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    value REAL,
    non_finite TEXT,
    low REAL,
    high REAL,
    n INTEGER NOT NULL,
    PRIMARY KEY (run, state_change, step, name, subject)
) STRICT, WITHOUT ROWID;

-- Metrics, schedules and evaluations refer to `run` without a foreign key: the writer looks each run up once instead
-- of once a value.

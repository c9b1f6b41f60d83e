-- What judges said, and of what: verdicts on finite games, sampled completions and verdicts on them.

-- A distinct game of a batch group, as its judge answered it. A second attempt exists only where a resume with
-- `--allow-divergence` got other verdicts.
CREATE TABLE judged_game (
    id INTEGER PRIMARY KEY,
    batch_group INTEGER NOT NULL REFERENCES batch_group (id),
    game INTEGER NOT NULL,                  -- index into the frozen plan's games
    attempt INTEGER NOT NULL,
    actions INTEGER NOT NULL,
    matrix BLOB,                            -- more than 100 actions: p(i ≻ j) at i * n + j, little-endian f64
    note TEXT,
    UNIQUE (batch_group, game, attempt)
) STRICT;

CREATE TABLE judged_game_run (
    run INTEGER NOT NULL REFERENCES run (id),
    judged_game INTEGER NOT NULL REFERENCES judged_game (id),
    PRIMARY KEY (run, judged_game)
) STRICT, WITHOUT ROWID;

CREATE TABLE judged_action (
    judged_game INTEGER NOT NULL REFERENCES judged_game (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (judged_game, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict (
    judged_game INTEGER NOT NULL REFERENCES judged_game (id),
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    probability REAL NOT NULL,
    PRIMARY KEY (judged_game, first, second)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict_attribute (
    judged_game INTEGER NOT NULL REFERENCES judged_game (id),
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (judged_game, first, second, position)
) STRICT, WITHOUT ROWID;

-- Sampled responses of language-model runs.
CREATE TABLE completion (
    run INTEGER NOT NULL REFERENCES run (id),
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,              -- within the step
    role TEXT NOT NULL,                     -- leader, follower, reference
    round INTEGER NOT NULL,                 -- of refinement, from 0
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    tokens INTEGER NOT NULL,
    probability REAL,                       -- the judge's p(this ≻ its opponent); NULL: not judged or failed
    PRIMARY KEY (run, step, position)
) STRICT, WITHOUT ROWID;

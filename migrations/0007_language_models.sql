-- What a judge said of a completion, criterion by criterion, and what a resume with `--allow-divergence` replaced.
-- A step may hold completions of training and of an evaluation, so a role is part of a completion's name.

DROP VIEW completions;

CREATE TABLE completion_by_role (
    run INTEGER NOT NULL REFERENCES run (id),
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,              -- within the step
    role TEXT NOT NULL,                     -- leader, follower, reference; in evaluations with the prefix held-out/
    round INTEGER NOT NULL,                 -- of refinement, from 0
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    tokens INTEGER NOT NULL,
    probability REAL,                       -- the judge's p(this ≻ its opponent); NULL: not judged or failed
    PRIMARY KEY (run, step, position, role, round)
) STRICT, WITHOUT ROWID;

INSERT INTO completion_by_role SELECT * FROM completion;
DROP TABLE completion;
ALTER TABLE completion_by_role RENAME TO completion;

CREATE TABLE completion_attribute (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    round INTEGER NOT NULL,
    place INTEGER NOT NULL,                 -- among the attributes of one completion, from 0
    name TEXT NOT NULL,
    value REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, step, position, role, round, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_completion (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    round INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    finished INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    probability REAL,
    PRIMARY KEY (run, state_change, step, position, role, round)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_completion_attribute (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    round INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, state_change, step, position, role, round, place)
) STRICT, WITHOUT ROWID;

CREATE VIEW completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability FROM completion;

CREATE VIEW completion_attributes AS
SELECT run, step, position, role, round, name AS attribute, value, reason FROM completion_attribute;

CREATE VIEW superseded_completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability, state_change
FROM superseded_completion;

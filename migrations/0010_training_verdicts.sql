-- What the judge was asked in training, as it was asked: each order of presentation of two recorded answers by itself, with
-- what it said in words of the one that stood first. Completions of training from before hold at most one number: the verdict of
-- their pair or, where several answers of one prompt were compared, the mean of an answer's verdicts as the first. Theirs stays.

CREATE TABLE training_verdict (
    run INTEGER NOT NULL REFERENCES run (id),
    step INTEGER NOT NULL,
    first INTEGER NOT NULL,                 -- position of the completion that stood first; no role has the prefix held-out/
    second INTEGER NOT NULL,                -- of the one that stood second
    probability REAL,                       -- p(first ≻ second); NULL: it failed
    failure TEXT,                           -- why there is no probability
    PRIMARY KEY (run, step, first, second)
) STRICT, WITHOUT ROWID;

CREATE TABLE training_verdict_attribute (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    place INTEGER NOT NULL,                 -- among the attributes of one verdict, from 0
    name TEXT NOT NULL,
    value REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, step, first, second, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_training_verdict (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    probability REAL,
    failure TEXT,
    PRIMARY KEY (run, state_change, step, first, second)
) STRICT, WITHOUT ROWID;

CREATE TABLE superseded_training_verdict_attribute (
    state_change INTEGER NOT NULL REFERENCES state_change (id),
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, state_change, step, first, second, place)
) STRICT, WITHOUT ROWID;

CREATE VIEW training_verdicts AS
SELECT run, step, first, second, probability, failure FROM training_verdict;

CREATE VIEW training_verdict_attributes AS
SELECT run, step, first, second, name AS attribute, value, reason FROM training_verdict_attribute;

-- A pair stands under the order in which the completion with the lower position is first, unless only the other was asked.
CREATE VIEW training_pairs AS
SELECT v.run, v.step, v.first, v.second, y.role AS first_role, z.role AS second_role, y.prompt, v.probability,
    w.probability AS reverse_probability, w.run IS NOT NULL AS asked_in_both_orders
FROM training_verdict v
JOIN completion y ON y.run = v.run AND y.step = v.step AND y.position = v.first AND y.role NOT LIKE 'held-out/%'
JOIN completion z ON z.run = v.run AND z.step = v.step AND z.position = v.second AND z.role NOT LIKE 'held-out/%'
LEFT JOIN training_verdict w ON w.run = v.run AND w.step = v.step AND w.first = v.second AND w.second = v.first
WHERE v.first < v.second OR w.run IS NULL;

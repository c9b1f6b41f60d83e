-- Policies of an execution against each other under one judge: what `slhf-lab evaluate` found. Rows are only added; the
-- latest of a judge counts.

CREATE TABLE policy_evaluation (
    id INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL REFERENCES execution (id),
    evaluated_at INTEGER NOT NULL,
    judge TEXT NOT NULL,                    -- name of the plugin, `outer over inner` where one wraps another
    parameters TEXT NOT NULL,               -- JSON
    sha256 TEXT NOT NULL,                   -- of the plugin's file
    is_training_judge INTEGER NOT NULL CHECK (is_training_judge IN (0, 1)),
    document TEXT NOT NULL CHECK (json_valid(document))
) STRICT;
CREATE INDEX policy_evaluation_by_execution ON policy_evaluation (execution, judge, parameters);

CREATE VIEW policy_scores AS
SELECT p.id AS policy_evaluation, e.name AS experiment, x.number AS execution, p.judge, p.parameters,
    p.is_training_judge,
    s.value ->> 'name' AS policy, s.value ->> 'elo' AS elo, s.value ->> 'low' AS low, s.value ->> 'high' AS high,
    s.value ->> 'mean_tokens' AS mean_tokens, s.value ->> 'eos_rate' AS eos_rate
FROM policy_evaluation p JOIN execution x ON x.id = p.execution JOIN experiment e ON e.id = x.experiment,
    json_each(p.document, '$.policies') s;

CREATE VIEW policy_matchups AS
SELECT p.id AS policy_evaluation, e.name AS experiment, x.number AS execution, p.judge, p.parameters,
    p.is_training_judge,
    m.value ->> 'first' AS first, m.value ->> 'second' AS second, m.value ->> 'win_rate' AS win_rate,
    m.value ->> 'low' AS low, m.value ->> 'high' AS high, m.value ->> 'p_value' AS p_value,
    m.value ->> 'p_holm' AS p_holm, m.value ->> 'n' AS n
FROM policy_evaluation p JOIN execution x ON x.id = p.execution JOIN experiment e ON e.id = x.experiment,
    json_each(p.document, '$.matchups') m;

-- What is concluded of policies says by which statistics, about whom, and over what. Documents before statistics had a number are
-- of version 1: percentile bootstraps, and p-values that knew no seeds.

DROP VIEW policy_scores;
CREATE VIEW policy_scores AS
SELECT p.id AS policy_evaluation, e.name AS experiment, x.number AS execution, p.judge, p.parameters,
    p.is_training_judge,
    s.value ->> 'name' AS policy, s.value ->> 'elo' AS elo, s.value ->> 'low' AS low, s.value ->> 'high' AS high,
    s.value ->> 'mean_tokens' AS mean_tokens, s.value ->> 'eos_rate' AS eos_rate,
    coalesce(p.document ->> 'statistics', 1) AS statistics, p.document ->> 'over' AS over,
    s.value ->> 'also' AS also
FROM policy_evaluation p JOIN execution x ON x.id = p.execution JOIN experiment e ON e.id = x.experiment,
    json_each(p.document, '$.policies') s;

DROP VIEW policy_matchups;
CREATE VIEW policy_matchups AS
SELECT p.id AS policy_evaluation, e.name AS experiment, x.number AS execution, p.judge, p.parameters,
    p.is_training_judge,
    m.value ->> 'first' AS first, m.value ->> 'second' AS second, m.value ->> 'win_rate' AS win_rate,
    m.value ->> 'low' AS low, m.value ->> 'high' AS high, m.value ->> 'p_value' AS p_value,
    m.value ->> 'p_holm' AS p_holm, m.value ->> 'n' AS n,
    coalesce(p.document ->> 'statistics', 1) AS statistics, m.value ->> 'over' AS over,
    coalesce(m.value ->> 'p_other_prompts',
        CASE WHEN p.document ->> 'statistics' IS NULL THEN m.value ->> 'p_value' END) AS p_other_prompts,
    m.value ->> 'seeds' AS seeds, m.value ->> 'prompts' AS prompts, m.value ->> 'left_out' AS left_out,
    m.value ->> 'is_significant' AS is_significant
FROM policy_evaluation p JOIN execution x ON x.id = p.execution JOIN experiment e ON e.id = x.experiment,
    json_each(p.document, '$.matchups') m;

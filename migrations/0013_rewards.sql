-- What answers of training were rewarded with, by a reward plugin or a fitted reward model, before the penalty for leaving the
-- reference; why, where a plugin says it, is in completion_attribute. Completions from before hold none.

ALTER TABLE completion ADD COLUMN reward REAL;
ALTER TABLE completion ADD COLUMN reward_failure TEXT;         -- why there is none
ALTER TABLE superseded_completion ADD COLUMN reward REAL;
ALTER TABLE superseded_completion ADD COLUMN reward_failure TEXT;

DROP VIEW completions;
CREATE VIEW completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability, prompt_id, reward, reward_failure
FROM completion;

DROP VIEW superseded_completions;
CREATE VIEW superseded_completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability, state_change, prompt_id, reward, reward_failure
FROM superseded_completion;

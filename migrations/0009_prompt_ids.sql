-- Which prompt a completion answers: the id of its conversation, its metadata, and which of its equals it is. Completions from
-- before have only the prompt's last message, which two prompts can share: theirs stays NULL.

ALTER TABLE completion ADD COLUMN prompt_id TEXT CHECK (length(prompt_id) = 32);
ALTER TABLE superseded_completion ADD COLUMN prompt_id TEXT CHECK (length(prompt_id) = 32);

DROP VIEW completions;
CREATE VIEW completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability, prompt_id FROM completion;

DROP VIEW superseded_completions;
CREATE VIEW superseded_completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability, state_change, prompt_id
FROM superseded_completion;

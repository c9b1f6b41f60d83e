-- A row in every table that goes from one record to another: two runs of one batch group, and all that can be said of them.
INSERT INTO experiment VALUES (1, 'all');
INSERT INTO execution (id, experiment, number, kind, question, toml, toml_path, content_hash, created_at, command_line,
    working_directory, host, lab_version, lab_sha256, identity)
VALUES (1, 1, 1, 'game', 'Which?', 'toml', 'all.toml', 'hash', 1000, 'slhf-lab run', 'somewhere', 'here', '0.1.0', 'aa',
    '11111111111111111111111111111111');
INSERT INTO software_version VALUES (1, 'rustc', '1');
INSERT INTO cell VALUES (1, 1, 0, 'a'), (2, 1, 1, 'b');
INSERT INTO cell_setting VALUES (1, 0, 'kappa', 'schedule.kappa', 'float', 0.1, NULL), (2, 0, 'kappa', 'schedule.kappa', 'float', NULL, 'inf');
INSERT INTO parameter_key VALUES (1, 'steps'), (2, 'method.name');
INSERT INTO parameter VALUES (1, 1, 'integer', 100, NULL), (2, 1, 'integer', 100, NULL), (1, 2, 'text', 'rlhf', NULL);
INSERT INTO batch_group VALUES (1, 1, 0, '{"games":[],"runs":[{"run":1,"seed":7},{"run":2,"seed":7}]}');
INSERT INTO run (id, cell, seed, content_hash, steps, batch_group, status, reason, attempts, steps_done, created_at, started_at,
    finished_at, superseded_by, identity)
VALUES (1, 1, 7, 'one', 100, 1, 'finished', NULL, 1, 100, 1000, 1001, 1002, NULL, '22222222222222222222222222222222'),
    (2, 2, 7, 'two', 100, 1, 'superseded', 'set aside', 1, 100, 1000, 1001, 1002, 1, '33333333333333333333333333333333');
INSERT INTO answer VALUES (2, 8, 1);
INSERT INTO state_change VALUES (1, 1, 1000, NULL, 'pending', NULL, NULL), (2, 1, 1001, 'pending', 'running', NULL, NULL),
    (3, 2, 1002, 'running', 'finished', NULL, 100);
INSERT INTO environment VALUES (1, 'cpu', 'a CPU', 'avx2', 1, '2.11.0', 'bb', 'AVX2');
INSERT INTO run_environment VALUES (1, 1, 1), (2, 1, 1);
INSERT INTO metric_key VALUES (1, 'gap'), (2, 'loss');
INSERT INTO metric VALUES (1, 0, 1, 0.1, NULL), (1, 100, 1, NULL, 'nan'), (1, 100, 2, NULL, '-inf'), (2, 100, 1, 0.30000000000000004, NULL);
INSERT INTO latest_metric VALUES (1, 1, 100, NULL, 'nan'), (1, 2, 100, NULL, '-inf'), (2, 1, 100, 0.30000000000000004, NULL);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16) INSERT INTO metric SELECT 2, i, 2, i / 4.0, NULL FROM n;
INSERT INTO latest_metric VALUES (2, 2, 16, 4.0, NULL);
INSERT INTO metric_bucket VALUES (2, 2, 16, 0, 16, 16, 0.25, 4.0, 34.0, 4.0);
INSERT INTO schedule VALUES (1, 100, 1.5, 0.1, NULL, 100, 50);
INSERT INTO evaluation_name VALUES (1, 'win_rate');
INSERT INTO evaluation_subject VALUES (1, 'leader');
INSERT INTO evaluation VALUES (1, 100, 1, 1, 0.5, NULL, 0.25, 0.75, 32);
INSERT INTO completion (run, step, position, role, round, prompt, text, finished, tokens, probability, prompt_id, reward)
VALUES (1, 10, 0, 'leader', 0, 'p', 'x', 1, 3, 0.5, '44444444444444444444444444444444', 1.5),
    (1, 10, 1, 'follower', 0, 'p', 'y', 1, 3, NULL, NULL, NULL);
INSERT INTO completion_attribute VALUES (1, 10, 0, 'leader', 0, 0, 'brevity', 0.5, 'short');
INSERT INTO training_verdict VALUES (1, 10, 0, 1, 0.75, NULL), (1, 10, 1, 0, NULL, 'timed out');
INSERT INTO training_verdict_attribute VALUES (1, 10, 0, 1, 0, 'brevity', 0.5, 'short');
INSERT INTO superseded_metric VALUES (2, 1, 50, 1, 0.2, NULL);
INSERT INTO superseded_schedule VALUES (2, 1, 50, 1.5, 0.1, NULL, 50, 25);
INSERT INTO superseded_evaluation VALUES (2, 1, 50, 1, 1, 0.5, NULL, 0.25, 0.75, 32);
INSERT INTO superseded_completion (state_change, run, step, position, role, round, prompt, text, finished, tokens)
VALUES (2, 1, 5, 0, 'leader', 0, 'p', 'z', 0, 3);
INSERT INTO superseded_completion_attribute VALUES (2, 1, 5, 0, 'leader', 0, 0, 'brevity', 0.5, '');
INSERT INTO superseded_training_verdict VALUES (2, 1, 5, 0, 1, 0.75, NULL);
INSERT INTO superseded_training_verdict_attribute VALUES (2, 1, 5, 0, 1, 0, 'brevity', 0.5, '');
INSERT INTO plugin_grant VALUES (1, 'judge', 'table', 'table.wasm', 'cc', 'log', '{}', NULL, 256, 1000, NULL, 512, 8, 100),
    (2, 'judge', 'table', 'table.wasm', 'cc', 'log', '{}', NULL, 256, 1000, NULL, 512, 8, 100);
INSERT INTO plugin_use VALUES (1, 'judge', 'table', '0.1.0', '0.1.0', 'cc', 4, 8, 0, 100, NULL, 4096, 2);
INSERT INTO plugin_use_run VALUES (1, 1), (2, 1);
INSERT INTO model_use VALUES (1, 'm', 'served', 'localhost', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
INSERT INTO cost VALUES (1, 1, 'train', 's', 1.5), (2, 1, 'train', 's', 2.5);
INSERT INTO judged_game VALUES (1, 1, 0, 1, 2, x'00ff', 'a note');
INSERT INTO judged_game_run VALUES (1, 1), (2, 1);
INSERT INTO judged_action VALUES (1, 0, 'rock'), (1, 1, 'paper');
INSERT INTO verdict VALUES (1, 0, 1, 0.25);
INSERT INTO verdict_attribute VALUES (1, 0, 1, 0, 'size', 0.5, 'paper wraps rock');
INSERT INTO artefact (id, kind, path, sha256, size_bytes, written_at, removed_at)
VALUES (1, 'checkpoint', 'group-1/run-1-step-50-abc.checkpoint', 'dd', 10, 1001, 1002);
INSERT INTO artefact_run VALUES (1, 50, 1), (2, 50, 1);
INSERT INTO policy_evaluation VALUES (1, 1, 2000, 'table', '{}', 'cc', 1,
    '{"statistics":2,"policies":[{"name":"a","elo":1000}],"matchups":[]}');
INSERT INTO judge_audit VALUES (1, 2000, 'table', '{}', 'cc', 'run 1 (all/a/7)', NULL, 1, '{"pairs":3}'),
    (2, 2001, 'table', '{}', 'cc', 'pairs.csv', 'ee', NULL, '{"pairs":4}');
INSERT INTO tag VALUES (1, 'paper', 3000);
INSERT INTO note VALUES (1, 1, 3001, 'Why is it so good?');
INSERT INTO model_answer VALUES (x'01', x'02');

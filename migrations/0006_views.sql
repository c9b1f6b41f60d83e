-- The interface: tables may change with a migration, these views and their columns do not.
-- Each column is documented in host/record/src/schema; a test compares the two.

CREATE VIEW executions AS
SELECT e.name AS experiment, x.number AS execution, x.kind, x.question, x.content_hash, x.toml_path, x.toml,
    strftime('%Y-%m-%dT%H:%M:%fZ', x.created_at / 1000.0, 'unixepoch') AS created_at,
    x.command_line, x.working_directory, x.host, x.lab_version, x.lab_sha256, x.worker_sha256, x.source_commit,
    x.source_dirty
FROM execution x JOIN experiment e ON e.id = x.experiment;

CREATE VIEW software_versions AS
SELECT e.name AS experiment, x.number AS execution, s.name AS software, s.version
FROM software_version s JOIN execution x ON x.id = s.execution JOIN experiment e ON e.id = x.experiment;

CREATE VIEW experiments AS
SELECT e.name AS experiment, x.kind, x.question, x.number AS latest_execution,
    strftime('%Y-%m-%dT%H:%M:%fZ', x.created_at / 1000.0, 'unixepoch') AS executed_at,
    count(r.id) AS runs,
    count(r.id) FILTER (WHERE r.status = 'pending') AS pending,
    count(r.id) FILTER (WHERE r.status = 'running') AS running,
    count(r.id) FILTER (WHERE r.status = 'finished') AS finished,
    count(r.id) FILTER (WHERE r.status = 'failed') AS failed,
    count(r.id) FILTER (WHERE r.status = 'interrupted') AS interrupted,
    count(r.id) FILTER (WHERE r.status = 'superseded') AS superseded
FROM experiment e
JOIN execution x ON x.experiment = e.id
    AND x.number = (SELECT max(number) FROM execution WHERE experiment = e.id)
LEFT JOIN cell c ON c.execution = x.id
LEFT JOIN run r ON r.cell = c.id
GROUP BY e.id;

CREATE VIEW runs AS
SELECT r.id AS run, e.name AS experiment, x.number AS execution, c.label AS cell, r.seed, r.status, r.reason,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') AS finished_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch') AS created_at,
    x.kind, r.steps, r.steps_done, r.attempts, g.number AS batch_group, r.content_hash, c.number AS cell_number,
    s.number AS superseded_by_execution
FROM run r
JOIN cell c ON c.id = r.cell
JOIN execution x ON x.id = c.execution
JOIN experiment e ON e.id = x.experiment
LEFT JOIN batch_group g ON g.id = r.batch_group
LEFT JOIN execution s ON s.id = r.superseded_by;

CREATE VIEW cells AS
SELECT e.name AS experiment, x.number AS execution, c.number AS cell_number, c.label AS cell, s.axis, s.axis_name,
    s.key, s.value, s.type, s.non_finite
FROM cell c
JOIN execution x ON x.id = c.execution
JOIN experiment e ON e.id = x.experiment
LEFT JOIN cell_setting s ON s.cell = c.id;

CREATE VIEW answers AS
SELECT e.name AS experiment, x.number AS execution, c.label AS cell, a.seed, a.run AS answered_by_run
FROM answer a
JOIN cell c ON c.id = a.cell
JOIN execution x ON x.id = c.execution
JOIN experiment e ON e.id = x.experiment;

CREATE VIEW parameters AS
SELECT r.id AS run, k.name AS key, p.value, p.type, p.non_finite
FROM run r JOIN parameter p ON p.cell = r.cell JOIN parameter_key k ON k.id = p.key
UNION ALL
SELECT id, 'seed', seed, 'integer', NULL FROM run;

CREATE VIEW metrics AS
SELECT m.run, m.step, k.name AS key, m.value, m.non_finite
FROM metric m JOIN metric_key k ON k.id = m.key;

CREATE VIEW latest_metrics AS
SELECT m.run, m.step, k.name AS key, m.value, m.non_finite
FROM latest_metric m JOIN metric_key k ON k.id = m.key;

CREATE VIEW schedules AS
SELECT run, step, kappa, leader_learning_rate, follower_learning_rate, leader_updates, follower_updates
FROM schedule;

CREATE VIEW evaluations AS
SELECT v.run, v.step, n.name, s.name AS subject, v.value, v.non_finite, v.low, v.high, v.n
FROM evaluation v
JOIN evaluation_name n ON n.id = v.name
JOIN evaluation_subject s ON s.id = v.subject;

CREATE VIEW superseded_metrics AS
SELECT m.run, m.step, k.name AS key, m.value, m.non_finite, m.state_change
FROM superseded_metric m JOIN metric_key k ON k.id = m.key;

CREATE VIEW superseded_schedules AS
SELECT run, step, kappa, leader_learning_rate, follower_learning_rate, leader_updates, follower_updates, state_change
FROM superseded_schedule;

CREATE VIEW superseded_evaluations AS
SELECT v.run, v.step, n.name, s.name AS subject, v.value, v.non_finite, v.low, v.high, v.n, v.state_change
FROM superseded_evaluation v
JOIN evaluation_name n ON n.id = v.name
JOIN evaluation_subject s ON s.id = v.subject;

CREATE VIEW completions AS
SELECT run, step, position, role, round, prompt, text, finished, tokens, probability FROM completion;

-- Of a game that was judged more than once, the last attempt counts.
CREATE VIEW verdicts AS
SELECT j.run, g.game, f.name AS first, s.name AS second, v.probability
FROM judged_game_run j
JOIN judged_game g ON g.id = j.judged_game
JOIN verdict v ON v.judged_game = g.id
JOIN judged_action f ON f.judged_game = g.id AND f.position = v.first
JOIN judged_action s ON s.judged_game = g.id AND s.position = v.second
WHERE g.attempt = (SELECT max(attempt) FROM judged_game WHERE batch_group = g.batch_group AND game = g.game);

CREATE VIEW verdict_attributes AS
SELECT j.run, g.game, f.name AS first, s.name AS second, a.name AS attribute, a.value, a.reason
FROM judged_game_run j
JOIN judged_game g ON g.id = j.judged_game
JOIN verdict_attribute a ON a.judged_game = g.id
JOIN judged_action f ON f.judged_game = g.id AND f.position = a.first
JOIN judged_action s ON s.judged_game = g.id AND s.position = a.second
WHERE g.attempt = (SELECT max(attempt) FROM judged_game WHERE batch_group = g.batch_group AND game = g.game);

CREATE VIEW judged_games AS
SELECT j.run, g.game, g.attempt, g.actions, g.matrix, g.note
FROM judged_game_run j JOIN judged_game g ON g.id = j.judged_game;

CREATE VIEW plugins AS
SELECT r.id AS run, p.role, p.name, p.path, p.sha256,
    max(u.name) AS manifest_name, max(u.version) AS version, max(u.wit_version) AS wit_version,
    p.capabilities, p.parameters, p.on_failure, p.memory_mib, p.deadline_ms, p.fuel_per_item, p.stack_kib,
    p.output_mib, p.log_lines,
    sum(u.calls) AS calls, sum(u.items) AS items, sum(u.failed_items) AS failed_items, sum(u.wall_ns) AS wall_ns,
    sum(u.fuel) AS fuel, max(u.peak_memory_bytes) AS peak_memory_bytes, max(u.runs) AS shared_by_runs
FROM run r
JOIN plugin_grant p ON p.cell = r.cell
LEFT JOIN plugin_use_run l ON l.run = r.id
LEFT JOIN plugin_use u ON u.id = l.plugin_use AND u.role = p.role AND u.sha256 = p.sha256
GROUP BY r.id, p.role;

CREATE VIEW environments AS
SELECT r.run, r.attempt, e.device, e.device_description, e.cpu_capability, e.threads, e.libtorch_version,
    e.worker_sha256, e.mkl_cbwr
FROM run_environment r JOIN environment e ON e.id = r.environment;

CREATE VIEW artefacts AS
SELECT l.run, l.step, a.kind, a.path, a.sha256, a.size_bytes,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.written_at / 1000.0, 'unixepoch') AS written_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', a.removed_at / 1000.0, 'unixepoch') AS removed_at
FROM artefact_run l JOIN artefact a ON a.id = l.artefact;

CREATE VIEW state_changes AS
SELECT s.run, strftime('%Y-%m-%dT%H:%M:%fZ', s.changed_at / 1000.0, 'unixepoch') AS changed_at, s.from_status,
    s.to_status, s.reason, s.step, s.id AS state_change
FROM state_change s;

-- Attempts add up, peaks do not.
CREATE VIEW costs AS
SELECT run, quantity, unit,
    CASE WHEN quantity LIKE 'peak%' THEN max(value) ELSE sum(value) END AS value, count(*) AS attempts
FROM cost GROUP BY run, quantity, unit;

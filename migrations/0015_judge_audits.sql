-- What `slhf-lab judge audit` found of a judge.

CREATE TABLE judge_audit (
    id INTEGER PRIMARY KEY,
    audited_at INTEGER NOT NULL,            -- milliseconds since 1970-01-01T00:00:00Z
    judge TEXT NOT NULL,                    -- outer over inner, where one plugin wraps another
    parameters TEXT NOT NULL,               -- JSON; with models' identities, where it asks any
    sha256 TEXT NOT NULL,                   -- of the outer plugin's file
    subject TEXT NOT NULL,                  -- the file of pairs, or the run
    subject_sha256 TEXT,                    -- of the file; NULL: a run
    run INTEGER REFERENCES run (id),        -- NULL: a file
    document TEXT NOT NULL                  -- JSON: all that was found
) STRICT;

CREATE INDEX judge_audit_by_run ON judge_audit (run) WHERE run IS NOT NULL;

CREATE VIEW judge_audits AS
SELECT a.id AS judge_audit, strftime('%Y-%m-%dT%H:%M:%fZ', a.audited_at / 1000.0, 'unixepoch') AS audited_at,
    a.judge, a.parameters, a.sha256, a.subject, a.subject_sha256, a.run,
    a.document ->> '$.pairs' AS pairs, a.document ->> '$.verdicts' AS verdicts, a.document ->> '$.failed' AS failed,
    a.document ->> '$.position.value' AS position, a.document ->> '$.position.low' AS position_low,
    a.document ->> '$.position.high' AS position_high,
    a.document ->> '$.length.win_per_100_characters.value' AS length,
    a.document ->> '$.length.win_per_100_characters.low' AS length_low,
    a.document ->> '$.length.win_per_100_characters.high' AS length_high,
    a.document ->> '$.noise.standard_deviation.value' AS noise,
    a.document ->> '$.triples.share.value' AS intransitive, a.document ->> '$.triples.is_cyclic' AS is_cyclic,
    a.document ->> '$.labels.accuracy.value' AS accuracy, a.document ->> '$.labels.accuracy.low' AS accuracy_low,
    a.document ->> '$.labels.accuracy.high' AS accuracy_high, a.document ->> '$.labels.kappa.value' AS kappa,
    a.document
FROM judge_audit a;

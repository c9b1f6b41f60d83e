-- Beside the metrics, which stay rows: of every 16, 256 and 4,096 values that a run recorded of a metric, the lowest, the
-- highest, the sum and the last. Long curves are drawn from these. Only whole buckets are here; what follows the last
-- one is read from the rows.

CREATE TABLE metric_bucket (
    run INTEGER NOT NULL,
    key INTEGER NOT NULL,
    -- Values in it, finite or not.
    width INTEGER NOT NULL CHECK (width IN (16, 256, 4096)),
    -- Counted from 0.
    bucket INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    -- Finite values in it: the next three are of these.
    finite INTEGER NOT NULL,
    low REAL,
    high REAL,
    total REAL NOT NULL,
    -- NULL where the last value is not finite.
    last REAL,
    PRIMARY KEY (run, key, width, bucket)
) STRICT, WITHOUT ROWID;

INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last)
SELECT b.run, b.key, 16, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, m.value FROM (
    SELECT run, key, place / 16 AS bucket, max(step) AS last_step, count(value) AS finite, min(value) AS low,
        max(value) AS high, total(value) AS total
    FROM (SELECT run, key, step, value, row_number() OVER (PARTITION BY run, key ORDER BY step) - 1 AS place FROM metric)
    GROUP BY run, key, place / 16 HAVING count(*) = 16
) b JOIN metric m ON m.run = b.run AND m.step = b.last_step AND m.key = b.key;

INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last)
SELECT b.run, b.key, 256, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, l.last FROM (
    SELECT run, key, bucket / 16 AS bucket, max(last_step) AS last_step, sum(finite) AS finite, min(low) AS low,
        max(high) AS high, total(total) AS total
    FROM metric_bucket WHERE width = 16 GROUP BY run, key, bucket / 16 HAVING count(*) = 16
) b JOIN metric_bucket l ON l.run = b.run AND l.key = b.key AND l.width = 16 AND l.bucket = b.bucket * 16 + 15;

INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last)
SELECT b.run, b.key, 4096, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, l.last FROM (
    SELECT run, key, bucket / 16 AS bucket, max(last_step) AS last_step, sum(finite) AS finite, min(low) AS low,
        max(high) AS high, total(total) AS total
    FROM metric_bucket WHERE width = 256 GROUP BY run, key, bucket / 16 HAVING count(*) = 16
) b JOIN metric_bucket l ON l.run = b.run AND l.key = b.key AND l.width = 256 AND l.bucket = b.bucket * 16 + 15;

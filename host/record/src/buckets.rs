//! How values of a metric are put together for curves: the table `metric_bucket`.

use sqlx::SqliteConnection;

use crate::error::{Doing as _, RecordError};

/// Values that one bucket stands for.
pub(crate) const WIDTHS: [i64; 3] = [16, 256, 4096];
/// Parts of a bucket: values of the narrowest, else buckets of the width before.
pub(crate) const PARTS: i64 = 16;

const DOING: &str = "putting the values of a run into buckets";

/// Makes the buckets of one run anew from its rows.
pub(crate) async fn anew(connection: &mut SqliteConnection, run: i64) -> Result<(), RecordError> {
    let delete = "DELETE FROM metric_bucket WHERE run = ?";
    sqlx::query(delete).bind(run).execute(&mut *connection).await.doing(DOING)?;
    sqlx::query(
        "INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last) \
         SELECT b.run, b.key, ?2, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, m.value FROM ( \
         SELECT run, key, place / ?2 AS bucket, max(step) AS last_step, count(value) AS finite, min(value) AS low, \
         max(value) AS high, total(value) AS total FROM ( \
         SELECT run, key, step, value, row_number() OVER (PARTITION BY key ORDER BY step) - 1 AS place FROM metric WHERE run = ?1) \
         GROUP BY key, place / ?2 HAVING count(*) = ?2) b \
         JOIN metric m ON m.run = b.run AND m.step = b.last_step AND m.key = b.key",
    )
    .bind(run)
    .bind(WIDTHS[0])
    .execute(&mut *connection)
    .await
    .doing(DOING)?;
    for widths in WIDTHS.windows(2) {
        sqlx::query(
            "INSERT INTO metric_bucket (run, key, width, bucket, last_step, finite, low, high, total, last) \
             SELECT b.run, b.key, ?3, b.bucket, b.last_step, b.finite, b.low, b.high, b.total, l.last FROM ( \
             SELECT run, key, bucket / ?4 AS bucket, max(last_step) AS last_step, sum(finite) AS finite, min(low) AS low, \
             max(high) AS high, total(total) AS total FROM metric_bucket WHERE run = ?1 AND width = ?2 \
             GROUP BY key, bucket / ?4 HAVING count(*) = ?4) b \
             JOIN metric_bucket l ON l.run = b.run AND l.key = b.key AND l.width = ?2 AND l.bucket = b.bucket * ?4 + ?4 - 1",
        )
        .bind(run)
        .bind(widths[0])
        .bind(widths[1])
        .bind(PARTS)
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    }
    Ok(())
}

//! `db check`: everything that can be wrong with a record and its files, each with a cure.

use sqlx::SqliteConnection;

use crate::checkpoint_folder::CheckpointFolder;
use crate::error::Doing as _;
use crate::stored_copy;
use crate::stored_file::Expected;
use crate::{Record, RecordError};

const DOING: &str = "checking the record";

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about: the file, a run, a table.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What mends it.
    pub cure: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    path: String,
    sha256: String,
    size_bytes: i64,
    runs: String,
}

impl Record {
    /// Looks for everything that can be wrong, and changes nothing: damage of the file, rows that refer to nothing, files that are
    /// not what was written or that no row names, runs that nobody computes. Reads every file of every run once.
    pub fn check(&mut self) -> Result<Vec<Problem>, RecordError> {
        let name = self.path().display().to_string();
        let mut problems = self.block(async |connection| {
            let mut problems = damage(connection, &name).await?;
            problems.extend(dangling(connection).await?);
            Ok(problems)
        })?;
        problems.extend(self.unfit_files()?);
        for stray in self.strays()? {
            problems.push(Problem {
                subject: stray.path.display().to_string(),
                found: format!("no row names this file ({} bytes)", stray.bytes),
                cure: "`slhf-lab db gc` deletes it".to_owned(),
            });
        }
        for dead in self.dead_runs()? {
            problems.push(Problem {
                subject: format!("run {}", dead.run),
                found: format!("is marked as running, but {}", dead.reason),
                cure: "`slhf-lab ls` marks it as interrupted, `slhf-lab resume` goes on with it".to_owned(),
            });
        }
        Ok(problems)
    }

    fn unfit_files(&mut self) -> Result<Vec<Problem>, RecordError> {
        let rows: Vec<Row> = self.block(async |connection| {
            sqlx::query_as(
                "SELECT a.kind, a.path, a.sha256, a.size_bytes, \
                 group_concat(DISTINCT l.run) AS runs FROM artefact a JOIN artefact_run l ON l.artefact = a.id \
                 WHERE a.removed_at IS NULL GROUP BY a.id ORDER BY a.id",
            )
            .fetch_all(connection)
            .await
            .doing(DOING)
        })?;
        let folder = self.checkpoint_folder()?;
        if let Some(sentence) = self.checkpoints_elsewhere()? {
            let subject = folder.path().display().to_string();
            let found = format!("files of runs are not beside the record ({} rows name some)", rows.len());
            return Ok(vec![Problem { subject, found, cure: sentence }]);
        }
        Ok(rows.into_iter().filter_map(|row| unfit(&row, &folder)).collect())
    }
}

fn unfit(row: &Row, folder: &CheckpointFolder) -> Option<Problem> {
    let expected = Expected { sha256: row.sha256.clone(), size_bytes: row.size_bytes.unsigned_abs() };
    let looked = folder.file(&row.path).and_then(|path| stored_copy::verify(&path, &row.kind, &expected));
    let found = looked.err()?.to_string();
    Some(Problem {
        subject: format!("{} of run {}", folder.path().join(&row.path).display(), row.runs.replace(',', ", ")),
        found,
        cure: if row.kind == stored_copy::CHECKPOINT {
            "bring the file back from a copy, or merge a record that has it; a run that is not finished goes on from the checkpoint before"
                .to_owned()
        } else {
            "bring the folder back from a copy, merge a record that has it, or run the experiment again".to_owned()
        },
    })
}

async fn damage(connection: &mut SqliteConnection, name: &str) -> Result<Vec<Problem>, RecordError> {
    let said: Vec<String> = sqlx::query_scalar("SELECT integrity_check FROM pragma_integrity_check")
        .fetch_all(connection)
        .await
        .doing(DOING)?;
    let wrong = said.into_iter().filter(|line| line != "ok");
    Ok(wrong
        .map(|found| Problem {
            subject: name.to_owned(),
            found: format!("the file is damaged: {found}"),
            cure: format!("restore a backup, or rescue what is left with `sqlite3 {name} .recover`"),
        })
        .collect())
}

/// Rows that refer to rows that are not there.
async fn dangling(connection: &mut SqliteConnection) -> Result<Vec<Problem>, RecordError> {
    let mut found: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT [table], parent, count(*) FROM pragma_foreign_key_check GROUP BY [table], parent")
            .fetch_all(&mut *connection)
            .await
            .doing(DOING)?;
    // These refer to runs without a foreign key, for speed.
    for table in [
        "metric",
        "latest_metric",
        "metric_bucket",
        "schedule",
        "evaluation",
        "completion_attribute",
        "training_verdict_attribute",
    ] {
        let statement = format!("SELECT count(*) FROM {table} WHERE run NOT IN (SELECT id FROM run)");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut *connection).await.doing(DOING)?;
        if rows > 0 {
            found.push((table.to_owned(), "run".to_owned(), rows));
        }
    }
    Ok(found
        .into_iter()
        .map(|(table, parent, rows)| Problem {
            subject: format!("table {table}"),
            found: format!("{rows} rows refer to a row of {parent} that is not there"),
            cure: "another program changed the file: restore a backup".to_owned(),
        })
        .collect())
}

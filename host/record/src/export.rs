//! A compact copy of some experiments, for keeping beside what was written of them.
//!
//! Invariant: a copy names no machine: no host, no folder, no checkpoint, no process. What decides or explains a number
//! is all in it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value as Json;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use crate::error::Doing as _;
use crate::open::{is_compressed, options};
use crate::{OpenMode, Record, RecordError};

const DOING: &str = "exporting experiments";

/// Larger than any record that is kept as a copy; a file that unpacks to more is none.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// What stays once only the chosen executions are left: their finished runs. Rows by run, then what nothing refers to any more.
const DELETIONS: &[&str] = &[
    "DELETE FROM experiment WHERE id NOT IN (SELECT experiment FROM execution)",
    "DELETE FROM cell WHERE execution NOT IN (SELECT id FROM execution)",
    "DELETE FROM cell_setting WHERE cell NOT IN (SELECT id FROM cell)",
    "DELETE FROM parameter WHERE cell NOT IN (SELECT id FROM cell)",
    "DELETE FROM plugin_grant WHERE cell NOT IN (SELECT id FROM cell)",
    "DELETE FROM policy_evaluation WHERE execution NOT IN (SELECT id FROM execution) OR id NOT IN \
     (SELECT max(id) FROM policy_evaluation GROUP BY execution, judge, parameters)",
    "DELETE FROM software_version WHERE execution NOT IN (SELECT id FROM execution)",
    "DELETE FROM run WHERE status <> 'finished' OR cell NOT IN (SELECT id FROM cell)",
    "DELETE FROM batch_group WHERE id NOT IN (SELECT batch_group FROM run WHERE batch_group IS NOT NULL)",
    "DELETE FROM answer WHERE run NOT IN (SELECT id FROM run) OR cell NOT IN (SELECT id FROM cell)",
    "DELETE FROM completion WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM completion_attribute WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM training_verdict WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM training_verdict_attribute WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM cost WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM evaluation WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM judged_game_run WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM judged_game WHERE id NOT IN (SELECT judged_game FROM judged_game_run)",
    "DELETE FROM judged_action WHERE judged_game NOT IN (SELECT id FROM judged_game)",
    "DELETE FROM verdict WHERE judged_game NOT IN (SELECT id FROM judged_game)",
    "DELETE FROM verdict_attribute WHERE judged_game NOT IN (SELECT id FROM judged_game)",
    "DELETE FROM latest_metric WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM metric WHERE run NOT IN (SELECT id FROM run)",
    // Histories of games, and of language models whose every prompt is one (closed response sets), can be had again in seconds: 25 steps of each are
    // enough for a curve, the first and the last among them.
    "DELETE FROM metric WHERE (run, step) IN (SELECT run, step FROM ( \
     SELECT run, step, row_number() OVER (PARTITION BY run ORDER BY step) AS place, count(*) OVER (PARTITION BY run) AS many FROM ( \
     SELECT DISTINCT m.run, m.step FROM metric m JOIN run r ON r.id = m.run JOIN cell c ON c.id = r.cell \
     JOIN execution x ON x.id = c.execution WHERE x.kind = 'game' OR c.id IN ( \
     SELECT p.cell FROM parameter p JOIN parameter_key k ON k.id = p.key WHERE k.name = 'answers.gradient'))) \
     WHERE place < many AND (place - 1) % max(1, (many + 22) / 24) <> 0)",
    // Its rows are few: curves are drawn from them.
    "DELETE FROM metric_bucket",
    "DELETE FROM schedule WHERE run NOT IN (SELECT r.id FROM run r JOIN cell c ON c.id = r.cell \
     JOIN execution x ON x.id = c.execution WHERE x.kind <> 'game')",
    "DELETE FROM plugin_use_run WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM plugin_use WHERE id NOT IN (SELECT plugin_use FROM plugin_use_run)",
    "DELETE FROM model_use WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM judge_audit WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM tag WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM note WHERE run NOT IN (SELECT id FROM run)",
    // Runs in an export are finished: nothing is asked again.
    "DELETE FROM model_answer",
    "DELETE FROM run_environment WHERE run NOT IN (SELECT id FROM run)",
    "DELETE FROM environment WHERE id NOT IN (SELECT environment FROM run_environment)",
    "DELETE FROM superseded_completion",
    "DELETE FROM superseded_completion_attribute",
    "DELETE FROM superseded_evaluation",
    "DELETE FROM superseded_metric",
    "DELETE FROM superseded_schedule",
    "DELETE FROM superseded_training_verdict",
    "DELETE FROM superseded_training_verdict_attribute",
    "DELETE FROM state_change",
    "DELETE FROM artefact_run",
    "DELETE FROM artefact",
    // An export is a record of its own: it gets an id when something is first written to it. Its runs keep theirs.
    "DELETE FROM record_identity",
    "DELETE FROM held_run",
    "DELETE FROM lease",
    "UPDATE run SET reason = NULL, superseded_by = NULL",
    "UPDATE execution SET host = '', working_directory = ''",
];

/// The folder in which a file is to be made, which must be there.
pub(crate) fn folder_of(file: &Path) -> Result<&Path, RecordError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(RecordError::NoFolder { path: file.to_owned(), folder: folder.to_owned() })
}

impl Record {
    /// Writes the latest executions of `experiments`, and earlier ones whose runs answer for them, to a record of their own, compressed where the name ends in `.gz`.
    /// An earlier export is replaced, whole or not at all; anything else that is there is left alone.
    pub fn export(&mut self, experiments: &[String], file: &Path) -> Result<(), RecordError> {
        self.check_target(file)?;
        folder_of(file)?;
        let folder = tempfile::tempdir().map_err(|source| system("a folder for an export", source))?;
        let (copy, compact) = (folder.path().join("copy.db"), folder.path().join("compact.db"));
        let names = experiments.to_vec();
        self.block(async |connection| {
            vacuum_into(connection, &copy).await?;
            let own = options(&copy).foreign_keys(false).journal_mode(SqliteJournalMode::Memory);
            let mut own = own.connect().await.doing(DOING)?;
            let reduced = async {
                reduce(&mut own, &names).await?;
                vacuum_into(&mut own, &compact).await
            }
            .await;
            own.close().await.doing(DOING)?;
            reduced
        })?;
        let bytes =
            slhf_files::read(&compact, UNPACKED_BYTES_MAX).map_err(|source| system("reading the copy", source))?;
        let bytes = if is_compressed(file) { pack(&bytes)? } else { bytes };
        slhf_files::replace(file, &bytes).map_err(|source| system(&format!("writing {}", file.display()), source))
    }

    /// Refuses to write over this record, under whatever name, and over anything that is no export.
    fn check_target(&mut self, file: &Path) -> Result<(), RecordError> {
        let looked = |source| system(&format!("looking at {}", file.display()), source);
        if slhf_files::is_same_file(self.path(), file).map_err(looked)? {
            return Err(RecordError::ExportOntoItself { path: file.to_owned() });
        }
        let is_there = file.symlink_metadata().is_ok();
        if !is_there || self.is_export(file) {
            return Ok(());
        }
        Err(RecordError::NotAnExport { path: file.to_owned() })
    }

    /// Whether a file is what [`Record::export`] writes, of this version or an earlier one: a record that names no machine and
    /// has no history of its runs' states.
    fn is_export(&mut self, file: &Path) -> bool {
        if slhf_files::check_kind(file).is_err() {
            return false;
        }
        let Ok(folder) = tempfile::tempdir() else { return false };
        let plain = if is_compressed(file) {
            let copy = folder.path().join("earlier.db");
            if unpack(file, &copy).is_err() {
                return false;
            }
            copy
        } else {
            file.to_owned()
        };
        self.block(async |_| {
            let mut own = options(&plain).read_only(true).immutable(true).connect().await.doing(DOING)?;
            let found: Result<(i64, i64, i64), sqlx::Error> = sqlx::query_as(
                "SELECT (SELECT count(*) FROM execution), \
                 (SELECT count(*) FROM execution WHERE host <> '' OR working_directory <> ''), \
                 (SELECT count(*) FROM state_change)",
            )
            .fetch_one(&mut own)
            .await;
            own.close().await.doing(DOING)?;
            Ok(matches!(found, Ok((1.., 0, 0))))
        })
        .unwrap_or(false)
    }

    /// Opens a compressed record: a private copy of it, which is never written back.
    pub(crate) fn open_compressed(path: &Path) -> Result<Self, RecordError> {
        let (folder, copy) = unpack_privately(path)?;
        let record = Self::open(&copy, OpenMode::Write)?;
        Ok(record.into_copy_of(path, folder))
    }
}

/// Unpacks a compressed record into a folder that goes when it is dropped.
pub(crate) fn unpack_privately(path: &Path) -> Result<(tempfile::TempDir, PathBuf), RecordError> {
    let failed = |source| system(&format!("unpacking {}", path.display()), source);
    let folder = tempfile::tempdir().map_err(failed)?;
    let copy = folder.path().join("record.db");
    unpack(path, &copy).map_err(failed)?;
    Ok((folder, copy))
}

/// Unpacks a compressed record, piece by piece.
fn unpack(from: &Path, to: &Path) -> std::io::Result<()> {
    let packed = slhf_files::open(from, UNPACKED_BYTES_MAX)?;
    let mut plain = GzDecoder::new(packed).take(UNPACKED_BYTES_MAX + 1);
    let bytes = std::io::copy(&mut plain, &mut std::fs::File::create(to)?)?;
    if bytes > UNPACKED_BYTES_MAX {
        return Err(slhf_files::Refusal::Unpacks { limit_bytes: UNPACKED_BYTES_MAX }.into());
    }
    Ok(())
}

fn system(doing: &str, source: std::io::Error) -> RecordError {
    RecordError::System { doing: doing.to_owned(), source }
}

pub(crate) async fn vacuum_into(connection: &mut SqliteConnection, file: &Path) -> Result<(), RecordError> {
    let file = file.display().to_string();
    sqlx::query("VACUUM INTO ?").bind(file).execute(connection).await.doing(DOING)?;
    Ok(())
}

async fn reduce(connection: &mut SqliteConnection, experiments: &[String]) -> Result<(), RecordError> {
    let mut transaction = connection.begin().await.doing(DOING)?;
    let mut kept = Vec::with_capacity(experiments.len());
    for experiment in experiments {
        let latest: Option<i64> = sqlx::query_scalar(
            "SELECT x.id FROM execution x JOIN experiment e ON e.id = x.experiment WHERE e.name = ? \
             ORDER BY x.number DESC LIMIT 1",
        )
        .bind(experiment)
        .fetch_optional(&mut *transaction)
        .await
        .doing(DOING)?;
        let Some(latest) = latest else {
            return Err(RecordError::NoSuchExperiment { name: experiment.clone(), hint: String::new() });
        };
        kept.push(latest);
    }
    // Runs of earlier executions that answer a seed of these (`run --needed`) come along, with their executions.
    let answering: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT home.execution FROM answer a JOIN cell c ON c.id = a.cell JOIN run r ON r.id = a.run \
         JOIN cell home ON home.id = r.cell WHERE c.execution IN (SELECT value FROM json_each(?))",
    )
    .bind(Json::from(kept.clone()).to_string())
    .fetch_all(&mut *transaction)
    .await
    .doing(DOING)?;
    kept.extend(answering);
    sqlx::query("DELETE FROM execution WHERE id NOT IN (SELECT value FROM json_each(?))")
        .bind(Json::from(kept).to_string())
        .execute(&mut *transaction)
        .await
        .doing(DOING)?;
    scrub(&mut transaction).await?;
    for statement in DELETIONS {
        sqlx::query(*statement).execute(&mut *transaction).await.doing(DOING)?;
    }
    transaction.commit().await.doing(DOING)
}

/// Folders out of what names files.
async fn scrub(connection: &mut SqliteConnection) -> Result<(), RecordError> {
    let frozen: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, frozen FROM batch_group").fetch_all(&mut *connection).await.doing(DOING)?;
    for (id, text) in frozen {
        let mut plan: Json = serde_json::from_str(&text).unwrap_or(Json::Null);
        without_folders(&mut plan);
        let update = sqlx::query("UPDATE batch_group SET frozen = ? WHERE id = ?").bind(plan.to_string()).bind(id);
        update.execute(&mut *connection).await.doing(DOING)?;
    }
    for (table, column) in [("execution", "toml_path"), ("execution", "command_line"), ("plugin_grant", "path")] {
        let read = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
        let texts: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(read)).fetch_all(&mut *connection).await.doing(DOING)?;
        for text in texts {
            let words: Vec<String> = text.split(' ').map(without_folder).collect();
            let write = format!("UPDATE {table} SET {column} = ? WHERE {column} = ?");
            let update = sqlx::query(sqlx::AssertSqlSafe(write)).bind(words.join(" ")).bind(&text);
            update.execute(&mut *connection).await.doing(DOING)?;
        }
    }
    // Versions that recorded where a reward's model lay.
    let paths: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT p.cell, p.key, p.value FROM parameter p JOIN parameter_key k ON k.id = p.key \
         WHERE k.name LIKE '%.path' AND p.type = 'text' AND p.value LIKE '/%'",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(DOING)?;
    for (cell, key, path) in paths {
        let update = sqlx::query("UPDATE parameter SET value = ? WHERE cell = ? AND key = ?");
        let update = update.bind(without_folder(&path)).bind(cell).bind(key);
        update.execute(&mut *connection).await.doing(DOING)?;
    }
    Ok(())
}

fn without_folders(value: &mut Json) {
    match value {
        Json::String(text) if text.starts_with('/') => *text = without_folder(text),
        Json::Array(values) => values.iter_mut().for_each(without_folders),
        Json::Object(fields) => fields.values_mut().for_each(without_folders),
        _ => {}
    }
}

/// The last part of an absolute path; anything else as it is.
fn without_folder(text: &str) -> String {
    let quote = usize::from(text.starts_with('\''));
    if !text[quote..].starts_with('/') {
        return text.to_owned();
    }
    let name = PathBuf::from(&text[quote..]);
    name.file_name().map_or_else(|| text.to_owned(), |name| format!("{}{}", &text[..quote], name.to_string_lossy()))
}

/// The same bytes give the same file: no time, no name.
fn pack(bytes: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(|source| system("compressing an export", source))
}

//! Checkpoints that a run can go on from, and those that nobody needs any more.
//!
//! Invariant: nothing outside the record's own folder is ever deleted; inside it only a regular file with the size and the hash
//! of its row that begins as a checkpoint of its run; and none before as many newer ones as are kept have been read back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use slhf_plan::ResumePoint;
use sqlx::{FromRow, SqliteConnection};

use crate::checkpoint_folder::{CheckpointFolder, FolderState};
use crate::error::Doing as _;
use crate::stored_file::{self, Expected, Unusable};
use crate::time::now_ms;
use crate::{Record, RecordError, RunStatus};

/// A checkpoint that cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCheckpoint {
    /// The run.
    pub run: i64,
    /// After how many steps it was written.
    pub step: u64,
    /// The file.
    pub path: String,
    /// What is wrong with it, to follow its name.
    pub reason: String,
    /// Whether the record said so before.
    pub was_known: bool,
}

/// What a search for a run's last checkpoint found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundCheckpoint {
    /// Where the run goes on; `None`: at step 0.
    pub point: Option<ResumePoint>,
    /// Later ones, newest first, that are of no use.
    pub refused: Vec<RefusedCheckpoint>,
}

/// Looks for checkpoints. Files that several runs share are read once.
#[derive(Debug)]
pub struct CheckpointSearch {
    folder: CheckpointFolder,
    /// By artefact.
    looked_at: HashMap<i64, Result<(), Unusable>>,
}

/// Whose outdated checkpoints go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneScope {
    /// Those of one batch group.
    Group(i64),
    /// All.
    All,
}

/// A checkpoint of a run, and how far it is known to be good.
#[derive(Clone, Debug, FromRow)]
struct Row {
    run: i64,
    step: i64,
    artefact: i64,
    path: String,
    sha256: String,
    size_bytes: i64,
    is_verified: bool,
    is_unusable: bool,
    unusable_reason: Option<String>,
    status: String,
    batch_group: Option<i64>,
}

const COLUMNS: &str = "SELECT l.run, l.step, a.id AS artefact, a.path, a.sha256, a.size_bytes, \
     a.verified_at IS NOT NULL AS is_verified, a.unusable_at IS NOT NULL AS is_unusable, a.unusable_reason, r.status, r.batch_group \
     FROM artefact a JOIN artefact_run l ON l.artefact = a.id JOIN run r ON r.id = l.run \
     WHERE a.kind = 'checkpoint' AND a.removed_at IS NULL";

impl Row {
    fn expected(&self) -> Expected {
        Expected { sha256: self.sha256.clone(), size_bytes: self.size_bytes.unsigned_abs() }
    }
}

/// What was found out about files, to be written down.
#[derive(Debug, Default)]
struct Findings {
    verified: Vec<i64>,
    unusable: Vec<(i64, String)>,
    removed: Vec<String>,
}

impl Record {
    /// The random id of this record; `None`: an export, to which nothing was written yet.
    pub fn identity(&mut self) -> Result<Option<String>, RecordError> {
        self.block(async |connection| identity(connection).await)
    }

    /// The folder of this record's files, as it is.
    pub fn checkpoint_folder(&mut self) -> Result<CheckpointFolder, RecordError> {
        let id = self.identity()?;
        Ok(CheckpointFolder::find(self.path(), id.as_deref()))
    }

    /// Where this record's checkpoints are, if not beside it, in a sentence; `None`: they may be there, or there are none.
    pub fn checkpoints_elsewhere(&mut self) -> Result<Option<String>, RecordError> {
        let Some(id) = self.identity()? else { return Ok(None) };
        let Some(sentence) = CheckpointFolder::find(self.path(), Some(&id)).explain(&id) else { return Ok(None) };
        let missed: bool = self.block(async |connection| {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM artefact WHERE removed_at IS NULL AND unusable_at IS NULL)",
            )
            .fetch_one(connection)
            .await
            .doing("looking for files of runs")
        })?;
        Ok(missed.then_some(sentence))
    }

    /// Makes sure that the folder is there and this record's own. Returns with it what [`Record::checkpoints_elsewhere`] says: a
    /// record that goes on without its files notes of all of them that they are missing.
    pub fn claim_checkpoint_folder(&mut self) -> Result<(CheckpointFolder, Option<String>), RecordError> {
        let elsewhere = self.checkpoints_elsewhere()?;
        let doing = "claiming the folder of checkpoints";
        let id = self.transaction(doing, async |connection| {
            sqlx::query("INSERT OR IGNORE INTO record_identity (one, id) VALUES (1, lower(hex(randomblob(16))))")
                .execute(&mut *connection)
                .await
                .doing(doing)?;
            if let Some(sentence) = &elsewhere {
                sqlx::query(
                    "UPDATE artefact SET unusable_at = ?, unusable_reason = ? WHERE removed_at IS NULL AND unusable_at IS NULL",
                )
                .bind(now_ms())
                .bind(format!("is not there: {sentence}"))
                .execute(&mut *connection)
                .await
                .doing(doing)?;
            }
            identity(connection).await
        })?;
        let id = id.unwrap_or_default();
        let mut folder = CheckpointFolder::find(self.path(), Some(&id));
        folder.claim(&id).map_err(|source| RecordError::System {
            doing: format!("a folder for checkpoints at {}", folder.path().display()),
            source,
        })?;
        Ok((folder, elsewhere))
    }

    /// Begins a search for checkpoints.
    pub fn search_checkpoints(&mut self) -> Result<CheckpointSearch, RecordError> {
        Ok(CheckpointSearch { folder: self.checkpoint_folder()?, looked_at: HashMap::new() })
    }

    /// Deletes checkpoint files that nobody needs. A run that is not done keeps `checkpoint.keep` of them that were read back and
    /// one before, to fall back on; a finished one `checkpoint.keep`; a superseded one none. Rows stay, and say when the file went.
    /// Returns what was found to be damaged on the way.
    pub fn prune_checkpoints(&mut self, scope: PruneScope) -> Result<Vec<RefusedCheckpoint>, RecordError> {
        let folder = self.checkpoint_folder()?;
        if folder.state() != FolderState::Own {
            return Ok(Vec::new());
        }
        let (rows, kept) = self.block(async |connection| {
            let rows = rows_of(connection, scope).await?;
            let kept = kept_by_group(connection, &rows).await?;
            Ok((rows, kept))
        })?;
        let mut pruning = Pruning { folder: &folder, looked_at: HashMap::new(), findings: Findings::default() };
        let needed = pruning.needed(&rows, &kept);
        pruning.remove(&rows, &needed);
        let Findings { verified, unusable, removed } = pruning.findings;
        let refused = rows.iter().filter_map(|row| {
            let (_, reason) = unusable.iter().find(|(artefact, _)| *artefact == row.artefact)?;
            Some(refusal(row, &folder, reason.clone()))
        });
        let refused = refused.collect();
        self.note(&Findings { verified, unusable, removed })?;
        Ok(refused)
    }

    /// What [`Record::prune_checkpoints`] would delete of all batch groups: path below the folder, and bytes. Nothing is changed.
    pub(crate) fn outdated_checkpoints(&mut self) -> Result<Vec<(String, u64)>, RecordError> {
        let folder = self.checkpoint_folder()?;
        if folder.state() != FolderState::Own {
            return Ok(Vec::new());
        }
        let (rows, kept) = self.block(async |connection| {
            let rows = rows_of(connection, PruneScope::All).await?;
            let kept = kept_by_group(connection, &rows).await?;
            Ok((rows, kept))
        })?;
        let mut pruning = Pruning { folder: &folder, looked_at: HashMap::new(), findings: Findings::default() };
        let needed = pruning.needed(&rows, &kept);
        let outdated = rows.into_iter().filter(|row| !row.is_unusable && !needed.contains(&row.path));
        let by_path: BTreeMap<String, u64> = outdated.map(|row| (row.path, row.size_bytes.unsigned_abs())).collect();
        Ok(by_path.into_iter().collect())
    }

    /// Writes down what was found out about files, where the record can be written to.
    fn note(&mut self, findings: &Findings) -> Result<(), RecordError> {
        let Findings { verified, unusable, removed } = findings;
        if !self.is_writable() || verified.is_empty() && unusable.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let doing = "noting what became of checkpoints";
        let now = now_ms();
        self.transaction(doing, async |connection| {
            for artefact in verified {
                let statement =
                    "UPDATE artefact SET verified_at = ?, unusable_at = NULL, unusable_reason = NULL WHERE id = ?";
                sqlx::query(statement).bind(now).bind(artefact).execute(&mut *connection).await.doing(doing)?;
            }
            for (artefact, reason) in unusable {
                let statement =
                    "UPDATE artefact SET unusable_at = ?, unusable_reason = ? WHERE id = ? AND removed_at IS NULL";
                let query = sqlx::query(statement).bind(now).bind(reason).bind(artefact);
                query.execute(&mut *connection).await.doing(doing)?;
            }
            for path in removed {
                let statement = "UPDATE artefact SET removed_at = ? WHERE path = ? AND removed_at IS NULL";
                sqlx::query(statement).bind(now).bind(path).execute(&mut *connection).await.doing(doing)?;
            }
            Ok(())
        })
    }
}

impl CheckpointSearch {
    /// The last checkpoint of a run that is what was written. Later ones that are not are noted in the record with the reason.
    /// One that was missing and is there again counts again.
    pub fn find(&mut self, record: &mut Record, run: i64) -> Result<FoundCheckpoint, RecordError> {
        let rows: Vec<Row> = record.block(async |connection| {
            let statement = format!("{COLUMNS} AND l.run = ? ORDER BY l.step DESC, a.id DESC");
            let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(run);
            query.fetch_all(connection).await.doing("looking for the last checkpoint")
        })?;
        let (mut found, mut findings) = (FoundCheckpoint::default(), Findings::default());
        for row in rows {
            let step = row.step.unsigned_abs();
            let is_new = !self.looked_at.contains_key(&row.artefact);
            let looked = self.looked_at.entry(row.artefact).or_insert_with(|| {
                let file = self.folder.file(&row.path)?;
                stored_file::verify_checkpoint(&file, &row.expected(), &[(run, step)])
            });
            match looked {
                Ok(()) => {
                    if is_new && (row.is_unusable || !row.is_verified) {
                        findings.verified.push(row.artefact);
                    }
                    let path = self.folder.path().join(&row.path).display().to_string();
                    found.point = Some(ResumePoint { run, step, path, sha256: row.sha256 });
                    break;
                }
                Err(unusable) => {
                    let reason = unusable.to_string();
                    // A folder that is not there at all is noted once, when the record goes on without it.
                    if is_new && self.folder.is_readable() && !row.is_unusable {
                        findings.unusable.push((row.artefact, reason.clone()));
                    }
                    found.refused.push(refusal(&row, &self.folder, reason));
                }
            }
        }
        record.note(&findings)?;
        Ok(found)
    }

    /// The folder that is looked into.
    #[must_use]
    pub fn folder(&self) -> &CheckpointFolder {
        &self.folder
    }
}

fn refusal(row: &Row, folder: &CheckpointFolder, reason: String) -> RefusedCheckpoint {
    RefusedCheckpoint {
        run: row.run,
        step: row.step.unsigned_abs(),
        path: folder.path().join(&row.path).display().to_string(),
        // What was found first says more than that it still is not there.
        reason: row.unusable_reason.clone().filter(|_| row.is_unusable).unwrap_or(reason),
        was_known: row.is_unusable,
    }
}

/// One pass over rows of checkpoints, each run's newest first.
struct Pruning<'a> {
    folder: &'a CheckpointFolder,
    /// By artefact: whether it is what was written.
    looked_at: HashMap<i64, bool>,
    findings: Findings,
}

impl Pruning<'_> {
    /// Paths of the checkpoints that stay.
    fn needed(&mut self, rows: &[Row], kept: &HashMap<i64, usize>) -> HashSet<String> {
        let mut needed = HashSet::new();
        for rows in rows.chunk_by(|one, other| one.run == other.run) {
            let Some(first) = rows.first() else { continue };
            let keep = first.batch_group.and_then(|group| kept.get(&group)).copied().unwrap_or(1);
            let keep = match RunStatus::from_name(&first.status) {
                Some(RunStatus::Superseded) => 0,
                Some(RunStatus::Finished) => keep,
                _ => keep + 1,
            };
            let mut good = 0;
            for row in rows.iter().filter(|row| !row.is_unusable) {
                if good >= keep {
                    break;
                }
                needed.insert(row.path.clone());
                // Nothing older is there to be removed: it need not be read.
                good += usize::from(rows.len() <= keep || self.is_good(row));
            }
        }
        needed
    }

    /// Whether it was read back: now, or earlier and its file is still as long.
    fn is_good(&mut self, row: &Row) -> bool {
        if let Some(known) = self.looked_at.get(&row.artefact) {
            return *known;
        }
        let step = row.step.unsigned_abs();
        let looked = self.folder.file(&row.path).and_then(|file| {
            if row.is_verified {
                stored_file::open(&file, row.size_bytes.unsigned_abs()).map(drop)
            } else {
                stored_file::verify_checkpoint(&file, &row.expected(), &[(row.run, step)])
            }
        });
        match &looked {
            Ok(()) if row.is_verified => {}
            Ok(()) => self.findings.verified.push(row.artefact),
            Err(unusable) => self.findings.unusable.push((row.artefact, unusable.to_string())),
        }
        self.looked_at.insert(row.artefact, looked.is_ok());
        looked.is_ok()
    }

    /// Deletes what no run needs, if it is what the row says.
    fn remove(&mut self, rows: &[Row], needed: &HashSet<String>) {
        let mut outdated: BTreeMap<i64, &Row> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.is_unusable && !needed.contains(&row.path)) {
            outdated.insert(row.artefact, row);
        }
        for (artefact, row) in outdated {
            let gone = self.folder.file(&row.path).and_then(|file| {
                // By its header, too: a row may name any file of the folder.
                stored_file::verify_checkpoint(&file, &row.expected(), &[(row.run, row.step.unsigned_abs())])?;
                Ok(fs::remove_file(file)?)
            });
            match gone {
                // Another process, or this one before it was killed, deleted it.
                Ok(()) | Err(Unusable::Missing) => self.findings.removed.push(row.path.clone()),
                Err(unusable) => self.findings.unusable.push((artefact, unusable.to_string())),
            }
        }
    }
}

pub(crate) async fn identity(connection: &mut SqliteConnection) -> Result<Option<String>, RecordError> {
    sqlx::query_scalar("SELECT id FROM record_identity")
        .fetch_optional(connection)
        .await
        .doing("reading the record's id")
}

async fn rows_of(connection: &mut SqliteConnection, scope: PruneScope) -> Result<Vec<Row>, RecordError> {
    let (condition, group) = match scope {
        PruneScope::Group(group) => (" AND r.batch_group = ?", Some(group)),
        PruneScope::All => ("", None),
    };
    let statement = format!("{COLUMNS}{condition} ORDER BY l.run, l.step DESC, a.id DESC");
    let mut query = sqlx::query_as(sqlx::AssertSqlSafe(statement));
    if let Some(group) = group {
        query = query.bind(group);
    }
    query.fetch_all(connection).await.doing("looking for outdated checkpoints")
}

/// `checkpoint.keep` of the batch groups of these rows.
async fn kept_by_group(connection: &mut SqliteConnection, rows: &[Row]) -> Result<HashMap<i64, usize>, RecordError> {
    let groups: HashSet<i64> = rows.iter().filter_map(|row| row.batch_group).collect();
    let mut kept = HashMap::with_capacity(groups.len());
    for group in groups {
        let keep: Option<i64> = sqlx::query_scalar(
            "SELECT CASE WHEN json_valid(frozen) THEN json_extract(frozen, '$.checkpoint_keep') END FROM batch_group WHERE id = ?",
        )
        .bind(group)
        .fetch_one(&mut *connection)
        .await
        .doing("reading how many checkpoints are kept")?;
        let keep = keep.and_then(|keep| usize::try_from(keep).ok());
        kept.insert(group, keep.unwrap_or(1).max(1));
    }
    Ok(kept)
}

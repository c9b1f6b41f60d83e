//! Brings runs of an attached record into this one: all of their rows, in one transaction, then their files.
//!
//! Invariant: nothing doubles and nothing is lost. Executions and runs are recognized by their random ids; a run that both records
//! know and of which each has rows that the other one lacks is a conflict, and then nothing at all is written.

use std::collections::HashMap;
use std::path::Path;

use sqlx::SqliteConnection;

use super::files::{FilesCopied, Naming, carry_out, jobs};
use super::frozen;
use super::maps::{Numbering, Scope, begin, belongings, plans, shared};
use super::relation::relate;
use super::rows::{DOING, add};
use super::tables::TABLES;
use crate::checkpoint_folder::CheckpointFolder;
use crate::error::Doing as _;
use crate::{Record, RecordError};

/// A record whose runs are to come along.
pub(crate) struct Source<'a> {
    /// What is attached: the file itself, or a private copy of it.
    pub(crate) file: &'a Path,
    /// How people call it.
    pub(crate) name: &'a Path,
    /// Where its files are.
    pub(crate) folder: &'a CheckpointFolder,
    pub(crate) scope: Scope,
    pub(crate) numbering: Numbering,
}

/// A run with its number there and here.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct MovedRun {
    /// Its number in the other record.
    pub there: i64,
    /// Its number here.
    pub here: i64,
    /// `experiment/cell/seed`.
    pub name: String,
}

/// What was brought along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Runs that are new here.
    pub added: Vec<MovedRun>,
    /// Runs that were here and had gone further there, such as pending ones that were computed on another machine.
    pub advanced: Vec<MovedRun>,
    /// How many runs were here already, at least as far.
    pub known: usize,
    /// Conclusions of executions, audits of judges, tags and notes that were not here.
    pub remarks: u64,
    /// Files of runs.
    pub files: FilesCopied,
}

impl Taken {
    /// Whether this record was changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.advanced.is_empty() && self.remarks == 0 && self.files.files == 0
    }
}

impl Record {
    pub(crate) fn take_in(&mut self, source: &Source<'_>) -> Result<Taken, RecordError> {
        let attached = source.file.display().to_string();
        self.block(async |connection| {
            sqlx::query("ATTACH DATABASE ? AS other").bind(attached).execute(connection).await.doing(DOING)?;
            Ok(())
        })?;
        let taken = self.take_in_attached(source);
        let detached = self.block(async |connection| {
            sqlx::query("DETACH DATABASE other").execute(connection).await.doing(DOING)?;
            Ok(())
        });
        let taken = taken?;
        detached?;
        Ok(taken)
    }

    fn take_in_attached(&mut self, source: &Source<'_>) -> Result<Taken, RecordError> {
        let (mut taken, jobs, numbers) = self.transaction(DOING, async |connection| {
            let taken = take_rows(connection, source).await?;
            let numbers: Vec<(i64, i64)> =
                sqlx::query_as("SELECT old, new FROM temp.map_run").fetch_all(&mut *connection).await.doing(DOING)?;
            let numbers: HashMap<i64, i64> = numbers.into_iter().collect();
            let jobs = jobs(connection, naming(source, &numbers)).await?;
            Ok((taken, jobs, numbers))
        })?;
        if jobs.is_empty() {
            return Ok(taken);
        }
        let (folder, _) = self.claim_checkpoint_folder()?;
        let naming = naming(source, &numbers);
        for job in jobs {
            let outcome = carry_out(&job, source.folder, &folder, naming, &mut taken.files)?;
            self.transaction(DOING, async |connection| outcome.note(connection).await)?;
        }
        Ok(taken)
    }
}

fn naming<'a>(source: &Source<'_>, numbers: &'a HashMap<i64, i64>) -> Naming<'a> {
    match source.numbering {
        Numbering::Next => Naming::Renumbered(numbers),
        Numbering::Kept => Naming::Kept,
    }
}

async fn take_rows(connection: &mut SqliteConnection, source: &Source<'_>) -> Result<Taken, RecordError> {
    sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *connection).await.doing(DOING)?;
    begin(connection, &source.scope).await?;
    shared(connection).await?;
    plans(connection, source.numbering).await?;
    let added = moved(connection).await?;
    let mut relations = relate(connection).await?;
    belongings(connection).await?;
    relations.conflicts.extend(other_verdicts(connection).await?);
    if !relations.conflicts.is_empty() {
        return Err(RecordError::MergeConflicts { path: source.name.to_owned(), conflicts: relations.conflicts });
    }
    let advanced = moved(connection).await?.into_iter().filter(|run| !added.contains(run)).collect();
    let mut taken = Taken { added, advanced, known: relations.known, ..Taken::default() };
    let execution = [("number", "(SELECT number FROM temp.chosen_execution h WHERE h.id = t.id)")];
    // An audit names its run by number.
    let audit = [(
        "subject",
        "CASE WHEN t.subject LIKE 'run ' || t.run || ' (%' \
         THEN 'run ' || r0.new || substr(t.subject, length('run ' || t.run) + 1) ELSE t.subject END",
    )];
    for table in TABLES {
        let instead: &[(&str, &str)] = match table.name {
            "execution" => &execution,
            "judge_audit" => &audit,
            _ => &[],
        };
        let rows = add(connection, table, instead, source.scope.with_common()).await?;
        if matches!(table.travels, super::tables::Travels::Added(..)) {
            taken.remarks += rows;
        }
    }
    if source.numbering == Numbering::Next {
        frozen::rewrite(connection).await?;
    }
    Ok(taken)
}

/// The runs whose rows come along.
async fn moved(connection: &mut SqliteConnection) -> Result<Vec<MovedRun>, RecordError> {
    sqlx::query_as(
        "SELECT m.old AS there, m.new AS here, e.name || '/' || c.label || '/' || r.seed AS name \
         FROM temp.map_run m JOIN other.run r ON r.id = m.old JOIN other.cell c ON c.id = r.cell \
         JOIN other.execution x ON x.id = c.execution JOIN other.experiment e ON e.id = x.experiment \
         WHERE m.fresh = 1 ORDER BY m.new",
    )
    .fetch_all(connection)
    .await
    .doing(DOING)
}

/// Runs of one batch group share what their judge said of a game; two records can hold two such sayings.
async fn other_verdicts(connection: &mut SqliteConnection) -> Result<Vec<String>, RecordError> {
    sqlx::query_scalar(
        "SELECT e.name || ' (execution ' || x.number || '): the judge was asked of game ' || g.game || ' in both, and its verdicts differ' \
         FROM temp.map_judged_game m JOIN main.judged_game g ON g.id = m.new JOIN main.batch_group b ON b.id = g.batch_group \
         JOIN main.execution x ON x.id = b.execution JOIN main.experiment e ON e.id = x.experiment \
         WHERE m.fresh = 0 AND EXISTS (SELECT 1 FROM temp.map_run n JOIN other.judged_game_run l ON l.run = n.old \
         WHERE n.fresh = 1 AND l.judged_game = m.old) AND \
         (EXISTS (SELECT 1 FROM other.judged_game t WHERE t.id = m.old AND t.matrix IS NOT g.matrix) \
         OR EXISTS (SELECT 1 FROM other.verdict t WHERE t.judged_game = m.old AND NOT EXISTS (SELECT 1 FROM main.verdict o \
         WHERE o.judged_game = m.new AND o.first = t.first AND o.second = t.second AND o.probability = t.probability)))",
    )
    .fetch_all(connection)
    .await
    .doing(DOING)
}

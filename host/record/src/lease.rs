//! Who computes a run: leases, and how a dead one is recognised.

use std::fs;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqliteConnection};

use crate::error::Doing as _;
use crate::status_change::{StatusChange, change_status};
use crate::time::now_ms;
use crate::{Record, RecordError, RunStatus};

/// A lease whose process cannot be looked at (another host, another container) counts as dead when its heartbeat is
/// older than this.
pub const HEARTBEAT_TIMEOUT_MS: i64 = 60_000;

/// How often a process that holds a lease refreshes its heartbeat; the writer does it.
pub(crate) const HEARTBEAT_INTERVAL_MS: u64 = 5_000;

/// A lease that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(pub(crate) i64);

/// What identifies a process beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The host's name.
    pub host: String,
    /// Changes with every boot; empty where the system does not tell.
    pub boot_id: String,
    /// Containers on one host share its boot but not its process numbers; empty where the system does not tell.
    pub pid_namespace: String,
    /// Process number.
    pub pid: u32,
    /// Clock ticks from boot to the process's start; 0 where the system does not tell.
    pub started_at_ticks: i64,
}

impl ProcessIdentity {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        Self {
            host: line("/proc/sys/kernel/hostname"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            pid_namespace: fs::read_link("/proc/self/ns/pid")
                .map(|link| link.to_string_lossy().into_owned())
                .unwrap_or_default(),
            pid,
            started_at_ticks: match process_start(pid) {
                ProcessState::Alive { started_at_ticks } => started_at_ticks,
                ProcessState::Gone => 0,
            },
        }
    }

    /// What the process `here` can tell of this one.
    #[must_use]
    pub fn seen_from(&self, here: &Self) -> Sighting {
        let same_host = self.host == here.host && !here.boot_id.is_empty() && !self.boot_id.is_empty();
        if same_host && self.boot_id != here.boot_id {
            return Sighting::HostRestarted;
        }
        if !same_host || self.pid_namespace != here.pid_namespace {
            return Sighting::OutOfSight;
        }
        match process_start(self.pid) {
            ProcessState::Alive { started_at_ticks } if started_at_ticks == self.started_at_ticks => Sighting::Alive,
            _ => Sighting::Gone,
        }
    }
}

/// What one process can tell of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It lives.
    Alive,
    /// It ended, on this host.
    Gone,
    /// Its host was started anew since.
    HostRestarted,
    /// It is, or was, on another host or in another container: only its own signs of life tell.
    OutOfSight,
}

enum ProcessState {
    Alive { started_at_ticks: i64 },
    Gone,
}

/// Start time (field 22) and state (field 3) of a process; the name in field 2 may hold spaces and parentheses. A
/// zombie is gone: nothing of it will ever write again.
fn process_start(pid: u32) -> ProcessState {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return ProcessState::Gone };
    let Some((_, fields)) = text.rsplit_once(')') else { return ProcessState::Gone };
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), None | Some("Z" | "X" | "x")) {
        return ProcessState::Gone;
    }
    match fields.nth(18).and_then(|ticks| ticks.parse().ok()) {
        Some(started_at_ticks) => ProcessState::Alive { started_at_ticks },
        None => ProcessState::Gone,
    }
}

/// A run that says it is running, with the lease that says so.
#[derive(Clone, Debug, FromRow)]
struct HeldRun {
    run: i64,
    lease: i64,
    host: String,
    boot_id: String,
    pid_namespace: String,
    pid: i64,
    process_started_at: i64,
    heartbeat_at: i64,
    released_at: Option<i64>,
}

/// Why a lease is dead; `None` while it lives.
fn why_dead(held: &HeldRun, here: &ProcessIdentity, now_ms: i64) -> Option<String> {
    let silent_s = now_ms.saturating_sub(held.heartbeat_at) / 1000;
    let who = format!("process {} on host {}", held.pid, held.host);
    if held.released_at.is_some() {
        return Some(format!("{who} ended without ending this run"));
    }
    match held.process().seen_from(here) {
        Sighting::Alive => None,
        Sighting::Gone => Some(format!("{who} died while it computed this run (killed, or out of memory, or crashed)")),
        Sighting::HostRestarted => Some(format!("host {} was restarted while {who} computed this run", held.host)),
        Sighting::OutOfSight => (silent_s > HEARTBEAT_TIMEOUT_MS / 1000)
            .then(|| format!("{who} has given no sign of life for {silent_s} s while it computed this run")),
    }
}

impl HeldRun {
    fn process(&self) -> ProcessIdentity {
        ProcessIdentity {
            host: self.host.clone(),
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace.clone(),
            // No process has number 0.
            pid: u32::try_from(self.pid).unwrap_or(0),
            started_at_ticks: self.process_started_at,
        }
    }
}

/// A run that was found to be computed by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRun {
    /// The run.
    pub run: i64,
    /// Why it counts as interrupted.
    pub reason: String,
}

impl Record {
    /// Takes a lease for this process. Nothing is running under it until [`Record::start_runs`].
    pub fn acquire_lease(&mut self) -> Result<Lease, RecordError> {
        self.acquire_lease_as(&ProcessIdentity::current())
    }

    pub(crate) fn acquire_lease_as(&mut self, identity: &ProcessIdentity) -> Result<Lease, RecordError> {
        let now = now_ms();
        self.transaction("taking a lease", async |connection| {
            let id = sqlx::query(
                "INSERT INTO lease (host, boot_id, pid_namespace, pid, process_started_at, acquired_at, heartbeat_at) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(&identity.host)
            .bind(&identity.boot_id)
            .bind(&identity.pid_namespace)
            .bind(i64::from(identity.pid))
            .bind(identity.started_at_ticks)
            .bind(now)
            .bind(now)
            .execute(connection)
            .await
            .doing("taking a lease")?
            .last_insert_rowid();
            Ok(Lease(id))
        })
    }

    /// Says that this process lives. A [`crate::Writer`] that was given the lease does it by itself.
    pub fn refresh_lease(&mut self, lease: Lease) -> Result<(), RecordError> {
        self.transaction("refreshing a lease", async |connection| refresh(connection, lease).await)
    }

    /// Gives a lease back. A run that still says it is running under it becomes interrupted at the next look.
    pub fn release_lease(&mut self, lease: Lease) -> Result<(), RecordError> {
        self.transaction("releasing a lease", async |connection| {
            sqlx::query("UPDATE lease SET released_at = ? WHERE id = ?")
                .bind(now_ms())
                .bind(lease.0)
                .execute(connection)
                .await
                .doing("releasing a lease")?;
            Ok(())
        })
    }

    /// Every verb calls this first: marks runs whose lease is dead as interrupted, with the reason. Where the record
    /// is read-only, all reading through this [`Record`] shows them so.
    pub fn mark_dead_runs(&mut self) -> Result<Vec<DeadRun>, RecordError> {
        let dead = self.held_by_the_dead()?;
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        if self.is_writable() {
            self.transaction("marking dead runs", async |connection| mark(connection, &dead).await)?;
        } else {
            self.block(async |connection| shadow(connection, &dead).await)?;
        }
        Ok(dead.into_iter().map(|(held, reason)| DeadRun { run: held.run, reason }).collect())
    }

    /// Runs that nobody computes any more; nothing is marked.
    pub fn dead_runs(&mut self) -> Result<Vec<DeadRun>, RecordError> {
        let dead = self.held_by_the_dead()?;
        Ok(dead.into_iter().map(|(held, reason)| DeadRun { run: held.run, reason }).collect())
    }

    fn held_by_the_dead(&mut self) -> Result<Vec<(HeldRun, String)>, RecordError> {
        let held = self.block(async |connection| held_runs(connection).await)?;
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let here = ProcessIdentity::current();
        let now = now_ms();
        Ok(held.into_iter().filter_map(|held| why_dead(&held, &here, now).map(|reason| (held, reason))).collect())
    }
}

/// Fencing: whoever was taken for dead (a suspended machine, a stopped process, another container) writes no more. In the
/// transaction of what is written, so that nobody can take the lease in between.
pub(crate) async fn still_held(connection: &mut SqliteConnection, lease: Lease) -> Result<(), RecordError> {
    let held: Option<bool> = sqlx::query_scalar("SELECT released_at IS NULL FROM lease WHERE id = ?")
        .bind(lease.0)
        .fetch_optional(connection)
        .await
        .doing("looking at a lease")?;
    if held == Some(true) { Ok(()) } else { Err(RecordError::LeaseLost) }
}

pub(crate) async fn refresh(connection: &mut SqliteConnection, lease: Lease) -> Result<(), RecordError> {
    still_held(connection, lease).await?;
    sqlx::query("UPDATE lease SET heartbeat_at = ? WHERE id = ?")
        .bind(now_ms())
        .bind(lease.0)
        .execute(connection)
        .await
        .doing("refreshing a lease")?;
    Ok(())
}

async fn held_runs(connection: &mut SqliteConnection) -> Result<Vec<HeldRun>, RecordError> {
    sqlx::query_as(
        "SELECT h.run, h.lease, l.host, l.boot_id, l.pid_namespace, l.pid, l.process_started_at, l.heartbeat_at, \
         l.released_at FROM held_run h JOIN lease l ON l.id = h.lease ORDER BY h.run",
    )
    .fetch_all(connection)
    .await
    .doing("looking for dead runs")
}

async fn mark(connection: &mut SqliteConnection, dead: &[(HeldRun, String)]) -> Result<(), RecordError> {
    let doing = "marking dead runs";
    for (held, reason) in dead {
        // Another process may have marked it, or even started it again, since we looked.
        let still_held: Option<i64> = sqlx::query_scalar("SELECT lease FROM held_run WHERE run = ? AND lease = ?")
            .bind(held.run)
            .bind(held.lease)
            .fetch_optional(&mut *connection)
            .await
            .doing(doing)?;
        if still_held.is_some() {
            let change =
                StatusChange { run: held.run, to: RunStatus::Interrupted, reason: Some(reason.clone()), step: None };
            change_status(connection, &change).await?;
        }
        sqlx::query("UPDATE lease SET released_at = coalesce(released_at, ?) WHERE id = ?")
            .bind(now_ms())
            .bind(held.lease)
            .execute(&mut *connection)
            .await
            .doing(doing)?;
    }
    Ok(())
}

/// A read-only record: views of the same name in the connection's own temporary schema come first in SQLite's name
/// resolution, so that every query, also a free one, sees what a writable record would hold.
async fn shadow(connection: &mut SqliteConnection, dead: &[(HeldRun, String)]) -> Result<(), RecordError> {
    let doing = "showing dead runs";
    let now = now_ms();
    sqlx::raw_sql(
        "CREATE TEMP TABLE IF NOT EXISTS dead_run (run INTEGER PRIMARY KEY, reason TEXT, seen_at INTEGER); \
         CREATE TEMP VIEW IF NOT EXISTS runs AS SELECT r.run, r.experiment, r.execution, r.cell, r.seed, \
         CASE WHEN d.run IS NULL THEN r.status ELSE 'interrupted' END AS status, \
         CASE WHEN d.run IS NULL THEN r.reason ELSE d.reason END AS reason, r.started_at, \
         CASE WHEN d.run IS NULL THEN r.finished_at \
         ELSE strftime('%Y-%m-%dT%H:%M:%fZ', d.seen_at / 1000.0, 'unixepoch') END AS finished_at, \
         r.created_at, r.kind, r.steps, r.steps_done, r.attempts, r.batch_group, r.content_hash, r.cell_number, \
         r.superseded_by_execution, r.run_id FROM main.runs r LEFT JOIN dead_run d ON d.run = r.run; \
         CREATE TEMP VIEW IF NOT EXISTS experiments AS SELECT e.experiment, e.kind, e.question, e.latest_execution, \
         e.executed_at, e.runs, e.pending, e.running - e.dead AS running, e.finished, e.failed, \
         e.interrupted + e.dead AS interrupted, e.superseded FROM (SELECT e.*, (SELECT count(*) FROM dead_run d \
         JOIN main.runs r ON r.run = d.run WHERE r.experiment = e.experiment AND r.execution = e.latest_execution) \
         AS dead FROM main.experiments e) e; \
         CREATE TEMP VIEW IF NOT EXISTS state_changes AS SELECT * FROM main.state_changes UNION ALL \
         SELECT run, strftime('%Y-%m-%dT%H:%M:%fZ', seen_at / 1000.0, 'unixepoch'), 'running', 'interrupted', reason, \
         NULL, NULL FROM dead_run;",
    )
    .execute(&mut *connection)
    .await
    .doing(doing)?;
    for (held, reason) in dead {
        sqlx::query("INSERT OR REPLACE INTO dead_run VALUES (?, ?, ?)")
            .bind(held.run)
            .bind(reason)
            .bind(now)
            .execute(&mut *connection)
            .await
            .doing(doing)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FrozenGroup, NewCell, NewExecution, NewRun, OpenMode, Provenance, QueryLimits, RunFilter};

    fn here() -> ProcessIdentity {
        ProcessIdentity {
            host: "here".to_owned(),
            boot_id: "boot".to_owned(),
            pid_namespace: "pid:[1]".to_owned(),
            ..ProcessIdentity::current()
        }
    }

    fn held(by: &ProcessIdentity, heartbeat_at: i64) -> HeldRun {
        HeldRun {
            run: 1,
            lease: 1,
            host: by.host.clone(),
            boot_id: by.boot_id.clone(),
            pid_namespace: by.pid_namespace.clone(),
            pid: i64::from(by.pid),
            process_started_at: by.started_at_ticks,
            heartbeat_at,
            released_at: None,
        }
    }

    #[track_caller]
    fn check(by: &ProcessIdentity, silent_ms: i64, expected: Option<&str>) {
        let now = 1_000_000_000;
        let why = why_dead(&held(by, now - silent_ms), &here(), now);
        match expected {
            None => assert_eq!(why, None),
            Some(part) => assert!(why.as_ref().is_some_and(|why| why.contains(part)), "{why:?}"),
        }
    }

    #[test]
    fn what_counts_as_dead() {
        // This very process lives, however long it was silent (a debugger, a suspended laptop).
        check(&here(), 10_000_000, None);
        // Its number belongs to a process that started at another time.
        check(&ProcessIdentity { started_at_ticks: 1, ..here() }, 0, Some("died while"));
        // No such process (numbers end far below).
        check(&ProcessIdentity { pid: 2_000_000_000, ..here() }, 0, Some("died while"));
        check(&ProcessIdentity { boot_id: "earlier".to_owned(), ..here() }, 0, Some("was restarted"));
        // Processes that cannot be looked at: another host, another container.
        let other_host = ProcessIdentity { host: "there".to_owned(), ..here() };
        let other_container = ProcessIdentity { pid_namespace: "pid:[2]".to_owned(), ..here() };
        for other in [other_host, other_container] {
            check(&other, HEARTBEAT_TIMEOUT_MS, None);
            check(&other, HEARTBEAT_TIMEOUT_MS + 1000, Some("no sign of life for 61 s"));
        }
    }

    fn record_with_a_dead_run(path: &std::path::Path) -> (Record, i64) {
        let mut record = Record::open(path, OpenMode::Create).unwrap();
        let run = NewRun { seed: 1, content_hash: String::new(), steps: 1, answered_by: None };
        let cell = NewCell {
            label: "only".to_owned(),
            settings: Vec::new(),
            parameters: Vec::new(),
            plugins: Vec::new(),
            runs: vec![run],
        };
        let new = NewExecution {
            experiment: "cycle".to_owned(),
            kind: "game".to_owned(),
            question: None,
            toml: String::new(),
            toml_path: None,
            content_hash: String::new(),
            provenance: Provenance::default(),
            cells: vec![cell],
        };
        let created = record
            .create_execution(&new, |runs| Ok(vec![FrozenGroup { runs: vec![runs[0].run], json: String::new() }]))
            .unwrap();
        let run = created.runs[0].run;
        let dead = ProcessIdentity { pid: 2_000_000_000, ..ProcessIdentity::current() };
        let lease = record.acquire_lease_as(&dead).unwrap();
        record.start_runs(lease, &[run]).unwrap();
        (record, run)
    }

    #[test]
    fn a_read_only_record_shows_dead_runs_as_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.db");
        let (record, run) = record_with_a_dead_run(&path);
        let mut reader = Record::open_as_reader(&path).unwrap();
        assert_eq!(reader.mark_dead_runs().unwrap().len(), 1);
        assert_eq!(reader.mark_dead_runs().unwrap().len(), 1);
        let shown = reader.runs(&RunFilter::default()).unwrap().remove(0);
        assert_eq!((shown.run, shown.status), (run, RunStatus::Interrupted));
        assert!(shown.reason.is_some_and(|reason| reason.contains("died while")));
        let experiment = reader.experiments().unwrap().remove(0);
        assert_eq!((experiment.running, experiment.interrupted), (0, 1));
        let answer = reader.query("SELECT status FROM runs", QueryLimits::default()).unwrap();
        assert_eq!(format!("{:?}", answer.rows), "[[Text(\"interrupted\")]]");
        assert_eq!(reader.state_changes(run).unwrap().last().unwrap().to_status, "interrupted");
        assert!(matches!(reader.acquire_lease(), Err(RecordError::ReadOnly { .. })));
        drop(reader);
        drop(record);
        let mut unchanged = Record::open_as_reader(&path).unwrap();
        assert_eq!(unchanged.runs(&RunFilter::default()).unwrap()[0].status, RunStatus::Running);
    }
}

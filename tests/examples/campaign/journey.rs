//! One record, disturbed until it has had enough, and then finished.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slhf_tests::{Found, Lab, Outcome, Random, children, is_gone, send, worker_of};

use crate::disturbance::Disturbance;
use crate::subject::Subject;
use crate::tally::{Goals, Tally};

/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(3);
/// A reader is killed within it.
const READING: Duration = Duration::from_millis(40);
const DISTURBANCES_MAX: u64 = 14;

/// One record.
#[derive(Debug)]
pub(crate) struct Journey<'a> {
    subject: &'a Subject,
    lab: Lab,
    random: Random,
    record: PathBuf,
    places: u64,
}

/// A verb that computes.
struct Running {
    child: Child,
    workers: Vec<u32>,
}

/// As the kernel and the verb itself told.
struct Ended {
    code: Option<i32>,
    stderr: String,
}

impl<'a> Journey<'a> {
    pub(crate) fn new(subject: &'a Subject, random: Random) -> Self {
        Self { subject, lab: subject.lab(), random, record: PathBuf::from("lab.db"), places: 0 }
    }

    /// The folder, which then stays.
    pub(crate) fn keep(self) -> PathBuf {
        let folder = self.lab.folder();
        std::mem::forget(self);
        folder
    }

    /// From the first step to the last.
    pub(crate) fn travel(&mut self, goals: &Goals, tally: &mut Tally) -> Result<(), String> {
        let disturbances = 2 + self.random.below(DISTURBANCES_MAX - 1);
        for _ in 0..disturbances {
            let wanted: Vec<Disturbance> =
                Disturbance::ALL.into_iter().filter(|one| !tally.has_enough(*one, goals)).collect();
            if wanted.is_empty() || self.is_finished()? {
                break;
            }
            let disturbance = wanted[self.random.below(wanted.len() as u64) as usize];
            let was_made = self.disturb(disturbance, tally).map_err(|why| format!("{disturbance:?}: {why}"))?;
            if was_made {
                tally.count(disturbance);
            }
            self.check(tally).map_err(|why| format!("after {disturbance:?}: {why}"))?;
        }
        let outcome = self.to_the_end(&self.record.clone())?;
        if outcome.code != Some(0) {
            return Err(format!("the last resume did not end well: {outcome}"));
        }
        self.check(tally)?;
        if !self.is_finished()? {
            return Err(format!("not every run has finished: {:?}", self.statuses(&self.record)?));
        }
        self.compare(&self.record, tally)?;
        self.check_files(tally)
    }

    fn disturb(&mut self, disturbance: Disturbance, tally: &mut Tally) -> Result<bool, String> {
        match disturbance {
            Disturbance::KillLab => self.signal(&["KILL"], None),
            Disturbance::Stop => self.signal(&["INT"], Some(&[0, 130])),
            Disturbance::StopTwice => self.signal(&["INT", "INT"], Some(&[0, 130])),
            Disturbance::Terminate => self.signal(&["TERM"], None),
            Disturbance::KillWorker => self.kill_worker(),
            Disturbance::KillReader => self.kill_reader(),
            Disturbance::Copy => self.copy(tally),
            Disturbance::Move => self.relocate(),
            Disturbance::FullDisk => self.fill_the_disk(),
        }
    }

    /// The verb that goes on from here, not started yet.
    fn verb(&self, record: &Path) -> Result<Command, String> {
        let record_text = record.to_string_lossy().into_owned();
        let is_planned = !self.statuses(record)?.is_empty();
        let words: &[&str] = if is_planned { &["resume"] } else { &["run", "tiny.toml"] };
        let mut command = self.lab.command(words);
        command.args(["--db", &record_text]);
        Ok(command)
    }

    fn start(&self) -> Result<Running, String> {
        let stderr = File::create(self.lab.path("stderr.txt")).map_err(|error| error.to_string())?;
        let mut command = self.verb(&self.record)?;
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().map_err(|error| error.to_string())?;
        Ok(Running { child, workers: Vec::new() })
    }

    /// Lets a verb compute until some moment; `None`: it ended before.
    fn started_for_a_while(&mut self) -> Result<Option<Running>, String> {
        let moment = self.random.moment(self.subject.duration.mul_f64(1.1));
        let mut running = self.start()?;
        thread::sleep(moment);
        if running.child.try_wait().map_err(|error| error.to_string())?.is_some() {
            self.end(running)?;
            return Ok(None);
        }
        running.workers = children(running.child.id());
        Ok(Some(running))
    }

    /// Waits for a verb's end, and for that of its workers.
    fn end(&self, mut running: Running) -> Result<Ended, String> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = running.child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let _ = running.child.kill();
                return Err(format!("the lab still runs {PATIENCE:?} later"));
            }
            thread::sleep(Duration::from_millis(5));
        };
        for worker in running.workers {
            if !is_gone(worker) {
                return Err(format!("the process {worker} outlived its lab"));
            }
        }
        let stderr = fs::read_to_string(self.lab.path("stderr.txt")).unwrap_or_default();
        if stderr.contains("panicked at") || stderr.contains("fault of slhf-lab") {
            return Err(format!("a panic: {stderr}"));
        }
        // Before a lab listens for them, a signal ends it as any program: a shell says 128 and the signal's number.
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ok(Ended { code, stderr })
    }

    fn signal(&mut self, signals: &[&str], codes: Option<&[i32]>) -> Result<bool, String> {
        let Some(running) = self.started_for_a_while()? else { return Ok(false) };
        for (place, signal) in signals.iter().enumerate() {
            if place > 0 {
                thread::sleep(self.random.moment(READING));
            }
            send(signal, running.child.id());
        }
        let ended = self.end(running)?;
        match codes {
            Some(codes) if !ended.code.is_some_and(|code| codes.contains(&code)) => {
                Err(format!("exit code {:?}, expected one of {codes:?}: {}", ended.code, ended.stderr))
            }
            _ => Ok(true),
        }
    }

    fn kill_worker(&mut self) -> Result<bool, String> {
        let Some(running) = self.started_for_a_while()? else { return Ok(false) };
        let Some(worker) = worker_of(running.child.id()) else {
            send("KILL", running.child.id());
            self.end(running)?;
            return Ok(false);
        };
        send("KILL", worker);
        self.end(running)?;
        Ok(true)
    }

    /// While a lab writes; then the lab is killed, too.
    fn kill_reader(&mut self) -> Result<bool, String> {
        let record = self.record.to_string_lossy().into_owned();
        let Some(running) = self.started_for_a_while()? else { return Ok(false) };
        let readers: [&[&str]; 5] = [
            &["ls", "--all"],
            &["compare"],
            &["query", "SELECT count(*), sum(value) FROM metrics"],
            &["show", "latest"],
            &["report", "--out", "pages"],
        ];
        let reader = readers[self.random.below(readers.len() as u64) as usize];
        let mut command = self.lab.command(reader);
        command.args(["--db", &record]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        thread::sleep(self.random.moment(READING));
        let was_reading = child.try_wait().map_err(|error| error.to_string())?.is_none();
        let _ = child.kill();
        let _ = child.wait();
        send("KILL", running.child.id());
        self.end(running)?;
        Ok(was_reading)
    }

    /// A copy is resumed, or its runs superseded, beside the original: which does not notice.
    fn copy(&mut self, tally: &mut Tally) -> Result<bool, String> {
        if self.statuses(&self.record)?.is_empty() {
            return Ok(false);
        }
        let copy = PathBuf::from("copy.db");
        let before = self.bytes(&self.record)?;
        let (from, to) = (self.record.to_string_lossy().into_owned(), "copy.db");
        let by = self.random.below(3);
        match by {
            // As people do it: the record without its checkpoints, or with them.
            0 | 1 => {
                for (name, path) in self.files(&self.record, by == 1)? {
                    let target = self.lab.path(format!("{to}{name}"));
                    let _ = target.parent().map(fs::create_dir_all);
                    fs::copy(path, target).map_err(|error| error.to_string())?;
                }
            }
            _ => {
                let outcome = self.lab.run(&["db", "copy", "--db", &from, "--to", to]);
                if outcome.code != Some(0) {
                    return Err(format!("db copy: {outcome}"));
                }
            }
        }
        let outcome = if self.random.below(3) == 0 {
            self.lab.run(&["run", "tiny.toml", "--supersede", "--db", to])
        } else {
            self.to_the_end(&copy)?
        };
        if outcome.code != Some(0) {
            return Err(format!("the copy did not end well: {outcome}"));
        }
        self.compare(&copy, tally)?;
        let after = self.bytes(&self.record)?;
        if before != after {
            let differing: Vec<&String> =
                before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
            return Err(format!("the original is not what it was: {differing:?}"));
        }
        for (_, path) in self.files(&copy, true)? {
            fs::remove_file(path).map_err(|error| error.to_string())?;
        }
        let _ = fs::remove_dir_all(self.lab.path("copy.db-checkpoints"));
        Ok(true)
    }

    /// The record with its folder goes elsewhere, under another name or into another folder.
    fn relocate(&mut self) -> Result<bool, String> {
        if !self.lab.path(&self.record).exists() {
            return Ok(false);
        }
        self.places += 1;
        let elsewhere = if self.random.below(2) == 0 {
            PathBuf::from(format!("lab-{}.db", self.places))
        } else {
            PathBuf::from(format!("place-{}/lab.db", self.places))
        };
        let target = self.lab.path(&elsewhere);
        let _ = target.parent().map(fs::create_dir_all);
        for suffix in ["", "-wal", "-shm", "-journal", "-checkpoints"] {
            let (from, to) = (with_suffix(&self.lab.path(&self.record), suffix), with_suffix(&target, suffix));
            if from.exists() {
                fs::rename(from, to).map_err(|error| error.to_string())?;
            }
        }
        self.record = elsewhere;
        Ok(true)
    }

    /// Goes on where the disk has room for a little more, and comes back from there.
    fn fill_the_disk(&mut self) -> Result<bool, String> {
        if self.statuses(&self.record)?.is_empty() {
            return Ok(false);
        }
        let files = self.files(&self.record, true)?;
        let used: u64 = files.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
        let pages = used / 4096 + 2 * files.len() as u64 + 16 + self.random.below(60);
        let disk = self.lab.path("disk");
        fs::create_dir_all(&disk).map_err(|error| error.to_string())?;
        // A file system of this process's own, which nobody else sees and which goes with it.
        let script = "mount -t tmpfs -o size=$1 tmpfs disk || exit 77; cp -a \"$2\" disk/lab.db; \
                      if [ -e \"$2-wal\" ]; then cp -a \"$2-wal\" disk/lab.db-wal; fi; \
                      if [ -e \"$2-checkpoints\" ]; then cp -a \"$2-checkpoints\" disk/lab.db-checkpoints; fi; \
                      \"$0\" resume --db disk/lab.db; code=$?; rm -rf back; mkdir back; cp -a disk/. back/; exit $code";
        let usual = self.lab.command(["resume"]);
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", script])
            .arg(usual.get_program())
            .arg((pages * 4096).to_string())
            .arg(&self.record)
            .current_dir(self.lab.folder())
            .stdin(Stdio::null())
            .env_clear();
        for (name, value) in usual.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        let outcome = self.lab.outcome(&mut command);
        if outcome.code == Some(77) || !self.lab.path("back").exists() {
            return Err(format!(
                "this machine mounts no file system for a process: --full-disks 0 leaves it out. {outcome}"
            ));
        }
        if outcome.stderr.contains("panicked at") {
            return Err(format!("a panic: {outcome}"));
        }
        for (_, path) in files {
            fs::remove_file(path).map_err(|error| error.to_string())?;
        }
        let back = self.lab.path("back");
        let home = self.lab.path(&self.record);
        for suffix in ["", "-wal", "-checkpoints"] {
            let from = with_suffix(&back.join("lab.db"), suffix);
            let to = with_suffix(&home, suffix);
            let _ = fs::remove_dir_all(&to);
            if from.exists() {
                fs::rename(from, to).map_err(|error| error.to_string())?;
            }
        }
        Ok(outcome.code != Some(0))
    }

    fn to_the_end(&self, record: &Path) -> Result<Outcome, String> {
        let mut command = self.verb(record)?;
        Ok(self.lab.outcome(&mut command))
    }

    /// Status and reason of every run; none where there is no record yet.
    fn statuses(&self, record: &Path) -> Result<Vec<(String, String)>, String> {
        if !self.lab.path(record).exists() {
            return Ok(Vec::new());
        }
        let outcome = self.lab.run(&["ls", "--all", "--format", "json", "--db", &record.to_string_lossy()]);
        // A lab that was killed as it made the record leaves an empty database, in which the next `run` makes it.
        if outcome.stderr.contains("(an empty file, ") {
            return Ok(Vec::new());
        }
        if outcome.code != Some(0) {
            return Err(format!("ls: {outcome}"));
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let listed: serde_json::Value = serde_json::from_str(&outcome.stdout).map_err(|error| error.to_string())?;
        let rows = listed.as_array().cloned().unwrap_or_default();
        Ok(rows.iter().map(|run| (text(&run["status"]), text(&run["reason"]))).collect())
    }

    fn is_finished(&self) -> Result<bool, String> {
        let statuses = self.statuses(&self.record)?;
        Ok(!statuses.is_empty() && statuses.iter().all(|(status, _)| status == "finished"))
    }

    /// Every run's state is told right, and the database is whole.
    fn check(&self, tally: &mut Tally) -> Result<(), String> {
        tally.checks += 1;
        let statuses = self.statuses(&self.record)?;
        let is_right = |(status, reason): &(String, String)| match status.as_str() {
            "finished" | "pending" => true,
            "interrupted" => !reason.is_empty(),
            _ => false,
        };
        if !statuses.iter().all(is_right) {
            return Err(format!("runs are told wrong: {statuses:?}"));
        }
        if statuses.is_empty() {
            return Ok(());
        }
        let holes = "SELECT count(*) AS holes FROM (SELECT run, key, count(*) AS n, count(DISTINCT step) AS steps FROM metrics \
                     GROUP BY run, key HAVING n <> steps)";
        let record = self.record.to_string_lossy().into_owned();
        let outcome = self.lab.run(&["query", holes, "--db", &record, "--format", "csv"]);
        if outcome.code != Some(0) || outcome.stdout.trim() != "holes\n0" {
            return Err(format!("steps were recorded twice: {outcome}"));
        }
        Ok(())
    }

    fn compare(&self, record: &Path, tally: &mut Tally) -> Result<(), String> {
        let found = Found::read(&self.lab, record)?;
        if let Some(part) = self.subject.expected.difference(&found) {
            return Err(format!("the {part} are not those of an undisturbed run"));
        }
        tally.runs_compared += self.subject.runs;
        Ok(())
    }

    /// Nothing half-written stays among the checkpoints. (A folder of learned weights that was being written may: it has no name of a
    /// whole one, and files without a row of the record's are never deleted.)
    fn check_files(&self, tally: &mut Tally) -> Result<(), String> {
        let files = self.files(&self.record, true)?;
        tally.half_written_folders +=
            files.iter().filter(|(name, _)| name.contains("/.slhf-lab-partial-")).count() as u64;
        match files.iter().find(|(name, _)| name.contains("/.tmp")) {
            Some((name, _)) => Err(format!("{name} is left over")),
            None => Ok(()),
        }
    }

    /// The record's files, by what stands behind its name.
    fn files(&self, record: &Path, with_checkpoints: bool) -> Result<Vec<(String, PathBuf)>, String> {
        let record = self.lab.path(record);
        let mut found = Vec::new();
        for suffix in ["", "-wal", "-journal"] {
            let path = with_suffix(&record, suffix);
            if path.exists() {
                found.push((suffix.to_owned(), path));
            }
        }
        if with_checkpoints {
            let folder = with_suffix(&record, "-checkpoints");
            if folder.exists() {
                walk(&folder, "-checkpoints", &mut found).map_err(|error| error.to_string())?;
            }
        }
        Ok(found)
    }

    fn bytes(&self, record: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let files = self.files(record, true)?;
        files.into_iter().map(|(name, path)| Ok((name, fs::read(path).map_err(|error| error.to_string())?))).collect()
    }
}

fn walk(folder: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &name, found)?;
        } else {
            found.push((name, entry.path()));
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

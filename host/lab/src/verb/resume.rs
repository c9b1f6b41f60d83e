//! `slhf-lab resume`: finishes exactly what is missing, from the last checkpoints on, and proves that nothing changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clap::Args;
use slhf_experiment::PROCESSES_MAX;
use slhf_launch::{LaunchFolder, LauncherKind, TaskSettings};
use slhf_plan::{DeviceKind, Division, Environment, FrozenWork, LanguagePlan, ResumePoint, Work};
use slhf_record::{
    CheckpointSearch, DivergencePolicy, FoundCheckpoint, OpenMode, Record, RunFilter, RunStatus, UnfinishedGroup,
};

use super::common::{FormatArgument, RecordArgument};
use super::run::{conclude, show_results};
use crate::failure::Failure;
use crate::launching::{self, AskWhom, Held, Launch, LauncherArguments, Watching};
use crate::output::{self, Format};
use crate::running::{self, Errand, Gathering, GroupWork, PlaceArguments, Places, Signals, Tally, WorkerProgram};

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Runs: numbers, `latest`, experiment/cell/seed [default: all that is interrupted]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Go on although the worker, libtorch, the CPU or the threads are others than before
    #[arg(long)]
    allow_divergence: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    launcher: LauncherArguments,
    /// Take back what no task of a launcher computes at the moment, without asking the queue
    #[arg(long)]
    take_back: bool,
    /// Processes that compute a run together, in the place of `device.processes` in its experiment: to the same bits (on packed weights)
    #[arg(long, value_name = "N", conflicts_with = "ranks", value_parser = clap::value_parser!(u32).range(1..=i64::from(PROCESSES_MAX)))]
    processes: Option<u32>,
    /// Tokens that a run may spend at each served model, in the place of `budget_tokens` in its experiment; what it has spent counts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget_tokens: Option<u64>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(places) = arguments.place.places()? else { return Ok(()) };
    let mut record = arguments.record.open(OpenMode::Write)?;
    let whom = if arguments.take_back { AskWhom::AttemptsAlone } else { AskWhom::Queue };
    let held = launching::settle(&mut record, whom)?;
    let mut groups = unfinished(&mut record, &arguments.runs)?;
    leave_to_tasks(&mut groups, &held, arguments.launcher.kind());
    if groups.is_empty() && (held.launches.is_empty() || arguments.launcher.kind().is_none()) {
        output::say(if held.runs.is_empty() { "nothing is interrupted" } else { "nothing else is interrupted" });
        return Ok(());
    }
    if let Some(kind) = arguments.launcher.kind() {
        launching::check(kind)?;
    }
    let processes = places.ranks().map(Gathering::size).or(arguments.processes);
    if let Some(processes) = processes {
        check_processes(processes, &groups.iter().map(work_of).collect::<Result<Vec<Work>, Failure>>()?)?;
    }
    match arguments.launcher.kind() {
        Some(kind) => hand_over((arguments, &places, kind), record, groups, held),
        None => compute((arguments, &places, processes), record, groups),
    }
}

/// By this lab.
fn compute(
    (arguments, places, processes): (&Arguments, &Places, Option<u32>),
    record: Record,
    groups: Vec<UnfinishedGroup>,
) -> Result<(), Failure> {
    let program = WorkerProgram::find().map_err(Failure::failed)?;
    let signals = Signals::handle();
    let how = Finishing {
        program: &program,
        places,
        signals: &signals,
        allow_divergence: arguments.allow_divergence,
        processes,
        budget_tokens: arguments.budget_tokens,
        format: arguments.format.format,
    };
    let finished = finish(record, groups, &how)?;
    conclude(&finished.tally, &signals, &arguments.record)?;
    if finished.refused > 0 {
        return Err(Failure::failed(format!(
            "{} batch groups were not resumed; --allow-divergence goes on (the old steps stay stored, marked as \
             superseded)",
            finished.refused
        )));
    }
    Ok(())
}

/// By tasks of a launcher; also those that are open already are waited for.
fn hand_over(
    (arguments, places, kind): (&Arguments, &Places, LauncherKind),
    mut record: Record,
    groups: Vec<UnfinishedGroup>,
    held: Held,
) -> Result<(), Failure> {
    let signals = Signals::handle();
    let settings = TaskSettings {
        jobs: None,
        processes: arguments.processes,
        budget_tokens: arguments.budget_tokens,
        allow_divergence: arguments.allow_divergence,
    };
    let mut executions: BTreeMap<(String, i64), Vec<UnfinishedGroup>> = BTreeMap::new();
    for group in groups {
        executions.entry((group.experiment.clone(), group.execution)).or_default().push(group);
    }
    let mut open: Vec<LaunchFolder> =
        held.launches.into_iter().filter(|launch| launch.plan().launcher == kind).collect();
    let (mut whole, mut results) = (Tally::default(), None);
    for ((experiment, execution), groups) in executions {
        let works = groups.iter().map(work_of).collect::<Result<Vec<Work>, Failure>>()?;
        let left = groups.iter().map(|group| group.runs.iter().map(|run| run.run).collect());
        let launch = Launch {
            experiment: &experiment,
            launcher: kind,
            settings: settings.clone(),
            tasks_max: arguments.launcher.tasks_max(),
            groups: left.zip(&works).collect(),
        };
        let new = Some(launching::launch(&mut record, launch)?);
        let watching = Watching {
            launcher: kind,
            at_once: launching::at_once(kind, places, (works.iter(), arguments.processes)),
            new,
            open: std::mem::take(&mut open),
            signals: &signals,
        };
        whole.add(launching::watch(&mut record, watching)?);
        let table = running::results(&mut record, &experiment, execution).map_err(Failure::failed)?;
        show_results(table, &experiment, arguments.format.format, &mut results)?;
    }
    if !open.is_empty() {
        let watching = Watching { launcher: kind, at_once: places.jobs(), new: None, open, signals: &signals };
        whole.add(launching::watch(&mut record, watching)?);
    }
    if let Some(table) = results {
        output::print_table(&table, arguments.format.format)?;
    }
    conclude(&whole, &signals, &arguments.record)
}

/// Takes out what tasks compute or are to compute.
fn leave_to_tasks(groups: &mut Vec<UnfinishedGroup>, held: &Held, launcher: Option<LauncherKind>) {
    if held.runs.is_empty() {
        return;
    }
    let are = if launcher.is_some() {
        "they are waited for"
    } else {
        "they are left to them; resume again once they have ended (--take-back takes back what has not begun)"
    };
    output::say(format!("note: tasks compute {} runs, or are to: {are}", held.runs.len()));
    for group in groups.iter_mut() {
        group.runs.retain(|run| !held.runs.contains(&run.run));
    }
    groups.retain(|group| !group.runs.is_empty());
}

/// How runs are to be finished.
pub(super) struct Finishing<'a> {
    pub(super) program: &'a WorkerProgram,
    pub(super) places: &'a Places,
    pub(super) signals: &'a Signals,
    pub(super) allow_divergence: bool,
    pub(super) processes: Option<u32>,
    pub(super) budget_tokens: Option<u64>,
    pub(super) format: Format,
}

/// What came of it.
pub(super) struct Finished {
    pub(super) record: Record,
    pub(super) tally: Tally,
    /// Batch groups that would not come out as before.
    pub(super) refused: usize,
}

/// Finishes runs from their last checkpoints on, and shows what came of them.
pub(super) fn finish(
    mut record: Record,
    groups: Vec<UnfinishedGroup>,
    how: &Finishing<'_>,
) -> Result<Finished, Failure> {
    let mut preparation = Preparation {
        program: how.program,
        places: how.places,
        allow_divergence: how.allow_divergence,
        environments: HashMap::new(),
        checkpoints: record.search_checkpoints().map_err(Failure::failed)?,
        refused: 0,
    };
    let mut executions: Vec<(String, i64, Vec<GroupWork>)> = Vec::new();
    for group in groups {
        let Some(work) = preparation.prepare(&mut record, &group)? else { continue };
        match executions.iter_mut().find(|(name, number, _)| *name == group.experiment && *number == group.execution) {
            Some((_, _, works)) => works.push(work),
            None => executions.push((group.experiment, group.execution, vec![work])),
        }
    }
    let works = executions.iter().flat_map(|(_, _, groups)| groups).map(|group| group.plan.work());
    how.places.check(works, how.program)?;
    let mut whole = Tally::default();
    let mut results = None;
    for (experiment, execution, groups) in executions {
        let runs: usize = groups.iter().map(|group| group.runs().len()).sum();
        output::say(format!("resuming {runs} runs of {} (execution {execution})", output::visible(&experiment)));
        let errand = Errand {
            label: &experiment,
            groups,
            places: how.places,
            processes: how.processes,
            budget_tokens: how.budget_tokens,
            program: how.program,
            signals: how.signals,
        };
        let (returned, tally) = running::compute_all(record, errand)?;
        record = returned;
        whole.add(tally);
        let table = running::results(&mut record, &experiment, execution).map_err(Failure::failed)?;
        show_results(table, &experiment, how.format, &mut results)?;
    }
    if let Some(table) = results {
        output::print_table(&table, how.format)?;
    }
    Ok(Finished { record, tally: whole, refused: preparation.refused })
}

/// The groups with work left. Pending runs of an execution that a living process computes are that process's own.
pub(super) fn unfinished(record: &mut Record, names: &[String]) -> Result<Vec<UnfinishedGroup>, Failure> {
    let mut filter = RunFilter { statuses: vec![RunStatus::Interrupted, RunStatus::Pending], ..RunFilter::default() };
    for name in names {
        let run = record.resolve_run(name).map_err(Failure::of_record)?;
        if !matches!(run.status, RunStatus::Interrupted | RunStatus::Pending | RunStatus::Failed) {
            return Err(Failure::bad_input(format!(
                "run {} ({}) is {}: only interrupted, failed and pending runs can be resumed",
                run.run,
                output::visible(&run.name()),
                run.status
            )));
        }
        filter.runs.push(run.run);
        filter.statuses = vec![RunStatus::Interrupted, RunStatus::Pending, RunStatus::Failed];
    }
    let living: BTreeSet<(String, i64)> = record
        .runs(&RunFilter { statuses: vec![RunStatus::Running], ..RunFilter::default() })
        .map_err(Failure::failed)?
        .into_iter()
        .map(|run| (run.experiment, run.execution))
        .collect();
    let mut groups = record.unfinished_groups(&filter).map_err(Failure::failed)?;
    for group in &mut groups {
        if living.contains(&(group.experiment.clone(), group.execution)) {
            group.runs.retain(|run| run.status != RunStatus::Pending);
        }
    }
    groups.retain(|group| !group.runs.is_empty());
    Ok(groups)
}

fn work_of(group: &UnfinishedGroup) -> Result<Work, Failure> {
    Work::from_json(&group.frozen).map_err(|error| unreadable(group, &error))
}

fn unreadable(group: &UnfinishedGroup, error: &serde_json::Error) -> Failure {
    Failure::failed(format!(
        "the frozen plan of batch group {} was written by another version of slhf-lab ({error}): run {} anew",
        group.group, group.experiment
    ))
}

/// What is looked up once for all groups.
struct Preparation<'a> {
    program: &'a WorkerProgram,
    /// Where it is computed from here on.
    places: &'a Places,
    allow_divergence: bool,
    /// By device and threads: what a worker of today runs on.
    environments: HashMap<(String, u32), Environment>,
    /// Checkpoint files that were looked at.
    checkpoints: CheckpointSearch,
    /// Groups that differ and were not allowed to.
    refused: usize,
}

impl Preparation<'_> {
    /// The work that is left of a group; `None` where it may not go on.
    fn prepare(&mut self, record: &mut Record, group: &UnfinishedGroup) -> Result<Option<GroupWork>, Failure> {
        let plan = FrozenWork::read(group.frozen.clone()).map_err(|error| unreadable(group, &error))?;
        let runs: Vec<i64> = group.runs.iter().map(|run| run.run).collect();
        let plan = plan.with_runs(|run| runs.contains(&run));
        let now = self.environment(plan.work())?;
        let mut differences = Vec::new();
        for run in &runs {
            if let Some(before) = record.environment(*run).map_err(Failure::failed)? {
                differences = differing(&before, &now);
            }
            if !differences.is_empty() {
                break;
            }
        }
        if !differences.is_empty() && !self.allow_divergence {
            output::say(format!(
                "note: runs {} of {} are not resumed, their numbers could differ: {}",
                list(&runs),
                output::visible(&group.experiment),
                differences.join(", ")
            ));
            self.refused += 1;
            return Ok(None);
        }
        let resume = self.checkpoints(record, group)?;
        Ok(Some(GroupWork {
            group: group.group,
            divergence: Some(self.policy(plan.work(), &differences)),
            plan,
            resume,
        }))
    }

    fn environment(&mut self, plan: &Work) -> Result<Environment, Failure> {
        let (planned, threads) = plan.device();
        // The planned one need not be here.
        let device = self.places.first_for(plan).unwrap_or(planned);
        let key = (device.to_owned(), threads);
        if let Some(known) = self.environments.get(&key) {
            return Ok(known.clone());
        }
        let found = self.program.probe(device, threads).map_err(Failure::failed)?;
        self.environments.insert(key, found.clone());
        Ok(found)
    }

    fn policy(&self, plan: &Work, differences: &[String]) -> DivergencePolicy {
        let why = if differences.is_empty() { String::new() } else { format!(": {}", differences.join(", ")) };
        if self.allow_divergence {
            DivergencePolicy::Allow { reason: format!("resumed with --allow-divergence{why}") }
        } else if plan.is_sampled_by_a_server() {
            DivergencePolicy::Allow {
                reason: "resumed with a sampler, which draws other responses each time".to_owned(),
            }
        } else if plan.device().0 == "cpu" {
            DivergencePolicy::Refuse
        } else {
            DivergencePolicy::Allow { reason: "resumed on CUDA, where the same bits are not promised".to_owned() }
        }
    }

    /// The last checkpoint of each run that is what the record says; those after it are named. A run without one starts at
    /// step 0: it computes the stored steps again, and they are compared.
    fn checkpoints(&mut self, record: &mut Record, group: &UnfinishedGroup) -> Result<Vec<ResumePoint>, Failure> {
        let mut points = Vec::new();
        for run in &group.runs {
            let FoundCheckpoint { point, refused } = self.checkpoints.find(record, run.run).map_err(Failure::failed)?;
            // Where the whole folder is missing, that is said once, when the groups are computed.
            if let Some(last) = refused.first().filter(|_| self.checkpoints.folder().is_readable()) {
                running::say_refused(&refused);
                let from = point.as_ref().map_or(0, |point| point.step);
                // Said again by every resume that it concerns: what was computed is computed again.
                let why = if last.was_known {
                    format!(": the checkpoint at step {} {}", last.step, output::visible(&last.reason))
                } else {
                    String::new()
                };
                output::say(format!("note: run {} goes on from step {from}{why}", run.run));
            }
            points.extend(point);
        }
        Ok(points)
    }
}

/// That there is a run that several processes can compute, and that every run of a language model has the same bits by so many.
fn check_processes(processes: u32, works: &[Work]) -> Result<(), Failure> {
    let plans: Vec<&LanguagePlan> = works
        .iter()
        .filter_map(|work| match work {
            Work::LanguageModel(plan) => Some(&**plan),
            Work::Game(_) | Work::RewardModel(_) => None,
        })
        .collect();
    if plans.is_empty() {
        return Err(Failure::bad_input(format!(
            "--processes {processes}: no run of a language model is to be resumed, and one process computes all others; leave it out"
        )));
    }
    let has_bits_of_its_own =
        |plan: &&&LanguagePlan| plan.division() == Division::Sharded && plan.device.processes != processes;
    if let Some(plan) = plans.iter().find(has_bits_of_its_own) {
        return Err(Failure::bad_input(format!(
            "--processes {processes}: run {} is planned by {}, and would have other bits by another number, as its weights are not packed; resume it \
             without --processes",
            plan.run, plan.device.processes
        )));
    }
    Ok(())
}

/// The things that decide bits: what each was, what it is now.
pub(super) fn differing(before: &Environment, now: &Environment) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, before: &str, now: &str| {
        if before != now {
            differences.push(format!("{what} was {before}, now {now}"));
        }
    };
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    compare("the worker's binary", &short(&before.worker_sha256), &short(&now.worker_sha256));
    compare("libtorch", &before.libtorch_version, &now.libtorch_version);
    compare("the CPU's capability", &before.cpu_capability, &now.cpu_capability);
    compare("the number of threads", &before.threads.to_string(), &now.threads.to_string());
    // Which of several GPUs a run had changes nothing that its model does not.
    let kind = |device: &str| DeviceKind::of(device).map_or(device.to_owned(), |kind| kind.name().to_owned());
    compare("the device", &kind(&before.device), &kind(&now.device));
    compare("MKL_CBWR", &before.mkl_cbwr, &now.mkl_cbwr);
    differences
}

fn list(runs: &[i64]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_bits_is_compared_and_named() {
        let before = Environment {
            device: "cpu".into(),
            device_description: "a CPU".into(),
            cpu_capability: "avx512".into(),
            threads: 2,
            libtorch_version: "2.11.0".into(),
            worker_sha256: "00".repeat(32),
            mkl_cbwr: "AVX2,STRICT".into(),
        };
        assert!(differing(&before, &before).is_empty());
        let renamed = Environment { device_description: "another name".into(), ..before.clone() };
        assert!(differing(&before, &renamed).is_empty());
        let on = |device: &str| Environment { device: device.into(), ..before.clone() };
        assert!(differing(&on("cuda:1"), &on("cuda:0")).is_empty(), "one GPU is as good as another");
        assert_eq!(differing(&before, &on("cuda:1")), ["the device was cpu, now cuda"]);
        let other = Environment {
            cpu_capability: "avx2".into(),
            threads: 1,
            libtorch_version: "2.12.0".into(),
            worker_sha256: "11".repeat(32),
            ..before.clone()
        };
        assert_eq!(
            differing(&before, &other),
            [
                "the worker's binary was 000000000000, now 111111111111",
                "libtorch was 2.11.0, now 2.12.0",
                "the CPU's capability was avx512, now avx2",
                "the number of threads was 2, now 1",
            ]
        );
    }

    #[test]
    fn several_processes_need_a_run_of_a_language_model() {
        let refused = check_processes(2, &[]).expect_err("there is none");
        let sentence = format!("{refused:?}");
        assert!(sentence.contains("--processes 2: no run of a language model is to be resumed"), "{sentence}");
    }
}

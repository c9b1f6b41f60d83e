//! A group of runs, from its plan to its ends.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use slhf_game::PreferenceMatrix;
use slhf_plan::{GroupPlan, ScheduleRow};

use self::batch::{Batch, Member, Program};
use crate::LearnError;
use crate::control::{BaselineEstimator, Control};
use crate::error::Cause;
use crate::evaluation::{FinalPolicy, Measurement};
use crate::problem::Problem;
use crate::problem_key::ProblemKey;
use crate::rules::{Course, Rules};
use crate::scalar::{Failure, Prepared};
use crate::state::RunState;
use crate::tensor::Place;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps were done.
    Finished,
    /// Stopped on request, with a checkpoint.
    Interrupted,
    /// It cannot go on; why, in one sentence.
    Failed(String),
}

/// Actions of games whose policies are told while they are trained.
pub const DRAWN_ACTIONS: usize = 3;

/// Who is told what a group does. Rows up to step s are told before the checkpoint of step s.
pub trait Observer {
    /// Asked between steps: whether to end with a checkpoint.
    fn stop_requested(&self) -> bool;
    /// Metrics at step 0, at every evaluation, and at the end.
    fn metrics(&mut self, run: i64, step: u64, measurement: &Measurement) -> Result<(), Cause>;
    /// What the schedule did in the first step and in every step that is evaluated.
    fn schedule(&mut self, row: ScheduleRow) -> Result<(), Cause>;
    /// The Leader's policy of a game of [`DRAWN_ACTIONS`] actions, whenever the metrics are told but at the end: its path can be
    /// drawn in a triangle.
    fn leader(&mut self, run: i64, step: u64, probabilities: &[f64]) -> Result<(), Cause>;
    /// The policies of a run that did all its steps.
    fn final_policy(&mut self, run: i64, step: u64, policy: &FinalPolicy) -> Result<(), Cause>;
    /// The states of live runs, all at one step, as [`RunState::to_bytes`] gives them.
    fn checkpoint(&mut self, step: u64, states: &[(i64, Vec<u8>)]) -> Result<(), Cause>;
    /// Steps done by all runs, summed.
    fn progress(&mut self, run_steps_done: u64) -> Result<(), Cause>;
    /// A run ended.
    fn ended(&mut self, run: i64, step: u64, ended: Ended) -> Result<(), Cause>;
}

/// Wall-clock seconds of a group so far, by phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PhaseSeconds {
    /// Gradients and updates.
    pub train: f64,
    /// Gaps and metrics.
    pub evaluate: f64,
    /// Checkpoints, the observer's share included.
    pub checkpoint: f64,
}

/// A group that is ready to be trained.
#[derive(Debug)]
pub struct Training {
    rules: Option<Rules>,
    program: Program,
    evaluation_every: u64,
    checkpoint_every: u64,
    /// The distance to its target at which a run's gradients are counted.
    target_distance: Option<f64>,
    runs: Vec<Run>,
    seconds: PhaseSeconds,
}

#[derive(Debug)]
struct Run {
    course: Arc<Course>,
    problem: Arc<Problem>,
    prepared: Arc<Prepared>,
    /// Away while the run is in a batch.
    control: Option<Control>,
    state: RunState,
    alive: bool,
    /// Steps done, also while the state is in a batch.
    done: u64,
    last: Option<(u64, &'static str, f64)>,
}

impl Training {
    /// Prepares every run at its seeded start. `matrices` are the verdicts on the plan's games, in order; `estimators`
    /// holds one for every run whose control variate is a plugin.
    pub fn new(
        group: &GroupPlan,
        matrices: &[PreferenceMatrix],
        mut estimators: BTreeMap<i64, Box<dyn BaselineEstimator>>,
    ) -> Result<Self, LearnError> {
        let rules = Rules::of(group)?;
        let mut problems: Vec<(ProblemKey, Arc<Problem>, Arc<Prepared>)> = Vec::new();
        let mut runs = Vec::with_capacity(group.runs.len());
        for plan in &group.runs {
            let Some(rules) = &rules else { break };
            let key = ProblemKey::of(plan);
            let known = problems.iter().position(|(known, ..)| *known == key);
            let index = known.unwrap_or(problems.len());
            if known.is_none() {
                let games = matrices.len();
                let absent = LearnError::NoSuchGame { run: plan.run, game: plan.game, games };
                let matrix = matrices.get(plan.game).ok_or(absent)?;
                let problem = Arc::new(Problem::of(&key, plan.run, &group.games[plan.game], matrix)?);
                let prepared = Arc::new(Prepared::of(Arc::clone(&problem)));
                problems.push((key, problem, prepared));
            }
            let course = Arc::new(Course::of(plan));
            let control = Control::of(&plan.method.training().score_baseline, estimators.remove(&plan.run));
            let control = control.ok_or_else(|| LearnError::Setting {
                run: plan.run,
                key: "method.score_baseline".to_owned(),
                problem: "is a plugin, but the run was given no estimator".to_owned(),
            })?;
            runs.push(Run {
                state: RunState::start(rules, &course, &problems[index].1),
                course,
                problem: Arc::clone(&problems[index].1),
                prepared: Arc::clone(&problems[index].2),
                control: Some(control),
                alive: true,
                done: 0,
                last: None,
            });
        }
        let device = &group.device;
        let place = Place::of(&device.name, device.precision).ok_or_else(|| LearnError::Setting {
            run: group.runs.first().map_or(0, |run| run.run),
            key: "device.name".to_owned(),
            problem: format!("is {:?}; expected \"cpu\", \"cuda\" or \"cuda:N\"", device.name),
        })?;
        Ok(Self {
            rules,
            program: Program { path: device.path, place, threads: device.threads as usize },
            evaluation_every: group.evaluation_every,
            checkpoint_every: group.checkpoint_every,
            target_distance: group.target_distance,
            runs,
            seconds: PhaseSeconds::default(),
        })
    }

    /// Puts a run at the state of a checkpoint.
    pub fn restore(&mut self, run: i64, bytes: &[u8]) -> Result<(), LearnError> {
        let state = RunState::from_bytes(run, bytes)?;
        let rules = self.rules.ok_or(LearnError::NoSuchRun { run })?;
        let own = self.runs.iter_mut().find(|own| own.course.run == run).ok_or(LearnError::NoSuchRun { run })?;
        state.check(run, &rules, &own.course)?;
        if let Some(control) = &mut own.control {
            control.restore(&state).map_err(|source| LearnError::Baseline { run, source })?;
        }
        own.done = state.step;
        own.state = state;
        Ok(())
    }

    /// Steps that a run has done.
    #[must_use]
    pub fn step(&self, run: i64) -> Option<u64> {
        self.runs.iter().find(|own| own.course.run == run).map(|own| own.state.step)
    }

    /// What the user should know of the games under their methods: sentences, each once, with the actions named.
    #[must_use]
    pub fn notes(&self, group: &GroupPlan) -> Vec<String> {
        let mut sentences = Vec::new();
        for (run, plan) in self.runs.iter().zip(&group.runs) {
            let names: Vec<&str> = group.games[plan.game].actions.iter().map(|action| action.name.as_str()).collect();
            for note in &run.problem.notes {
                let sentence = note.sentence(&names);
                if !sentences.contains(&sentence) {
                    sentences.push(sentence);
                }
            }
        }
        sentences
    }

    /// Seconds so far.
    #[must_use]
    pub fn seconds(&self) -> PhaseSeconds {
        self.seconds
    }

    /// Trains every run to its end, or until the observer asks to stop.
    ///
    /// Runs that stand at different steps (after a resume) are trained in batches of equal step, the hindmost first.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<(), LearnError> {
        let Some(rules) = self.rules else { return Ok(()) };
        self.end_those_that_are_done(rules, observer)?;
        loop {
            let mut steps: Vec<u64> = self.runs.iter().filter(|run| run.alive).map(|run| run.state.step).collect();
            steps.sort_unstable();
            steps.dedup();
            let Some(&step) = steps.first() else { return Ok(()) };
            let target = steps.get(1).copied().unwrap_or(rules.steps);
            let members: Vec<usize> = (0..self.runs.len())
                .filter(|&index| self.runs[index].alive && self.runs[index].state.step == step)
                .collect();
            if self.train_batch(rules, &members, target, observer)? {
                return self.interrupt(observer);
            }
        }
    }

    /// Runs that were resumed at their last step have nothing more to say.
    fn end_those_that_are_done(&mut self, rules: Rules, observer: &mut dyn Observer) -> Result<(), LearnError> {
        for run in self.runs.iter_mut().filter(|run| run.state.step == rules.steps && rules.steps > 0) {
            run.alive = false;
            observer.ended(run.course.run, rules.steps, Ended::Finished).map_err(LearnError::Observer)?;
        }
        Ok(())
    }

    /// Trains runs of equal step to `target`, or until one fails (its batch is then made anew without it), or until a
    /// stop is asked for: then true.
    fn train_batch(
        &mut self,
        rules: Rules,
        members: &[usize],
        target: u64,
        observer: &mut dyn Observer,
    ) -> Result<bool, LearnError> {
        let mut step = self.runs[members[0]].state.step;
        if step == 0 {
            for &member in members {
                self.watch(member, &self.runs[member].state.clone());
                self.measure(member, observer)?;
                if rules.steps > 0 {
                    self.tell_leader(member, observer)?;
                }
            }
            if rules.steps == 0 {
                self.finish(members, rules.steps, observer)?;
                return Ok(false);
            }
        }
        let mut batch = self.make_batch(rules, members, step)?;
        let mut stop = false;
        let mut failed = false;
        while step < target && !stop && !failed {
            let next = self.next_stop(rules, members.len(), step).min(target);
            let started = Instant::now();
            self.advance(&mut batch, members, (step, next))?;
            step = next;
            self.seconds.train += started.elapsed().as_secs_f64();
            failed = self.bury_failures(&mut batch, members, observer)?;
            stop = observer.stop_requested();
            self.report(rules, &mut batch, members, (step, stop || failed || step == target), observer)?;
        }
        for (&member, control) in members.iter().zip(batch.into_controls()) {
            self.runs[member].control = Some(control);
        }
        if step == rules.steps {
            let done: Vec<usize> = members.iter().copied().filter(|&member| self.runs[member].alive).collect();
            self.finish(&done, step, observer)?;
        }
        Ok(stop)
    }

    fn make_batch(&mut self, rules: Rules, members: &[usize], step: u64) -> Result<Batch, LearnError> {
        let mut joining = Vec::with_capacity(members.len());
        for &member in members {
            let run = &mut self.runs[member];
            let control = run.control.take().ok_or(LearnError::NoSuchRun { run: run.course.run })?;
            joining.push(Member {
                problem: Arc::clone(&run.problem),
                prepared: Arc::clone(&run.prepared),
                course: Arc::clone(&run.course),
                control,
                state: run.state.clone(),
            });
        }
        Batch::new(rules, self.program, step, joining)
    }

    /// Goes on to step `to`; where gradients to the target are counted, step by step.
    fn advance(&mut self, batch: &mut Batch, members: &[usize], (from, to): (u64, u64)) -> Result<(), LearnError> {
        let waits = |run: &Run| run.alive && run.state.reached.is_none();
        for step in from + 1..=to {
            if self.target_distance.is_none() || !members.iter().any(|&member| waits(&self.runs[member])) {
                return batch.advance(to);
            }
            batch.advance(step)?;
            for (&member, state) in members.iter().zip(batch.states()?) {
                if waits(&self.runs[member]) {
                    self.watch(member, &state);
                }
            }
        }
        Ok(())
    }

    /// Counts the gradients of a run whose policy has come to its target.
    fn watch(&mut self, member: usize, state: &RunState) {
        let run = &mut self.runs[member];
        let distance = || Measurement::distance(&run.problem, state);
        if self.target_distance.is_some_and(|bound| distance() < bound) {
            run.state.reached = Some(state.step * run.course.gradients());
        }
    }

    /// Where the next segment ends: at the first step, at an evaluation, at a checkpoint, or where it is time to look
    /// whether a stop was asked for. No run's numbers depend on where segments end.
    fn next_stop(&self, rules: Rules, runs: usize, step: u64) -> u64 {
        const ENTRIES_PER_SEGMENT: usize = 20_000_000;
        let entries = runs * (rules.actions * rules.actions + 20);
        let stride = (ENTRIES_PER_SEGMENT / entries.max(1)).clamp(1, 10_000) as u64;
        let multiple = |every: u64| step.checked_div(every).map_or(u64::MAX, |done| (done + 1) * every);
        let first = if step == 0 { 1 } else { u64::MAX };
        (step + stride)
            .min(first)
            .min(multiple(self.evaluation_every))
            .min(multiple(self.checkpoint_every))
            .min(rules.steps)
    }

    /// Tells of the runs that failed in the last segment; whether there were any.
    fn bury_failures(
        &mut self,
        batch: &mut Batch,
        members: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<bool, LearnError> {
        let failures = batch.take_failures();
        for (index, failure) in &failures {
            let run = &mut self.runs[members[*index]];
            run.alive = false;
            let (step, sentence) = sentence(run, failure);
            observer.ended(run.course.run, step, Ended::Failed(sentence)).map_err(LearnError::Observer)?;
        }
        Ok(!failures.is_empty())
    }

    /// What is due at the end of a segment: schedule rows, metrics, a checkpoint, progress. `leaving`: the batch ends
    /// here, and the states are needed.
    fn report(
        &mut self,
        rules: Rules,
        batch: &mut Batch,
        members: &[usize],
        (step, leaving): (u64, bool),
        observer: &mut dyn Observer,
    ) -> Result<(), LearnError> {
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        let last = step == rules.steps;
        let evaluates = last || due(self.evaluation_every);
        let saves = due(self.checkpoint_every) && !last;
        if evaluates || step == 1 {
            for (index, &member) in members.iter().enumerate() {
                if let (true, Some((speeds, updates))) = (self.runs[member].alive, batch.speeds(index)) {
                    let row = speeds.row(self.runs[member].course.run, step, updates, rules.has_follower());
                    observer.schedule(row).map_err(LearnError::Observer)?;
                }
            }
        }
        if evaluates || saves || leaving {
            let mut states = batch.states()?;
            if saves || leaving {
                let alive = members.iter().map(|&member| self.runs[member].alive);
                batch.save_controls(&mut states, alive)?;
            }
            for (&member, state) in members.iter().zip(states) {
                if self.runs[member].alive {
                    let reached = self.runs[member].state.reached;
                    self.runs[member].state = RunState { reached, ..state };
                }
            }
        }
        if evaluates {
            for &member in members {
                self.measure(member, observer)?;
                if !last {
                    self.tell_leader(member, observer)?;
                }
            }
        }
        if saves {
            self.save(members, step, observer)?;
        }
        for &member in members {
            let run = &mut self.runs[member];
            run.done = if run.alive { step } else { run.done };
        }
        let done = self.runs.iter().map(|run| run.done).sum();
        observer.progress(done).map_err(LearnError::Observer)
    }

    fn measure(&mut self, member: usize, observer: &mut dyn Observer) -> Result<(), LearnError> {
        let run = &mut self.runs[member];
        if !run.alive {
            return Ok(());
        }
        let started = Instant::now();
        let mut measurement = Measurement::of(&run.problem, &run.state);
        if self.target_distance.is_some() {
            measurement.count_gradients(run.state.reached);
        }
        self.seconds.evaluate += started.elapsed().as_secs_f64();
        run.last = Some((run.state.step, measurement.keys[0].name(), measurement.values[0]));
        observer.metrics(run.course.run, run.state.step, &measurement).map_err(LearnError::Observer)
    }

    fn tell_leader(&mut self, member: usize, observer: &mut dyn Observer) -> Result<(), LearnError> {
        let run = &self.runs[member];
        if !run.alive || run.problem.actions != DRAWN_ACTIONS {
            return Ok(());
        }
        let leader = FinalPolicy::of(&run.problem, &run.state).leader;
        observer.leader(run.course.run, run.state.step, &leader).map_err(LearnError::Observer)
    }

    fn save(&mut self, members: &[usize], step: u64, observer: &mut dyn Observer) -> Result<(), LearnError> {
        let started = Instant::now();
        let mut states = Vec::with_capacity(members.len());
        for run in members.iter().map(|&member| &self.runs[member]).filter(|run| run.alive) {
            states.push((run.course.run, run.state.to_bytes()?));
        }
        if !states.is_empty() {
            observer.checkpoint(step, &states).map_err(LearnError::Observer)?;
        }
        self.seconds.checkpoint += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn finish(&mut self, members: &[usize], step: u64, observer: &mut dyn Observer) -> Result<(), LearnError> {
        for run in members.iter().map(|&member| &self.runs[member]) {
            let policy = FinalPolicy::of(&run.problem, &run.state);
            observer.final_policy(run.course.run, step, &policy).map_err(LearnError::Observer)?;
        }
        self.save(members, step, observer)?;
        for &member in members {
            let run = &mut self.runs[member];
            run.alive = false;
            observer.ended(run.course.run, step, Ended::Finished).map_err(LearnError::Observer)?;
        }
        Ok(())
    }

    /// Ends every live run with a checkpoint, one for each step at which some stand.
    fn interrupt(&mut self, observer: &mut dyn Observer) -> Result<(), LearnError> {
        let mut standing: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (index, run) in self.runs.iter().enumerate().filter(|(_, run)| run.alive) {
            standing.entry(run.state.step).or_default().push(index);
        }
        for (step, members) in standing {
            self.save(&members, step, observer)?;
            for member in members {
                let run = &mut self.runs[member];
                run.alive = false;
                observer.ended(run.course.run, step, Ended::Interrupted).map_err(LearnError::Observer)?;
            }
        }
        Ok(())
    }
}

/// The step in which a run failed, and why, in one sentence.
fn sentence(run: &Run, failure: &Failure) -> (u64, String) {
    let last = match run.last {
        Some((step, key, value)) => format!("; the last metrics, at step {step}, had {key} = {value:.3e}"),
        None => String::new(),
    };
    match failure {
        Failure::NotFinite { step } => (
            *step,
            format!(
                "the logits became NaN or infinite in step {step}{last}; lower schedule.learning_rate or schedule.kappa"
            ),
        ),
        Failure::Baseline { step, cause } => {
            let words = slhf_words::chain(cause.as_ref());
            (*step, format!("the baseline plugin failed in step {step}: {words}"))
        }
    }
}

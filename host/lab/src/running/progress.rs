//! How far an execution is: a bar on a terminal, a plain line every few seconds elsewhere; what is computed, its last figures, and the
//! time left once it is known.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use slhf_experiment::Phases;
use slhf_plan::{EvaluationRow, MetricsBatch};

use super::figure::Figures;
use super::time_left::{Done, Ending, Guess, TimeLeft};
use crate::output;

/// Seconds between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// What a bar's whole length stands for.
const BAR_LENGTH: u64 = 1000;

/// The bars on the terminal, if any were ever drawn: log lines have to go between them.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Writes log lines to stderr, above the progress bars where there are some.
#[derive(Debug, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match BARS.get() {
            Some(bars) => bars.suspend(|| io::stderr().lock().write(bytes)),
            None => io::stderr().lock().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// What there is to do in one batch group.
#[derive(Clone, Debug)]
pub(crate) struct GroupAmount {
    /// Its number in the record.
    pub(crate) group: i64,
    /// `cell/seed` of its run, or how many runs it has.
    pub(crate) label: String,
    /// Runs.
    pub(crate) runs: u64,
    /// Steps of each run, in all.
    pub(crate) steps: u64,
    /// Steps of all runs that earlier attempts have done, summed.
    pub(crate) run_steps_done: u64,
    /// What its parts are guessed to cost.
    pub(crate) phases: Phases,
}

impl GroupAmount {
    /// What is left to do.
    fn guess(&self) -> Guess {
        Guess {
            start: self.phases.start,
            step: self.phases.step,
            steps: (self.runs * self.steps).saturating_sub(self.run_steps_done) as f64,
            evaluation: self.phases.evaluation.max(self.phases.last_evaluation),
            evaluations: self.evaluated(self.steps),
        }
    }

    /// The guessed cost of the evaluations up to the one at a step.
    fn evaluated(&self, step: u64) -> f64 {
        self.phases.evaluations(self.run_steps_done / self.runs.max(1), step, self.steps)
    }
}

/// The progress of one execution.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    groups: Vec<GroupAmount>,
    bar: Option<ProgressBar>,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last_line: Instant,
    time_left: TimeLeft,
    runs_ended: u64,
    /// The groups under way, by their place in the list.
    under_way: BTreeMap<usize, UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    run_steps_done: u64,
    /// At which step the last evaluation was that was heard of.
    evaluated_at: Option<u64>,
    figures: Figures,
}

impl Progress {
    /// Nothing is done yet; so many groups are computed at once.
    pub(crate) fn start(label: &str, groups: Vec<GroupAmount>, lanes: usize) -> Self {
        let now = Instant::now();
        let label = output::visible(label);
        let bar = io::stderr().is_terminal().then(|| draw(&label));
        let guesses: Vec<Guess> = groups.iter().map(GroupAmount::guess).collect();
        let state = State {
            last_line: now,
            time_left: TimeLeft::new(&guesses, lanes),
            runs_ended: 0,
            under_way: BTreeMap::new(),
        };
        Self { label, groups, bar, start: now, state: Mutex::new(state) }
    }

    /// A worker is started for a group.
    pub(crate) fn group_began(&self, group: i64) {
        let Some(index) = self.index(group) else { return };
        let mut state = self.state();
        state.time_left.begin(index, self.now());
        let run_steps_done = self.groups[index].run_steps_done;
        state.under_way.insert(index, UnderWay { run_steps_done, ..UnderWay::default() });
        self.show(&mut state);
    }

    /// A group has ended.
    pub(crate) fn group_ended(&self, group: i64, ending: Ending) {
        let Some(index) = self.index(group) else { return };
        let mut state = self.state();
        state.time_left.end(index, ending, self.now());
        state.under_way.remove(&index);
        self.show(&mut state);
    }

    /// A group has done so many run-steps so far, earlier attempts' included.
    pub(crate) fn advance(&self, group: i64, run_steps_done: u64) {
        self.hear(group, |under_way| under_way.run_steps_done = run_steps_done);
    }

    /// Metrics of a group came.
    pub(crate) fn metrics(&self, group: i64, batch: &MetricsBatch) {
        self.hear(group, |under_way| under_way.figures.hear_metrics(batch));
    }

    /// Evaluations of a group came.
    pub(crate) fn evaluations(&self, group: i64, rows: &[EvaluationRow]) {
        self.hear(group, |under_way| {
            under_way.figures.hear_evaluations(rows);
            under_way.evaluated_at = rows.last().map(|row| row.step).or(under_way.evaluated_at);
        });
    }

    /// A run ended, however it did.
    pub(crate) fn run_ended(&self) {
        let mut state = self.state();
        state.runs_ended += 1;
        self.show(&mut state);
    }

    /// Clears the bar: what comes next is the result.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn hear(&self, group: i64, told: impl FnOnce(&mut UnderWay)) {
        let Some(index) = self.index(group) else { return };
        let mut state = self.state();
        let Some(under_way) = state.under_way.get_mut(&index) else { return };
        told(under_way);
        let amount = &self.groups[index];
        let done = Done {
            steps: under_way.run_steps_done.saturating_sub(amount.run_steps_done) as f64,
            evaluated: under_way.evaluated_at.map_or(0.0, |step| amount.evaluated(step)),
        };
        state.time_left.advance(index, done, self.now());
        self.show(&mut state);
    }

    fn index(&self, group: i64) -> Option<usize> {
        self.groups.iter().position(|known| known.group == group)
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &mut State) {
        let is_due = state.last_line.elapsed() >= LINE_INTERVAL;
        if let Some(bar) = &self.bar {
            bar.set_position((state.time_left.share(self.now()) * BAR_LENGTH as f64) as u64);
            bar.set_message(self.said(state));
        } else if is_due {
            state.last_line = Instant::now();
            let share = state.time_left.share(self.now());
            output::say(format!("{}: {:.0} %{}", self.label, (share * 100.0).floor(), self.said(state)));
        }
    }

    /// What is said behind the share: of what it is one, the time left, runs, and at last what is under way, whose end a narrow
    /// terminal does not show.
    fn said(&self, state: &State) -> String {
        let runs: u64 = self.groups.iter().map(|group| group.runs).sum();
        let goes_on = self.groups.iter().any(|group| group.run_steps_done > 0);
        let of_what = if goes_on { " of what was left" } else { "" };
        let left = state.time_left.left(self.now()).map_or_else(String::new, |left| {
            format!(", {} left", output::duration(Duration::from_secs_f64(left.clamp(0.0, 1e12))))
        });
        let mut said = format!("{of_what}{left}, {} of {runs} runs ended", state.runs_ended);
        if let Some((index, under_way)) = state.under_way.first_key_value() {
            said.push_str("; ");
            said.push_str(&doing(&self.groups[*index], under_way, state.under_way.len() - 1));
        }
        said
    }
}

/// `kappa=1/2 at step 30 of 100, stackelberg_gap 0.012, and 2 more`.
fn doing(amount: &GroupAmount, under_way: &UnderWay, more: usize) -> String {
    let step = under_way.run_steps_done / amount.runs.max(1);
    let label = output::visible(&amount.label);
    let mut parts = vec![format!("{label} at step {} of {}", step.min(amount.steps), amount.steps)];
    parts.extend(under_way.figures.shown());
    if more > 0 {
        parts.push(format!("and {more} more at once"));
    }
    parts.join(", ")
}

fn draw(label: &str) -> ProgressBar {
    let bars = BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
    let bar = bars.add(ProgressBar::new(BAR_LENGTH));
    let colour = if output::colours_wanted() { ".cyan" } else { "" };
    let template = format!("{{prefix}} [{{bar:12{colour}}}] {{percent}} %{{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(group: i64, label: &str, runs: u64) -> GroupAmount {
        let phases = Phases { step: 1e-3, ..Phases::default() };
        GroupAmount { group, label: label.to_owned(), runs, steps: 100, run_steps_done: 0, phases }
    }

    #[test]
    fn it_is_said_what_is_done_and_how_it_stands() {
        let progress = Progress::start("cycle", vec![amount(1, "kappa=1/1", 1), amount(2, "3 runs", 3)], 1);
        let said = || progress.said(&progress.state());
        assert_eq!(said(), ", 0 of 4 runs ended");
        progress.group_began(1);
        progress.advance(1, 30);
        let batch =
            MetricsBatch { keys: vec!["stackelberg_gap".into()], runs: vec![1], steps: vec![30], values: vec![0.0125] };
        progress.metrics(1, &batch);
        assert_eq!(said(), ", 0 of 4 runs ended; kappa=1/1 at step 30 of 100, stackelberg_gap 0.0125");
        progress.group_began(2);
        progress.run_ended();
        progress.group_ended(1, Ending::Done);
        let now = said();
        assert!(now.contains(", 1 of 4 runs ended; 3 runs at step 0 of 100"), "{now}");
        // What nobody announced is nobody's progress.
        progress.advance(77, 1);
    }
}

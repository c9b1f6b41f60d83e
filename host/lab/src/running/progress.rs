//! How far an execution is: bars with the time left on a terminal, a plain line every few seconds elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Seconds between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

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

/// What there is to do.
#[derive(Clone, Debug)]
pub(crate) struct Amount {
    /// Runs.
    pub(crate) runs: u64,
    /// Steps of all of them, summed.
    pub(crate) run_steps: u64,
}

/// The progress of one execution.
#[derive(Debug)]
pub(crate) struct Progress {
    amount: Amount,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    label: String,
    start: Instant,
    last_line: Instant,
    done_by_group: HashMap<i64, u64>,
    runs_ended: u64,
}

impl Progress {
    /// Nothing is done yet.
    pub(crate) fn start(label: &str, amount: Amount) -> Self {
        let now = Instant::now();
        let bar = io::stderr().is_terminal().then(|| draw(label, &amount));
        let state = State {
            label: output::visible(label),
            start: now,
            last_line: now,
            done_by_group: HashMap::new(),
            runs_ended: 0,
        };
        Self { amount, bar, state: Mutex::new(state) }
    }

    /// A group has done so many run-steps so far.
    pub(crate) fn advance(&self, group: i64, run_steps_done: u64) {
        let mut state = self.state();
        state.done_by_group.insert(group, run_steps_done);
        self.show(&mut state);
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &mut State) {
        let done = state.done_by_group.values().sum::<u64>().min(self.amount.run_steps);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(format!("{} of {} runs", state.runs_ended, self.amount.runs));
        } else if state.last_line.elapsed() >= LINE_INTERVAL {
            state.last_line = Instant::now();
            output::say(plain_line(&state.label, &self.amount, done, state.runs_ended, state.start.elapsed()));
        }
    }
}

fn draw(label: &str, amount: &Amount) -> ProgressBar {
    let bars = BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
    let bar = bars.add(ProgressBar::new(amount.run_steps.max(1)));
    let colour = if output::colours_wanted() { ".cyan" } else { "" };
    let template = format!("{{prefix}} [{{bar:30{colour}}}] {{percent}} % · {{msg}} · {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.set_prefix(output::visible(label));
    bar.set_message(format!("0 of {} runs", amount.runs));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn plain_line(label: &str, amount: &Amount, done: u64, runs_ended: u64, elapsed: Duration) -> String {
    let share = if amount.run_steps == 0 { 1.0 } else { done as f64 / amount.run_steps as f64 };
    let left = if share > 0.0 {
        format!(", {} left", output::duration(elapsed.mul_f64((1.0 - share) / share)))
    } else {
        String::new()
    };
    format!("{label}: {:.0} %, {runs_ended} of {} runs ended{left}", share * 100.0, amount.runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_say_how_far_and_how_long() {
        let amount = Amount { runs: 9, run_steps: 1000 };
        let at = |done, ended, seconds| plain_line("cycle", &amount, done, ended, Duration::from_secs(seconds));
        assert_eq!(at(0, 0, 5), "cycle: 0 %, 0 of 9 runs ended");
        assert_eq!(at(250, 2, 10), "cycle: 25 %, 2 of 9 runs ended, 30 s left");
        assert_eq!(at(1000, 9, 60), "cycle: 100 %, 9 of 9 runs ended, 0 s left");
    }
}

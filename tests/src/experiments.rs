//! Experiments that are long enough to be disturbed, and what is compared of them afterwards.

use std::path::Path;

use crate::Lab;

/// Evaluations of every run of [`disturbed_game`], without the one at step 0.
pub const GAME_EVALUATIONS: u64 = 600;

/// An asymmetric cycle, two κ × two seeds, by the program `scalar` or `tensor`, with [`GAME_EVALUATIONS`].
#[must_use]
pub fn disturbed_game(program: &str, every: u64) -> String {
    let (steps, checkpoint_every) = (every * GAME_EVALUATIONS, every * 25);
    format!(
        r#"
kind = "game"
seeds = [1, 2]

[game]
actions = ["a", "b", "c"]
preferences = [[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]
tau_leader = 0.1
tau_follower = 0.1

[method]
name = "stackelberg-gda"
steps = {steps}

[schedule]
kappa = {{ kind = "constant", value = 5.0 }}
learning_rate = {{ kind = "power", start = 0.5, exponent = 0.6 }}

[device]
name = "cpu"
threads = 1
path = "{program}"

[evaluation]
every = {every}

[checkpoint]
every = {checkpoint_every}

[[ablation]]
key = "schedule.kappa.value"
values = [2.0, 5.0]
"#
    )
}

/// The tiny model of [`crate::language_lab`]: adapters, both moments of the optimizer, the place in the data, the control
/// variate.
#[must_use]
pub fn disturbed_language_model(steps: u64, checkpoint_every: u64) -> String {
    format!(
        r#"
kind = "language-model"
log_completions_every = 4

[model]
path = "tiny"
[model.adapter]
lora_r = 4
lora_dropout = 0.1

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
name = "stackelberg-gda"
steps = {steps}
prompts_per_step = 3
num_generations = 2
micro_batch_size = 4
max_new_tokens = 8
score_baseline = {{ kind = "moving_average" }}

[schedule]
learning_rate = {{ kind = "linear", start = 1e-2, end = 1e-3 }}

[device]
name = "cpu"
threads = 1

[evaluation]
every = 10
prompts = 2

[checkpoint]
every = {checkpoint_every}
"#
    )
}

/// Everything that two equal runs have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    metrics: String,
    schedules: String,
    evaluations: String,
    completions: String,
    verdicts: String,
    weights: String,
}

impl Found {
    /// Of the finished runs of a record, all digits, run by run; without what a clock or the memory of this machine said.
    ///
    /// # Errors
    /// The query that failed.
    pub fn read(lab: &Lab, record: &Path) -> Result<Self, String> {
        let by_run = "r.cell, r.seed FROM runs r JOIN";
        // A record that was superseded has runs that were set aside.
        let query = |sql: String| {
            let record = record.to_string_lossy();
            let outcome = lab.run(&["query", &sql, "--db", &record, "--format", "csv"]);
            if outcome.code == Some(0) { Ok(outcome.stdout) } else { Err(format!("{sql}: {outcome}")) }
        };
        let rest = "r.status = 'finished'";
        Ok(Self {
            metrics: query(format!(
                "SELECT m.step, m.key, m.value, m.non_finite, {by_run} metrics m ON m.run = r.run WHERE {rest} AND m.key <> 'step_time' \
                 AND m.key NOT LIKE 'timing/%' AND m.key NOT LIKE 'perf/%' AND m.key NOT LIKE 'memory/%' ORDER BY 5, 6, 1, 2"
            ))?,
            schedules: query(format!(
                "SELECT s.step, s.kappa, s.leader_learning_rate, s.follower_learning_rate, s.leader_updates, s.follower_updates, \
                 {by_run} schedules s ON s.run = r.run WHERE {rest} ORDER BY 7, 8, 1"
            ))?,
            evaluations: query(format!(
                "SELECT e.step, e.name, e.subject, e.value, e.low, e.high, e.n, {by_run} evaluations e ON e.run = r.run \
                 WHERE {rest} ORDER BY 8, 9, 1, 2, 3"
            ))?,
            completions: query(format!(
                "SELECT c.step, c.role, c.round, c.position, c.text, c.finished, c.tokens, c.probability, c.prompt_id, {by_run} \
                 completions c ON c.run = r.run WHERE {rest} ORDER BY 10, 11, 1, 2, 3, 4"
            ))?,
            verdicts: query(format!(
                "SELECT v.step, v.first, v.second, v.probability, v.failure, {by_run} training_verdicts v ON v.run = r.run \
                 WHERE {rest} ORDER BY 6, 7, 1, 2, 3"
            ))?,
            weights: query(format!(
                "SELECT DISTINCT a.kind, a.sha256, {by_run} artefacts a ON a.run = r.run WHERE {rest} AND a.kind <> 'checkpoint' \
                 ORDER BY 3, 4, 1, 2"
            ))?,
        })
    }

    /// The first part that is not the same.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("metrics", &self.metrics, &other.metrics),
            ("schedules", &self.schedules, &other.schedules),
            ("evaluations", &self.evaluations, &other.evaluations),
            ("completions", &self.completions, &other.completions),
            ("training verdicts", &self.verdicts, &other.verdicts),
            ("learned weights", &self.weights, &other.weights),
        ];
        parts.into_iter().find_map(|(name, mine, others)| (mine != others).then_some(name))
    }
}

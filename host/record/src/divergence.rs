//! A resumed run that computes other numbers than are stored.

/// The first number of a run that came out differently after a resume.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "run {run} came out differently after its resume: {what} at step {step} was {stored}, now it is {computed}; \
     allow it with --allow-divergence (the old steps stay stored, marked as superseded), or run it anew"
)]
pub struct StepDivergence {
    /// The run.
    pub run: i64,
    /// The first step that differs.
    pub step: u64,
    /// `metric stackelberg_gap`, `kappa of the schedule`, `evaluation probability of leader/rock`, …
    pub what: String,
    /// As stored, all digits.
    pub stored: String,
    /// As computed now, all digits.
    pub computed: String,
}

/// What becomes of a resumed run that computes other numbers than are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DivergencePolicy {
    /// The run fails; nothing stored changes. The rule on CPU.
    #[default]
    Refuse,
    /// `--allow-divergence`, and always on CUDA: the old steps are kept apart as superseded, with this reason.
    Allow {
        /// Why it is allowed, for the state change: "resumed on another CPU: avx512, was avx2".
        reason: String,
    },
}

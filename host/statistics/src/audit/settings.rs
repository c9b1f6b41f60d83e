//! What is simulated, and what is known of the judge's draws.

/// How repeated draws are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// Each pair's draws are asked anew.
    #[default]
    Drawn,
    /// The verdict is known not to change with the draw: one is all, and its noise is 0.
    Steady,
}

/// What is simulated, and what is known of the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSettings {
    /// Simulations behind what noise alone would give; 400 by default.
    pub simulations: u32,
    /// The same seed gives the same results on every machine.
    pub seed: u64,
    /// How repeated draws are to be read.
    pub repeats: Repeats,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { simulations: 400, seed: 0, repeats: Repeats::Drawn }
    }
}

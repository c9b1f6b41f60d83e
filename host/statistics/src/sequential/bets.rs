//! How much is staked on the next value: predictable plug-in bets.

/// When the bound is read: bets are spread accordingly. It is valid at every moment either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horizon {
    /// At any moment, and as often as one likes: `λ_t = √(2 log(1/α) / (σ̂²_{t−1} t log(t + 1)))`, the paper's `λ^{PrPl±}`, equation
    /// (26), which has log(2/α) because each of two sides takes α/2.
    Open,
    /// After so many values: `λ_t = √(2 log(1/α) / (n σ̂²_{t−1}))`, the paper's bets for a fixed n, tighter there.
    After(usize),
}

/// The variance so far, regularized as the paper's (26): `σ̂²_t = (1/4 + Σ_{i≤t} (X_i − μ̂_i)²) / (t + 1)` with
/// `μ̂_t = (1/2 + Σ_{i≤t} X_i) / (t + 1)`. Only what came before a value decides what is staked on it; any such rule is valid.
#[derive(Debug, Clone)]
pub(super) struct PlugIn {
    horizon: Horizon,
    /// log(1/α).
    log_target: f64,
    sum: f64,
    squares: f64,
    seen: usize,
}

impl PlugIn {
    pub(super) fn new(horizon: Horizon, log_target: f64) -> Self {
        Self { horizon, log_target, sum: 0.5, squares: 0.25, seen: 0 }
    }

    /// λ̇ of the next value, before it is cut for a candidate.
    pub(super) fn next(&self) -> f64 {
        let t = (self.seen + 1) as f64;
        let variance = self.squares / t;
        let spread = match self.horizon {
            Horizon::Open => t * (t + 1.0).ln(),
            Horizon::After(n) => n.max(1) as f64,
        };
        (2.0 * self.log_target / (variance * spread)).sqrt()
    }

    pub(super) fn add(&mut self, value: f64) {
        self.seen += 1;
        self.sum += value;
        let mean = self.sum / (self.seen + 1) as f64;
        self.squares += (value - mean) * (value - mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bets_are_those_of_the_definition() {
        let log_target = (2.0_f64 / 0.05).ln();
        for horizon in [Horizon::Open, Horizon::After(10)] {
            let mut plug_in = PlugIn::new(horizon, log_target);
            let values = [1.0, 0.0, 0.25, 1.0, 0.5];
            for t in 1..=values.len() {
                let before = &values[..t - 1];
                let mean = |n: usize| (0.5 + before[..n].iter().sum::<f64>()) / (n + 1) as f64;
                let squares: f64 = (1..t).map(|i| (before[i - 1] - mean(i)).powi(2)).sum();
                let variance = (0.25 + squares) / t as f64;
                let spread = match horizon {
                    Horizon::Open => t as f64 * ((t + 1) as f64).ln(),
                    Horizon::After(n) => n as f64,
                };
                let expected = (2.0 * log_target / (variance * spread)).sqrt();
                assert!((plug_in.next() - expected).abs() < 1e-12, "{t}: {} is not {expected}", plug_in.next());
                plug_in.add(values[t - 1]);
            }
        }
    }
}

//! What of the preferences no score of single responses can say: the Hodge decomposition of their log-odds.

use super::jackknife;
use super::prompt::AuditedPrompt;
use super::settings::Repeats;
use crate::ratio::Estimate;

/// Log-odds are taken where every probability is above this …
pub const CYCLIC_PROBABILITY_MIN: f64 = 0.01;
/// … and below this.
pub const CYCLIC_PROBABILITY_MAX: f64 = 0.99;

/// A square this small beside the whole comes of rounding.
const ROUNDING: f64 = 1e-20;

/// The share of the symmetrized log-odds' square that goes around.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CyclicPart {
    /// As the mean of the draws has it, noise included.
    pub share: f64,
    /// What of `share` the judge's own noise gives; `None` where no pair was drawn twice.
    pub of_noise: Option<f64>,
    /// (n − 2)/n on n responses: of log-odds that have nothing to do with each other.
    pub of_a_coin: f64,
    /// The share without the noise, in what goes around and in the whole; `None` where the noise is not known.
    pub without_noise: Option<Estimate>,
    /// Prompts whose responses were all compared, three or more.
    pub prompts: usize,
}

/// Squares of one prompt.
#[derive(Debug, Clone, Copy)]
struct Squares {
    cyclic: f64,
    whole: f64,
    /// Expected of noise alone.
    cyclic_noise: f64,
    whole_noise: f64,
    /// Dimensions.
    cyclic_dimensions: f64,
    whole_dimensions: f64,
}

impl CyclicPart {
    /// Whether there is more than noise explains; `None` where that is not known.
    #[must_use]
    pub fn is_cyclic(&self) -> Option<bool> {
        Some(self.without_noise?.interval?.low > 0.0)
    }

    /// `None` without three responses that were all compared, and where a probability is too near to 0 or 1.
    pub(super) fn of(prompts: &[AuditedPrompt], repeats: Repeats) -> Option<Self> {
        let complete: Vec<&AuditedPrompt> = prompts.iter().filter(|prompt| prompt.is_complete()).collect();
        let mut verdicts =
            complete.iter().flat_map(|prompt| prompt.pairs()).flat_map(|pair| pair.draws.iter().flatten());
        if !verdicts.all(|p| (CYCLIC_PROBABILITY_MIN..=CYCLIC_PROBABILITY_MAX).contains(p)) {
            return None;
        }
        let squares: Vec<Squares> = complete.iter().map(|prompt| Squares::of(prompt)).collect();
        let sum = |of: fn(&Squares) -> f64| squares.iter().map(of).sum::<f64>();
        let whole = sum(|one| one.whole);
        if whole <= 0.0 {
            return None;
        }
        let is_known = repeats == Repeats::Steady || complete.iter().all(|prompt| prompt.common_draws() > 1);
        let without_noise = || {
            let clusters: Vec<[f64; 2]> =
                squares.iter().map(|one| [one.cyclic - one.cyclic_noise, one.whole - one.whole_noise]).collect();
            jackknife::of(&clusters, |[cyclic, whole]| if whole > 0.0 { cyclic / whole } else { f64::NAN })
        };
        Some(Self {
            share: sum(|one| one.cyclic) / whole,
            of_noise: is_known.then(|| sum(|one| one.cyclic_noise) / whole),
            of_a_coin: sum(|one| one.cyclic_dimensions) / sum(|one| one.whole_dimensions),
            without_noise: if is_known { without_noise() } else { None },
            prompts: complete.len(),
        })
    }
}

impl Squares {
    fn of(prompt: &AuditedPrompt) -> Self {
        let draws = prompt.common_draws();
        let log_odds = |draw: usize| -> Vec<f64> {
            let of = |[there, back]: [f64; 2]| (logit(there) - logit(back)) / 2.0;
            prompt.pairs().iter().map(|pair| of(pair.draws[draw])).collect()
        };
        let each: Vec<Vec<f64>> = (0..draws).map(log_odds).collect();
        let mean = mean_of(&each);
        let (whole, cyclic) = (square(&mean), square(&cyclic_of(prompt, &mean)));
        let (mut whole_noise, mut cyclic_noise) = (0.0, 0.0);
        for one in each.iter().filter(|_| draws > 1) {
            let deviation: Vec<f64> = one.iter().zip(&mean).map(|(one, mean)| one - mean).collect();
            let share = 1.0 / (draws * (draws - 1)) as f64;
            whole_noise += share * square(&deviation);
            cyclic_noise += share * square(&cyclic_of(prompt, &deviation));
        }
        let negligible = |part: f64| if part <= ROUNDING * whole { 0.0 } else { part };
        let many = prompt.responses() as f64;
        Self {
            cyclic: negligible(cyclic),
            whole,
            cyclic_noise: negligible(cyclic_noise),
            whole_noise: negligible(whole_noise),
            cyclic_dimensions: (many - 1.0) * (many - 2.0) / 2.0,
            whole_dimensions: many * (many - 1.0) / 2.0,
        }
    }
}

/// What is left of the log-odds without the potential that fits them best: on a complete comparison a response's mean.
fn cyclic_of(prompt: &AuditedPrompt, log_odds: &[f64]) -> Vec<f64> {
    let many = prompt.responses();
    let mut potential = vec![0.0; many];
    for (pair, value) in prompt.pairs().iter().zip(log_odds) {
        potential[pair.first] += value / many as f64;
        potential[pair.second] -= value / many as f64;
    }
    let pairs = prompt.pairs().iter().zip(log_odds);
    pairs.map(|(pair, value)| value - (potential[pair.first] - potential[pair.second])).collect()
}

fn mean_of(each: &[Vec<f64>]) -> Vec<f64> {
    let many = each.len() as f64;
    let width = each.first().map_or(0, Vec::len);
    (0..width).map(|place| each.iter().map(|one| one[place]).sum::<f64>() / many).collect()
}

fn square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

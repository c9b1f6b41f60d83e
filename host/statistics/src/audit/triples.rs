//! Triples of responses that go around: each preferred to the next.

use super::prompt::{AuditedPair, AuditedPrompt};
use super::settings::{AuditSettings, Repeats};
use crate::ratio::{Estimate, ratio_of_sums};
use slhf_random::SplitMix64;

/// The share of triples that go around.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triples {
    /// Triples of responses with all three verdicts.
    pub total: usize,
    /// Those in which each is preferred to the next by the mean verdict; a tie makes none.
    pub intransitive: usize,
    /// Of all.
    pub share: Estimate,
    /// The share that the judge's own noise would give without any cycle behind it; `None` where no pair was drawn twice.
    pub of_noise: Option<f64>,
}

/// What a fair coin gives: two of the eight ways to decide a triple go around.
const OF_A_COIN: f64 = 0.25;

impl Triples {
    /// What a fair coin gives.
    #[must_use]
    pub fn of_a_coin(&self) -> f64 {
        OF_A_COIN
    }

    /// Whether the judge goes around more often than its noise explains; `None` where that is not known.
    #[must_use]
    pub fn is_cyclic(&self) -> Option<bool> {
        let (of_noise, interval) = (self.of_noise?, self.share.interval?);
        Some(interval.low > of_noise)
    }

    /// `None` without a triple.
    pub(super) fn of(prompts: &[AuditedPrompt], settings: AuditSettings) -> Option<Self> {
        let triples: Vec<Prompt<'_>> = prompts.iter().filter_map(Prompt::of).collect();
        let counted = triples.iter().map(|prompt| {
            let margins: Vec<f64> = prompt.prompt.pairs().iter().map(AuditedPair::margin).collect();
            (prompt.intransitive(&margins) as f64, prompt.triples.len() as f64)
        });
        let counted: Vec<(f64, f64)> = counted.collect();
        let sum = |of: fn(&(f64, f64)) -> f64| counted.iter().map(of).sum::<f64>() as usize;
        Some(Self {
            share: ratio_of_sums(&counted)?,
            total: sum(|counted| counted.1),
            intransitive: sum(|counted| counted.0),
            of_noise: of_noise(&triples, settings),
        })
    }
}

/// A prompt with its triples: of each, the pairs a–b, b–c, c–a, with the way round in which they stand.
struct Prompt<'a> {
    prompt: &'a AuditedPrompt,
    triples: Vec<[(usize, f64); 3]>,
}

impl<'a> Prompt<'a> {
    fn of(prompt: &'a AuditedPrompt) -> Option<Self> {
        let many = prompt.responses();
        let mut triples = Vec::new();
        for a in 0..many {
            for b in a + 1..many {
                for c in b + 1..many {
                    let pairs = [prompt.place(a, b), prompt.place(b, c), prompt.place(c, a)];
                    if let [Some(ab), Some(bc), Some(ca)] = pairs {
                        triples.push([ab, bc, ca]);
                    }
                }
            }
        }
        (!triples.is_empty()).then_some(Self { prompt, triples })
    }

    fn intransitive(&self, margins: &[f64]) -> usize {
        let goes_around = |triple: &&[(usize, f64); 3]| {
            let margins = triple.map(|(place, way)| margins[place] * way);
            margins.iter().all(|margin| *margin > 0.0) || margins.iter().all(|margin| *margin < 0.0)
        };
        self.triples.iter().filter(goes_around).count()
    }

    /// Of each pair what scores of single responses say of it: the mean margin of each response over its pairs, as the least
    /// squares of a complete comparison have it.
    fn by_scores(&self, margins: &[f64]) -> Vec<f64> {
        let many = self.prompt.responses();
        let mut scores = vec![0.0; many];
        for (pair, margin) in self.prompt.pairs().iter().zip(margins) {
            scores[pair.first] += margin / many as f64;
            scores[pair.second] -= margin / many as f64;
        }
        self.prompt.pairs().iter().map(|pair| scores[pair.first] - scores[pair.second]).collect()
    }
}

/// The share of a judge without cycles that is as noisy as this one: margins by scores, shrunk by what of their spread is noise
/// (which would make the scores look surer than they are), with the judge's own deviations between draws drawn anew.
fn of_noise(prompts: &[Prompt<'_>], settings: AuditSettings) -> Option<f64> {
    if settings.repeats == Repeats::Steady {
        return Some(0.0);
    }
    let deviations = deviations(prompts);
    if deviations.is_empty() {
        return None;
    }
    if deviations.iter().all(|deviation| deviation.abs() <= 1e-12) {
        return Some(0.0);
    }
    let shrink = reliability(prompts).sqrt();
    let mut generator = SplitMix64::new(settings.seed);
    let total: usize = prompts.iter().map(|prompt| prompt.triples.len()).sum();
    let mut intransitive = 0;
    for prompt in prompts {
        let margins: Vec<f64> = prompt.prompt.pairs().iter().map(AuditedPair::margin).collect();
        let centers = prompt.by_scores(&margins);
        let mut drawn = vec![0.0; centers.len()];
        for _ in 0..settings.simulations {
            for ((margin, center), pair) in drawn.iter_mut().zip(&centers).zip(prompt.prompt.pairs()) {
                let many = pair.draws.len();
                let noise: f64 = (0..many).map(|_| deviations[generator.below(deviations.len())]).sum();
                *margin = shrink * center + noise / many as f64;
            }
            intransitive += prompt.intransitive(&drawn);
        }
    }
    let all = total as f64 * f64::from(settings.simulations.max(1));
    Some(intransitive as f64 / all)
}

/// Of each draw's margin from the mean of its pair, at the size that single draws have.
fn deviations(prompts: &[Prompt<'_>]) -> Vec<f64> {
    let mut deviations = Vec::new();
    for pair in prompts.iter().flat_map(|prompt| prompt.prompt.pairs()).filter(|pair| pair.draws.len() > 1) {
        let many = pair.draws.len() as f64;
        let (mean, stretch) = (pair.margin(), (many / (many - 1.0)).sqrt());
        deviations.extend(pair.margins().map(|margin| stretch * (margin - mean)));
    }
    deviations
}

/// The share of the scores' spread that is not noise, 0 to 1: what two draws have in common of it, over all.
fn reliability(prompts: &[Prompt<'_>]) -> f64 {
    let (mut common, mut all) = (0.0, 0.0);
    for prompt in prompts {
        let many = prompt.prompt.common_draws();
        if many < 2 {
            continue;
        }
        let of_draw = |draw: usize| -> Vec<f64> {
            prompt.prompt.pairs().iter().filter_map(|pair| pair.margins().nth(draw)).collect()
        };
        let fits: Vec<Vec<f64>> = (0..many).map(|draw| prompt.by_scores(&of_draw(draw))).collect();
        let mean = |place: usize| fits.iter().map(|fit| fit[place]).sum::<f64>() / many as f64;
        for place in 0..prompt.prompt.pairs().len() {
            let square = mean(place).powi(2);
            let noise: f64 = fits.iter().map(|fit| (fit[place] - mean(place)).powi(2)).sum();
            all += square;
            common += square - noise / ((many - 1) * many) as f64;
        }
    }
    if all > 0.0 { (common / all).clamp(0.0, 1.0) } else { 0.0 }
}

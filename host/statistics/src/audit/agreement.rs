//! The judge against labels: agreement and calibration.

use std::cmp::Ordering;

use super::jackknife;
use super::prompt::{AuditedPair, AuditedPrompt, snapped};
use super::settings::AuditSettings;
use crate::bootstrap::quantile;
use crate::ratio::{Estimate, ratio_of_sums};
use slhf_random::SplitMix64;

/// Bins of the confidence, from ½ to 1.
const BINS: usize = 10;

/// How far the judge says what labels say.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Pairs with a label.
    pub labeled: usize,
    /// Those whose label is a tie: they count in κ and in the calibration alone.
    pub tied_labels: usize,
    /// Share of pairs on which the judge prefers what the label prefers; its ties count ½. `None` where all labels are ties.
    pub accuracy: Option<Estimate>,
    /// Cohen's κ of three verdicts (this one, the other one, a tie), each pair taken both ways round, since it has no direction.
    /// `None` where one of the two says nothing but ties: there is nothing to agree on.
    pub kappa: Option<Estimate>,
    /// Whether probabilities are what they say.
    pub calibration: Calibration,
}

/// The expected calibration error with its reliability table.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Mean distance of confidence and accuracy over bins, by their pairs.
    pub error: f64,
    /// What it would be on average if every probability were right: labels drawn by them.
    pub error_if_calibrated: f64,
    /// 95 % of those are below.
    pub error_if_calibrated_95: f64,
    /// Bins with a pair.
    pub bins: Vec<ReliabilityBin>,
}

/// Pairs of about the same confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Lower end of the confidence.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Pairs in it.
    pub pairs: usize,
    /// Mean probability of the response that the judge prefers.
    pub confidence: f64,
    /// Share of the labels that agree.
    pub accuracy: f64,
}

/// What two judges said of one pair of responses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoVerdicts {
    /// p(first ≻ second) of the judge in question, 0 to 1.
    pub probability: f64,
    /// Of the judge, person or record that it is compared with; ½ is a tie.
    pub label: f64,
}

impl TwoVerdicts {
    /// Whether both prefer one response, and not the same.
    #[must_use]
    pub fn is_flip(self) -> bool {
        let Labeled { margin, label } = self.labeled();
        sign(margin) * sign(label) < 0
    }

    fn labeled(self) -> Labeled {
        Labeled { margin: snapped(self.probability - 0.5), label: snapped(self.label - 0.5) }
    }
}

/// One labeled pair.
#[derive(Clone, Copy)]
struct Labeled {
    margin: f64,
    /// Above 0 where the label prefers the first, too.
    label: f64,
}

impl Labeled {
    fn of(pair: &AuditedPair) -> Option<Self> {
        pair.label.map(|label| Self { margin: pair.margin(), label: label - 0.5 })
    }

    /// 1 agrees, ½ the judge has no opinion; `None` where the label has none.
    fn agrees(self) -> Option<f64> {
        (self.label != 0.0).then(|| match (self.margin * self.label).partial_cmp(&0.0) {
            Some(Ordering::Greater) => 1.0,
            Some(Ordering::Less) => 0.0,
            _ => 0.5,
        })
    }

    fn same_verdict(self) -> bool {
        sign(self.margin) == sign(self.label)
    }

    /// Probability of what the judge prefers, and of the label that this is right.
    fn confidence(self) -> (f64, f64) {
        let way = if self.margin < 0.0 { -1.0 } else { 1.0 };
        let right = if self.margin == 0.0 { 0.5 } else { 0.5 + way * self.label };
        (0.5 + self.margin.abs(), right)
    }
}

/// −1, 0 or 1.
fn sign(value: f64) -> i8 {
    i8::from(value > 0.0) - i8::from(value < 0.0)
}

impl Agreement {
    /// `None` without a label.
    pub(super) fn of(prompts: &[AuditedPrompt], settings: AuditSettings) -> Option<Self> {
        let each = prompts.iter().map(|prompt| prompt.pairs().iter().filter_map(Labeled::of).collect());
        Self::of_labeled(each, settings)
    }

    /// Of pairs by prompt, each with what two judges said: the prompts are the sample, since pairs of one prompt share responses.
    /// `None` without a pair. Probabilities are numbers from 0 to 1.
    #[must_use]
    pub fn between(prompts: &[Vec<TwoVerdicts>], settings: AuditSettings) -> Option<Self> {
        let each = prompts.iter().map(|pairs| pairs.iter().map(|pair| pair.labeled()).collect());
        Self::of_labeled(each, settings)
    }

    fn of_labeled(prompts: impl Iterator<Item = Vec<Labeled>>, settings: AuditSettings) -> Option<Self> {
        let each: Vec<Vec<Labeled>> = prompts.filter(|pairs| !pairs.is_empty()).collect();
        let all: Vec<Labeled> = each.iter().flatten().copied().collect();
        if all.is_empty() {
            return None;
        }
        let clusters = each.iter().map(|pairs| {
            let decided: Vec<f64> = pairs.iter().filter_map(|pair| pair.agrees()).collect();
            (decided.iter().sum(), decided.len() as f64)
        });
        let clusters: Vec<(f64, f64)> = clusters.filter(|(_, decided)| *decided > 0.0).collect();
        Some(Self {
            labeled: all.len(),
            tied_labels: all.iter().filter(|pair| pair.label == 0.0).count(),
            accuracy: ratio_of_sums(&clusters),
            kappa: kappa(&each),
            calibration: Calibration::of(&all, settings),
        })
    }
}

/// Both ways round the two who decide prefer either side half of the time, so that chance is `(1 − t)(1 − u)/2 + t u` with their ties t, u.
fn kappa(each: &[Vec<Labeled>]) -> Option<Estimate> {
    let count = |pairs: &[Labeled], of: fn(&Labeled) -> bool| pairs.iter().filter(|pair| of(pair)).count() as f64;
    let sums = |pairs: &Vec<Labeled>| {
        [
            count(pairs, |pair| pair.same_verdict()),
            count(pairs, |pair| pair.margin == 0.0),
            count(pairs, |pair| pair.label == 0.0),
            pairs.len() as f64,
        ]
    };
    let clusters: Vec<[f64; 4]> = each.iter().map(sums).collect();
    let says_nothing = |place: usize| clusters.iter().all(|sums| sums[place] == sums[3]);
    if says_nothing(1) || says_nothing(2) {
        return None;
    }
    jackknife::of(&clusters, |[same, judge_ties, label_ties, pairs]| {
        let (t, u) = (judge_ties / pairs, label_ties / pairs);
        let chance = (1.0 - t) * (1.0 - u) / 2.0 + t * u;
        (same / pairs - chance) / (1.0 - chance)
    })
}

impl Calibration {
    fn of(pairs: &[Labeled], settings: AuditSettings) -> Self {
        let said: Vec<(f64, f64)> = pairs.iter().map(|pair| pair.confidence()).collect();
        let bins = bins(&said);
        let mut generator = SplitMix64::new(settings.seed);
        let simulated = (0..settings.simulations.max(1)).map(|_| {
            let drawn = said.iter().map(|(confidence, _)| (*confidence, f64::from(generator.uniform() < *confidence)));
            error(&self::bins(&drawn.collect::<Vec<_>>()))
        });
        let mut simulated: Vec<f64> = simulated.collect();
        simulated.sort_by(f64::total_cmp);
        Self {
            error: error(&bins),
            error_if_calibrated: crate::sample::mean(&simulated),
            error_if_calibrated_95: quantile(&simulated, 0.95),
            bins,
        }
    }

    /// Whether the error is larger than chance explains.
    #[must_use]
    pub fn is_miscalibrated(&self) -> bool {
        self.error > self.error_if_calibrated_95
    }
}

fn bins(said: &[(f64, f64)]) -> Vec<ReliabilityBin> {
    let width = 0.5 / BINS as f64;
    let mut sums = [(0_usize, 0.0, 0.0); BINS];
    for (confidence, right) in said {
        // Rounding must not put a confidence on an edge into the bin below.
        let place = (((confidence - 0.5) / width + 1e-9) as usize).min(BINS - 1);
        let sum = &mut sums[place];
        *sum = (sum.0 + 1, sum.1 + confidence, sum.2 + right);
    }
    let known = sums.into_iter().enumerate().filter(|(_, (pairs, ..))| *pairs > 0);
    known
        .map(|(place, (pairs, confidence, right))| ReliabilityBin {
            low: 0.5 + place as f64 * width,
            high: 0.5 + (place + 1) as f64 * width,
            pairs,
            confidence: confidence / pairs as f64,
            accuracy: right / pairs as f64,
        })
        .collect()
}

fn error(bins: &[ReliabilityBin]) -> f64 {
    let pairs: usize = bins.iter().map(|bin| bin.pairs).sum();
    bins.iter().map(|bin| bin.pairs as f64 * (bin.confidence - bin.accuracy).abs()).sum::<f64>() / pairs as f64
}

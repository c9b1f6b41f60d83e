//! A model on held-out pairs: agreement, calibration, what its values are, beside what lengths alone say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use slhf_plan::{AttributeLoss, EvaluationName, EvaluationRow, RewardHeadPlan, RewardModelFigure};

use super::baseline::{LengthOnly, difference};
use super::loss::{RewardLoss, sigmoid, softplus};
use super::pairs::{PairTarget, TrainedPair, ValueModel};
use crate::Cause;
use crate::clusters::{mean, share};

/// Bins of the confidence, from ½ to 1.
const BINS: usize = 10;
/// Parts of the held-out pairs by how far their lengths are apart.
const LENGTH_PARTS: usize = 3;

/// Whom figures are of that are of no single attribute.
const SUBJECT: &str = "held-out pairs";
/// Who says which response is better by its length.
const LENGTH_ONLY: &str = "length only";
/// Who tosses a coin.
const RANDOM: &str = "random";

/// The values of both responses of a pair.
type BothValues = [Arc<[f64]>; 2];

/// What is evaluated, and how its rows are named.
pub(super) struct Evaluation<'a> {
    pub(super) run: i64,
    pub(super) step: u64,
    pub(super) head: &'a RewardHeadPlan,
    pub(super) training: &'a [TrainedPair],
    pub(super) held_out: &'a [TrainedPair],
    /// See the state of the loop.
    pub(super) start_means: &'a [f64],
}

/// What was found.
pub(super) struct Evaluated {
    pub(super) rows: Vec<EvaluationRow>,
    /// Mean values of held-out responses, one a label.
    pub(super) means: Vec<f64>,
    pub(super) tokens: u64,
}

/// A pair of one attribute, or of the one preference there is.
#[derive(Clone, Copy)]
struct Judged<'a> {
    pair: &'a TrainedPair,
    logit: f64,
    label: f64,
}

impl Judged<'_> {
    /// 1 where `prefers` is on the label's side, ½ where it is on none; `None` where the label is on none.
    fn agrees(self, prefers: f64) -> Option<f64> {
        let side = self.label - 0.5;
        (side != 0.0).then(|| match (prefers * side).partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Less) => 0.0,
            _ => 0.5,
        })
    }
}

impl Evaluation<'_> {
    pub(super) fn of(&self, model: &mut dyn ValueModel) -> Result<Evaluated, Cause> {
        let (values, tokens) = self.values(model)?;
        let loss = RewardLoss::of(self.head);
        let mut rows = Vec::new();
        let logits: Vec<Vec<Option<(f64, f64)>>> = self
            .held_out
            .iter()
            .zip(&values)
            .map(|(pair, [first, second])| loss.logits([first, second], &pair.target))
            .collect();
        for (place, subject) in self.subjects().iter().enumerate() {
            let judged = self.held_out.iter().zip(&logits).filter_map(|(pair, logits)| {
                let (logit, label) = logits[place]?;
                Some(Judged { pair, logit, label })
            });
            let judged: Vec<Judged<'_>> = judged.collect();
            self.agreement(subject, place, &judged, &mut rows);
            if self.is_probability() {
                self.probabilities(subject, &judged, &mut rows);
            } else {
                self.squares(subject, place, &values, &mut rows);
            }
        }
        let means = self.means(&values, &mut rows);
        Ok(Evaluated { rows, means, tokens })
    }

    /// Each different text is read once.
    fn values(&self, model: &mut dyn ValueModel) -> Result<(Vec<BothValues>, u64), Cause> {
        let mut known: HashMap<Arc<[u32]>, Arc<[f64]>> = HashMap::new();
        let mut tokens = 0;
        let mut values = Vec::with_capacity(self.held_out.len());
        for pair in self.held_out {
            let mut both = Vec::with_capacity(2);
            for text in &pair.texts {
                if let Some(found) = known.get(text) {
                    both.push(Arc::clone(found));
                } else {
                    tokens += text.len() as u64;
                    let found: Arc<[f64]> = model.values(text)?.into();
                    known.insert(Arc::clone(text), Arc::clone(&found));
                    both.push(found);
                }
            }
            if let Ok(both) = BothValues::try_from(both) {
                values.push(both);
            }
        }
        Ok((values, tokens))
    }

    fn subjects(&self) -> Vec<String> {
        match self.head {
            RewardHeadPlan::Attributes { labels, .. } => labels.clone(),
            _ => vec![SUBJECT.to_owned()],
        }
    }

    /// Of whom a figure is, of an attribute or of a part of the pairs.
    fn within(&self, subject: &str, part: &str) -> String {
        match self.head {
            RewardHeadPlan::Attributes { .. } => format!("{subject}, {part}"),
            _ => part.to_owned(),
        }
    }

    /// Whether differences of values are logits.
    fn is_probability(&self) -> bool {
        !matches!(self.head, RewardHeadPlan::Attributes { loss: AttributeLoss::Regression, .. })
    }

    fn label(&self, place: usize) -> impl Fn(&PairTarget) -> Option<f64> + use<'_> {
        let is_attribute = matches!(self.head, RewardHeadPlan::Attributes { .. });
        move |target: &PairTarget| {
            if is_attribute {
                target.ratings[place].map(|rating| rating.first_is_better)
            } else {
                target.first_is_better
            }
        }
    }

    fn agreement(&self, subject: &str, place: usize, judged: &[Judged<'_>], rows: &mut Vec<EvaluationRow>) {
        let length = LengthOnly::of(self.training, self.label(place));
        let figure = RewardModelFigure::Accuracy;
        let of_model =
            |pairs: &[Judged<'_>]| clusters(pairs, |judged| judged.agrees(judged.logit).map(|agrees| (agrees, 1.0)));
        let of_length = |pairs: &[Judged<'_>]| {
            clusters(pairs, |judged| judged.agrees(length.prefers(judged.pair)).map(|agrees| (agrees, 1.0)))
        };
        self.push(figure, subject, &of_model(judged), rows);
        self.push(figure, &self.within(subject, LENGTH_ONLY), &of_length(judged), rows);
        let decided = judged.iter().filter(|judged| judged.label != 0.5).count() as u64;
        if decided > 0 {
            rows.push(self.row(figure, &self.within(subject, RANDOM), (0.5, None, decided)));
        }
        for (part, pairs) in by_length(judged) {
            self.push(figure, &self.within(subject, &part), &of_model(&pairs), rows);
            self.push(figure, &self.within(subject, &format!("{LENGTH_ONLY}, {part}")), &of_length(&pairs), rows);
        }
    }

    /// Log loss and calibration.
    fn probabilities(&self, subject: &str, judged: &[Judged<'_>], rows: &mut Vec<EvaluationRow>) {
        let loss = clusters(judged, |&Judged { logit, label, .. }| {
            Some((label * softplus(-logit) + (1.0 - label) * softplus(logit), 1.0))
        });
        self.push(RewardModelFigure::LogLoss, subject, &loss, rows);
        let mut bins = vec![(0.0, 0.0, 0_u64); BINS];
        for judged in judged {
            let confidence = sigmoid(judged.logit.abs());
            let right = if judged.logit < 0.0 { 1.0 - judged.label } else { judged.label };
            let bin = &mut bins[(((confidence - 0.5) * 2.0 * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + confidence, bin.1 + right, bin.2 + 1);
        }
        let all = judged.len().max(1) as f64;
        let error: f64 = bins.iter().map(|(confidence, right, _)| (confidence - right).abs()).sum::<f64>() / all;
        if !judged.is_empty() {
            rows.push(self.row(RewardModelFigure::CalibrationError, subject, (error, None, judged.len() as u64)));
        }
        for (index, (confidence, right, many)) in bins.into_iter().enumerate().filter(|(_, bin)| bin.2 > 0) {
            let ends = [index, index + 1].map(|at| 0.5 + 0.5 * at as f64 / BINS as f64);
            let part = self.within(subject, &format!("confidence {:.2} to {:.2}", ends[0], ends[1]));
            let mean = |sum: f64| (sum / many as f64, None, many);
            rows.push(self.row(RewardModelFigure::Confidence, &part, mean(confidence)));
            rows.push(self.row(RewardModelFigure::Reliability, &part, mean(right)));
        }
    }

    /// How far values are from ratings.
    fn squares(&self, subject: &str, place: usize, values: &[BothValues], rows: &mut Vec<EvaluationRow>) {
        let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for (pair, values) in self.held_out.iter().zip(values) {
            let Some(rating) = pair.target.ratings[place] else { continue };
            let sum = sums.entry(pair.prompt).or_default();
            for (value, given) in values.iter().zip(rating.values) {
                *sum = (sum.0 + (value[place] - given).powi(2), sum.1 + 1.0);
            }
        }
        self.push(RewardModelFigure::SquaredError, subject, &sums.into_values().collect::<Vec<_>>(), rows);
    }

    fn means(&self, values: &[BothValues], rows: &mut Vec<EvaluationRow>) -> Vec<f64> {
        let labels = self.head.labels();
        let mut means = Vec::with_capacity(labels.len());
        for (place, label) in labels.iter().enumerate() {
            let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
            for (pair, values) in self.held_out.iter().zip(values) {
                let sum = sums.entry(pair.prompt).or_default();
                *sum = (sum.0 + values[0][place] + values[1][place], sum.1 + 2.0);
            }
            let clusters: Vec<(f64, f64)> = sums.into_values().collect();
            let all: (f64, f64) = clusters.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            if all.1 == 0.0 {
                continue;
            }
            let mean = all.0 / all.1;
            self.push(RewardModelFigure::Mean, label, &clusters, rows);
            let start = self.start_means.get(place).copied().unwrap_or(mean);
            rows.push(self.row(RewardModelFigure::Drift, label, (mean - start, None, all.1 as u64)));
            means.push(mean);
        }
        means
    }

    /// A ratio of sums over prompts, with its interval; nothing where there are none.
    fn push(&self, figure: RewardModelFigure, subject: &str, clusters: &[(f64, f64)], rows: &mut Vec<EvaluationRow>) {
        let is_share = EvaluationName::RewardModel(figure).is_share();
        let Some((value, interval)) = (if is_share { share(clusters) } else { mean(clusters) }) else { return };
        let many = clusters.iter().map(|(_, many)| many).sum::<f64>() as u64;
        rows.push(self.row(figure, subject, (value, interval, many)));
    }

    fn row(
        &self,
        figure: RewardModelFigure,
        subject: &str,
        (value, interval, n): (f64, Option<(f64, f64)>, u64),
    ) -> EvaluationRow {
        let name = EvaluationName::RewardModel(figure);
        EvaluationRow { run: self.run, step: self.step, name, subject: subject.to_owned(), value, interval, n }
    }
}

/// Sums over the pairs of each prompt, which are no independent observations.
fn clusters(judged: &[Judged<'_>], of: impl Fn(&Judged<'_>) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for one in judged {
        if let Some((value, many)) = of(one) {
            let sum = sums.entry(one.pair.prompt).or_default();
            *sum = (sum.0 + value, sum.1 + many);
        }
    }
    sums.into_values().collect()
}

/// Parts of the pairs by the difference of their lengths, and by which of the two is the better one.
fn by_length<'a>(judged: &[Judged<'a>]) -> Vec<(String, Vec<Judged<'a>>)> {
    let distance = |judged: &Judged<'_>| difference(judged.pair).unsigned_abs();
    let mut distances: Vec<u32> = judged.iter().map(distance).collect();
    distances.sort_unstable();
    let (Some(least), Some(most)) = (distances.first(), distances.last()) else { return Vec::new() };
    let mut ends: Vec<u32> = (1..LENGTH_PARTS).map(|part| distances[part * distances.len() / LENGTH_PARTS]).collect();
    ends.push(most.saturating_add(1));
    ends.dedup();
    let mut parts = Vec::new();
    let mut low = *least;
    for end in ends.into_iter().filter(|end| end > least) {
        let pairs: Vec<Judged<'a>> =
            judged.iter().copied().filter(|judged| (low..end).contains(&distance(judged))).collect();
        parts.push((format!("{low} to {} characters apart", end - 1), pairs));
        low = end;
    }
    let side = |wanted: f64| {
        let is_of = |judged: &&Judged<'_>| f64::from(difference(judged.pair)) * (judged.label - 0.5) * wanted > 0.0;
        judged.iter().filter(is_of).copied().collect()
    };
    parts.push(("the better one is longer".to_owned(), side(1.0)));
    parts.push(("the better one is shorter".to_owned(), side(-1.0)));
    parts
}

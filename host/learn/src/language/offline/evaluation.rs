//! How well the policy tells the better response of held-out pairs: scored without gradients, as means with intervals over prompts.
//!
//! Names are those of the steps' metrics, under the subject `held-out pairs`.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, EvaluationRow, MetricKey};

use super::loss::PreferenceLoss;
use super::pairs::LabeledPair;
use super::step::{Decided, Row, batches, of_pair};
use crate::clusters::{Located, mean, share};
use crate::language::divergence::check_scores;
use crate::language::failure::StepError;
use crate::language::group::fault;
use crate::language::traits::{Answer, ExactKl, LanguagePolicies, Pair, Prompt};

/// Whom figures of pairs are of.
const SUBJECT: &str = "held-out pairs";
/// Whom the divergence is of.
const LEADER: &str = "leader";

/// An evaluation on held-out pairs.
pub(crate) struct OfflineEvaluation<'a> {
    pub(crate) run: i64,
    pub(crate) step: u64,
    pub(crate) loss: &'a dyn PreferenceLoss,
    /// Responses that are read at once.
    pub(crate) batch_size: usize,
}

/// Sums over the pairs of a prompt, and what they are divided by.
type Clusters = BTreeMap<u32, (f64, f64)>;

/// Figures by their name.
#[derive(Default)]
struct Figures(Vec<(MetricKey, Clusters)>);

impl Figures {
    fn add(&mut self, key: MetricKey, prompt: u32, (sum, count): (f64, f64)) {
        let place = self.0.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.0.push((key, Clusters::new()));
            self.0.len() - 1
        });
        let cluster = self.0[place].1.entry(prompt).or_default();
        *cluster = (cluster.0 + sum, cluster.1 + count);
    }
}

impl OfflineEvaluation<'_> {
    /// The rows, and how many tokens were read.
    pub(crate) fn rows(
        &self,
        policies: &mut dyn LanguagePolicies,
        pairs: &[&LabeledPair],
    ) -> Result<(Vec<EvaluationRow>, u64), StepError> {
        let rows: Vec<Row<'_>> = pairs.iter().map(|pair| Row::read_whole(pair, self.loss)).collect();
        let (mut figures, mut tokens) = (Figures::default(), 0);
        for batch in batches(&rows, self.batch_size) {
            let responses: Vec<Pair<'_>> = batch.iter().flat_map(Row::responses).collect();
            let scored = policies.score(&responses, ExactKl::LeftOut);
            let (scores, passed) =
                scored.map_err(|source| StepError::Policies { doing: "scoring held-out pairs", source })?;
            if scores.len() != responses.len() {
                let (found, expected) = (scores.len(), responses.len());
                return Err(StepError::Count { what: "scored responses", found, expected });
            }
            tokens += passed.tokens;
            let mut rest = scores.iter();
            for row in batch {
                let both = row.take(&mut rest)?;
                let prompt = row.pair.prompt.id;
                let loss = of_pair(row, both, self.loss)?.loss;
                figures.add(MetricKey::LossLeader, prompt, (loss, row.weight(self.loss)));
                if let Some(decided) = Decided::of(row, both, self.loss) {
                    Self::add(&mut figures, prompt, decided);
                }
            }
        }
        Ok((
            figures.0.into_iter().filter_map(|(key, clusters)| self.row(key, &clusters, pairs.len())).collect(),
            tokens,
        ))
    }

    /// The KL divergence from the reference, estimated on responses that the policy has sampled to prompts (k1: unbiased, and below 0 by chance), and
    /// the tokens that were read.
    pub(crate) fn divergence(
        &self,
        policies: &mut dyn LanguagePolicies,
        (prompts, sampled): (&[Prompt], &[Answer]),
    ) -> Result<(Option<EvaluationRow>, u64), StepError> {
        let given = prompts.iter().zip(sampled).map(|(prompt, leader)| Pair { prompt, leader, follower: None });
        let given: Vec<Pair<'_>> = given.collect();
        let (mut ratios, mut tokens) = (Vec::with_capacity(given.len()), 0);
        for batch in given.chunks(self.batch_size.max(1)) {
            let scored = policies.score(batch, ExactKl::LeftOut);
            let (scores, passed) =
                scored.map_err(|source| StepError::Policies { doing: "scoring held-out responses", source })?;
            if scores.len() != batch.len() {
                return Err(StepError::Count { what: "scored responses", found: scores.len(), expected: batch.len() });
            }
            tokens += passed.tokens;
            for (pair, scores) in batch.iter().zip(&scores) {
                let prompt = pair.prompt.id;
                check_scores(&scores.leader, pair.leader.tokens.len(), false)
                    .map_err(|source| StepError::Weigh { prompt, source: fault(source) })?;
                ratios.push((scores.leader.log_ratio(), 1.0));
            }
        }
        let many = ratios.len() as u64;
        let row = mean(&ratios).map(|located| self.named(MetricKey::ObjectiveKlLeader, LEADER, (located, many)));
        Ok((row, tokens))
    }

    fn add(figures: &mut Figures, prompt: u32, decided: Decided) {
        let Decided { rewards, logs, agrees } = decided;
        for (key, value) in [
            (MetricKey::RewardsAccuracies, agrees),
            (MetricKey::RewardsMargins, rewards[0] - rewards[1]),
            (MetricKey::RewardsChosen, rewards[0]),
            (MetricKey::RewardsRejected, rewards[1]),
            (MetricKey::LogpsChosen, logs[0]),
            (MetricKey::LogpsRejected, logs[1]),
        ] {
            figures.add(key, prompt, (value, 1.0));
        }
    }

    /// None where a value is not finite.
    fn row(&self, key: MetricKey, clusters: &Clusters, pairs: usize) -> Option<EvaluationRow> {
        let sums: Vec<(f64, f64)> = clusters.values().copied().collect();
        let (is_share, is_loss) = (key == MetricKey::RewardsAccuracies, key == MetricKey::LossLeader);
        let located = if is_share { share(&sums) } else { mean(&sums) }?;
        // A loss may be divided by tokens: it is of all pairs.
        let n = if is_loss { pairs as f64 } else { sums.iter().map(|(_, many)| many).sum() };
        Some(self.named(key, SUBJECT, (located, n as u64)))
    }

    fn named(&self, key: MetricKey, subject: &str, ((value, interval), n): (Located, u64)) -> EvaluationRow {
        EvaluationRow {
            run: self.run,
            step: self.step,
            name: EvaluationName::Other(key.name().to_owned()),
            subject: subject.to_owned(),
            value,
            interval,
            n,
        }
    }
}

//! One training step on pairs of a file: read, weigh, update.

use std::time::Instant;

use slhf_plan::{MetricKey, PairScores, PairWeights, Passed, TokenWeights};

use super::loss::{PreferenceLoss, WeighedResponses};
use super::pairs::LabeledPair;
use crate::Measurement;
use crate::language::divergence::{ScoreProblem, check_scores};
use crate::language::failure::StepError;
use crate::language::group::fault;
use crate::language::metrics::StepRecord;
use crate::language::playing::Moment;
use crate::language::step::StepParts;
use crate::language::traits::{LanguagePolicies, Pair, PassPlace};
use crate::schedule::Speeds;

/// A step on pairs.
pub(crate) struct OfflineStep<'a, 'b> {
    pub(crate) parts: &'a mut StepParts<'b>,
    pub(crate) loss: &'a dyn PreferenceLoss,
}

/// What a step leaves behind.
pub(crate) struct OfflineResult {
    pub(crate) record: StepRecord,
    pub(crate) speeds: Speeds,
    /// Of the policy before the update.
    pub(crate) found: Measurement,
}

/// A pair with what is known of it before it is read.
pub(super) struct Row<'a> {
    pub(super) pair: &'a LabeledPair,
    pub(super) label: f64,
    reads: [bool; 2],
}

impl<'a> Row<'a> {
    /// Of a step: what the loss learns from.
    pub(super) fn trained(pair: &'a LabeledPair, loss: &dyn PreferenceLoss) -> Self {
        let label = loss.label(pair.first_is_better);
        Self { pair, label, reads: loss.reads(label) }
    }

    /// Of an evaluation: both responses are read.
    pub(super) fn read_whole(pair: &'a LabeledPair, loss: &dyn PreferenceLoss) -> Self {
        Self { reads: [true; 2], ..Self::trained(pair, loss) }
    }

    fn count(&self) -> usize {
        self.reads.iter().filter(|reads| **reads).count()
    }

    pub(super) fn weight(&self, loss: &dyn PreferenceLoss) -> f64 {
        loss.weight(self.label, self.pair.responses.each_ref().map(|response| response.tokens.len()))
    }

    /// The responses that are read, as the policies know them.
    pub(super) fn responses(&self) -> impl Iterator<Item = Pair<'a>> {
        let pair = self.pair;
        let reads = self.reads;
        (0..2).filter(move |place| reads[*place]).map(move |place| Pair {
            prompt: &pair.prompt,
            leader: &pair.responses[place],
            follower: None,
        })
    }

    /// Their scores, taken from the front of those of a batch; refuses what is not one finite number a token.
    pub(super) fn take<'s>(
        &self,
        scores: &mut std::slice::Iter<'s, PairScores>,
    ) -> Result<[Option<&'s PairScores>; 2], StepError> {
        let mut both = [None; 2];
        for place in (0..2).filter(|place| self.reads[*place]) {
            let Some(found) = scores.next() else { continue };
            let tokens = self.pair.responses[place].tokens.len();
            let prompt = self.pair.prompt.id;
            check_scores(&found.leader, tokens, false)
                .map_err(|source| StepError::Weigh { prompt, source: fault(source) })?;
            both[place] = Some(found);
        }
        Ok(both)
    }
}

/// Rows in batches of at most so many responses; a pair is not divided.
pub(super) fn batches<'r, 'a>(rows: &'r [Row<'a>], most: usize) -> Vec<&'r [Row<'a>]> {
    let mut batches = Vec::new();
    let (mut start, mut count) = (0, 0);
    for (place, row) in rows.iter().enumerate() {
        if count > 0 && count + row.count() > most {
            batches.push(&rows[start..place]);
            (start, count) = (place, 0);
        }
        count += row.count();
    }
    batches.extend((start < rows.len()).then(|| &rows[start..]));
    batches
}

/// Sums over the pairs of a step, or of an evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PairSums {
    loss: f64,
    /// Pairs that have a better response, both of which were read.
    decided: f64,
    better: Side,
    other: Side,
    agreements: f64,
}

/// Sums over the better responses, or over the others.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    count: f64,
    reward: f64,
    log: f64,
}

/// What a pair with a better response is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    pub(super) rewards: [f64; 2],
    pub(super) logs: [f64; 2],
    /// 1 where the better response has the higher reward, ½ where both have the same.
    pub(super) agrees: f64,
}

impl Decided {
    /// The better one first; `None` for a tie, and where one of both was not read.
    pub(super) fn of(row: &Row<'_>, both: [Option<&PairScores>; 2], loss: &dyn PreferenceLoss) -> Option<Self> {
        let [Some(first), Some(second)] = both else { return None };
        let (better, other) = ordered(row.pair.first_is_better, [first, second])?;
        let rewards = [better, other].map(|scores| loss.reward(&scores.leader));
        let logs = [better, other].map(|scores| scores.leader.policy.iter().sum());
        let agrees = match rewards[0].total_cmp(&rewards[1]) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        Some(Self { rewards, logs, agrees })
    }
}

/// The better one first; `None` for a tie.
fn ordered<T>(first_is_better: f64, [first, second]: [T; 2]) -> Option<(T, T)> {
    match first_is_better.partial_cmp(&0.5)? {
        std::cmp::Ordering::Greater => Some((first, second)),
        std::cmp::Ordering::Less => Some((second, first)),
        std::cmp::Ordering::Equal => None,
    }
}

impl PairSums {
    fn add(&mut self, row: &Row<'_>, both: [Option<&PairScores>; 2], loss: &dyn PreferenceLoss, pair_loss: f64) {
        self.loss += pair_loss;
        if let Some((better, other)) = ordered(row.pair.first_is_better, both) {
            for (side, scores) in [(&mut self.better, better), (&mut self.other, other)] {
                let Some(scores) = scores else { continue };
                side.count += 1.0;
                side.reward += loss.reward(&scores.leader);
                side.log += scores.leader.policy.iter().sum::<f64>();
            }
        }
        if let Some(decided) = Decided::of(row, both, loss) {
            self.decided += 1.0;
            self.agreements += decided.agrees;
        }
    }

    fn measurement(&self, share: f64, loss: &dyn PreferenceLoss) -> Measurement {
        let per = |sum: f64, count: f64| if count == 0.0 { f64::NAN } else { sum / count };
        let (better, other) = (self.better, self.other);
        let chosen = (MetricKey::LogpsChosen, per(better.log, better.count));
        // Nothing is sampled: what is spent is what is trained.
        let mut rows = vec![(MetricKey::LossLeader, self.loss * share), chosen, (MetricKey::NumTokensGenerated, 0.0)];
        if loss.compares() {
            let [first, second] = [better, other].map(|side| per(side.reward, side.count));
            rows.extend([
                (MetricKey::LogpsRejected, per(other.log, other.count)),
                (MetricKey::RewardsChosen, first),
                (MetricKey::RewardsRejected, second),
                (MetricKey::RewardsMargins, first - second),
                (MetricKey::RewardsAccuracies, per(self.agreements, self.decided)),
            ]);
        }
        let (keys, values) = rows.into_iter().unzip();
        Measurement { keys, values }
    }
}

impl OfflineStep<'_, '_> {
    /// Takes the step after the loop's on `pairs`.
    pub(crate) fn take(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        pairs: &[&LabeledPair],
    ) -> Result<OfflineResult, StepError> {
        let started = Instant::now();
        let step = self.parts.state.step + 1;
        let speeds = self.parts.speeds(step);
        let mut record = StepRecord::begun(&speeds);
        let rows: Vec<Row<'_>> = pairs.iter().map(|pair| Row::trained(pair, self.loss)).collect();
        let share = 1.0 / rows.iter().map(|row| row.weight(self.loss)).sum::<f64>();
        let mut sums = PairSums::default();
        let passed = self.pass_all(policies, &rows, (step, share), &mut sums)?;
        self.parts.move_weights(policies, &speeds, Moment { step, round: 0 }, 0, &mut record)?;
        let counters = &mut self.parts.state.counters;
        counters.tokens_trained += passed.tokens;
        counters.operations += passed.operations;
        record.step_tokens = passed.tokens;
        record.step_operations = passed.operations;
        record.seconds.whole = started.elapsed().as_secs_f64();
        record.seconds.train = record.seconds.whole;
        record.num_tokens = counters.tokens_trained;
        record.num_flops = counters.operations;
        self.parts.state.step = step;
        self.parts.state.cursor += pairs.len() as u64;
        Ok(OfflineResult { record, speeds, found: sums.measurement(share, self.loss) })
    }

    fn pass_all(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        rows: &[Row<'_>],
        (step, share): (u64, f64),
        sums: &mut PairSums,
    ) -> Result<Passed, StepError> {
        let most = self.parts.settings.training.micro_batch_size as usize;
        let batches = batches(rows, most);
        let responses: Vec<Vec<Pair<'_>>> =
            batches.iter().map(|batch| batch.iter().flat_map(Row::responses).collect()).collect();
        let mut fault = None;
        let mut weigh = |place: usize, scores: &[PairScores]| {
            weigh(batches[place], scores, (self.loss, share), sums).map_err(|error| {
                fault = Some(error);
                "the coefficients of a micro-batch could not be made".into()
            })
        };
        let passed = policies.pass_each(&responses, PassPlace { step, micro_batch: 0 }, &mut weigh);
        if let Some(error) = fault {
            return Err(error);
        }
        passed.map_err(|source| StepError::Policies { doing: "passing pairs of responses", source })
    }
}

/// The coefficients of the responses of a micro-batch.
fn weigh(
    rows: &[Row<'_>],
    scores: &[PairScores],
    (loss, share): (&dyn PreferenceLoss, f64),
    sums: &mut PairSums,
) -> Result<Vec<PairWeights>, StepError> {
    let expected = rows.iter().map(Row::count).sum();
    if scores.len() != expected {
        return Err(StepError::Count { what: "scored responses", found: scores.len(), expected });
    }
    let mut rest = scores.iter();
    let mut weights = Vec::with_capacity(expected);
    for row in rows {
        let both = row.take(&mut rest)?;
        let found = of_pair(row, both, loss)?;
        sums.add(row, both, loss, found.loss);
        for (_, score) in both.iter().zip(found.score).filter(|(scores, _)| scores.is_some()) {
            let score = score.into_iter().map(|value| share * value).collect();
            weights.push(PairWeights { leader: TokenWeights { score, exact_kl: Vec::new() }, follower: None });
        }
    }
    Ok(weights)
}

/// The loss of a pair, which must be finite.
pub(super) fn of_pair(
    row: &Row<'_>,
    both: [Option<&PairScores>; 2],
    loss: &dyn PreferenceLoss,
) -> Result<WeighedResponses, StepError> {
    let found = loss.weigh(row.label, both.map(|scores| scores.map(|scores| &scores.leader)));
    let worst = found.score.iter().flatten().copied().find(|value| !value.is_finite()).unwrap_or(found.loss);
    if worst.is_finite() {
        return Ok(found);
    }
    let source = fault(ScoreProblem::Loss { value: worst });
    Err(StepError::Weigh { prompt: row.pair.prompt.id, source })
}

#[cfg(test)]
mod tests {
    use slhf_plan::{Labels, LogRatio, PromptId};

    use super::*;
    use crate::language::offline::{DpoLoss, SftChosenLoss};
    use crate::language::traits::{Answer, Prompt};

    fn pair(first_is_better: f64) -> LabeledPair {
        let prompt =
            Prompt { id: 0, identity: PromptId::new(&[], "{}", 0), messages: [].into(), metadata: "{}".into() };
        let response =
            |tokens: &[u32]| Answer { tokens: tokens.into(), finished: true, text: "so".into(), draws: [].into() };
        LabeledPair { prompt, responses: [response(&[1, 2, 0]), response(&[0])], first_is_better }
    }

    #[test]
    fn pairs_are_not_divided_and_what_is_not_read_takes_no_room() {
        let pairs = [1.0, 0.25, 0.0, 1.0].map(pair);
        let dpo = DpoLoss { beta: 0.1, labels: Labels::Soft, log_ratio: LogRatio::Sum, label_smoothing: 0.0 };
        let sizes = |loss: &dyn PreferenceLoss, most: usize| {
            let rows: Vec<Row<'_>> = pairs.iter().map(|pair| Row::trained(pair, loss)).collect();
            batches(&rows, most).iter().map(|batch| batch.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&dpo, 5), [2, 2]);
        assert_eq!(sizes(&dpo, 2), [1, 1, 1, 1]);
        // The second is a draw of both; of the others one response is read.
        let soft = SftChosenLoss { labels: Labels::Soft };
        assert_eq!(sizes(&soft, 3), [2, 2]);
        assert_eq!(sizes(&SftChosenLoss { labels: Labels::Hard }, 3), [3, 1]);
        let weights: Vec<f64> = pairs.iter().map(|pair| Row::trained(pair, &soft).weight(&soft)).collect();
        assert_eq!(weights, [3.0, 0.25 * 3.0 + 0.75, 1.0, 3.0]);
    }

    #[test]
    fn a_tie_has_no_better_response() {
        assert_eq!(ordered(0.5, [1, 2]), None);
        assert_eq!(ordered(0.75, [1, 2]), Some((1, 2)));
        assert_eq!(ordered(0.25, [1, 2]), Some((2, 1)));
        assert_eq!(ordered(f64::NAN, [1, 2]), None);
    }
}

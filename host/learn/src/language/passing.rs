//! From what the judge said to what the policies are told: baselines, micro-batches, coefficients.

use slhf_plan::{PairScores, PairWeights, Passed};

use super::divergence::WeighError;
use super::failure::StepError;
use super::group::{AnswerGroup, AnswerOutcome, GroupLoss, PastScore};
use super::importance::{ImportanceSums, weigh_by_importance};
use super::judged::{Judged, Return};
use super::loss::Loss;
use super::metrics::StepRecord;
use super::playing::{Moment, Played};
use super::settings::Settings;
use super::stackelberg_gda::{PairFactors, PairOutcome, WeighedPair};
use super::traits::{LanguagePolicies, Pair, PassPlace};
use crate::control::{BaselineRole, Batch, Control};

/// A sample that is trained on.
#[derive(Debug)]
pub(crate) struct Trained<'a> {
    pub(crate) played: &'a Played<'a>,
    pub(crate) outcome: Outcome,
}

/// What is known of a sample before its tokens are scored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Pair(PairOutcome),
    Answer(AnswerOutcome),
}

/// Joins the kept samples with their baselines. In a further Follower update the Leader's is not asked for.
pub(crate) fn outcomes<'a>(
    control: &mut Control,
    played: &'a [Played<'a>],
    judged: &Judged,
    at: Moment,
) -> Result<Vec<Trained<'a>>, StepError> {
    let kept: Vec<(&Played<'_>, Return)> = judged.kept.iter().map(|(index, value)| (&played[*index], *value)).collect();
    let mut ask = Asking { control, kept: &kept, step: at.step };
    let (leaders, followers) = match (kept.first().map(|(_, value)| value), at.round) {
        (None | Some(Return::Answer(_) | Return::Turns(..)), _) => (Vec::new(), Vec::new()),
        (Some(Return::Versus(_)), _) => (ask.leaders()?, Vec::new()),
        (Some(Return::Pair(..)), 0) => (ask.leaders()?, ask.followers()?),
        (Some(Return::Pair(..)), _) => (vec![0.0; kept.len()], ask.followers()?),
    };
    let join = |(index, (played, value)): (usize, &(&'a Played<'a>, Return))| Trained {
        played,
        outcome: match *value {
            Return::Answer(outcome) => Outcome::Answer(outcome),
            Return::Turns(outcome, _) => Outcome::Pair(outcome),
            Return::Versus(reward) => Outcome::Answer(AnswerOutcome { reward, baseline: leaders[index] }),
            Return::Pair(leader_score, follower_score) => Outcome::Pair(PairOutcome {
                leader_score,
                leader_baseline: leaders[index],
                follower_score,
                follower_baseline: followers[index],
            }),
        },
    };
    Ok(kept.iter().enumerate().map(join).collect())
}

struct Asking<'a, 'b> {
    control: &'a mut Control,
    kept: &'a [(&'b Played<'b>, Return)],
    step: u64,
}

impl Asking<'_, '_> {
    /// Leave-one-out goes prompt by prompt: answers to different prompts say nothing of each other.
    fn leaders(&mut self) -> Result<Vec<f64>, StepError> {
        if !self.control.needs_others() {
            return self.ask(BaselineRole::Leader, self.kept);
        }
        let mut baselines = Vec::with_capacity(self.kept.len());
        for group in self.kept.chunk_by(|(first, _), (second, _)| first.group == second.group) {
            baselines.extend(self.ask(BaselineRole::Leader, group)?);
        }
        Ok(baselines)
    }

    fn followers(&mut self) -> Result<Vec<f64>, StepError> {
        self.ask(BaselineRole::Follower, self.kept)
    }

    fn ask(&mut self, role: BaselineRole, kept: &[(&Played<'_>, Return)]) -> Result<Vec<f64>, StepError> {
        let reward = |(_, value): &(&Played<'_>, Return)| match (*value, role) {
            (Return::Pair(leader, _) | Return::Turns(_, [leader, _]), BaselineRole::Leader) => leader,
            (Return::Pair(_, follower) | Return::Turns(_, [_, follower]), BaselineRole::Follower) => follower,
            (Return::Answer(AnswerOutcome { reward, .. }) | Return::Versus(reward), _) => reward,
        };
        let rewards: Vec<f64> = kept.iter().map(reward).collect();
        let prompts: Vec<u32> = kept.iter().map(|(played, _)| played.prompt.id).collect();
        let batch = Batch { role, step: self.step, rewards: &rewards, scores: &rewards, prompts: &prompts };
        let mut baselines = Vec::new();
        self.control.baselines(&batch, &mut baselines).map_err(StepError::Baseline)?;
        match baselines.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(StepError::BaselineValue { prompt: prompts[index], value: baselines[index] }),
            None => Ok(baselines),
        }
    }
}

/// What updates on the same samples know of each other.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    /// From 0.
    pub(crate) iteration: u32,
    /// log π of every sample's tokens as the first of them found it: empty until then.
    pub(crate) sampled: &'a mut Vec<Vec<f64>>,
    /// By policies of steps before, one entry a sample; empty where none is asked.
    pub(crate) past: &'a [PastScore],
}

/// Passes every sample, micro-batch by micro-batch; gradients accumulate. `micro_batch` counts the passes of the step.
pub(crate) fn pass_all(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    trained: &[Trained<'_>],
    factors: PairFactors,
    (at, micro_batch, memory): (Moment, &mut u32, Memory<'_>),
    record: &mut StepRecord,
) -> Result<Passed, StepError> {
    let Memory { iteration, sampled, past } = memory;
    let batches = batches(settings, trained);
    let pairs: Vec<Vec<Pair<'_>>> =
        batches.iter().map(|batch| batch.iter().map(|trained| trained.played.pair()).collect()).collect();
    let mut fault = None;
    let mut weigh = |place: usize, scores: &[PairScores]| {
        let (batch, pairs) = (batches[place], &pairs[place]);
        let start: usize = batches[..place].iter().map(|batch| batch.len()).sum();
        let own = start..start + batch.len();
        let then = if iteration == 0 { &[][..] } else { &sampled[own.clone()] };
        let past = past.get(own).unwrap_or_default();
        let weighing = Weighing { step: at.step, batch, pairs, scores, sampled: then, past };
        let weighed = weigh(settings, &weighing, factors);
        match weighed {
            Ok(mut weighed) => {
                let weights = weigh_samples(settings, &weighing, &mut weighed);
                if at.round == 0 && iteration == 0 {
                    count(record, &weighed, scores);
                    if let Some(sums) = &mut record.importance {
                        sums.add(weights);
                    }
                    if settings.samples_what_it_trains() {
                        compare(record, pairs, scores);
                    }
                }
                if let Some(clipped) = record.clipped.as_mut().filter(|_| iteration > 0) {
                    for one in &weighed {
                        clipped.add(one.clipped);
                    }
                }
                if iteration == 0 && settings.iterations() > 1 {
                    sampled.extend(scores.iter().map(|scores| scores.leader.policy.clone()));
                }
                Ok(weighed.into_iter().map(|weighed| weighed.weights).collect::<Vec<PairWeights>>())
            }
            Err(error) => {
                fault = Some(error);
                Err("the coefficients of a micro-batch could not be made".into())
            }
        }
    };
    let first = PassPlace { step: at.step, micro_batch: *micro_batch };
    let passed = policies.pass_each(&pairs, first, &mut weigh);
    if let Some(error) = fault {
        return Err(error);
    }
    *micro_batch += batches.len() as u32;
    passed.map_err(|source| StepError::Policies { doing: "passing a micro-batch", source })
}

/// Micro-batches; where all answers of a prompt must be weighed at once, none is divided.
pub(crate) fn batches<'a, 'b>(settings: &Settings, trained: &'a [Trained<'b>]) -> Vec<&'a [Trained<'b>]> {
    let most = settings.training.micro_batch_size as usize;
    if !settings.needs_whole_groups() {
        return trained.chunks(most).collect();
    }
    let mut batches = Vec::new();
    let (mut start, mut end) = (0, 0);
    for group in trained.chunk_by(|first, second| first.played.group == second.played.group) {
        if end > start && end - start + group.len() > most {
            batches.push(&trained[start..end]);
            start = end;
        }
        end += group.len();
    }
    batches.extend((end > start).then(|| &trained[start..end]));
    batches
}

/// One micro-batch with what its forward pass found.
struct Weighing<'a> {
    step: u64,
    batch: &'a [Trained<'a>],
    pairs: &'a [Pair<'a>],
    scores: &'a [PairScores],
    /// Empty in the first update on these samples.
    sampled: &'a [Vec<f64>],
    /// Empty where no policy of steps before is asked.
    past: &'a [PastScore],
}

fn weigh(settings: &Settings, weighing: &Weighing<'_>, factors: PairFactors) -> Result<Vec<WeighedPair>, StepError> {
    let (found, expected) = (weighing.scores.len(), weighing.pairs.len());
    if found != expected {
        return Err(StepError::Count { what: "scored pairs", found, expected });
    }
    match &settings.loss {
        Loss::Stackelberg(loss) => {
            weigh_pairs(weighing, |pair, scores, outcome| loss.weigh(pair, scores, outcome, factors))
        }
        Loss::TwoTurns(loss, _) => {
            let stage = loss.stage(weighing.step);
            weigh_pairs(weighing, |pair, scores, outcome| loss.weigh(stage, pair, scores, (outcome, factors)))
        }
        Loss::Group(loss, _) => weigh_groups(loss.as_ref(), weighing, factors.leader),
        Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => Ok(Vec::new()),
    }
}

/// Samples of another engine count by how much likelier they are under the policy that is trained.
fn weigh_samples(settings: &Settings, weighing: &Weighing<'_>, weighed: &mut [WeighedPair]) -> ImportanceSums {
    let mut sums = ImportanceSums::default();
    let Some(plan) = settings.importance else { return sums };
    let samples = weighing.pairs.iter().zip(weighing.scores);
    for (index, (sample, weighed)) in samples.zip(weighed).enumerate() {
        let before = weighing.sampled.get(index).map(Vec::as_slice);
        sums.add(weigh_by_importance(plan, sample, before, weighed));
    }
    sums
}

fn weigh_pairs(
    weighing: &Weighing<'_>,
    weigh: impl Fn(&Pair<'_>, &PairScores, &PairOutcome) -> Result<WeighedPair, WeighError>,
) -> Result<Vec<WeighedPair>, StepError> {
    let mut weighed = Vec::with_capacity(weighing.pairs.len());
    for ((trained, pair), scores) in weighing.batch.iter().zip(weighing.pairs).zip(weighing.scores) {
        if let Outcome::Pair(outcome) = &trained.outcome {
            weighed.push(
                weigh(pair, scores, outcome).map_err(|source| StepError::Weigh { prompt: pair.prompt.id, source })?,
            );
        }
    }
    Ok(weighed)
}

fn weigh_groups(loss: &dyn GroupLoss, weighing: &Weighing<'_>, factor: f64) -> Result<Vec<WeighedPair>, StepError> {
    let mut weighed = Vec::with_capacity(weighing.pairs.len());
    let mut start = 0;
    for members in weighing.batch.chunk_by(|first, second| first.played.group == second.played.group) {
        let range = start..start + members.len();
        start = range.end;
        let outcomes: Vec<AnswerOutcome> = members
            .iter()
            .filter_map(|trained| match trained.outcome {
                Outcome::Answer(outcome) => Some(outcome),
                Outcome::Pair(_) => None,
            })
            .collect();
        let group = AnswerGroup {
            pairs: &weighing.pairs[range.clone()],
            scores: &weighing.scores[range.clone()],
            outcomes: &outcomes,
            sampled: weighing.sampled.get(range.clone()).unwrap_or_default(),
            past: weighing.past.get(range.clone()).unwrap_or_default(),
        };
        let prompt = group.pairs[0].prompt.id;
        weighed.extend(loss.weigh(&group, factor).map_err(|source| StepError::Weigh { prompt, source })?);
    }
    Ok(weighed)
}

fn count(record: &mut StepRecord, weighed: &[WeighedPair], scores: &[PairScores]) {
    for (weighed, scores) in weighed.iter().zip(scores) {
        record.leader.passed(&scores.leader, weighed.leader_loss);
        if let Some(follower) = &scores.follower {
            record.follower.passed(follower, weighed.follower_loss);
        }
    }
}

/// What was sampled beside what is trained.
fn compare(record: &mut StepRecord, pairs: &[Pair<'_>], scores: &[PairScores]) {
    for (pair, scores) in pairs.iter().zip(scores) {
        record.differences.compared(pair.leader, &scores.leader);
        if let (Some(answer), Some(scores)) = (pair.follower, &scores.follower) {
            record.differences.compared(answer, scores);
        }
    }
}

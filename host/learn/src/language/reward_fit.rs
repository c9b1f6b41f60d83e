//! The fit of a reward model before the first step: answers of the reference, verdicts on them, weights.

use std::collections::BTreeMap;
use std::time::Instant;

use slhf_plan::{EvaluationName, EvaluationRow, RewardModelFigure, RewardModelPlan};
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::{ComparisonsError, CrossValidated, FeatureComparisons, Folds, LinearBradleyTerry, Penalty};

use super::asking::{compare, draw};
use super::failure::StepError;
use super::playing::sample;
use super::reward_model::{RewardModel, read};
use super::settings::Settings;
use super::traits::{Answer, Comparison, LanguagePolicies, Players, PolicyName, Prompt, Request};

/// Parts of the pairs of which each is predicted by a fit of the others.
const FOLDS: usize = 5;
/// Whom its evaluations are of.
const SUBJECT: &str = "reward model";

// Its streams are those of step 0, which is no step of training (they begin at 1).
fn token_row(prompt: u32, sample: u16) -> Row {
    Row { purpose: Purpose::TrainingTokens, prompt, step: 0, stream: Stream::RewardModelReference, round: 0, sample }
}

/// `sample`: of the first of the pair.
fn draw_row(prompt: u32, sample: u16) -> Row {
    Row { purpose: Purpose::Draw, prompt, step: 0, stream: Stream::RewardModelPairs, round: 0, sample }
}

/// A pair that the judge has compared in both orders.
struct Labelled<'a> {
    prompt: &'a Prompt,
    first: Answer,
    second: Answer,
    /// The probability that the first is preferred.
    label: f64,
}

/// What a fit cost; seconds are recorded and never used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FitCost {
    pub(crate) tokens: u64,
    pub(crate) operations_generating: f64,
    /// Of reading.
    pub(crate) operations: f64,
    pub(crate) verdicts: u64,
    pub(crate) verdicts_failed: u64,
    pub(crate) seconds_generating: f64,
    pub(crate) seconds_judging: f64,
}

/// A reward model with what is told of it.
#[derive(Debug)]
pub(crate) struct FittedRewardModel {
    pub(crate) model: RewardModel,
    pub(crate) rows: Vec<EvaluationRow>,
    pub(crate) notes: Vec<String>,
    pub(crate) cost: FitCost,
}

/// How a reward model is fit.
#[derive(Debug)]
pub(crate) struct RewardModelFit<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) plan: RewardModelPlan,
}

impl RewardModelFit<'_> {
    /// `prompts`: one a pair, in the run's order; one that comes back has further answers.
    pub(crate) fn of(&self, players: &mut Players<'_>, prompts: &[&Prompt]) -> Result<FittedRewardModel, StepError> {
        let mut cost = FitCost::default();
        let mut first_failure = None;
        let pairs = self.labelled(players, prompts, &mut cost, &mut first_failure)?;
        if pairs.len() < 2 {
            let (usable, pairs) = (pairs.len(), prompts.len());
            let first = first_failure.map_or_else(String::new, |first| format!(", the first because {first}"));
            let (failed, asked) = (cost.verdicts_failed, cost.verdicts);
            return Err(StepError::FewPairs { usable, pairs, failed, asked, first });
        }
        let clock = Instant::now();
        let (comparisons, mean) = self.comparisons(players.policies, &pairs, &mut cost)?;
        let found = self.cross_validated(&comparisons, &pairs).map_err(StepError::RewardModel)?;
        let weights = LinearBradleyTerry::fit(&comparisons, found.penalty).weights;
        let origin = weights.iter().zip(&mean).map(|(weight, mean)| weight * mean).sum();
        cost.seconds_judging += clock.elapsed().as_secs_f64();

        let notes = notes(&found, &comparisons, (prompts.len(), first_failure.as_deref()), &cost);
        Ok(FittedRewardModel {
            model: RewardModel::new(weights, origin),
            rows: rows(self.settings.run, &found, &comparisons),
            notes,
            cost,
        })
    }

    /// The pairs of which neither verdict failed.
    fn labelled<'a>(
        &self,
        players: &mut Players<'_>,
        prompts: &[&'a Prompt],
        cost: &mut FitCost,
        first_failure: &mut Option<String>,
    ) -> Result<Vec<Labelled<'a>>, StepError> {
        let training = &self.settings.training;
        // As many rows at once as a step has.
        let rows = training.prompts_per_step as usize * training.num_generations as usize;
        let mut labelled = Vec::with_capacity(prompts.len());
        for batch in places(prompts).chunks((rows / 2).max(1)) {
            let clock = Instant::now();
            let answers = self.answers(players.policies, batch, cost)?;
            cost.seconds_generating += clock.elapsed().as_secs_f64();
            let clock = Instant::now();
            labelled.extend(self.judged(players, batch, answers, cost, first_failure)?);
            cost.seconds_judging += clock.elapsed().as_secs_f64();
        }
        Ok(labelled)
    }

    /// Two answers of the reference to each place, side by side.
    fn answers(
        &self,
        policies: &mut dyn LanguagePolicies,
        places: &[PairPlace<'_>],
        cost: &mut FitCost,
    ) -> Result<Vec<Answer>, StepError> {
        let both = places.iter().flat_map(|place| [(place, 0), (place, 1)]);
        let requests: Vec<Request<'_>> = both
            .map(|(place, second)| Request {
                policy: PolicyName::Reference,
                prompt: place.prompt,
                previous: None,
                row: token_row(place.prompt.id, place.sample + second),
            })
            .collect();
        let generation =
            sample(policies, &requests, self.settings, "sampling the reference's responses for the reward model")?;
        cost.operations_generating += generation.operations;
        cost.tokens += generation.answers.iter().map(|answer| answer.tokens.len() as u64).sum::<u64>();
        Ok(generation.answers)
    }

    fn judged<'a>(
        &self,
        players: &mut Players<'_>,
        places: &[PairPlace<'a>],
        answers: Vec<Answer>,
        cost: &mut FitCost,
        first_failure: &mut Option<String>,
    ) -> Result<Vec<Labelled<'a>>, StepError> {
        let mut comparisons = Vec::with_capacity(answers.len());
        for (place, pair) in places.iter().zip(answers.chunks_exact(2)) {
            let (prompt, row) = (place.prompt, draw_row(place.prompt.id, place.sample));
            let drawn = |order| draw(self.settings.seed, row, order);
            comparisons.push(Comparison { prompt, first: &pair[0], second: &pair[1], draw: drawn(0) });
            comparisons.push(Comparison { prompt, first: &pair[1], second: &pair[0], draw: drawn(1) });
        }
        let mut verdicts = compare(players.judge, &comparisons)?.into_iter();
        cost.verdicts += comparisons.len() as u64;
        let mut answers = answers.into_iter();
        let mut labelled = Vec::with_capacity(places.len());
        for place in places {
            let (Some(there), Some(back)) = (verdicts.next(), verdicts.next()) else { break };
            let (Some(first), Some(second)) = (answers.next(), answers.next()) else { break };
            match (there, back) {
                (Ok(there), Ok(back)) => {
                    let label = 0.5 * (there.probability + (1.0 - back.probability));
                    labelled.push(Labelled { prompt: place.prompt, first, second, label });
                }
                (there, back) => {
                    for failure in [there.err(), back.err()].into_iter().flatten() {
                        cost.verdicts_failed += 1;
                        first_failure.get_or_insert(failure);
                    }
                }
            }
        }
        Ok(labelled)
    }

    /// The pairs as differences of features, and the mean of all features.
    fn comparisons(
        &self,
        policies: &mut dyn LanguagePolicies,
        pairs: &[Labelled<'_>],
        cost: &mut FitCost,
    ) -> Result<(FeatureComparisons, Vec<f64>), StepError> {
        let answers: Vec<(&Prompt, &Answer)> =
            pairs.iter().flat_map(|pair| [(pair.prompt, &pair.first), (pair.prompt, &pair.second)]).collect();
        let read = read(policies, self.settings, &answers, None)?;
        cost.operations += read.operations;
        let mut mean = vec![0.0; read.dimension];
        let mut differences = Vec::with_capacity(pairs.len() * read.dimension);
        for pair in read.vectors.chunks_exact(2) {
            let sides = pair[0].iter().zip(&pair[1]).map(|(first, second)| (f64::from(*first), f64::from(*second)));
            for (mean, (first, second)) in mean.iter_mut().zip(sides) {
                *mean += (first + second) / read.vectors.len() as f64;
                differences.push(first - second);
            }
        }
        let labels = pairs.iter().map(|pair| pair.label).collect();
        let comparisons = FeatureComparisons::new(read.dimension, differences, labels);
        Ok((comparisons.map_err(StepError::RewardModel)?, mean))
    }

    /// Pairs of one prompt are predicted together, where there is more than one prompt.
    fn cross_validated(
        &self,
        comparisons: &FeatureComparisons,
        pairs: &[Labelled<'_>],
    ) -> Result<CrossValidated, ComparisonsError> {
        let mut groups: Vec<u64> = pairs.iter().map(|pair| u64::from(pair.prompt.id)).collect();
        if groups.iter().all(|group| *group == groups[0]) {
            groups = (0..pairs.len() as u64).collect();
        }
        let folds = Folds::grouped(&groups, FOLDS)?;
        match self.plan.l2 {
            Some(l2) => CrossValidated::of(comparisons, &folds, (Penalty::new(l2)?, &[])),
            None => CrossValidated::choose(comparisons, &folds),
        }
    }
}

/// Where a pair stands among those of its prompt.
#[derive(Clone, Copy, Debug)]
struct PairPlace<'a> {
    prompt: &'a Prompt,
    /// Of its first answer; the second has the next one.
    sample: u16,
}

/// One a prompt: each time that a prompt comes back it has further samples.
fn places<'a>(prompts: &[&'a Prompt]) -> Vec<PairPlace<'a>> {
    let mut taken = BTreeMap::new();
    let place = |&prompt: &&'a Prompt| {
        let before: &mut u16 = taken.entry(prompt.id).or_default();
        let sample = *before;
        *before += 2;
        PairPlace { prompt, sample }
    };
    prompts.iter().map(place).collect()
}

/// How well it predicts what it has not seen, and how strongly it was held.
fn rows(run: i64, found: &CrossValidated, comparisons: &FeatureComparisons) -> Vec<EvaluationRow> {
    let row = |figure, value: f64, n: usize| EvaluationRow {
        run,
        step: 0,
        name: EvaluationName::RewardModel(figure),
        subject: SUBJECT.to_owned(),
        value,
        // Pairs of one prompt are not independent.
        interval: None,
        n: n as u64,
    };
    let pairs = comparisons.pairs();
    let mut rows = vec![
        row(RewardModelFigure::LogLoss, found.log_loss, pairs),
        row(RewardModelFigure::Penalty, found.penalty.get(), pairs),
    ];
    rows.extend(found.accuracy(comparisons).map(|(share, decided)| row(RewardModelFigure::Accuracy, share, decided)));
    rows
}

fn notes(
    found: &CrossValidated,
    comparisons: &FeatureComparisons,
    (asked, first_failure): (usize, Option<&str>),
    cost: &FitCost,
) -> Vec<String> {
    let failures = first_failure.map(|first| {
        let left_out = asked - comparisons.pairs();
        format!(
            "reward model: {} of {} verdicts failed, and {left_out} of {asked} pairs are left out; the first: {first}",
            cost.verdicts_failed, cost.verdicts
        )
    });
    let undecided = found.accuracy(comparisons).is_none().then(|| {
        let pairs = comparisons.pairs();
        format!("reward model: the judge prefers neither side of any of the {pairs} pairs, so that every reward is 0")
    });
    failures.into_iter().chain(undecided).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slhf_plan::PromptId;

    use super::*;

    #[test]
    fn a_prompt_that_comes_back_has_further_samples() {
        let prompts = [4, 7, 4, 4].map(|id| Prompt {
            id,
            identity: PromptId::new(&[], "{}", id),
            messages: Arc::from([]),
            metadata: "{}".into(),
        });
        let samples: Vec<u16> = places(&prompts.each_ref()).iter().map(|place| place.sample).collect();
        assert_eq!(samples, [0, 0, 2, 4]);
    }
}

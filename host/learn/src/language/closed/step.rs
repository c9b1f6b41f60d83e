//! One training step on closed sets: score, weigh, update; and again for every further update.

use std::time::Instant;

use slhf_plan::{AnswerSetScores, AnswerSetWeights, Gradient, MetricKey, Passed};

use super::game::SetPolicies;
use super::gradient::{Direction, Rule, Sampling, SetGradient};
use super::mirror::MirrorTarget;
use super::sets::ClosedSets;
use crate::Measurement;
use crate::finite::Engine;
use crate::language::failure::StepError;
use crate::language::metrics::StepRecord;
use crate::language::past::keep;
use crate::language::playing::Moment;
use crate::language::stackelberg_gda::PairFactors;
use crate::language::step::StepParts;
use crate::language::traits::{AnswerSet, LanguagePolicies, PassPlace, Prompt, ScoredBy};
use crate::schedule::Speeds;

/// A step on closed sets.
pub(crate) struct ClosedStep<'a, 'b> {
    pub(crate) parts: &'a mut StepParts<'b>,
    pub(crate) sets: &'a ClosedSets,
}

/// What a step leaves behind.
pub(crate) struct ClosedResult {
    pub(crate) record: StepRecord,
    pub(crate) speeds: Speeds,
    /// Gaps, distances and values of the policies before the update, as means over the step's prompts.
    pub(crate) found: Measurement,
}

/// What an update knows of its prompts.
struct Known {
    /// One a prompt of the step.
    places: Vec<PromptPlace>,
    found: Means,
}

/// What is kept of a prompt within a step.
struct PromptPlace {
    engine: Engine,
    /// How often the prompt stands before it in the step: an epoch may end within.
    occurrence: u32,
    /// What the step's updates are regressed on, by a rule that is.
    target: MirrorTarget,
    /// log π of the steps before, the last first, of a method that plays against them.
    remembered: Vec<f64>,
}

/// Means over prompts.
#[derive(Default)]
struct Means {
    keys: Vec<MetricKey>,
    sums: Vec<f64>,
    count: u64,
}

impl Means {
    fn add(&mut self, one: &Measurement) {
        if self.count == 0 {
            self.keys.clone_from(&one.keys);
            self.sums = vec![0.0; one.values.len()];
        }
        for (sum, value) in self.sums.iter_mut().zip(&one.values) {
            *sum += value;
        }
        self.count += 1;
    }

    fn measurement(self) -> Measurement {
        let count = self.count.max(1) as f64;
        Measurement { keys: self.keys, values: self.sums.into_iter().map(|sum| sum / count).collect() }
    }
}

/// Where an update stands in its step.
#[derive(Clone, Copy)]
struct Place {
    at: Moment,
    iteration: u32,
    factors: PairFactors,
    /// `m` of Nash-MD.
    mixture: f64,
}

impl ClosedStep<'_, '_> {
    /// Takes the step after the loop's on `prompts`.
    pub(crate) fn take(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[&Prompt],
    ) -> Result<ClosedResult, StepError> {
        let started = Instant::now();
        let step = self.parts.state.step + 1;
        let speeds = self.parts.speeds(step);
        let mut record = StepRecord::begun(&speeds);
        let place = |(index, prompt): (usize, &&Prompt)| PromptPlace {
            engine: Engine::default(),
            target: MirrorTarget::default(),
            occurrence: prompts[..index].iter().filter(|earlier| earlier.id == prompt.id).count() as u32,
            remembered: Vec::new(),
        };
        let places = prompts.iter().enumerate().map(place).collect();
        let mut known = Known { places, found: Means::default() };
        self.remember(policies, prompts, (&mut known, &mut record))?;
        let share = 1.0 / prompts.len().max(1) as f64;
        let mixture = match &self.sets.rule {
            Rule::NashMd(curve) => curve.at(step, self.parts.settings.training.steps),
            _ => 0.0,
        };
        let mut micro_batch = 0;
        for round in 0..self.parts.settings.updates(speeds.follower_updates) {
            let at = Moment { step, round };
            let leader = if round == 0 { share } else { 0.0 };
            let factors = PairFactors { leader, follower: speeds.follower_weight * share };
            for iteration in 0..self.parts.settings.iterations() {
                let place = Place { at, iteration, factors, mixture };
                let passed = self.pass_all(policies, prompts, place, (&mut micro_batch, &mut known))?;
                self.parts.move_weights(policies, &speeds, at, iteration, &mut record)?;
                let counters = &mut self.parts.state.counters;
                counters.tokens_trained += passed.tokens;
                counters.operations += passed.operations;
                record.step_tokens += passed.tokens;
                record.step_operations += passed.operations;
            }
        }
        // After the last use: a prompt that stands in the step twice is shown one past.
        for (prompt, place) in prompts.iter().zip(known.places).filter(|(_, place)| !place.target.payoffs.is_empty()) {
            self.parts.state.remembered.insert(prompt.id, place.target.payoffs);
        }
        let found = known.found.measurement();
        self.parts.count_wins(&found, prompts.len());
        record.seconds.whole = started.elapsed().as_secs_f64();
        record.seconds.train = record.seconds.whole;
        let counters = &self.parts.state.counters;
        record.num_tokens = counters.tokens_trained;
        record.num_flops = counters.operations + counters.operations_generating;
        self.parts.state.step = step;
        self.parts.state.cursor += prompts.len() as u64;
        Ok(ClosedResult { record, speeds, found })
    }

    /// Asks the policies of steps before, of a method that plays against them, and keeps those of this one.
    fn remember(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[&Prompt],
        (known, record): (&mut Known, &mut StepRecord),
    ) -> Result<(), StepError> {
        let Rule::Finite(method) = &self.sets.rule else { return Ok(()) };
        let weights = method.weights(usize::try_from(self.parts.state.step).unwrap_or(usize::MAX));
        let most = (self.parts.settings.training.micro_batch_size as usize).max(1);
        for (times_ago, weight) in weights.iter().enumerate().skip(1) {
            for (batch, places) in prompts.chunks(most).zip(known.places.chunks_mut(most)) {
                if *weight == 0.0 {
                    for (prompt, place) in batch.iter().zip(places) {
                        place.remembered.resize(times_ago * self.sets.answers(prompt).len(), 0.0);
                    }
                    continue;
                }
                let (scores, passed) = self.sets.scores(policies, batch, ScoredBy::Kept(times_ago))?;
                self.parts.state.counters.operations += passed.operations;
                record.step_operations += passed.operations;
                for (place, scores) in places.iter_mut().zip(&scores) {
                    place.remembered.extend(SetPolicies::of(scores).leader);
                }
            }
        }
        keep(policies, method.remembered())
    }

    fn pass_all(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[&Prompt],
        place: Place,
        (micro_batch, known): (&mut u32, &mut Known),
    ) -> Result<Passed, StepError> {
        let most = (self.parts.settings.training.micro_batch_size as usize).max(1);
        let batches: Vec<&[&Prompt]> = prompts.chunks(most).collect();
        let sets: Vec<Vec<AnswerSet<'_>>> =
            batches.iter().map(|batch| batch.iter().map(|prompt| self.sets.set(prompt)).collect()).collect();
        let mut places: Vec<&mut [PromptPlace]> = known.places.chunks_mut(most).collect();
        let (mut fault, found) = (None, &mut known.found);
        let mut weigh = |batch: usize, scores: &[AnswerSetScores]| {
            self.weigh(batches[batch], scores, place, (&mut *places[batch], &mut *found)).map_err(|error| {
                fault = Some(error);
                "the coefficients of a micro-batch could not be made".into()
            })
        };
        let first = PassPlace { step: place.at.step, micro_batch: *micro_batch };
        let passed = policies.pass_sets_each(&sets, first, &mut weigh);
        if let Some(error) = fault {
            return Err(error);
        }
        *micro_batch += batches.len() as u32;
        passed.map_err(|source| StepError::Policies { doing: "passing closed sets", source })
    }

    fn weigh(
        &mut self,
        prompts: &[&Prompt],
        scores: &[AnswerSetScores],
        place: Place,
        (places, found): (&mut [PromptPlace], &mut Means),
    ) -> Result<Vec<AnswerSetWeights>, StepError> {
        self.sets.check(prompts, scores)?;
        let mut weights = Vec::with_capacity(prompts.len());
        for ((prompt, scores), known) in prompts.iter().zip(scores).zip(places) {
            let policies = SetPolicies::of(scores);
            if place.at.round == 0 && place.iteration == 0 {
                found.add(&self.sets.game(prompt)?.measurement(&policies));
            }
            let direction = self.direction(prompt, &policies, place, known)?;
            let times = |factor: f64, values: &[f64]| values.iter().map(|value| -factor * value).collect();
            weights.push(AnswerSetWeights {
                leader: times(place.factors.leader, &direction.leader),
                follower: times(place.factors.follower, &direction.follower),
            });
        }
        Ok(weights)
    }

    fn direction(
        &mut self,
        prompt: &Prompt,
        policies: &SetPolicies,
        place: Place,
        known: &mut PromptPlace,
    ) -> Result<Direction, StepError> {
        let settings = self.parts.settings;
        let sampling = (self.sets.settings.gradient == Gradient::Sampled).then_some(Sampling {
            seed: settings.seed,
            step: place.at.step,
            prompt: prompt.id,
            update: place.at.round,
            occurrence: known.occurrence,
            count: settings.training.num_generations,
        });
        let problem = self.sets.problem(prompt)?;
        let gradient = SetGradient { problem, policies, sampling };
        let control = &mut *self.parts.control;
        match &self.sets.rule {
            Rule::Stackelberg => gradient.stackelberg(control).map_err(StepError::Baseline),
            Rule::NashMd(_) => gradient.nash_md(place.mixture, control).map_err(StepError::Baseline),
            Rule::Mirror(step) => {
                if place.iteration == 0 {
                    let last = self.parts.state.remembered.get(&prompt.id);
                    known.target = step.target(problem, &policies.leader, last.map(Vec::as_slice));
                }
                Ok(Direction { leader: step.ascent(&known.target, &policies.leader), follower: Vec::new() })
            }
            Rule::Finite(method) => {
                let own = (&mut known.engine, known.remembered.as_slice());
                Ok(gradient.finite(method.as_ref(), own, place.iteration))
            }
            Rule::Untrained => Ok(Direction::default()),
        }
    }
}

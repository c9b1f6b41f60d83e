//! The loop over steps of one run that trains a reward model.

use std::time::Instant;

use slhf_plan::{MetricKey, RewardTrainingPlan, ScheduleRow};

use super::evaluation::{Evaluated, Evaluation};
use super::loss::RewardLoss;
use super::pairs::{PairSource, TrainedPair, ValueModel};
use super::state::LoopState;
pub use super::state::RewardCounters;
use crate::error::refuse_problems;
use crate::language::{LanguageObserver, LanguageSeconds};
use crate::order::PromptOrder;
use crate::{Cause, Ended, LearnError, Measurement};

/// One run that is ready to be trained.
#[derive(Debug)]
pub struct RewardTrainer {
    plan: RewardTrainingPlan,
    loss: RewardLoss,
    pairs: PairSource,
    order: PromptOrder,
    state: LoopState,
    seconds: LanguageSeconds,
}

/// Why a step cannot be taken.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the model failed while it was {doing}")]
    Model {
        doing: &'static str,
        #[source]
        source: Cause,
    },
    #[error(
        "the loss of a pair is {value}; expected a finite number: lower schedule.learning_rate, or look at the model's weights"
    )]
    Loss { value: f64 },
    #[error("the norm of the gradient is {value}; expected a finite number")]
    Norm { value: f64 },
}

/// Why the loop left a step.
enum Stopped {
    /// The run cannot go on.
    Failed(StepError),
    /// The program cannot.
    Broken(LearnError),
}

impl From<LearnError> for Stopped {
    fn from(error: LearnError) -> Self {
        Self::Broken(error)
    }
}

/// Sums over the pairs of a step.
#[derive(Clone, Copy, Debug, Default)]
struct StepSums {
    loss: f64,
    agreements: f64,
    margin: f64,
    /// Of pairs and attributes that say which is better.
    decided: f64,
    values: f64,
    count: f64,
}

impl StepSums {
    fn per(sum: f64, count: f64) -> f64 {
        if count == 0.0 { f64::NAN } else { sum / count }
    }
}

impl RewardTrainer {
    /// Checks the plan. The model stands at its start.
    pub fn new(plan: &RewardTrainingPlan, pairs: PairSource) -> Result<Self, LearnError> {
        let cell = slhf_plan::RewardCell { adapter: &plan.model.adapter, head: &plan.head, training: &plan.training };
        refuse_problems(plan.run, slhf_plan::check_reward(&cell))?;
        if pairs.training.is_empty() {
            let problem = "leaves no pair to train on: raise data.max_tokens, or hold out fewer prompts".to_owned();
            return Err(LearnError::Setting { run: plan.run, key: "data".to_owned(), problem });
        }
        Ok(Self {
            loss: RewardLoss::of(&plan.head),
            order: PromptOrder::new(plan.seed, pairs.training.len()),
            plan: plan.clone(),
            pairs,
            state: LoopState::default(),
            seconds: LanguageSeconds::default(),
        })
    }

    /// Puts the loop and the model at the state of a checkpoint.
    pub fn restore(&mut self, bytes: &[u8], model: &mut dyn ValueModel) -> Result<(), LearnError> {
        let run = self.plan.run;
        let (state, weights) = LoopState::from_bytes(run, bytes)?;
        if state.step > self.plan.training.steps {
            let problem = format!("is at step {}, past the last one ({})", state.step, self.plan.training.steps);
            return Err(LearnError::State { run, problem });
        }
        let doing = "taking up their state from the checkpoint";
        model.restore(weights).map_err(|source| LearnError::Policies { run, doing, source })?;
        self.state = state;
        Ok(())
    }

    /// Steps done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// What was counted so far, over all attempts.
    #[must_use]
    pub fn counters(&self) -> RewardCounters {
        self.state.counters
    }

    /// Seconds of this attempt so far.
    #[must_use]
    pub fn seconds(&self) -> LanguageSeconds {
        self.seconds
    }

    /// Trains to the end, until the observer asks to stop (a checkpoint is then written), or until the run cannot go on. That is told
    /// with [`LanguageObserver::ended`]. `Err`: the program itself cannot go on.
    pub fn train(&mut self, model: &mut dyn ValueModel, observer: &mut dyn LanguageObserver) -> Result<(), LearnError> {
        let ended = match self.all_steps(model, observer) {
            Ok(ended) => ended,
            Err(Stopped::Broken(error)) => return Err(error),
            Err(Stopped::Failed(error)) => {
                Ended::Failed(format!("step {}: {}", self.state.step + 1, slhf_words::chain(&error)))
            }
        };
        observer.ended(self.state.step, ended).map_err(LearnError::Observer)
    }

    fn all_steps(&mut self, model: &mut dyn ValueModel, observer: &mut dyn LanguageObserver) -> Result<Ended, Stopped> {
        let steps = self.plan.training.steps;
        if self.state.step == steps {
            return Ok(Ended::Finished);
        }
        if self.state.step == 0 && self.state.start_means.is_empty() {
            self.evaluate(model, observer)?;
        }
        while self.state.step < steps {
            if observer.stop_requested() {
                self.save(model, observer)?;
                return Ok(Ended::Interrupted);
            }
            self.one_step(model, observer)?;
            let step = self.state.step;
            let due = |every: u64| every > 0 && step.is_multiple_of(every) && step < steps;
            if due(self.plan.evaluation_every) {
                self.evaluate(model, observer)?;
            }
            if due(self.plan.checkpoint_every) {
                self.save(model, observer)?;
            }
        }
        self.evaluate(model, observer)?;
        self.save(model, observer)?;
        Ok(Ended::Finished)
    }

    fn one_step(&mut self, model: &mut dyn ValueModel, observer: &mut dyn LanguageObserver) -> Result<(), Stopped> {
        let clock = Instant::now();
        let training = self.plan.training;
        let step = self.state.step + 1;
        let many = training.pairs_per_step as usize;
        let chosen = self.order.take(self.state.cursor, many);
        let pairs: Vec<&TrainedPair> = chosen.iter().map(|&index| &self.pairs.training[index]).collect();
        let mut sums = StepSums::default();
        let (tokens, operations) = (self.state.counters.tokens_trained, self.state.counters.operations);
        let mut counted = (0, 0.0);
        for (index, chunk) in (0..).zip(pairs.chunks(training.micro_batch_size as usize)) {
            let passed =
                pass(&self.loss, model, chunk, (step, index, many as f64), &mut sums).map_err(Stopped::Failed)?;
            counted = (counted.0 + passed.tokens, counted.1 + passed.operations);
        }
        let rate = training.rate(step);
        let failed = |source| Stopped::Failed(StepError::Model { doing: "updating its parameters", source });
        let norm = model.update(rate, training.max_grad_norm).map_err(failed)?;
        if !norm.is_finite() {
            return Err(Stopped::Failed(StepError::Norm { value: norm }));
        }
        self.state.step = step;
        self.state.cursor += many as u64;
        let counters = &mut self.state.counters;
        counters.pairs += many as u64;
        counters.tokens_trained = tokens + counted.0;
        counters.operations = operations + counted.1;
        let seconds = clock.elapsed().as_secs_f64();
        self.seconds.train += seconds;
        let measurement = self.measurement(&sums, (rate, norm), (counted.0 as f64, seconds), observer);
        let row = ScheduleRow {
            run: self.plan.run,
            step,
            kappa: f64::NAN,
            leader_learning_rate: rate,
            follower_learning_rate: f64::NAN,
            leader_updates: step,
            follower_updates: 0,
        };
        let mut tell = || {
            observer.schedule(row)?;
            observer.metrics(step, &measurement)?;
            observer.progress(step)
        };
        Ok(tell().map_err(LearnError::Observer)?)
    }

    fn measurement(
        &self,
        sums: &StepSums,
        (rate, norm): (f64, f64),
        (tokens, seconds): (f64, f64),
        observer: &dyn LanguageObserver,
    ) -> Measurement {
        let machine = observer.machine();
        let counters = self.state.counters;
        let epoch = self.state.cursor as f64 / self.pairs.training.len().max(1) as f64;
        let rows = [
            (MetricKey::RewardLoss, sums.loss),
            (MetricKey::RewardAccuracy, StepSums::per(sums.agreements, sums.decided)),
            (MetricKey::RewardMargin, StepSums::per(sums.margin, sums.decided)),
            (MetricKey::RewardMean, StepSums::per(sums.values, sums.count)),
            (MetricKey::RewardPairs, counters.pairs as f64),
            (MetricKey::GradNorm, norm),
            (MetricKey::LearningRate, rate),
            (MetricKey::Epoch, epoch),
            (MetricKey::NumTokens, counters.tokens_trained as f64),
            (MetricKey::NumFlops, counters.operations),
            (MetricKey::StepTime, seconds),
            (MetricKey::PerfTokensPerSecond, tokens / seconds),
            (MetricKey::MemoryPeakBytes, machine.peak_memory_bytes),
        ];
        let (keys, values) = rows.into_iter().unzip();
        Measurement { keys, values }
    }

    fn evaluate(&mut self, model: &mut dyn ValueModel, observer: &mut dyn LanguageObserver) -> Result<(), Stopped> {
        let clock = Instant::now();
        let evaluation = Evaluation {
            run: self.plan.run,
            step: self.state.step,
            head: &self.plan.head,
            training: &self.pairs.training,
            held_out: &self.pairs.held_out,
            start_means: &self.state.start_means,
        };
        let failed = |source| Stopped::Failed(StepError::Model { doing: "reading held-out pairs", source });
        let Evaluated { rows, means, tokens } = evaluation.of(model).map_err(failed)?;
        self.seconds.evaluate += clock.elapsed().as_secs_f64();
        self.state.counters.tokens_evaluated += tokens;
        if self.state.start_means.is_empty() {
            self.state.start_means = means;
        }
        Ok(observer.evaluations(rows).map_err(LearnError::Observer)?)
    }

    fn save(&mut self, model: &mut dyn ValueModel, observer: &mut dyn LanguageObserver) -> Result<(), LearnError> {
        let clock = Instant::now();
        let run = self.plan.run;
        let weights =
            model.save().map_err(|source| LearnError::Policies { run, doing: "giving their state", source })?;
        let bytes = self.state.to_bytes(&weights)?;
        observer.checkpoint(self.state.step, &bytes).map_err(LearnError::Observer)?;
        self.seconds.checkpoint += clock.elapsed().as_secs_f64();
        Ok(())
    }
}

/// One pass of a micro-batch: both texts of each pair, one after the other; every pair weighs 1 / `all`.
fn pass(
    loss: &RewardLoss,
    model: &mut dyn ValueModel,
    pairs: &[&TrainedPair],
    (step, micro_batch, all): (u64, u32, f64),
    sums: &mut StepSums,
) -> Result<slhf_plan::Passed, StepError> {
    let texts: Vec<&[u32]> = pairs.iter().flat_map(|pair| pair.texts.iter().map(AsRef::as_ref)).collect();
    let mut not_finite = None;
    let mut weigh = |values: &[Vec<f64>]| -> Result<Vec<Vec<f64>>, Cause> {
        let mut gradients = Vec::with_capacity(values.len());
        for (pair, both) in pairs.iter().zip(values.chunks_exact(2)) {
            let both = [both[0].as_slice(), both[1].as_slice()];
            let found = loss.pair(both, &pair.target);
            if !found.loss.is_finite() {
                not_finite = Some(found.loss);
            }
            sums.loss += found.loss / all;
            for (logit, label) in
                loss.logits(both, &pair.target).into_iter().flatten().filter(|(_, label)| *label != 0.5)
            {
                let side = (label - 0.5).signum();
                sums.agreements += if logit == 0.0 { 0.5 } else { f64::from(u8::from(logit * side > 0.0)) };
                sums.margin += side * logit;
                sums.decided += 1.0;
            }
            let numbers = both.iter().flat_map(|values| values.iter());
            sums.values += numbers.clone().sum::<f64>();
            sums.count += numbers.count() as f64;
            gradients
                .extend(found.gradients.map(|row| row.into_iter().map(|number| number / all).collect::<Vec<f64>>()));
        }
        Ok(gradients)
    };
    let passed = model.pass(&texts, step, micro_batch, &mut weigh);
    match (not_finite, passed) {
        (Some(value), _) => Err(StepError::Loss { value }),
        (None, passed) => passed.map_err(|source| StepError::Model { doing: "passing pairs", source }),
    }
}

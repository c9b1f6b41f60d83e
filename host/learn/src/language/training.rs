//! The loop over steps of one language-model run.

use std::collections::HashSet;
use std::time::Instant;

use slhf_plan::{
    CompletionRow, EvaluationRow, LanguageEvaluationPlan, LanguagePlan, LogLevel, MetricKey, RewardModelPlan,
};

use super::closed::{ClosedEvaluation, ClosedResult, ClosedSets, ClosedStep};
use super::completions::training_rows;
use super::evaluation::{Evaluation, EvaluationScope};
use super::failure::{StepError, chain};
use super::metrics::{Answered, StepRecord};
use super::observer::LanguageObserver;
use super::offline::{LabeledPair, OfflineEvaluation, OfflineResult, OfflineStep};
use super::prompts::PromptSource;
use super::reward_fit::{FittedRewardModel, RewardModelFit};
use super::settings::Settings;
use super::state::{LanguageCounters, LoopState};
use super::step::{StepParts, StepResult};
use super::traits::{Answer, Evaluators, LanguagePolicies, PairJudge, Players, Prompt};
use crate::control::{BaselineEstimator, Control};
use crate::order::PromptOrder;
use crate::schedule::{AdaptiveState, Speeds};
use crate::{Ended, LearnError, Measurement};

/// Wall-clock seconds of a run so far, by phase: recorded, never used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LanguageSeconds {
    /// Sampling answers to train on, or to fit a reward model to.
    pub generate: f64,
    /// Judging them; a reward model's own work included.
    pub judge: f64,
    /// Passes and updates.
    pub train: f64,
    /// Evaluations, their sampling and judging included.
    pub evaluate: f64,
    /// Checkpoints, the observer's share included.
    pub checkpoint: f64,
}

/// One language-model run that is ready to be trained.
#[derive(Debug)]
pub struct LanguageTrainer {
    settings: Settings,
    evaluation: LanguageEvaluationPlan,
    checkpoint_every: u64,
    log_completions_every: u64,
    prompts: PromptSource,
    /// Where policies are restricted to them.
    closed: Option<ClosedSets>,
    order: PromptOrder,
    control: Control,
    state: LoopState,
    seconds: LanguageSeconds,
    /// The last step's metrics, for the sentence of a failure.
    last: Option<(u64, Measurement)>,
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

impl LanguageTrainer {
    /// Checks the plan. `estimator`: where `score_baseline` is a plugin. The policies stand at their start.
    pub fn new(
        plan: &LanguagePlan,
        prompts: PromptSource,
        estimator: Option<Box<dyn BaselineEstimator>>,
    ) -> Result<Self, LearnError> {
        let settings = Settings::of(plan, prompts.training.len())?;
        let control = Control::of(&settings.training.score_baseline, estimator).ok_or_else(|| LearnError::Setting {
            run: plan.run,
            key: "method.score_baseline".to_owned(),
            problem: "is a plugin, but the run was given no estimator".to_owned(),
        })?;
        if let Some(other) = prompts.others.iter().find(|other| other.answers.len() != prompts.held_out.len()) {
            let (found, expected) = (other.answers.len(), prompts.held_out.len());
            let problem = format!("\"{}\" has {found} responses to {expected} held-out prompts", other.name);
            return Err(LearnError::Setting { run: plan.run, key: "evaluation.transfer".to_owned(), problem });
        }
        let population = match settings.offline() {
            Some(_) => prompts.pairs.training.len(),
            None => prompts.training.len(),
        };
        let adaptive = AdaptiveState::start(&settings.course.schedule.kappa)
            .filter(|_| settings.answered() == Answered::ByFollower);
        Ok(Self {
            order: PromptOrder::new(settings.seed, population),
            settings,
            evaluation: plan.evaluation.clone(),
            closed: ClosedSets::of(plan, &prompts)?,
            checkpoint_every: plan.checkpoint_every,
            log_completions_every: plan.log_completions_every,
            prompts,
            control,
            state: LoopState { adaptive, ..LoopState::default() },
            seconds: LanguageSeconds::default(),
            last: None,
        })
    }

    /// Puts the loop, its control variate and the policies at the state of a checkpoint.
    pub fn restore(&mut self, bytes: &[u8], policies: &mut dyn LanguagePolicies) -> Result<(), LearnError> {
        let run = self.settings.run;
        let refuse = |problem: String| LearnError::State { run, problem };
        let (state, weights) = LoopState::from_bytes(run, bytes)?;
        if state.step > self.settings.training.steps {
            let problem = format!("is at step {}, past the last one ({})", state.step, self.settings.training.steps);
            return Err(refuse(problem));
        }
        if state.adaptive.is_some() != self.state.adaptive.is_some() {
            return Err(refuse("was made under another kind of schedule.kappa".to_owned()));
        }
        if state.reward_model.is_some() != self.settings.reward_model().is_some() {
            return Err(refuse("was made with rewards from elsewhere".to_owned()));
        }
        self.control.take_up(&state.control).map_err(|source| LearnError::Baseline { run, source })?;
        policies.restore(weights).map_err(|source| LearnError::Policies {
            run,
            doing: "taking up their state from the checkpoint",
            source,
        })?;
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
    pub fn counters(&self) -> LanguageCounters {
        self.state.counters
    }

    /// Seconds of this attempt so far.
    #[must_use]
    pub fn seconds(&self) -> LanguageSeconds {
        self.seconds
    }

    /// Trains to the end, until the observer asks to stop (a checkpoint is then written), or until the run cannot go on:
    /// a failure of the policies or the judge, a number that is not finite. That is told with [`LanguageObserver::ended`];
    /// the last checkpoint stays as it is. `Err`: the program itself cannot go on.
    pub fn train(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        judge: &mut dyn PairJudge,
        evaluators: &mut Evaluators,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), LearnError> {
        if self.settings.offline().is_some() && self.prompts.pairs.training.is_empty() {
            let problem = "leaves no pair to train on: raise data.max_response_tokens or data.max_prompt_tokens, or hold out fewer \
                           prompts"
                .to_owned();
            return Err(LearnError::Setting { run: self.settings.run, key: "data".to_owned(), problem });
        }
        let mut players = Players { policies, judge, evaluators };
        let ended = match self.all_steps(&mut players, observer) {
            Ok(ended) => ended,
            Err(Stopped::Broken(error)) => return Err(error),
            Err(Stopped::Failed(error)) => Ended::Failed(self.sentence(&error)),
        };
        observer.ended(self.state.step, ended).map_err(LearnError::Observer)
    }

    /// Everybody's answers to the held-out prompts at the step that the trainer stands at, as the last evaluation samples
    /// them, without a verdict; and what should be said of them. The judge is asked where the method chooses by it.
    pub fn answer_held_out(
        &self,
        policies: &mut dyn LanguagePolicies,
        judge: &mut dyn PairJudge,
    ) -> Result<(Vec<CompletionRow>, Option<String>), LearnError> {
        if self.closed.is_some() {
            let problem =
                "says that responses come from closed sets: no response is sampled, and evaluations are exact"
                    .to_owned();
            return Err(LearnError::Setting { run: self.settings.run, key: "answers".to_owned(), problem });
        }
        let mut players = Players { policies, judge, evaluators: &mut Evaluators::default() };
        self.evaluation().answers_alone(&mut players, &self.prompts).map_err(|error| LearnError::Policies {
            run: self.settings.run,
            doing: "sampling responses to held-out prompts",
            source: Box::new(error),
        })
    }

    /// Where policies that are restricted to closed sets stand before the first step, as the evaluation there says it; and a note where there is
    /// little to learn. Nothing is learned.
    pub fn start(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        judge: &mut dyn PairJudge,
    ) -> Result<(Vec<EvaluationRow>, Option<String>), LearnError> {
        let run = self.settings.run;
        let Some(sets) = &mut self.closed else {
            let problem =
                "missing: only with closed sets of responses the gap before the first step is known".to_owned();
            return Err(LearnError::Setting { run, key: "answers".to_owned(), problem });
        };
        let failed = |error: StepError| LearnError::Policies {
            run,
            doing: "evaluating the start on closed sets",
            source: Box::new(error),
        };
        let mut players = Players { policies, judge, evaluators: &mut Evaluators::default() };
        sets.prepare(&mut players, &self.prompts).map_err(failed)?;
        let evaluation = ClosedEvaluation { run, step: 0, plan: &self.evaluation, sets };
        let most = Some(self.evaluation.prompts as usize);
        let (rows, _) = evaluation.rows(players.policies, &self.prompts, most).map_err(failed)?;
        let note = little_to_learn(&rows);
        Ok((rows, note))
    }

    fn all_steps(&mut self, players: &mut Players<'_>, observer: &mut dyn LanguageObserver) -> Result<Ended, Stopped> {
        let steps = self.settings.training.steps;
        if self.state.step == steps && steps > 0 {
            return Ok(Ended::Finished);
        }
        self.prepare_closed(players)?;
        // A run that was stopped before its first step has its reward model, and has been evaluated there already.
        if let (Some(plan), None) = (self.settings.reward_model(), &self.state.reward_model) {
            self.fit_reward_model(plan, players, observer)?;
        }
        if self.state.step == 0 && self.state.counters.tokens_evaluated == 0 && self.evaluation.every > 0 && steps > 0 {
            self.evaluate(players, EvaluationScope::OnTheWay, observer)?;
        }
        while self.state.step < steps {
            if observer.stop_requested() {
                self.save(players.policies, observer)?;
                return Ok(Ended::Interrupted);
            }
            self.one_step(players, observer)?;
            let step = self.state.step;
            let due = |every: u64| every > 0 && step.is_multiple_of(every) && step < steps;
            if due(self.evaluation.every) {
                self.evaluate(players, EvaluationScope::OnTheWay, observer)?;
            }
            if due(self.checkpoint_every) {
                self.save(players.policies, observer)?;
            }
        }
        self.evaluate(players, EvaluationScope::Last, observer)?;
        self.save(players.policies, observer)?;
        Ok(Ended::Finished)
    }

    /// Asks for what closed sets need; what it cost counts once, however often a run is resumed.
    fn prepare_closed(&mut self, players: &mut Players<'_>) -> Result<(), Stopped> {
        let Some(sets) = &mut self.closed else { return Ok(()) };
        let clock = Instant::now();
        let judging = sets.prepare(players, &self.prompts).map_err(Stopped::Failed)?;
        self.seconds.judge += clock.elapsed().as_secs_f64();
        let counters = &mut self.state.counters;
        if self.state.step == 0 && counters.verdicts == 0 {
            counters.verdicts += judging.verdicts;
            counters.operations += judging.operations;
        }
        Ok(())
    }

    fn fit_reward_model(
        &mut self,
        plan: RewardModelPlan,
        players: &mut Players<'_>,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), Stopped> {
        let chosen = self.order.take(0, plan.pairs as usize);
        let prompts: Vec<&Prompt> = chosen.iter().map(|&index| &self.prompts.training[index]).collect();
        let fitted = RewardModelFit { settings: &self.settings, plan }.of(players, &prompts);
        let FittedRewardModel { model, rows, notes, cost } = fitted.map_err(Stopped::Failed)?;
        self.state.reward_model = Some(model);
        let counters = &mut self.state.counters;
        counters.tokens_generated += cost.tokens;
        counters.operations_generating += cost.operations_generating;
        counters.operations += cost.operations;
        counters.verdicts += cost.verdicts;
        counters.verdicts_skipped += cost.verdicts_failed;
        self.seconds.generate += cost.seconds_generating;
        self.seconds.judge += cost.seconds_judging;
        let tell = || {
            for sentence in &notes {
                observer.note(LogLevel::Warn, sentence)?;
            }
            observer.evaluations(rows)
        };
        Ok(tell().map_err(LearnError::Observer)?)
    }

    fn one_step(&mut self, players: &mut Players<'_>, observer: &mut dyn LanguageObserver) -> Result<(), Stopped> {
        let before = self.state.clone();
        let many = self.settings.offline().map_or(self.settings.training.prompts_per_step, |(_, pairs)| pairs) as usize;
        let chosen = self.order.take(self.state.cursor, many);
        if self.settings.offline().is_some() {
            return self.offline_step(players, (before, &chosen), observer);
        }
        let prompts: Vec<&Prompt> = chosen.iter().map(|&index| &self.prompts.training[index]).collect();
        if let Some(sets) = &self.closed {
            let mut parts = StepParts { settings: &self.settings, control: &mut self.control, state: &mut self.state };
            let taken = ClosedStep { parts: &mut parts, sets }.take(players.policies, &prompts);
            let ClosedResult { mut record, speeds, found } = match taken {
                Ok(result) => result,
                Err(error) => {
                    self.state = before;
                    return Err(Stopped::Failed(error));
                }
            };
            record.seconds.all_reduce = players.policies.all_reduce_seconds();
            self.measure(&mut record, observer);
            let measurement = record.closed_measurement(found, self.settings.has_follower());
            return Ok(self.tell(speeds, measurement, observer)?);
        }
        let mut parts = StepParts { settings: &self.settings, control: &mut self.control, state: &mut self.state };
        let StepResult { mut record, speeds, played, verdicts, note } = match parts.take(players, &prompts) {
            Ok(result) => result,
            Err(error) => {
                let has_learned = self.state.updates != before.updates;
                self.state = before;
                // A judge that has no more to say (a budget is spent, a server is gone) costs no step that was done.
                if matches!(error, StepError::Judge(_)) && !has_learned && !self.is_saved() {
                    self.save(players.policies, observer)?;
                }
                return Err(Stopped::Failed(error));
            }
        };
        let step = self.state.step;
        let logs = self.log_completions_every > 0 && (step == 1 || step.is_multiple_of(self.log_completions_every));
        let rows = if logs { training_rows(self.settings.run, step, &played, verdicts) } else { Vec::new() };
        record.seconds.all_reduce = players.policies.all_reduce_seconds();
        self.measure(&mut record, observer);
        let measurement = record.measurement(self.settings.answered());
        let has_two_speeds = self.settings.answered() == Answered::ByFollower;
        let row = speeds.row(self.settings.run, step, self.state.updates, has_two_speeds);
        let tell = || {
            if let Some(sentence) = note {
                observer.note(LogLevel::Warn, &sentence)?;
            }
            observer.schedule(row)?;
            observer.metrics(step, &measurement)?;
            if !rows.is_empty() {
                observer.completions(rows)?;
            }
            observer.progress(step)
        };
        tell().map_err(LearnError::Observer)?;
        self.last = Some((step, measurement));
        Ok(())
    }

    /// Tells a step on closed sets or on pairs of a file, of which there are no completions.
    fn tell(
        &mut self,
        speeds: Speeds,
        measurement: Measurement,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), LearnError> {
        let step = self.state.step;
        let row = speeds.row(self.settings.run, step, self.state.updates, self.settings.has_follower());
        observer.schedule(row).map_err(LearnError::Observer)?;
        observer.metrics(step, &measurement).map_err(LearnError::Observer)?;
        observer.progress(step).map_err(LearnError::Observer)?;
        self.last = Some((step, measurement));
        Ok(())
    }

    /// Whether a checkpoint was due at the step that it stands at; before the first step there is nothing to save.
    fn is_saved(&self) -> bool {
        let step = self.state.step;
        step == 0 || (self.checkpoint_every > 0 && step.is_multiple_of(self.checkpoint_every))
    }

    /// A step on pairs of a file. Their responses are in the file: none is recorded again.
    fn offline_step(
        &mut self,
        players: &mut Players<'_>,
        (before, chosen): (LoopState, &[usize]),
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), Stopped> {
        let Some((loss, _)) = self.settings.offline() else { return Ok(()) };
        let pairs: Vec<&LabeledPair> = chosen.iter().map(|&index| &self.prompts.pairs.training[index]).collect();
        let mut parts = StepParts { settings: &self.settings, control: &mut self.control, state: &mut self.state };
        let taken = OfflineStep { parts: &mut parts, loss }.take(players.policies, &pairs);
        let OfflineResult { mut record, speeds, found } = match taken {
            Ok(result) => result,
            Err(error) => {
                self.state = before;
                return Err(Stopped::Failed(error));
            }
        };
        record.seconds.all_reduce = players.policies.all_reduce_seconds();
        self.measure(&mut record, observer);
        let measurement = record.closed_measurement(found, false);
        Ok(self.tell(speeds, measurement, observer)?)
    }

    fn measure(&mut self, record: &mut StepRecord, observer: &dyn LanguageObserver) {
        let machine = observer.machine();
        record.peak_operations_per_second = machine.peak_operations_per_second;
        record.peak_memory_bytes = machine.peak_memory_bytes;
        record.epoch = self.state.cursor as f64 / self.order.count().max(1) as f64;
        self.seconds.generate += record.seconds.generate;
        self.seconds.judge += record.seconds.judge;
        self.seconds.train += record.seconds.train;
    }

    fn evaluation(&self) -> Evaluation<'_> {
        Evaluation {
            run: self.settings.run,
            seed: self.settings.seed,
            step: self.state.step,
            plan: &self.evaluation,
            has_follower: self.settings.has_follower(),
            is_judged: self.settings.is_judged,
            standing: self.settings.standing,
            certified: self.settings.certified,
        }
    }

    fn evaluate(
        &mut self,
        players: &mut Players<'_>,
        scope: EvaluationScope,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), Stopped> {
        if self.closed.is_some() {
            return self.evaluate_closed(players.policies, scope, observer);
        }
        let clock = Instant::now();
        let mut told = self.evaluation().of(players, &self.prompts, scope);
        if let Ok(found) = &mut told {
            match self.held_out_pairs(players.policies, scope, &found.leaders) {
                Ok((rows, tokens)) => {
                    found.rows.extend(rows);
                    found.tokens += tokens;
                }
                Err(error) => told = Err(error),
            }
        }
        self.seconds.evaluate += clock.elapsed().as_secs_f64();
        let found = told.map_err(Stopped::Failed)?;
        self.state.counters.tokens_evaluated += found.tokens;
        let tell = || {
            for sentence in found.notes {
                observer.note(LogLevel::Warn, &sentence)?;
            }
            if !found.rows.is_empty() {
                observer.evaluations(found.rows)?;
            }
            if !found.completions.is_empty() {
                observer.completions(found.completions)?;
            }
            Ok(())
        };
        Ok(tell().map_err(LearnError::Observer)?)
    }

    /// What the policy makes of the held-out pairs of a file, how far it is from the reference on its own responses, and the tokens that it
    /// read; nothing where there is no such file.
    fn held_out_pairs(
        &self,
        policies: &mut dyn LanguagePolicies,
        scope: EvaluationScope,
        sampled: &[Answer],
    ) -> Result<(Vec<EvaluationRow>, u64), StepError> {
        let Some((loss, _)) = self.settings.offline() else { return Ok((Vec::new(), 0)) };
        let asked = match scope {
            EvaluationScope::OnTheWay => (self.evaluation.prompts as usize).min(self.prompts.held_out.len()),
            EvaluationScope::Last => self.prompts.held_out.len(),
        };
        let prompts: HashSet<u32> = self.prompts.held_out[..asked].iter().map(|prompt| prompt.id).collect();
        let pairs = self.prompts.pairs.held_out.iter().filter(|pair| prompts.contains(&pair.prompt.id));
        let pairs: Vec<&LabeledPair> = pairs.collect();
        let batch_size = self.evaluation.batch_size as usize;
        let evaluation = OfflineEvaluation { run: self.settings.run, step: self.state.step, loss, batch_size };
        let (mut rows, mut tokens) = evaluation.rows(policies, &pairs)?;
        // Only samples of the policy itself say how far it is from the reference.
        let (own, asked) = (self.settings.training.sampling, self.evaluation.sampling);
        if own.temperature == asked.temperature && !asked.is_cut() {
            let (row, read) = evaluation.divergence(policies, (&self.prompts.held_out, sampled))?;
            rows.extend(row);
            tokens += read;
        }
        Ok((rows, tokens))
    }

    /// Exactly, on training and on held-out prompts.
    fn evaluate_closed(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        scope: EvaluationScope,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), Stopped> {
        let Some(sets) = &self.closed else { return Ok(()) };
        let clock = Instant::now();
        let most = match scope {
            EvaluationScope::OnTheWay => Some(self.evaluation.prompts as usize),
            EvaluationScope::Last => None,
        };
        let evaluation =
            ClosedEvaluation { run: self.settings.run, step: self.state.step, plan: &self.evaluation, sets };
        let (mut rows, tokens) = evaluation.rows(policies, &self.prompts, most).map_err(Stopped::Failed)?;
        self.state.counters.tokens_evaluated += tokens;
        if let (EvaluationScope::Last, Some(certified)) = (scope, &self.settings.certified) {
            let how = (certified, self.evaluation().certificate_place());
            let certificate = evaluation.certificate(policies, &self.prompts, how);
            self.state.counters.tokens_evaluated += certificate.tokens;
            rows.extend(certificate.rows);
            for sentence in certificate.notes {
                observer.note(LogLevel::Warn, &sentence).map_err(LearnError::Observer)?;
            }
        }
        if let (0, Some(sentence)) = (self.state.step, little_to_learn(&rows)) {
            observer.note(LogLevel::Warn, &sentence).map_err(LearnError::Observer)?;
        }
        self.seconds.evaluate += clock.elapsed().as_secs_f64();
        Ok(observer.evaluations(rows).map_err(LearnError::Observer)?)
    }

    fn save(
        &mut self,
        policies: &mut dyn LanguagePolicies,
        observer: &mut dyn LanguageObserver,
    ) -> Result<(), LearnError> {
        let clock = Instant::now();
        let run = self.settings.run;
        self.state.control = self.control.state().map_err(|source| LearnError::Baseline { run, source })?;
        let weights =
            policies.save().map_err(|source| LearnError::Policies { run, doing: "giving their state", source })?;
        let bytes = self.state.to_bytes(&weights)?;
        observer.checkpoint(self.state.step, &bytes).map_err(LearnError::Observer)?;
        self.seconds.checkpoint += clock.elapsed().as_secs_f64();
        Ok(())
    }

    /// In which step, why, and what the metrics were when all was well.
    fn sentence(&self, error: &StepError) -> String {
        let step = self.state.step + 1;
        let last = match &self.last {
            None => "no step came before it".to_owned(),
            Some((step, measurement)) => {
                let shown = [
                    MetricKey::LossLeader,
                    MetricKey::LossFollower,
                    MetricKey::ObjectiveKlLeader,
                    MetricKey::ObjectiveKlFollower,
                    MetricKey::GradNorm,
                ];
                let pairs = measurement.keys.iter().zip(&measurement.values);
                let known: Vec<String> = pairs
                    .filter(|(key, _)| shown.contains(key))
                    .map(|(key, value)| format!("{key} = {value:.3e}"))
                    .collect();
                format!("the metrics of step {step} were {}", known.join(", "))
            }
        };
        format!("step {step}: {}; {last}", chain(error))
    }
}

/// A gap below which a run on closed sets shows little before its first step.
const GAP_MIN: f64 = 0.05;

/// What is to be said of a start that is nearly the solution.
fn little_to_learn(rows: &[EvaluationRow]) -> Option<String> {
    let gaps = [MetricKey::StackelbergGap, MetricKey::DualityGap].map(MetricKey::name);
    let row = rows.iter().find(|row| gaps.iter().any(|gap| row.name == *gap) && row.value < GAP_MIN)?;
    Some(format!(
        "{} is {:.4} before the first step: the start is nearly the solution, and there is little to learn; \
         answers.reference = \"uniform\" and a judge with stronger preferences leave more",
        row.name, row.value
    ))
}

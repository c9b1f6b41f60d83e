//! Plans, judges and an observer that keeps everything.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use slhf_learn::language::{
    Answer, Candidate, Comparison, Evaluators, GivenAnswers, LanguageObserver, LanguageTrainer, MachineReading,
    Measure, Measured, PairJudge, PreferencePairs, Prompt, PromptSource, Reward, Verdict,
};
use slhf_learn::{Cause, Ended, Measurement};
use slhf_plan::{
    AdapterPlan, AnswerSetsPlan, CertificatePlan, CheckpointKeep, CompletionRow, ControlVariate, Curve, DataLayout,
    DataPlan, EvaluationJudgePlan, EvaluationRow, FollowerReference, ImportancePlan, Kappa, KlEstimator, KlGradient,
    LanguageEvaluationPlan, LanguageMethod, LanguagePlan, LanguageRewards, LanguageTraining, LogLevel, MeasurePlan,
    Message, MetricKey, ModelDevicePlan, ModelOptimizer, ModelPlan, ModelPrecision, OnBadRow, OnFailure, OverLong,
    PROCESS_TIMEOUT_S, PairLayout, Parameters, Players, PreferenceData, PromptId, PromptLayout, Realisation,
    RewardModelPlan, Rloo, SamplerPlan, Sampling, Schedule, ScheduleRow, Score, StackelbergGda, TurnCredit,
    VerdictAttribute,
};

use super::tabular::Tabular;
use crate::support::judge;

/// A plan under construction.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) prompts: u32,
    pub(crate) held_out: u32,
    pub(crate) training: LanguageTraining,
    pub(crate) parameters: Parameters,
    pub(crate) follower_beta: f64,
    /// Another method with these common settings; `None`: StackelbergGDA.
    pub(crate) rival: Option<fn(LanguageTraining) -> LanguageMethod>,
    pub(crate) schedule: Schedule,
    pub(crate) evaluation_every: u64,
    pub(crate) evaluation_rounds: u32,
    pub(crate) evaluation_stream: Option<NonZeroU32>,
    pub(crate) certificate: Option<CertificatePlan>,
    /// Names of judges that nobody is trained on.
    pub(crate) evaluation_judges: Vec<&'static str>,
    /// Names of measures.
    pub(crate) measures: Vec<&'static str>,
    /// Others who answered the held-out prompts.
    pub(crate) others: Vec<GivenAnswers>,
    pub(crate) checkpoint_every: u64,
    pub(crate) log_completions_every: u64,
    /// Closed sets, with the answers of every prompt.
    pub(crate) answers: Option<AnswerSetsPlan>,
    pub(crate) sets: HashMap<u32, Arc<[Answer]>>,
    /// Pairs of a file, of a method that learns from them.
    pub(crate) pairs: PreferencePairs,
    pub(crate) is_judged: bool,
    /// Of a server that samples.
    pub(crate) importance: Option<ImportancePlan>,
}

/// RLOO with the judge as its reward plugin.
pub(crate) fn rloo_on_rewards(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Rloo(Rloo {
        training,
        rewards: LanguageRewards { reward: Some(judge().plugin), reward_model: None },
    })
}

/// RLOO on the judge's verdicts.
pub(crate) fn rloo_on_verdicts(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards::default() })
}

/// RLOO on a reward model of eight pairs.
pub(crate) fn rloo_on_a_reward_model(training: LanguageTraining) -> LanguageMethod {
    let reward_model = Some(RewardModelPlan { pairs: 8, l2: None });
    LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward: None, reward_model } })
}

/// SCoRe on the judge's verdicts: two steps of stage I.
pub(crate) fn score_on_verdicts(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Score(score(training, LanguageRewards::default()))
}

/// SCoRe with the judge as its reward plugin.
pub(crate) fn score_on_rewards(training: LanguageTraining) -> LanguageMethod {
    let rewards = LanguageRewards { reward: Some(judge().plugin), reward_model: None };
    LanguageMethod::Score(Score { credit: TurnCredit::Objective, ..score(training, rewards) })
}

/// SCoRe on a reward model of eight pairs.
pub(crate) fn score_on_a_reward_model(training: LanguageTraining) -> LanguageMethod {
    let reward_model = Some(RewardModelPlan { pairs: 8, l2: None });
    LanguageMethod::Score(score(training, LanguageRewards { reward: None, reward_model }))
}

fn score(training: LanguageTraining, rewards: LanguageRewards) -> Score<LanguageTraining> {
    Score {
        rewards,
        stage_one_steps: 2,
        alpha: 2.0,
        first_turn_beta: 0.5,
        credit: TurnCredit::OwnTurn,
        instruction: "Improve the previous answer.".to_owned(),
        training,
    }
}

pub(crate) fn prompt(id: u32) -> Prompt {
    let messages = [Message { role: "user".to_owned(), content: format!("question {id}") }];
    let identity = PromptId::new(&messages, "{}", 0);
    Prompt { id, identity, messages: Arc::from(messages), metadata: "{}".into() }
}

impl Setup {
    /// Two prompts, four pairs of each a step, plain settings.
    pub(crate) fn new() -> Self {
        Self {
            seed: 5,
            prompts: 2,
            held_out: 0,
            training: LanguageTraining {
                steps: 4,
                prompts_per_step: 2,
                num_generations: 4,
                micro_batch_size: 3,
                sampling: Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 2 },
                trained_on: slhf_plan::TrainedOn::Vocabulary,
                beta: 0.2,
                kl_gradient: KlGradient::RewardToGo,
                kl_estimator: KlEstimator::K1,
                score_baseline: ControlVariate::Constant { value: 0.5 },
                missing_eos_penalty: 0.0,
                optimizer: ModelOptimizer::Sgd,
                max_grad_norm: 0.0,
            },
            parameters: Parameters::Separate,
            follower_beta: 0.3,
            rival: None,
            schedule: Schedule {
                realisation: Realisation::LearningRateRatio,
                kappa: Kappa::Constant { value: 2.0 },
                learning_rate: Curve::Constant { value: 0.5 },
                follower_learning_rate: None,
                warmup_steps: 0,
            },
            evaluation_every: 0,
            evaluation_rounds: 1,
            evaluation_stream: None,
            certificate: None,
            evaluation_judges: Vec::new(),
            measures: Vec::new(),
            others: Vec::new(),
            checkpoint_every: 0,
            log_completions_every: 0,
            answers: None,
            sets: HashMap::new(),
            pairs: PreferencePairs::default(),
            is_judged: true,
            importance: None,
        }
    }

    pub(crate) fn method(&self) -> LanguageMethod {
        let training = self.training.clone();
        match self.rival {
            Some(rival) => rival(training),
            None => LanguageMethod::StackelbergGda(StackelbergGda {
                training,
                players: Players {
                    parameters: self.parameters,
                    follower_beta: self.follower_beta,
                    follower_reference: FollowerReference::Context,
                    instruction: "Improve the previous answer.".to_owned(),
                    regularizer: slhf_plan::Regularizer::default(),
                    follower_regularizer: None,
                },
            }),
        }
    }

    fn layout(&self) -> DataLayout {
        if self.pairs == PreferencePairs::default() {
            return DataLayout::Prompts(PromptLayout::Jsonl);
        }
        DataLayout::Preferences(PreferenceData {
            pairs: PairLayout::Pairs,
            attribute: None,
            training_pairs: None,
            max_response_tokens: 4,
        })
    }

    pub(crate) fn plan(&self) -> LanguagePlan {
        LanguagePlan {
            run: 10,
            seed: self.seed,
            device: ModelDevicePlan {
                name: "cpu".to_owned(),
                threads: 1,
                precision: ModelPrecision::F32,
                processes: 1,
                process_timeout_s: PROCESS_TIMEOUT_S,
                sampler: self.importance.map(|importance| SamplerPlan {
                    server: "http://127.0.0.1:1/v1".to_owned(),
                    model: "table".to_owned(),
                    key_env: None,
                    concurrency: 1,
                    timeout_ms: 1_000,
                    retries: 0,
                    budget_tokens: None,
                    folder_on_server: None,
                    importance: Some(importance),
                }),
            },
            model: ModelPlan {
                name: "table".to_owned(),
                path: "table".to_owned(),
                sha256: String::new(),
                adapter: AdapterPlan::Lora {
                    lora_r: 1,
                    lora_alpha: 1.0,
                    lora_dropout: 0.0,
                    lora_target_modules: vec!["q_proj".to_owned()],
                },
                weights: slhf_plan::ModelWeights::F32,
                activation_checkpointing: false,
                thinking: false,
                chat_template: None,
            },
            data: DataPlan {
                path: "prompts.jsonl".to_owned(),
                sha256: String::new(),
                layout: self.layout(),
                held_out: self.held_out,
                split_seed: 0,
                max_prompt_tokens: 100,
                over_long: OverLong::Drop,
                system: String::new(),
                on_bad_row: OnBadRow::Error,
                skipped_rows: 0,
            },
            judge: self.is_judged.then(judge),
            method: self.method(),
            schedule: self.schedule,
            evaluation: LanguageEvaluationPlan {
                every: self.evaluation_every,
                prompts: 2,
                sampling: self.training.sampling,
                batch_size: 2,
                rounds: self.evaluation_rounds,
                stop_at: None,
                certificate: self.certificate,
                family: slhf_plan::ComparisonFamily::All,
                judges: self
                    .evaluation_judges
                    .iter()
                    .map(|name| EvaluationJudgePlan { name: (*name).to_owned(), judge: judge() })
                    .collect(),
                measures: self
                    .measures
                    .iter()
                    .map(|name| MeasurePlan {
                        name: (*name).to_owned(),
                        plugin: judge().plugin,
                        on_failure: OnFailure::Skip,
                    })
                    .collect(),
                transfer: Vec::new(),
                stream: self.evaluation_stream,
            },
            checkpoint_every: self.checkpoint_every,
            checkpoint_keep: CheckpointKeep::default(),
            log_completions_every: self.log_completions_every,
            answers: self.answers.clone(),
        }
    }

    /// Training prompts have the first ids, held-out ones the next.
    pub(crate) fn source(&self) -> PromptSource {
        PromptSource {
            training: (0..self.prompts).map(prompt).collect(),
            held_out: (self.prompts..self.prompts + self.held_out).map(prompt).collect(),
            others: self.others.clone(),
            answers: self.sets.clone(),
            pairs: self.pairs.clone(),
        }
    }

    pub(crate) fn trainer(&self) -> LanguageTrainer {
        LanguageTrainer::new(&self.plan(), self.source(), None).unwrap()
    }

    /// The sentence with which the plan is refused.
    pub(crate) fn refusal(&self) -> String {
        LanguageTrainer::new(&self.plan(), self.source(), None).unwrap_err().to_string()
    }

    /// Trains to the end or to its failure.
    pub(crate) fn train(&self, policies: &mut Tabular, judge: &mut dyn PairJudge) -> Told {
        self.train_evaluated_by(policies, judge, Evaluators::default())
    }

    /// With the judges and measures that the setup names.
    pub(crate) fn train_evaluated_by(
        &self,
        policies: &mut Tabular,
        judge: &mut dyn PairJudge,
        mut evaluators: Evaluators,
    ) -> Told {
        let mut told = Told::default();
        self.trainer().train(policies, judge, &mut evaluators, &mut told).unwrap();
        told
    }
}

/// A measure by a function of prompt and answer: score, and attributes.
pub(crate) struct ByFunction<F>(pub(crate) F);

impl<F: FnMut(u32, &Answer) -> Result<Measured, String>> Measure for ByFunction<F> {
    fn measure(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Measured, String>>, Cause> {
        Ok(candidates.iter().map(|asked| (self.0)(asked.prompt.id, asked.answer)).collect())
    }
}

/// A judge by a function of prompt and answers.
pub(crate) struct Judge<F>(pub(crate) F);

impl<F: FnMut(u32, &Answer, &Answer) -> Result<f64, String>> PairJudge for Judge<F> {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        let verdict = |comparison: &Comparison<'_>| {
            let probability = (self.0)(comparison.prompt.id, comparison.first, comparison.second)?;
            let attribute = VerdictAttribute { name: "table".to_owned(), value: probability, reason: String::new() };
            Ok(Verdict { probability, attributes: vec![attribute] })
        };
        Ok(comparisons.iter().map(verdict).collect())
    }

    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause> {
        let reward = |asked: &Candidate<'_>| {
            let value = (self.0)(asked.prompt.id, asked.answer, asked.answer)?;
            let attribute = VerdictAttribute { name: "doubled".to_owned(), value: 2.0 * value, reason: String::new() };
            Ok(Reward { value, attributes: vec![attribute] })
        };
        Ok(candidates.iter().map(reward).collect())
    }
}

/// p by a hash of both answers, within [0.05, 0.95]; not complementary.
pub(crate) fn hashed(prompt: u32, first: &Answer, second: &Answer) -> f64 {
    let number = |answer: &Answer| answer.tokens.iter().fold(7_u64, |sum, token| sum * 31 + u64::from(*token) + 1);
    let hash = (number(first) * 7919 + number(second) * 104_729 + u64::from(prompt) * 13) * 2_654_435_761 % 1_000_003;
    0.05 + 0.9 * (hash as f64 / 1_000_003.0)
}

/// Everything that was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// Metrics without those of the machine, as bits, so that NaN equals NaN.
    pub(crate) metrics: Vec<(u64, Vec<(&'static str, u64)>)>,
    /// The keys of the machine's.
    pub(crate) machine: Vec<&'static str>,
    pub(crate) schedules: Vec<ScheduleRow>,
    pub(crate) completions: Vec<CompletionRow>,
    pub(crate) evaluations: Vec<EvaluationRow>,
    pub(crate) checkpoints: Vec<(u64, Vec<u8>)>,
    pub(crate) notes: Vec<String>,
    pub(crate) ended: Option<(u64, Ended)>,
    pub(crate) stop_at: Option<u64>,
    pub(crate) progress: u64,
}

impl Told {
    /// A metric of a step.
    pub(crate) fn metric(&self, step: u64, key: &str) -> f64 {
        let (_, values) = self.metrics.iter().find(|(other, _)| *other == step).unwrap();
        f64::from_bits(values.iter().find(|(other, _)| *other == key).unwrap().1)
    }

    /// Why the run failed.
    pub(crate) fn failure(&self) -> &str {
        match &self.ended {
            Some((_, Ended::Failed(sentence))) => sentence,
            other => panic!("expected a failure, found {other:?}"),
        }
    }
}

impl LanguageObserver for Told {
    fn stop_requested(&self) -> bool {
        self.stop_at.is_some_and(|at| self.progress >= at)
    }
    fn machine(&self) -> MachineReading {
        MachineReading { peak_operations_per_second: 1e12, ..MachineReading::default() }
    }
    fn note(&mut self, _: LogLevel, sentence: &str) -> Result<(), Cause> {
        self.notes.push(sentence.to_owned());
        Ok(())
    }
    fn metrics(&mut self, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        let all = measurement.keys.iter().copied().zip(measurement.values.iter().map(|value| value.to_bits()));
        let (machine, own): (Vec<_>, Vec<_>) = all.partition(|(key, _)| key.is_of_machine());
        self.machine = machine.into_iter().map(|(key, _): (MetricKey, u64)| key.name()).collect();
        self.metrics.push((step, own.into_iter().map(|(key, value)| (key.name(), value)).collect()));
        Ok(())
    }
    fn schedule(&mut self, mut row: ScheduleRow) -> Result<(), Cause> {
        // What a method with one policy does not have is NaN, which would not equal itself.
        for value in [&mut row.kappa, &mut row.follower_learning_rate] {
            *value = if value.is_nan() { -1.0 } else { *value };
        }
        self.schedules.push(row);
        Ok(())
    }
    fn completions(&mut self, rows: Vec<CompletionRow>) -> Result<(), Cause> {
        self.completions.extend(rows);
        Ok(())
    }
    fn evaluations(&mut self, rows: Vec<EvaluationRow>) -> Result<(), Cause> {
        self.evaluations.extend(rows);
        Ok(())
    }
    fn checkpoint(&mut self, step: u64, state: &[u8]) -> Result<(), Cause> {
        self.checkpoints.push((step, state.to_vec()));
        Ok(())
    }
    fn progress(&mut self, steps_done: u64) -> Result<(), Cause> {
        self.progress = steps_done;
        Ok(())
    }
    fn ended(&mut self, step: u64, ended: Ended) -> Result<(), Cause> {
        self.ended = Some((step, ended));
        Ok(())
    }
}

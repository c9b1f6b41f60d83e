//! The plan's model with a head of values, as training wants it.

use std::path::Path;

use slhf_learn::Cause;
use slhf_learn::reward::ValueModel;
use slhf_plan::{ModelWeights, Passed, RewardTrainingPlan};
use slhf_policy::{
    Agent, AgentRate, Engine, EngineSettings, HEAD_TENSOR, ModelConfig, Optimizer, OptimizerStep, Player,
    ReadWeights as _, RewardHead, StoredModel, Tokens, Training, ValuePass, drawn_head,
};

use crate::environment;
use crate::error::WorkerError;
use crate::language::load;

/// An engine with its head, its tokens and its optimizer.
#[derive(Debug)]
pub(super) struct HeadedModel {
    pub(super) engine: Engine,
    pub(super) tokens: Tokens,
    pub(super) head: RewardHead,
    optimizer: Optimizer,
}

impl HeadedModel {
    /// The plan's model at its start. A head that it has already goes on if its labels are the plan's; else one is drawn.
    pub(super) fn load(plan: &RewardTrainingPlan) -> Result<Self, WorkerError> {
        let path = Path::new(&plan.model.path);
        load::check_files(path, &plan.model.sha256)?;
        let mut stored = StoredModel::open(path)?;
        let tokens = load::tokens(&stored, load::thinking(plan.model.thinking), plan.model.chat_template.as_deref())?;
        let mut weights = stored.weights(plan.device.precision)?;
        let head = RewardHead { labels: plan.head.labels() };
        let goes_on = stored.config().reward.as_ref() == Some(&head);
        let config = ModelConfig { reward: Some(head.clone()), ..stored.config().clone() };
        let drawn = drawn_head(&config, plan.seed)?;
        let settings = EngineSettings {
            device: environment::resolve(&plan.device.name)?,
            precision: plan.device.precision,
            activation_checkpointing: plan.model.activation_checkpointing,
            training: Some(Training::of(&plan.model.adapter)?),
            agents: vec![Agent::Shared],
            seed: plan.seed,
        };
        let mut take = |name: &str| {
            if name == HEAD_TENSOR && !goes_on { Ok(drawn.shallow_clone()) } else { weights.take(name) }
        };
        let mut engine = Engine::load(config, settings, &mut take)?;
        if plan.model.weights == ModelWeights::Packed {
            engine.pack(&mut stored)?;
        }
        engine.train_head()?;
        let parameters = engine.parameters().ok_or(WorkerError::NothingTrained)?;
        let optimizer = Optimizer::new(plan.training.optimizer, parameters)?;
        Ok(Self { engine, tokens, head, optimizer })
    }
}

impl ValueModel for HeadedModel {
    fn pass(
        &mut self,
        texts: &[&[u32]],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[Vec<f64>]) -> Result<Vec<Vec<f64>>, Cause>,
    ) -> Result<Passed, Cause> {
        self.engine.value_pass::<Cause>(texts, ValuePass { step, micro_batch }, weigh)
    }

    fn values(&mut self, text: &[u32]) -> Result<Vec<f64>, Cause> {
        Ok(self.engine.values(Player::Leader, text)?)
    }

    fn update(&mut self, learning_rate: f64, max_grad_norm: f64) -> Result<f64, Cause> {
        let rates = [AgentRate { agent: Agent::Shared, learning_rate }];
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        let norms = self.optimizer.step(parameters, &OptimizerStep { rates: &rates, max_grad_norm })?;
        self.engine.parameters_changed();
        Ok(norms.first().map_or(0.0, |norm| norm.norm))
    }

    fn save(&self) -> Result<Vec<u8>, Cause> {
        let parameters = self.engine.parameters().ok_or(WorkerError::NothingTrained)?;
        Ok(self.optimizer.save(parameters)?)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        let parameters = self.engine.parameters_mut().ok_or(WorkerError::NothingTrained)?;
        self.optimizer.restore(parameters, state)?;
        self.engine.parameters_changed();
        Ok(())
    }
}

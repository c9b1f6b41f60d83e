//! What methods on language models share, and what each says of itself.

use serde::{Deserialize, Serialize};

use super::keys::read_steps;
use super::{ControlVariate, LanguageRewards, Learned};
use crate::PluginPlan;
use crate::model_settings::{KlEstimator, KlGradient, ModelOptimizer, OptimizerKind, Sampling, TrainedOn};
use crate::settings::{Key, Problems, Reader};

/// What the methods on language models have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageTraining {
    /// Training steps (Leader updates).
    pub steps: u64,
    /// Prompts a step.
    pub prompts_per_step: u32,
    /// Leader samples of each prompt.
    pub num_generations: u32,
    /// Sequences (or packed pairs) of one forward and backward pass.
    pub micro_batch_size: u32,
    /// How answers are sampled; the temperature is also the one of the log-probabilities.
    pub sampling: Sampling,
    /// Whether `top_k` and `top_p` cut what is trained, too.
    #[serde(default, skip_serializing_if = "TrainedOn::is_vocabulary")]
    pub trained_on: TrainedOn,
    /// `τ_L`: weight of the Leader's KL divergence.
    pub beta: f64,
    /// How the KL term enters the gradient.
    pub kl_gradient: KlGradient,
    /// The estimate used by `kl_gradient = "paper"`.
    pub kl_estimator: KlEstimator,
    /// What is subtracted from a score.
    pub score_baseline: ControlVariate,
    /// Subtracted from the score of a response that did not end by itself.
    pub missing_eos_penalty: f64,
    /// The first-order rule.
    pub optimizer: ModelOptimizer,
    /// Largest norm of one agent's gradient; 0: not clipped.
    pub max_grad_norm: f64,
}

/// The weight of the KL divergence from the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UsualBeta {
    /// So much unless given.
    Of(f64),
    /// There is no such divergence: 0, for this reason.
    None(&'static str),
}

/// Where the responses come from that a method learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responses {
    /// They are sampled, step by step.
    Sampled,
    /// A file of preferences has them.
    OfAFile,
    /// They are closed sets, every response of which is weighed.
    OfClosedSets,
}

/// What a method makes of the settings that all methods on language models share.
#[derive(Clone, Debug, PartialEq)]
pub struct LanguageUses {
    /// What is learned.
    pub learned: Learned,
    /// Where the responses come from that it learns from.
    pub responses: Responses,
    /// Whether answers of one prompt are compared with each other, so that one alone has no gradient.
    pub compares: bool,
    /// Whether all answers of a prompt must be in one micro-batch.
    pub needs_whole_groups: bool,
    /// Samples of each prompt; `None`: one, and the key decides nothing.
    pub num_generations: Option<u32>,
    /// The weight of the KL divergence.
    pub beta: UsualBeta,
    /// How the KL term enters the gradient, where the method lets it be chosen.
    pub kl_gradient: Option<KlGradient>,
    /// Whether the KL term may be k3 in the loss.
    pub has_k3: bool,
    /// What is subtracted from a score, where the method lets it be chosen.
    pub score_baseline: Option<ControlVariate>,
}

impl LanguageUses {
    /// One policy; the answers of a prompt are compared with each other.
    pub const COMPARING: Self = Self {
        learned: Learned::OnePolicy,
        responses: Responses::Sampled,
        compares: true,
        needs_whole_groups: true,
        num_generations: Some(2),
        beta: UsualBeta::Of(0.001),
        kl_gradient: None,
        has_k3: false,
        score_baseline: None,
    };

    /// One policy; it learns from the pairs of a file, and samples nothing in training.
    pub const OF_A_FILE: Self = Self {
        responses: Responses::OfAFile,
        compares: false,
        needs_whole_groups: false,
        num_generations: None,
        beta: UsualBeta::Of(0.1),
        ..Self::COMPARING
    };
}

/// A method on language models.
pub trait OnLanguageModels: Sized {
    /// What it makes of the common settings.
    const USES: LanguageUses;

    /// Reads `[method]`.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// The common settings.
    fn training(&self) -> &LanguageTraining;

    /// What its own settings must be.
    fn check(&self, _problems: &mut Problems) {}

    /// Why all answers of a prompt must be in one micro-batch; `None`: they need not.
    fn needs_whole_groups(&self) -> Option<&'static str> {
        Self::USES.needs_whole_groups.then_some("its loss is of the responses of a prompt together")
    }

    /// Updates on the same samples.
    fn num_iterations(&self) -> u32 {
        1
    }

    /// How many steps ago the policies stood that read the responses of a step.
    fn past_policies(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Pairs of a step, of a method that learns from the pairs of a file.
    fn pairs_per_step(&self) -> Option<u32> {
        None
    }

    /// Where rewards come from, of a method that learns from rewards.
    fn rewards(&self) -> Option<&LanguageRewards> {
        None
    }

    /// Its `reward` plugin, to be changed.
    fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        None
    }

    /// The turn that asks for a better answer, of a method whose answers are improved.
    fn instruction(&self) -> Option<&str> {
        None
    }
}

const STEPS: Key = Key::new("steps", "Training steps, which are Leader updates.").example("100");
const PROMPTS_PER_STEP: Key = Key::new("prompts_per_step", "Prompts a step.")
    .example("16")
    .why_not("the others learn from the pairs of a file: pairs_per_step says how many");
const NUM_GENERATIONS: Key = Key::new("num_generations", "Samples of each prompt; best-of-n: N.")
    .example("4")
    .why_not("the others learn from the pairs of a file: pairs_per_step says how many");
const MICRO_BATCH_SIZE: Key = Key::new("micro_batch_size", "Sequences of one forward and backward pass.").example("4");
const BETA: Key = Key::new("beta", "τ_L: weight of the KL divergence from the reference.").example("0.005");
pub(super) const KL_GRADIENT: Key =
    Key::new("kl_gradient", "How the KL term enters the gradient; `differentiated_k3` is grpo's alone.")
        .example(r#""exact""#)
        .why_not("the others hold the policy to the reference inside of their loss, or not at all");
const KL_ESTIMATOR: Key =
    Key::new("kl_estimator", "The estimate used by `kl_gradient = \"paper\"`.").example(r#""k3""#);
const SCORE_BASELINE: Key = Key::new(
    "score_baseline",
    "What is subtracted from a score, a number or a table (rloo: always `{ kind = \"leave_one_out\" }`).",
)
.example(r#"{ kind = "leave_one_out" }"#)
.why_not("the others set their own baseline by what they are");
const MISSING_EOS_PENALTY: Key =
    Key::new("missing_eos_penalty", "Subtracted from the score of a response that did not end by itself.")
        .example("0.5")
        .why_not("the others have no scores: they learn from the pairs of a file");
const OPTIMIZER: Key = Key::new("optimizer", "The first-order rule.").example(r#""adamw""#);
const ADAM_BETA1: Key = Key::new("adam_beta1", "adamw: β₁, in [0, 1).").example("0.9");
const ADAM_BETA2: Key = Key::new("adam_beta2", "adamw: β₂, in [0, 1).").example("0.999");
const ADAM_EPSILON: Key = Key::new("adam_epsilon", "adamw: ε, above 0.").example("1e-8");
const WEIGHT_DECAY: Key =
    Key::new("weight_decay", "adamw: decay of matrices; vectors are never decayed.").example("0.01");
const MAX_GRAD_NORM: Key =
    Key::new("max_grad_norm", "Largest norm of one agent's gradient; 0: not clipped.").example("1.0");
const TEMPERATURE: Key =
    Key::new("temperature", "Logits are divided by it, in sampling and in training alike; above 0.").example("0.9");
const TOP_K: Key = Key::new(
    "top_k",
    "Sample only from this many of the most likely tokens, and train the policy and its KL divergence on these alone; 0: all.",
)
.example("50")
.why_not(SAMPLES_NOTHING);
const TOP_P: Key = Key::new(
    "top_p",
    "Sample only from the most likely tokens whose probabilities reach this sum, and train the policy and its KL divergence on these alone; 1: all.",
)
.example("0.95")
.why_not(SAMPLES_NOTHING);
const MAX_NEW_TOKENS: Key = Key::new("max_new_tokens", "Tokens of one response, the end-of-sequence token included.")
    .example("128")
    .why_not(SAMPLES_NOTHING);
/// Why methods that learn from a file of preferences do not know how responses are sampled.
const SAMPLES_NOTHING: &str = "the others learn from the pairs of a file and sample nothing in training (evaluations do: there the key belongs to [evaluation])";

/// Tokens of a response where a file does not say.
const MAX_NEW_TOKENS_USUAL: u32 = 64;
/// Steps where a file does not say.
const STEPS_USUAL: u64 = 200;
/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 100_000_000;
/// Prompts, samples or rows of one step beyond which nobody means it.
pub(crate) const ROWS_MAX: u64 = 65_536;

/// Fields of training that a method has no use for which samples nothing in training.
const UNSAMPLED: [&str; 5] = ["prompts_per_step", "top_k", "top_p", "max_new_tokens", "missing_eos_penalty"];

/// Fields of training that a method which trains nothing has no use for.
const UNTRAINED: [&str; 12] = [
    "score_baseline",
    "kl_gradient",
    "beta",
    "prompts_per_step",
    "micro_batch_size",
    "missing_eos_penalty",
    "optimizer",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "weight_decay",
    "max_grad_norm",
];

impl LanguageTraining {
    /// Reads the common settings.
    pub(super) fn read(reader: &mut Reader<'_>, uses: &LanguageUses) -> Self {
        if uses.responses == Responses::OfAFile {
            return Self::of_a_file(reader, uses);
        }
        let sampling = read_sampling(reader);
        let num_generations = match uses.num_generations {
            Some(usual) => reader.or(NUM_GENERATIONS, usual),
            None => reader.ignoring(|reader| reader.or(NUM_GENERATIONS, 1)),
        };
        let steps = match uses.learned {
            Learned::Nothing => {
                reader.ignoring(|reader| reader.or(STEPS, STEPS_USUAL));
                0
            }
            _ => read_steps(reader, (STEPS, STEPS_USUAL, STEPS_MAX)),
        };
        let training = if uses.learned == Learned::Nothing {
            // Kept as given, as earlier versions did: the content hash covers it.
            reader.ignoring(|reader| Self::trained(reader, uses, (sampling, num_generations)))
        } else {
            let trained_on = trained_on(&sampling);
            Self { trained_on, ..Self::trained(reader, uses, (sampling, num_generations)) }
        };
        if reader.is_given(KL_ESTIMATOR) && training.kl_gradient != KlGradient::Paper {
            let problem = "only used by kl_gradient = \"paper\": the other gradients do not choose an estimate";
            reader.problem(KL_ESTIMATOR, problem);
        }
        Self { steps, kl_estimator: reader.or(KL_ESTIMATOR, KlEstimator::default()), ..training }
    }

    /// Of a method that samples nothing in training; how evaluations sample is theirs to say.
    fn of_a_file(reader: &mut Reader<'_>, uses: &LanguageUses) -> Self {
        Self {
            steps: read_steps(reader, (STEPS, STEPS_USUAL, STEPS_MAX)),
            prompts_per_step: 1,
            num_generations: 1,
            micro_batch_size: reader.or(MICRO_BATCH_SIZE, 8),
            sampling: Sampling {
                temperature: reader.or(TEMPERATURE, 1.0),
                top_k: 0,
                top_p: 1.0,
                max_new_tokens: MAX_NEW_TOKENS_USUAL,
            },
            trained_on: TrainedOn::Vocabulary,
            beta: read_beta(reader, uses.beta),
            kl_gradient: KlGradient::default(),
            kl_estimator: KlEstimator::default(),
            score_baseline: ControlVariate::Constant { value: 0.5 },
            missing_eos_penalty: 0.0,
            optimizer: read_optimizer(reader),
            max_grad_norm: reader.or(MAX_GRAD_NORM, 1.0),
        }
    }

    fn trained(reader: &mut Reader<'_>, uses: &LanguageUses, (sampling, num_generations): (Sampling, u32)) -> Self {
        Self {
            steps: 0,
            prompts_per_step: reader.or(PROMPTS_PER_STEP, 8),
            num_generations,
            micro_batch_size: reader.or(MICRO_BATCH_SIZE, 8),
            sampling,
            trained_on: TrainedOn::Vocabulary,
            beta: read_beta(reader, uses.beta),
            kl_gradient: uses.kl_gradient.map_or(KlGradient::default(), |usual| read_kl_gradient(reader, uses, usual)),
            kl_estimator: KlEstimator::default(),
            score_baseline: match &uses.score_baseline {
                Some(usual) => reader.score_baseline(SCORE_BASELINE, usual),
                None => ControlVariate::Constant { value: 0.5 },
            },
            missing_eos_penalty: reader.or(MISSING_EOS_PENALTY, 0.0),
            optimizer: read_optimizer(reader),
            max_grad_norm: reader.or(MAX_GRAD_NORM, 1.0),
        }
    }

    /// Keys that the record leaves out, because the method has no use for them at these settings.
    pub(super) fn unused_keys(&self, uses: &LanguageUses) -> Vec<&'static str> {
        let mut unused = Vec::new();
        if self.kl_gradient != KlGradient::Paper {
            unused.push(KL_ESTIMATOR.name);
        }
        if uses.num_generations.is_none() {
            unused.push(NUM_GENERATIONS.name);
        }
        if uses.learned == Learned::Nothing {
            unused.extend(UNTRAINED);
        }
        if uses.responses == Responses::OfAFile {
            unused.extend(UNSAMPLED);
        }
        if uses.score_baseline.is_none() {
            unused.push(SCORE_BASELINE.name);
        }
        if uses.kl_gradient.is_none() {
            unused.push(KL_GRADIENT.name);
        }
        if matches!(uses.beta, UsualBeta::None(_)) {
            unused.push(BETA.name);
        }
        unused
    }

    /// What the common settings must be.
    pub(super) fn check(&self, uses: &LanguageUses, name: &str, whole_groups: Option<&str>, problems: &mut Problems) {
        for (key, value) in [
            ("method.prompts_per_step", self.prompts_per_step),
            ("method.num_generations", self.num_generations),
            ("method.micro_batch_size", self.micro_batch_size),
        ] {
            problems.whole(key, u64::from(value), 1, ROWS_MAX);
        }
        problems.require(self.sampling.temperature != 0.0, "method.temperature", || {
            "0: the most likely token has no gradient to learn from; expected a number above 0 (evaluation.temperature \
             may be 0)"
                .to_owned()
        });
        self.sampling.check(["method.temperature", "method.top_p", "method.max_new_tokens"], problems);
        problems.not_negative("method.beta", self.beta);
        problems.not_negative("method.max_grad_norm", self.max_grad_norm);
        problems.require(self.missing_eos_penalty.is_finite(), "method.missing_eos_penalty", || {
            format!("{}; expected a finite number", self.missing_eos_penalty)
        });
        self.optimizer.check("method", problems);
        if uses.kl_gradient.is_some() && !uses.has_k3 && self.kl_gradient == KlGradient::DifferentiatedK3 {
            problems.push("method.kl_gradient", K3_IS_GRPO);
        }
        let n = self.num_generations;
        let has_others = !uses.compares || n >= 2;
        problems.require(has_others, "method.num_generations", || {
            format!("{n} with {name}: it compares the responses of one prompt with each other; use at least 2")
        });
        if has_others {
            self.score_baseline.check(n, problems);
        }
        if let Some(why) = whole_groups {
            problems.require(self.micro_batch_size >= n, "method.micro_batch_size", || {
                format!(
                    "{} with {name}: {why}, so all {n} of them must be in one micro-batch; use at least {n}",
                    self.micro_batch_size
                )
            });
        }
    }
}

const K3_IS_GRPO: &str = "\"differentiated_k3\" is grpo's: it holds the policy by the forward divergence, and the others' targets are \
                          of the reverse one; use another";

fn read_sampling(reader: &mut Reader<'_>) -> Sampling {
    Sampling {
        temperature: reader.or(TEMPERATURE, 1.0),
        top_k: reader.or(TOP_K, 0),
        top_p: reader.or(TOP_P, 1.0),
        max_new_tokens: reader.or(MAX_NEW_TOKENS, MAX_NEW_TOKENS_USUAL),
    }
}

/// What is sampled must be what is trained: E[∇log π(y)] is 0 over samples of π and of nothing else.
fn trained_on(sampling: &Sampling) -> TrainedOn {
    if sampling.is_cut() { TrainedOn::Sampled } else { TrainedOn::Vocabulary }
}

fn read_beta(reader: &mut Reader<'_>, usual: UsualBeta) -> f64 {
    match usual {
        UsualBeta::Of(usual) => reader.or(BETA, usual),
        UsualBeta::None(why) => {
            let found = reader.ignoring(|reader| reader.or(BETA, 0.0));
            if found != 0.0 {
                reader.problem(BETA, format!("{found}, but {why}: remove it, or set it to 0"));
            }
            0.0
        }
    }
}

fn read_kl_gradient(reader: &mut Reader<'_>, uses: &LanguageUses, usual: KlGradient) -> KlGradient {
    let found = reader.or(KL_GRADIENT, usual);
    if found == KlGradient::DifferentiatedK3 && !uses.has_k3 {
        reader.problem(KL_GRADIENT, K3_IS_GRPO);
    }
    found
}

fn read_optimizer(reader: &mut Reader<'_>) -> ModelOptimizer {
    let kind = reader.or(OPTIMIZER, OptimizerKind::default());
    let adam = [ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON, WEIGHT_DECAY];
    if kind == OptimizerKind::Sgd {
        for key in adam.into_iter().filter(|key| reader.is_given(*key)).collect::<Vec<_>>() {
            reader.problem(key, "only adamw has it; remove it, or use optimizer = \"adamw\"");
        }
    }
    let [adam_beta1, adam_beta2, adam_epsilon, weight_decay] =
        [(adam[0], 0.9), (adam[1], 0.999), (adam[2], 1e-8), (adam[3], 0.0)].map(|(key, usual)| reader.or(key, usual));
    match kind {
        OptimizerKind::Sgd => ModelOptimizer::Sgd,
        OptimizerKind::Adamw => ModelOptimizer::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay },
    }
}

impl ModelOptimizer {
    /// What the rule must be; `table` is the TOML's table that has its keys.
    pub(crate) fn check(&self, table: &str, problems: &mut Problems) {
        let Self::Adamw { adam_beta1, adam_beta2, adam_epsilon, weight_decay } = *self else { return };
        for (key, value) in [("adam_beta1", adam_beta1), ("adam_beta2", adam_beta2)] {
            problems.require((0.0..1.0).contains(&value), &format!("{table}.{key}"), || {
                format!("{value}; expected a number in [0, 1)")
            });
        }
        problems.above_zero(&format!("{table}.adam_epsilon"), adam_epsilon);
        problems.not_negative(&format!("{table}.weight_decay"), weight_decay);
    }
}

/// η weighs how far the policy has moved from the last iterate: at the first update towards the next it has not. `given` is
/// `num_iterations` where η was given.
pub(super) fn refuse_idle_eta(
    reader: &mut Reader<'_>,
    (eta, iterations): (Key, Key),
    given: Option<u32>,
    gradient: &str,
) {
    if given == Some(1) {
        reader.problem(
            eta,
            format!(
                "given with {} = 1, where it does nothing: it weighs how far the policy has moved from its last iterate, and at the \
                 first update, whatever it is, the gradient is {gradient}; remove it, or use {} of at least 2",
                iterations.name, iterations.name
            ),
        );
    }
}

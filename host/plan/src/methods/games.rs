//! What methods on finite games share, and what each says of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Learned;
use super::keys::read_steps;
use super::renewal::{self, RenewedReference};
use crate::control_variate::ControlVariate;
use crate::game::{ActionPlan, Temperatures};
use crate::settings::{Key, Problems, Reader};

/// How gradients of a finite game are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The exact gradient of the whole regularized objective.
    Exact,
    /// REINFORCE with a control variate on `num_generations` sampled pairs a step: the noise of the language-model
    /// case where the exact gradient is known.
    Sampled,
}

/// What multiplies the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preconditioner {
    /// The plain gradient in the logits.
    None,
    /// The inverse Fisher matrix of the softmax: the step in logits is the advantage itself. Exact gradients only.
    Natural,
}

/// The first-order rule that turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Step = learning rate × gradient.
    Sgd,
    /// Adam (β₁ 0.9, β₂ 0.999, ε 1e-8), as language models use it.
    Adam,
}

/// Where a run starts: logits = `log reference + scale · z`, z standard normal, drawn from the run's seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitialPolicy {
    /// Standard deviation of the seeded logits; 0 starts at the reference.
    pub logit_scale: f64,
}

/// What the methods on finite games have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GameTraining {
    /// Training steps (Leader updates).
    pub steps: u64,
    /// Exact or sampled gradients.
    pub gradient: Gradient,
    /// What multiplies the gradient.
    pub preconditioner: Preconditioner,
    /// The first-order rule.
    pub optimizer: Optimizer,
    /// Sampled (y, y′) pairs per step when `gradient = "sampled"`.
    pub num_generations: u32,
    /// The control variate when `gradient = "sampled"`.
    pub score_baseline: ControlVariate,
    /// Where the run starts.
    pub initial: InitialPolicy,
    /// What becomes of the reference; absent where it stays what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<RenewedReference>,
}

/// What a method makes of the settings that all methods on games share.
#[derive(Clone, Debug, PartialEq)]
pub struct GameUses {
    /// What is learned.
    pub learned: Learned,
    /// Whether answers of one prompt are compared with each other, so that one alone has no gradient.
    pub compares: bool,
    /// Whether it plays against itself at `game.tau_nash` and cycles without regularization.
    pub plays_itself: bool,
    /// Whether its target is the regularized Nash policy, so that its reference may be renewed.
    pub renews: bool,
    /// The control variate of sampled gradients, where the method subtracts one.
    pub score_baseline: Option<ControlVariate>,
    /// The preconditioner with exact gradients and `optimizer = "sgd"`.
    pub preconditioner: Preconditioner,
    /// Steps with natural gradients.
    pub steps_natural: u64,
    /// N, where `num_generations` is a number of answers to choose from.
    pub answers: Option<u32>,
}

impl GameUses {
    /// One policy; answers of one prompt are compared with each other. Mirror descent where it is defined: the plain softmax
    /// gradient of an action shrinks with its probability, so that a policy which once left an action hardly returns.
    pub const COMPARING: Self = Self {
        learned: Learned::OnePolicy,
        compares: true,
        plays_itself: false,
        renews: false,
        score_baseline: None,
        preconditioner: Preconditioner::Natural,
        steps_natural: 2_000,
        answers: None,
    };

    /// Each answer has a score of its own, less a control variate.
    pub const SUBTRACTING: Self =
        Self { compares: false, score_baseline: Some(ControlVariate::Constant { value: 0.5 }), ..Self::COMPARING };

    fn usual_preconditioner(&self, gradient: Gradient, optimizer: Optimizer) -> Preconditioner {
        match (gradient, optimizer) {
            (Gradient::Exact, Optimizer::Sgd) => self.preconditioner,
            _ => Preconditioner::None,
        }
    }
}

/// Where a method stands: what its settings are checked against.
#[derive(Clone, Copy, Debug)]
pub struct GamePlace<'a> {
    /// The game's temperatures.
    pub temperatures: Temperatures,
    /// The game's actions.
    pub actions: &'a [ActionPlan],
    /// Whether the game was counted from comparisons.
    pub is_counted: bool,
}

/// A method on finite games.
pub trait OnGames: Sized {
    /// What it makes of the common settings.
    const USES: GameUses;

    /// Reads `[method]`.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// The common settings.
    fn training(&self) -> &GameTraining;

    /// What its own settings must be.
    fn check(&self, _place: &GamePlace<'_>, _problems: &mut Problems) {}

    /// Updates on the same samples.
    fn num_iterations(&self) -> u32 {
        1
    }

    /// Whether it plays against itself at `game.tau_nash` and cycles without regularization: it must then be above 0.
    fn plays_itself(&self) -> bool {
        Self::USES.plays_itself
    }

    /// Whether a policy of it is held by another divergence than KL(π ‖ `π_ref`).
    fn is_held_otherwise(&self) -> bool {
        false
    }

    /// Why its reference may not be renewed, with these settings.
    fn keeps_its_reference(&self) -> Option<&'static str> {
        None
    }

    /// `schedule.learning_rate` where a file does not say and the common rule does not fit.
    fn usual_learning_rate(&self, _temperatures: Temperatures) -> Option<f64> {
        None
    }
}

const STEPS: Key = Key::new(
    "steps",
    "Training steps, which are Leader updates; default: 2000 with natural gradients (sppo: 20000), else 20000.",
)
.example("2000");
const GRADIENT: Key = Key::new("gradient", "Exact, or sampled as on language models.").example(r#""sampled""#);
const PRECONDITIONER: Key = Key::new(
    "preconditioner",
    "What multiplies the gradient; default: `none` for stackelberg-gda (as its paper has it) and sft, `natural` for the others with \
     exact gradients and `optimizer = \"sgd\"`: mirror descent, because the plain softmax gradient stalls near the border of the \
     simplex.",
).example(r#""natural""#);
const OPTIMIZER: Key = Key::new("optimizer", "The first-order rule.").example(r#""adam""#);
const NUM_GENERATIONS: Key = Key::new(
    "num_generations",
    "With `gradient = \"sampled\"`: pairs a step (stackelberg-gda, nash-md, rlhf), or responses of the one prompt that are compared \
     with each other; best-of-n: N.",
).example("8");
const SCORE_BASELINE: Key = Key::new(
    "score_baseline",
    "The control variate with `gradient = \"sampled\"`, a number or a table (rloo: always `{ kind = \"leave_one_out\" }`).",
).example(r#"{ kind = "moving_average", decay = 0.95 }"#)
.why_not("the others compare responses with each other and subtract nothing else");
const INITIAL: Key =
    Key::new("initial", "Where a run starts; default: seeded logits of standard deviation 1 around the reference.")
        .example("{ logit_scale = 0.5 }");
const PARAMETERS: Key =
    Key::new("parameters", "Always `separate` on a game: Leader and Follower are tables of their own.")
        .example(r#""separate""#);

/// Sampled pairs a step.
const GENERATIONS: u32 = 16;
/// Steps without natural gradients.
const STEPS_PLAIN: u64 = 20_000;
/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 1_000_000_000;

/// Whether Leader and Follower are one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GivenParameters {
    /// One model in both roles: language models only.
    Shared,
    /// Parameters of their own: always so on games.
    Separate,
}

impl GameTraining {
    /// Reads the common settings. What a method has no use for is set to one value, so that it parts no groups.
    pub(super) fn read(reader: &mut Reader<'_>, uses: &GameUses) -> Self {
        if reader.or(PARAMETERS, GivenParameters::Separate) == GivenParameters::Shared {
            reader.problem(
                PARAMETERS,
                "\"shared\" does not exist on a game: Leader and Follower are tables of their own; remove it",
            );
        }
        if uses.learned == Learned::Nothing {
            return Self::untrained(reader, uses);
        }
        let gradient = reader.or(GRADIENT, Gradient::Exact);
        let optimizer = reader.or(OPTIMIZER, Optimizer::Sgd);
        let preconditioner = reader.or(PRECONDITIONER, uses.usual_preconditioner(gradient, optimizer));
        let steps = if preconditioner == Preconditioner::Natural { uses.steps_natural } else { STEPS_PLAIN };
        let is_sampled = gradient == Gradient::Sampled;
        let num_generations = reader.or(NUM_GENERATIONS, GENERATIONS);
        Self {
            steps: read_steps(reader, (STEPS, steps, STEPS_MAX)),
            gradient,
            preconditioner,
            optimizer,
            num_generations: if is_sampled { num_generations } else { 1 },
            score_baseline: Self::score_baseline(reader, uses, is_sampled),
            initial: reader.or(INITIAL, InitialPolicy { logit_scale: 1.0 }),
            reference: if uses.renews { renewal::read(reader) } else { None },
        }
    }

    fn score_baseline(reader: &mut Reader<'_>, uses: &GameUses, is_sampled: bool) -> ControlVariate {
        let constant = ControlVariate::Constant { value: 0.5 };
        if let Some(usual) = &uses.score_baseline {
            let found = reader.score_baseline(SCORE_BASELINE, usual);
            return if is_sampled { found } else { constant };
        }
        // Left in the table: it is refused as the key of other methods.
        if reader.is_given(SCORE_BASELINE) && is_sampled {
            return constant;
        }
        reader.ignoring(|reader| reader.score_baseline(SCORE_BASELINE, &constant));
        constant
    }

    fn untrained(reader: &mut Reader<'_>, uses: &GameUses) -> Self {
        let constant = ControlVariate::Constant { value: 0.5 };
        let num_generations = uses.answers.map_or(1, |answers| reader.or(NUM_GENERATIONS, answers));
        reader.ignoring(|reader| {
            if uses.answers.is_none() {
                reader.or(NUM_GENERATIONS, GENERATIONS);
            }
            reader.or(STEPS, STEPS_PLAIN);
            reader.or(GRADIENT, Gradient::Exact);
            reader.or(OPTIMIZER, Optimizer::Sgd);
            reader.or(PRECONDITIONER, Preconditioner::None);
            reader.score_baseline(SCORE_BASELINE, &constant);
            reader.or(INITIAL, InitialPolicy { logit_scale: 1.0 });
        });
        Self {
            steps: 0,
            gradient: Gradient::Exact,
            preconditioner: Preconditioner::None,
            optimizer: Optimizer::Sgd,
            num_generations,
            score_baseline: constant,
            initial: InitialPolicy { logit_scale: 0.0 },
            reference: None,
        }
    }

    /// Keys that the record leaves out, because the method has no use for them at these settings.
    pub(super) fn unused_keys(&self, uses: &GameUses) -> Vec<&'static str> {
        let mut unused = Vec::new();
        let is_exact = self.gradient == Gradient::Exact;
        if is_exact && uses.answers.is_none() {
            unused.push(NUM_GENERATIONS.name);
        }
        if is_exact || uses.score_baseline.is_none() {
            unused.push(SCORE_BASELINE.name);
        }
        if uses.learned == Learned::Nothing {
            unused.extend([GRADIENT.name, PRECONDITIONER.name, OPTIMIZER.name, INITIAL.name]);
        }
        unused
    }

    /// What the common settings must be.
    pub(super) fn check(&self, uses: &GameUses, name: &str, problems: &mut Problems) {
        if uses.learned == Learned::Nothing {
            let problem = || format!("{}; nothing is trained here: expected 0", self.steps);
            return problems.require(self.steps == 0, "method.steps", problem);
        }
        problems.not_negative("method.initial.logit_scale", self.initial.logit_scale);
        let is_natural = self.preconditioner == Preconditioner::Natural;
        if is_natural && self.optimizer == Optimizer::Adam {
            problems.push(
                "method.preconditioner",
                "\"natural\" under optimizer = \"adam\": Adam rescales every coordinate by itself, so nothing of the natural \
                 gradient's geometry is left; use optimizer = \"sgd\" or preconditioner = \"none\"",
            );
        }
        if self.gradient == Gradient::Exact {
            return;
        }
        if is_natural {
            problems.push(
                "method.preconditioner",
                "\"natural\" with gradient = \"sampled\": the inverse Fisher matrix multiplies the noise of rare actions \
                 without bound; use preconditioner = \"none\"",
            );
        }
        let key = "method.num_generations";
        problems.require(self.num_generations > 0, key, || "0; expected at least 1 sampled pair a step".to_owned());
        let has_others = !uses.compares || self.num_generations >= 2;
        problems.require(has_others, key, || {
            let n = self.num_generations;
            format!("{n} with {name}: it compares the responses of one prompt with each other; use at least 2")
        });
        if has_others {
            self.score_baseline.check(self.num_generations, problems);
        }
    }

    /// A natural step is the advantage itself; a plain one is that times two probabilities, hence the larger rate; Adam's step is
    /// about the rate, whatever the gradient.
    pub(super) fn usual_learning_rate(&self) -> f64 {
        match (self.optimizer, self.preconditioner) {
            (Optimizer::Adam, _) => 0.01,
            (Optimizer::Sgd, Preconditioner::Natural) => 0.5,
            (Optimizer::Sgd, Preconditioner::None) => 2.0,
        }
    }
}

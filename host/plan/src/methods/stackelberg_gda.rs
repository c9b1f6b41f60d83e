//! StackelbergGDA (arXiv 2512.16626): Leader and Follower by gradient descent ascent.

use serde::{Deserialize, Serialize};

use super::language_models::KL_GRADIENT;
use super::regularizer::{GIVEN_WITH_CLOSED_SETS, GIVEN_WITH_FORWARD, REGULARIZER};
use super::{
    ControlVariate, GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Learned, Named, OnGames,
    OnLanguageModels, Regularizer,
};
use crate::model_settings::{FollowerReference, KlGradient, Parameters};
use crate::settings::{Key, Problems, Reader};

/// What Leader and Follower are, on games or on language models.
pub trait PlayedOn {
    /// The settings.
    type Players: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// On games each has a table of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GamePlayers {
    /// By which divergence the Leader is held.
    #[serde(default, skip_serializing_if = "Regularizer::is_unsaid")]
    pub regularizer: Regularizer,
    /// By which divergence the Follower is held; `None`: by the Leader's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follower_regularizer: Option<Regularizer>,
}

/// On language models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Players {
    /// One set of weights, or two adapters.
    pub parameters: Parameters,
    /// `τ_F`: weight of the Follower's KL divergence.
    pub follower_beta: f64,
    /// What the Follower's reference is conditioned on.
    pub follower_reference: FollowerReference,
    /// The user turn between y and y′.
    pub instruction: String,
    /// By which divergence the Leader is held.
    #[serde(default, skip_serializing_if = "Regularizer::is_unsaid")]
    pub regularizer: Regularizer,
    /// By which divergence the Follower is held; `None`: by the Leader's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follower_regularizer: Option<Regularizer>,
}

impl Players {
    /// By which divergence the Follower is held.
    #[must_use]
    pub fn of_follower(&self) -> Regularizer {
        self.follower_regularizer.unwrap_or(self.regularizer)
    }
}

impl PlayedOn for GameTraining {
    type Players = GamePlayers;
}

impl PlayedOn for LanguageTraining {
    type Players = Players;
}

/// StackelbergGDA (arXiv 2512.16626): Leader ascends, Follower descends the same objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackelbergGda<S: PlayedOn = GameTraining> {
    /// What the players are.
    #[serde(flatten)]
    pub players: S::Players,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// The Follower's instruction in the paper's code.
const INSTRUCTION: &str = "Improve the previous answer. Phrase it as if it was the original response.";

const ONE_POLICY: &str = "the others train one policy and know no Follower";
const PARAMETERS: Key =
    Key::new("parameters", "One set of weights in both roles, or two adapters over one frozen model.")
        .example(r#""separate""#)
        .why_not(ONE_POLICY);
const FOLLOWER_BETA: Key = Key::new("follower_beta", "τ_F: weight of the Follower's KL divergence; default: `beta`.")
    .example("0.005")
    .why_not(ONE_POLICY);
const FOLLOWER_REFERENCE: Key = Key::new("follower_reference", "What the Follower's reference is conditioned on.")
    .example(r#""prompt""#)
    .why_not(ONE_POLICY);
const INSTRUCTION_KEY: Key = Key::new("instruction", "The user turn between y and y′; the default is the paper's.")
    .example(r#""Improve the previous response.""#)
    .why_not("the others never ask for a better response");

const FOLLOWER_REGULARIZER: Key = Key::new(
    "follower_regularizer",
    "By which divergence the Follower is held to its reference; default: `regularizer`.",
)
.example(r#""reverse_kl""#)
.why_not(ONE_POLICY);

/// The Leader's divergence, and the Follower's where it is another.
fn read_regularizers(reader: &mut Reader<'_>) -> (Regularizer, Option<Regularizer>) {
    let regularizer = Regularizer::read(reader, REGULARIZER, Regularizer::default());
    let of_follower = Regularizer::read(reader, FOLLOWER_REGULARIZER, regularizer);
    (regularizer, (of_follower != regularizer).then_some(of_follower))
}

/// What weighs each player's divergence, and whether a key names it.
struct Weights {
    leader: (&'static str, f64),
    follower: (&'static str, f64),
}

fn check_regularizers(
    regularizer: Regularizer,
    of_follower: Option<Regularizer>,
    weights: &Weights,
    problems: &mut Problems,
) {
    regularizer.check(REGULARIZER, problems);
    regularizer.check_weight(REGULARIZER, weights.leader, problems);
    if let Some(own) = of_follower {
        own.check(FOLLOWER_REGULARIZER, problems);
        own.check_weight(FOLLOWER_REGULARIZER, weights.follower, problems);
    } else {
        let (name, temperature) = weights.follower;
        problems.require(regularizer.is_unsaid() || temperature > 0.0, "method.regularizer", || {
                format!(
                    "it is the Follower's, too, and {name} = 0, which weighs that, lets it do nothing: give follower_regularizer = \"reverse_kl\""
                )
            });
    }
}

impl GamePlayers {
    fn read(reader: &mut Reader<'_>) -> Self {
        let (regularizer, follower_regularizer) = read_regularizers(reader);
        Self { regularizer, follower_regularizer }
    }

    /// By which divergence the Follower is held.
    #[must_use]
    pub fn of_follower(self) -> Regularizer {
        self.follower_regularizer.unwrap_or(self.regularizer)
    }

    /// The divergences of a finite game; `None` where a weight is none, which the plan's check refuses.
    #[must_use]
    pub fn held(self) -> Option<slhf_game::Held> {
        let (leader, follower) = (self.regularizer.divergence()?, self.of_follower().divergence()?);
        Some(slhf_game::Held { leader, follower })
    }
}

/// The turn that asks for a better answer.
pub(super) fn instruction(reader: &mut Reader<'_>) -> String {
    reader.or(INSTRUCTION_KEY, INSTRUCTION.to_owned())
}

pub(super) fn check_instruction(instruction: &str, problems: &mut Problems) {
    problems.require(!instruction.trim().is_empty(), "method.instruction", || {
        "empty; expected the user turn that asks for a better response".to_owned()
    });
}

impl<S: PlayedOn> Named for StackelbergGda<S> {
    const ABOUT: &'static str = "Leader and Follower by gradient descent ascent (arXiv 2512.16626).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["slhf", "stackelberg", "gda", "stackelberg-gradient-descent-ascent"], "Leader and Follower")];
}

impl OnGames for StackelbergGda {
    const USES: GameUses = GameUses {
        // As its paper has it.
        preconditioner: super::Preconditioner::None,
        learned: Learned::LeaderAndFollower,
        ..GameUses::SUBTRACTING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { players: GamePlayers::read(reader), training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let taus = place.temperatures;
        let weights = Weights {
            leader: ("game.tau_leader", taus.tau_leader),
            follower: ("game.tau_follower", taus.tau_follower),
        };
        let GamePlayers { regularizer, follower_regularizer } = self.players;
        check_regularizers(regularizer, follower_regularizer, &weights, problems);
    }

    fn is_held_otherwise(&self) -> bool {
        self.players != GamePlayers::default()
    }
}

impl OnLanguageModels for StackelbergGda<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        num_generations: Some(1),
        score_baseline: Some(ControlVariate::Constant { value: 0.5 }),
        kl_gradient: Some(KlGradient::RewardToGo),
        compares: false,
        needs_whole_groups: false,
        learned: Learned::LeaderAndFollower,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        let (regularizer, follower_regularizer) = read_regularizers(reader);
        if regularizer == Regularizer::ForwardKl && follower_regularizer.is_none() && reader.is_given(KL_GRADIENT) {
            reader.problem(KL_GRADIENT, GIVEN_WITH_FORWARD);
        }
        let training = LanguageTraining::read(reader, &Self::USES);
        let players = Players {
            parameters: reader.or(PARAMETERS, Parameters::default()),
            follower_beta: reader.or(FOLLOWER_BETA, training.beta),
            follower_reference: reader.or(FOLLOWER_REFERENCE, FollowerReference::default()),
            instruction: instruction(reader),
            regularizer,
            follower_regularizer,
        };
        Self { players, training }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_instruction(&self.players.instruction, problems);
        problems.not_negative("method.follower_beta", self.players.follower_beta);
        let Players { regularizer, follower_regularizer, follower_beta, .. } = self.players;
        let weights =
            Weights { leader: ("method.beta", self.training.beta), follower: ("method.follower_beta", follower_beta) };
        check_regularizers(regularizer, follower_regularizer, &weights, problems);
    }

    fn instruction(&self) -> Option<&str> {
        Some(&self.players.instruction)
    }
}

impl StackelbergGda<LanguageTraining> {
    /// Whether a player is held by another divergence than KL(π ‖ `π_ref`).
    pub(crate) fn is_held_otherwise(&self) -> bool {
        self.players.regularizer != Regularizer::ReverseKl || self.players.follower_regularizer.is_some()
    }

    /// The solutions of closed sets are of the reverse divergence.
    pub(crate) fn check_closed_sets(&self, problems: &mut Problems) {
        problems.require(!self.is_held_otherwise(), "method.regularizer", || GIVEN_WITH_CLOSED_SETS.to_owned());
    }
}

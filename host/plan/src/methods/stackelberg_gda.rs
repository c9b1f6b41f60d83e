//! StackelbergGDA (arXiv 2512.16626): Leader and Follower by gradient descent ascent.

use serde::{Deserialize, Serialize};

use super::{
    ControlVariate, GameTraining, GameUses, LanguageTraining, LanguageUses, Learned, Named, OnGames, OnLanguageModels,
};
use crate::model_settings::{FollowerReference, KlGradient, Parameters};
use crate::settings::{Key, Problems, Reader};

/// What Leader and Follower are, on games or on language models.
pub trait PlayedOn {
    /// The settings.
    type Players: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// On games each has a table of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoPlayers {}

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
}

impl PlayedOn for GameTraining {
    type Players = NoPlayers;
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
        Self { players: NoPlayers {}, training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
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
        let training = LanguageTraining::read(reader, &Self::USES);
        let players = Players {
            parameters: reader.or(PARAMETERS, Parameters::default()),
            follower_beta: reader.or(FOLLOWER_BETA, training.beta),
            follower_reference: reader.or(FOLLOWER_REFERENCE, FollowerReference::default()),
            instruction: instruction(reader),
        };
        Self { players, training }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_instruction(&self.players.instruction, problems);
        problems.not_negative("method.follower_beta", self.players.follower_beta);
    }

    fn instruction(&self) -> Option<&str> {
        Some(&self.players.instruction)
    }
}

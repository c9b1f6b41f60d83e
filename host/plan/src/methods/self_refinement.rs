//! The reference improves answers when told to: nothing is trained.

use serde::{Deserialize, Serialize};

use super::stackelberg_gda::{check_instruction, instruction};
use super::{
    GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Learned, Named, OnGames, OnLanguageModels,
};
use crate::settings::{Key, Problems, Reader};

/// What asks for a better answer, on games or on language models.
pub trait Refined {
    /// Its settings.
    type Turn: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// On games the Follower's reference says how answers are improved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoInstruction {}

/// On language models a user turn does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The user turn between an answer and the next.
    pub instruction: String,
}

impl Refined for GameTraining {
    type Turn = NoInstruction;
}

impl Refined for LanguageTraining {
    type Turn = Instruction;
}

/// The Follower's reference improves answers of the Leader's: nothing is trained, `steps` is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfRefinement<S: Refined = GameTraining> {
    /// How often an answer is refined, at least once.
    pub rounds: u32,
    /// What asks for a better answer.
    #[serde(flatten)]
    pub turn: S::Turn,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// Rounds beyond which nobody means it.
const ROUNDS_MAX: u64 = 255;

const ROUNDS: Key = Key::new("rounds", "How often a response is refined, 1 to 255.")
    .example("2")
    .why_not("the others are not made of rounds (evaluations and `slhf-lab refine` have rounds of their own)");

impl<S: Refined> Named for SelfRefinement<S> {
    const ABOUT: &'static str = "The Follower's reference improves responses of the Leader's; trains nothing.";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["self-refine", "refine", "refinement"], "the reference improves responses; trains nothing")];
}

impl OnGames for SelfRefinement {
    const USES: GameUses = GameUses { learned: Learned::Nothing, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let training = GameTraining::read(reader, &Self::USES);
        Self { rounds: reader.or(ROUNDS, 1), turn: NoInstruction {}, training }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        problems.whole("method.rounds", u64::from(self.rounds), 1, ROUNDS_MAX);
    }
}

impl OnLanguageModels for SelfRefinement<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        num_generations: None,
        learned: Learned::Nothing,
        compares: false,
        needs_whole_groups: false,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        let turn = Instruction { instruction: instruction(reader) };
        let training = LanguageTraining::read(reader, &Self::USES);
        Self { rounds: reader.or(ROUNDS, 1), turn, training }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_instruction(&self.turn.instruction, problems);
        problems.whole("method.rounds", u64::from(self.rounds), 1, ROUNDS_MAX);
    }

    fn instruction(&self) -> Option<&str> {
        Some(&self.turn.instruction)
    }
}

//! SPPO: self-play by regression (Wu et al., arXiv 2405.00675).

use serde::{Deserialize, Serialize};

use super::keys::{NUM_ITERATIONS, check_num_iterations, num_iterations};
use super::language_models::refuse_idle_eta;
use super::{
    GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels, Optimizer,
    Preconditioner, UsualBeta,
};
use crate::game::Temperatures;
use crate::settings::{Key, Problems, Reader};

/// SPPO (Wu et al., arXiv 2405.00675). On language models `beta` is 0: it has no reference but its own last iterate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sppo<S = GameTraining> {
    /// η of `π_{t+1} ∝ π_t · exp(η p(· ≻ π_t))`, above 0.
    pub eta: f64,
    /// Updates towards one iterate, on the same samples.
    pub num_iterations: u32,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// 20000 steps of it bring the average within a hundredth of Nash (its authors' 1000 is for language models, where a step is a
/// few updates towards an iterate that is never reached).
const GAME_ETA: f64 = 0.02;
/// Its authors' own.
const LANGUAGE_ETA: f64 = 1000.0;

const ETA: Key = Key::new(
    "eta",
    "Step η of the multiplicative weights, above 0. With natural gradients on a game it is the default of \
     `schedule.learning_rate`; on a language model it matters from the second update on the same samples, so it needs \
     `num_iterations` of at least 2.",
)
.example("2.0")
.example_on_language_models("0.01")
.why_not("the others have no last iterate to be held to");

impl<S> Named for Sppo<S> {
    const ABOUT: &'static str =
        "Multiplicative weights by regression, self-play preference optimization (arXiv 2405.00675).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["spin", "spo", "dno", "self-play"], "self-play by regression")];
}

impl<S> Sppo<S> {
    fn check_own(&self, problems: &mut Problems) {
        problems.above_zero("method.eta", self.eta);
        check_num_iterations(self.num_iterations, problems);
    }
}

impl OnGames for Sppo {
    const USES: GameUses = GameUses { steps_natural: 20_000, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            eta: reader.or(ETA, GAME_ETA),
            num_iterations: num_iterations(reader),
            training: GameTraining::read(reader, &Self::USES),
        }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        self.check_own(problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    /// A natural step at η is the update of the paper itself.
    fn usual_learning_rate(&self, _temperatures: Temperatures) -> Option<f64> {
        let training = &self.training;
        let is_natural = training.preconditioner == Preconditioner::Natural && training.optimizer == Optimizer::Sgd;
        is_natural.then_some(self.eta)
    }
}

impl OnLanguageModels for Sppo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        beta: UsualBeta::None("sppo is held to its own last iterate by method.eta and to no reference"),
        needs_whole_groups: false,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        let is_given = reader.is_given(ETA);
        let sppo = Self {
            eta: reader.or(ETA, LANGUAGE_ETA),
            num_iterations: num_iterations(reader),
            training: LanguageTraining::read(reader, &Self::USES),
        };
        refuse_idle_eta(
            reader,
            (ETA, NUM_ITERATIONS),
            is_given.then_some(sppo.num_iterations),
            "one half less the mean label",
        );
        sppo
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        self.check_own(problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }
}

//! OMWU: optimistic multiplicative weights (Rakhlin & Sridharan, arXiv 1311.1869; Daskalakis & Panageas, arXiv 1807.04252), regularized
//! (Cen, Wei, Chi, arXiv 2105.15186).

use serde::{Deserialize, Serialize};

use super::egpo::{check_two_points, usual_eta};
use super::mirror::{self, MirrorOn, MirrorRegression, NoRegression};
use super::{GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels};
use crate::game::Temperatures;
use crate::settings::{Problems, Reader};

/// Optimistic multiplicative weights (arXiv 1807.04252; with regularization arXiv 2105.15186, algorithm OMWU). On games its η is
/// `schedule.learning_rate`, its τ `game.tau_nash`, which may be 0; on language models, on closed sets alone, they are `eta` and `beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Omwu<S: MirrorOn = GameTraining> {
    /// What it has here alone.
    #[serde(flatten)]
    pub step: S::Step,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S: MirrorOn> Named for Omwu<S> {
    const ABOUT: &'static str = "Optimistic multiplicative weights: the last step's payoffs predict the next. On games \
        `schedule.learning_rate` is its η; on language models on closed response sets alone, by regression (arXiv 1807.04252, 2105.15186).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["ogda", "optimistic-mwu", "optimistic-mirror-descent", "optimistic-hedge", "mwu", "hedge"],
        "optimistic multiplicative weights",
    )];
}

/// As EGPO's: optimism shrinks the fastest circling most at η ω = ½, ω = 1/√8, and not at all from 1/√3 on.
const ETA: f64 = 1.4;

impl OnGames for Omwu {
    const USES: GameUses = GameUses { renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { step: NoRegression {}, training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        check_two_points(&self.training, "omwu", problems);
    }

    fn usual_learning_rate(&self, temperatures: Temperatures) -> Option<f64> {
        usual_eta(&self.training, ETA, temperatures.tau_nash)
    }
}

impl OnLanguageModels for Omwu<LanguageTraining> {
    const USES: LanguageUses = mirror::USES;

    fn read(reader: &mut Reader<'_>) -> Self {
        let (step, training) = MirrorRegression::read(reader, ETA);
        Self { step, training }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        self.step.check(self.training.beta, problems);
    }

    fn num_iterations(&self) -> u32 {
        self.step.num_iterations
    }
}

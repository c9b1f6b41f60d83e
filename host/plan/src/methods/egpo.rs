//! EGPO: the extragradient method in the regularized preference game (Zhou, Fazel, Du, arXiv 2503.08942).

use serde::{Deserialize, Serialize};

use super::mirror::{self, MirrorOn, MirrorRegression, NoRegression};
use super::{
    GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels, Optimizer,
    Preconditioner,
};
use crate::game::Temperatures;
use crate::settings::{Problems, Reader};

/// EGPO (Zhou, Fazel, Du, arXiv 2503.08942). On games its η is `schedule.learning_rate`, its β `game.tau_nash`, which may be 0; on
/// language models, on closed sets alone, they are `eta` and `beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Egpo<S: MirrorOn = GameTraining> {
    /// What it has here alone.
    #[serde(flatten)]
    pub step: S::Step,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

impl<S: MirrorOn> Named for Egpo<S> {
    const ABOUT: &'static str = "Extragradient in the regularized preference game: payoffs of a look ahead. On games two gradients a step, \
        `schedule.learning_rate` is its η; on language models on closed response sets alone, by regression (arXiv 2503.08942).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["extragradient", "extra-gradient", "mirror-prox", "predictive-update"],
        "extragradient in the regularized preference game",
    )];
}

/// The step at which the error shrinks most where play circles fastest: of preferences in [0, 1] a cycle turns by at most ω = 1/√8
/// a unit of η, and extragradient shrinks it most at η ω = 1/√2.
const ETA: f64 = 2.0;

/// Beside `plain`, what a step that looks at two policies cannot have.
pub(super) fn check_two_points(training: &GameTraining, name: &str, problems: &mut Problems) {
    problems.require(training.optimizer == Optimizer::Sgd, "method.optimizer", || {
        format!(
            "\"adam\" with {name}: its step is a fixed combination of two gradients, which Adam would each rescale; use \
             optimizer = \"sgd\""
        )
    });
}

/// η where a file does not say: `at_rest` without regularization, and never so large that η τ passes 1.
pub(super) fn usual_eta(training: &GameTraining, at_rest: f64, tau: f64) -> Option<f64> {
    let is_natural = training.preconditioner == Preconditioner::Natural && training.optimizer == Optimizer::Sgd;
    is_natural.then(|| mirror::usual_eta(at_rest, tau))
}

impl OnGames for Egpo {
    const USES: GameUses = GameUses { renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self { step: NoRegression {}, training: GameTraining::read(reader, &Self::USES) }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, _place: &GamePlace<'_>, problems: &mut Problems) {
        check_two_points(&self.training, "egpo", problems);
    }

    fn usual_learning_rate(&self, temperatures: Temperatures) -> Option<f64> {
        usual_eta(&self.training, ETA, temperatures.tau_nash)
    }
}

impl OnLanguageModels for Egpo<LanguageTraining> {
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

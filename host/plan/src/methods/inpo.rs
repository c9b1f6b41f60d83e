//! INPO: online mirror descent by regression (Zhang et al., arXiv 2407.00617).

use serde::{Deserialize, Serialize};

use super::keys::{NUM_ITERATIONS, check_num_iterations, labels, num_iterations, only_soft};
use super::language_models::refuse_idle_eta;
use super::{
    GamePlace, GameTraining, GameUses, Labels, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels,
    Optimizer, Preconditioner,
};
use crate::game::Temperatures;
use crate::settings::{Key, Problems, Reader};

/// INPO (Zhang et al., arXiv 2407.00617). On language models `beta` is the paper's τ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inpo<S = GameTraining> {
    /// η: how strongly an iterate is held to the one before it; at least the temperature of the Nash policy.
    pub eta: f64,
    /// Updates towards one iterate, on the same samples.
    pub num_iterations: u32,
    /// What verdicts say.
    pub labels: Labels,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// Stable on every cyclic game at τ = 0.1.
pub(super) const GAME_ETA: f64 = 2.0;
/// η / τ of its authors.
const ETA_OF_BETA: f64 = 3.0;

pub(super) const ETA: Key = Key::new(
    "eta",
    "How strongly an iterate is held to the one before it: at least `game.tau_nash` on a game, where 1/η is the default of \
     `schedule.learning_rate` with natural gradients; at least `beta` on a language model, default three times `beta`, \
     where it matters from the second update on the same samples, so it needs `num_iterations` of at least 2, or opponents of earlier \
     steps (mnpo).",
).example("2.0").example_on_language_models("0.01")
.why_not("the others have no last iterate to be held to");

impl<S> Named for Inpo<S> {
    const ABOUT: &'static str =
        "Online mirror descent by regression, iterative Nash policy optimization (arXiv 2407.00617).";
}

/// η where a file does not say, at so much β.
pub(super) fn language_eta(beta: f64) -> f64 {
    ETA_OF_BETA * beta
}

/// `tau`: the temperature of the Nash policy, and the key that says it.
pub(super) fn check_eta(eta: f64, (key, tau): (&str, f64), problems: &mut Problems) {
    problems.require(eta.is_finite() && eta > 0.0 && eta >= tau, "method.eta", || {
        format!("{eta}; expected a finite number above 0 and at least {key}, which is {tau}")
    });
}

impl<S> Inpo<S> {
    fn check_own(&self, tau: (&str, f64), problems: &mut Problems) {
        check_eta(self.eta, tau, problems);
        check_num_iterations(self.num_iterations, problems);
    }
}

impl OnGames for Inpo {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            eta: reader.or(ETA, GAME_ETA),
            num_iterations: num_iterations(reader),
            labels: labels(reader),
            training: GameTraining::read(reader, &Self::USES),
        }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        only_soft(self.labels)
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        self.check_own(("game.tau_nash", place.temperatures.tau_nash), problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    /// A natural step at 1/η is the minimum of the regression itself.
    fn usual_learning_rate(&self, _temperatures: Temperatures) -> Option<f64> {
        let training = &self.training;
        let is_natural = training.preconditioner == Preconditioner::Natural && training.optimizer == Optimizer::Sgd;
        is_natural.then_some(1.0 / self.eta)
    }
}

impl OnLanguageModels for Inpo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::COMPARING;

    fn read(reader: &mut Reader<'_>) -> Self {
        let is_given = reader.is_given(ETA);
        let training = LanguageTraining::read(reader, &Self::USES);
        let inpo = Self {
            eta: reader.or(ETA, language_eta(training.beta)),
            num_iterations: num_iterations(reader),
            labels: labels(reader),
            training,
        };
        refuse_idle_eta(reader, (ETA, NUM_ITERATIONS), is_given.then_some(inpo.num_iterations), "online-ipo's");
        inpo
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        self.check_own(("method.beta", self.training.beta), problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }
}

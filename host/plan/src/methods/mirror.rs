//! What EGPO and OMWU have on language models alone: they take a step of mirror descent on a closed set by regression.

use serde::{Deserialize, Serialize};

use super::keys::{check_num_iterations, num_iterations};
use super::{GameTraining, LanguageTraining, LanguageUses, Responses};
use crate::settings::{Key, Problems, Reader};

/// What EGPO and OMWU have on games, or on language models, alone.
pub trait MirrorOn: Sized {
    /// The settings.
    type Step: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// On games: nothing, since η is `schedule.learning_rate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoRegression {}

/// On language models, where a learning rate is the network's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorRegression {
    /// η, the step in the logits of a prompt's responses that the network is regressed on: above 0, at most 1/τ.
    pub eta: f64,
    /// Updates towards one step's target.
    pub num_iterations: u32,
}

impl MirrorOn for GameTraining {
    type Step = NoRegression;
}

impl MirrorOn for LanguageTraining {
    type Step = MirrorRegression;
}

const ETA: Key = Key::new(
    "eta",
    "Of egpo and omwu the step η in the logits of a prompt's responses, above 0 and at most 1/`beta`: the target that the network is regressed on; default: \
     2 / (1 + 2 `beta`) (egpo) or 1.4 / (1 + 1.4 `beta`) (omwu).",
)
.example("0.5")
.why_not("the others have no last iterate to be held to");

/// What both make of the common settings.
pub(super) const USES: LanguageUses = LanguageUses {
    responses: Responses::OfClosedSets,
    compares: false,
    needs_whole_groups: false,
    num_generations: None,
    ..LanguageUses::COMPARING
};

/// η where a file does not say: `at_rest` without regularization, and never so large that η τ passes 1.
pub(super) fn usual_eta(at_rest: f64, tau: f64) -> f64 {
    at_rest / (1.0 + at_rest * tau)
}

impl MirrorRegression {
    /// With the common settings, of which β decides the default of η.
    pub(super) fn read(reader: &mut Reader<'_>, at_rest: f64) -> (Self, LanguageTraining) {
        let training = LanguageTraining::read(reader, &USES);
        // What is wrong with β is said of β.
        let beta = training.beta.max(0.0);
        (Self { eta: reader.or(ETA, usual_eta(at_rest, beta)), num_iterations: num_iterations(reader) }, training)
    }

    pub(super) fn check(&self, beta: f64, problems: &mut Problems) {
        problems.above_zero("method.eta", self.eta);
        problems.require(self.eta * beta <= 1.0, "method.eta", || {
            format!(
                "{}; expected at most 1/beta, which is {}: a longer step would pass the reference",
                self.eta,
                1.0 / beta
            )
        });
        check_num_iterations(self.num_iterations, problems);
    }
}

//! The parts of frozen work, guessed by the model of its kind.

use slhf_plan::Work;

use crate::phases::{MEASURED_PARAMETERS, Phases};
use crate::shapes::Shapes;
use crate::{estimate, language, reward_model};

/// Guesses the parts of frozen work; the shape of each model is looked up once.
#[derive(Debug, Default)]
pub struct PhaseGuesser(Shapes);

impl PhaseGuesser {
    /// Of one batch group. A model that cannot be looked at is taken to be as large as the one that was measured.
    pub fn of(&mut self, work: &Work) -> Phases {
        match work {
            Work::Game(group) => estimate::phases(group),
            Work::LanguageModel(plan) => language::phases(plan, self.parameters(&plan.model.path)),
            Work::RewardModel(plan) => reward_model::phases(plan, self.parameters(&plan.model.path)),
        }
    }

    fn parameters(&mut self, path: &str) -> f64 {
        self.0.of(path).map_or(MEASURED_PARAMETERS, |shape| shape.parameters())
    }
}

//! What is asked of a method, whichever it is.

use super::{GamePlace, LanguageMethod, Learned, Method, MethodName, Responses, RewardModelPlan, renewal_check};
use crate::PluginPlan;
use crate::game::Temperatures;
use crate::settings::Problems;

impl std::fmt::Display for MethodName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Method {
    /// Whether something is learned: best-of-N and self-refinement are what the references make of themselves.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.uses().learned != Learned::Nothing
    }

    /// Whether there is a Follower to be trained.
    #[must_use]
    pub fn has_follower(&self) -> bool {
        self.uses().learned == Learned::LeaderAndFollower
    }

    /// Keys of `[method]` that the record leaves out.
    #[must_use]
    pub fn unused_keys(&self) -> Vec<&'static str> {
        self.training().unused_keys(&self.uses())
    }

    /// What its settings must be, on such a game.
    pub fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let name = self.name().as_str();
        problems.require(!self.plays_itself() || place.temperatures.tau_nash > 0.0, "game.tau_nash", || {
            format!(
                "0 with {name}: without regularization self-play cycles around the equilibrium of a cyclic game instead of \
                 reaching it; expected a number above 0"
            )
        });
        self.training().check(&self.uses(), name, problems);
        renewal_check::check(self, place, problems);
        self.check_own(place, problems);
    }

    /// `schedule.learning_rate` where a file does not say.
    #[must_use]
    pub fn usual_learning_rate(&self, temperatures: Temperatures) -> f64 {
        self.own_learning_rate(temperatures).unwrap_or_else(|| self.training().usual_learning_rate())
    }
}

impl LanguageMethod {
    /// Whether it learns from a file of preferences, and samples nothing in training.
    #[must_use]
    pub fn learns_from_a_file(&self) -> bool {
        self.uses().responses == Responses::OfAFile
    }

    /// Whether there are weights to be learned: best-of-N and self-refinement are the reference's own answers.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.uses().learned != Learned::Nothing
    }

    /// Whether it is trained to improve answers: a Follower, or the second turn of the one policy.
    #[must_use]
    pub fn has_follower(&self) -> bool {
        matches!(self.uses().learned, Learned::LeaderAndFollower | Learned::TwoTurns)
    }

    /// Whether Leader and Follower learn at two speeds, whose ratio is κ.
    #[must_use]
    pub fn has_two_speeds(&self) -> bool {
        self.uses().learned == Learned::LeaderAndFollower
    }

    /// Keys of `[method]` that the record leaves out.
    #[must_use]
    pub fn unused_keys(&self) -> Vec<&'static str> {
        self.training().unused_keys(&self.uses())
    }

    /// The `reward` plugin, of a method that has one.
    #[must_use]
    pub fn reward(&self) -> Option<&PluginPlan> {
        self.rewards()?.reward.as_ref()
    }

    /// The reward model that is fit before the first step, of a method that has one.
    #[must_use]
    pub fn reward_model(&self) -> Option<&RewardModelPlan> {
        self.rewards()?.reward_model.as_ref()
    }

    /// What its settings must be.
    pub fn check(&self, problems: &mut Problems) {
        self.training().check(&self.uses(), self.name().as_str(), self.whole_groups(), problems);
        self.check_own(problems);
    }
}

//! MNPO: self-play against several past policies (Wu et al., arXiv 2509.23102).

use serde::{Deserialize, Serialize};

use super::inpo::{ETA, GAME_ETA, check_eta, language_eta};
use super::keys::{NUM_ITERATIONS, check_num_iterations, num_iterations};
use super::language_models::refuse_idle_eta;
use super::{
    GamePlace, GameTraining, GameUses, LanguageTraining, LanguageUses, Named, OnGames, OnLanguageModels, Optimizer,
    Preconditioner,
};
use crate::game::Temperatures;
use crate::settings::{Key, Problems, Reader};

/// What MNPO has on games, or on language models, alone.
pub trait MnpoOn: Sized {
    /// Its settings.
    type Own: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// MNPO's own on games: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MnpoOnGames {}

/// MNPO's own on language models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MnpoOnLanguageModels {
    /// Updates towards one iterate, on the same samples.
    pub num_iterations: u32,
}

impl MnpoOn for GameTraining {
    type Own = MnpoOnGames;
}

impl MnpoOn for LanguageTraining {
    type Own = MnpoOnLanguageModels;
}

/// MNPO (Wu et al., arXiv 2509.23102), its opponents the policies of the last steps. On language models `beta` is τ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mnpo<S: MnpoOn = GameTraining> {
    /// η: how strongly an iterate is held to those before it; at least the temperature of the Nash policy.
    pub eta: f64,
    /// λ: what each opponent weighs, the policy as it is first, then those of the steps before it; only ratios matter.
    pub opponents: Vec<f64>,
    /// What it has here alone.
    #[serde(flatten)]
    pub own: S::Own,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// Opponents beyond which nobody means it.
const OPPONENTS_MAX: usize = 64;
/// Opponents of one weight where a file does not say.
const OPPONENTS_USUAL: usize = 3;

const OPPONENTS: Key = Key::new(
    "opponents",
    "λ: what each opponent weighs, the policy as it is first, then the policies of the steps before; 1 to 64 numbers, not negative, of \
     which only ratios matter. `[1]` is inpo. On a language model each earlier policy that weighs something is kept beside the trained \
     parameters, and reads the responses of every step.",
)
.example("[0.5, 0.3, 0.2]")
.why_not("the others play against no past policies");

impl<S: MnpoOn> Named for Mnpo<S> {
    const ABOUT: &'static str = "Mirror descent by regression against several past policies, multiplayer Nash preference optimization \
        (arXiv 2509.23102).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["td-mnpo", "ht-mnpo", "multiplayer-nash"], "mirror descent by regression against several past policies")];
}

/// λ of the opponents that there are after so many steps before this one, which sum to 1: those that are not there yet weigh nothing.
/// Where none of those that are there weighs anything, the policy itself is the opponent.
#[must_use]
pub fn opponent_weights(opponents: &[f64], steps_before: usize) -> Vec<f64> {
    let there = &opponents[..opponents.len().min(steps_before.saturating_add(1))];
    let sum: f64 = there.iter().sum();
    if sum > 0.0 { there.iter().map(|weight| weight / sum).collect() } else { vec![1.0] }
}

/// Policies of steps before that are kept: up to the last one that weighs something.
#[must_use]
pub fn opponents_kept(opponents: &[f64]) -> usize {
    opponents.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
}

impl<S: MnpoOn> Mnpo<S> {
    /// λ of the opponents that there are after so many steps before this one: see [`opponent_weights`].
    #[must_use]
    pub fn weights(&self, steps_before: usize) -> Vec<f64> {
        opponent_weights(&self.opponents, steps_before)
    }

    /// Whether a policy of steps before weighs anything.
    #[must_use]
    pub fn has_past(&self) -> bool {
        opponents_kept(&self.opponents) > 0
    }

    fn check_opponents(&self, problems: &mut Problems) {
        let key = "method.opponents";
        let count = self.opponents.len();
        problems.require((1..=OPPONENTS_MAX).contains(&count), key, || {
            format!("{count} weights; expected 1 to {OPPONENTS_MAX}, that of the policy as it is first")
        });
        if let Some(weight) = self.opponents.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
            problems.push(key, format!("{weight}; expected finite numbers, not negative"));
        } else if count > 0 {
            let sum: f64 = self.opponents.iter().sum();
            problems.require(sum.is_finite() && sum > 0.0, key, || {
                format!("weights that sum to {sum}; expected a finite sum above 0")
            });
        }
    }
}

impl OnGames for Mnpo {
    const USES: GameUses = GameUses { plays_itself: true, renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            eta: reader.or(ETA, GAME_ETA),
            opponents: reader.or(OPPONENTS, vec![1.0; OPPONENTS_USUAL]),
            own: MnpoOnGames {},
            training: GameTraining::read(reader, &Self::USES),
        }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        check_eta(self.eta, ("game.tau_nash", place.temperatures.tau_nash), problems);
        self.check_opponents(problems);
    }

    /// A natural step at 1/η is the minimum of the regression itself.
    fn usual_learning_rate(&self, _temperatures: Temperatures) -> Option<f64> {
        let training = &self.training;
        let is_natural = training.preconditioner == Preconditioner::Natural && training.optimizer == Optimizer::Sgd;
        is_natural.then_some(1.0 / self.eta)
    }
}

impl OnLanguageModels for Mnpo<LanguageTraining> {
    const USES: LanguageUses = LanguageUses::COMPARING;

    fn read(reader: &mut Reader<'_>) -> Self {
        let is_given = reader.is_given(ETA);
        let training = LanguageTraining::read(reader, &Self::USES);
        let mnpo = Self {
            eta: reader.or(ETA, language_eta(training.beta)),
            opponents: reader.or(OPPONENTS, vec![1.0; OPPONENTS_USUAL]),
            own: MnpoOnLanguageModels { num_iterations: num_iterations(reader) },
            training,
        };
        if !mnpo.has_past() {
            let given = is_given.then_some(mnpo.own.num_iterations);
            refuse_idle_eta(reader, (ETA, NUM_ITERATIONS), given, "online-ipo's");
        }
        mnpo
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        check_eta(self.eta, ("method.beta", self.training.beta), problems);
        check_num_iterations(self.own.num_iterations, problems);
        self.check_opponents(problems);
    }

    fn num_iterations(&self) -> u32 {
        self.own.num_iterations
    }

    fn past_policies(&self) -> Vec<u64> {
        (0..).zip(&self.opponents).skip(1).filter(|(_, weight)| **weight > 0.0).map(|(ago, _)| ago).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opponents_that_are_not_there_yet_weigh_nothing() {
        let usual = |steps| opponent_weights(&[2.0, 1.0, 1.0], steps);
        assert_eq!(usual(0), [1.0]);
        assert_eq!(usual(1), [2.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(usual(2), [0.5, 0.25, 0.25]);
        assert_eq!(usual(100), usual(2));
        // Of the policies of steps before alone, there is none at first.
        assert_eq!(opponent_weights(&[0.0, 1.0], 0), [1.0]);
        assert_eq!(opponent_weights(&[0.0, 1.0], 1), [0.0, 1.0]);
    }
}

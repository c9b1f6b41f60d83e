//! MNPO: self-play against several past policies (Wu et al., arXiv 2509.23102).

use serde::{Deserialize, Serialize};

use super::inpo::{ETA, GAME_ETA};
use super::{GamePlace, GameTraining, GameUses, Named, OnGames, Optimizer, Preconditioner};
use crate::game::Temperatures;
use crate::settings::{Key, Problems, Reader};

/// MNPO (Wu et al., arXiv 2509.23102), its opponents the policies of the last steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mnpo<S = GameTraining> {
    /// η: how strongly an iterate is held to those before it; at least the temperature of the Nash policy.
    pub eta: f64,
    /// λ: what each opponent weighs, the policy as it is first, then those of the steps before it; only ratios matter.
    pub opponents: Vec<f64>,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

/// Opponents beyond which nobody means it.
const OPPONENTS_MAX: usize = 64;

const OPPONENTS: Key = Key::new(
    "opponents",
    "λ: what each opponent weighs, the policy as it is first, then the policies of the steps before; 1 to 64 numbers, not negative, of \
     which only ratios matter. `[1]` is inpo.",
)
.example("[0.5, 0.3, 0.2]")
.why_not("the others play against no past policies");

impl<S> Named for Mnpo<S> {
    const ABOUT: &'static str = "Mirror descent by regression against several past policies, multiplayer Nash preference optimization \
        (arXiv 2509.23102).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] =
        &[(&["td-mnpo", "ht-mnpo", "multiplayer-nash"], "mirror descent by regression against several past policies")];
}

impl<S> Mnpo<S> {
    /// λ of the opponents that there are after so many steps before this one, which sum to 1: those that are not there yet weigh nothing.
    /// Where none of those that are there weighs anything, the policy itself is the opponent.
    #[must_use]
    pub fn weights(&self, steps_before: usize) -> Vec<f64> {
        let there = &self.opponents[..self.opponents.len().min(steps_before.saturating_add(1))];
        let sum: f64 = there.iter().sum();
        if sum > 0.0 { there.iter().map(|weight| weight / sum).collect() } else { vec![1.0] }
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
            opponents: reader.or(OPPONENTS, vec![1.0; 3]),
            training: GameTraining::read(reader, &Self::USES),
        }
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let tau = place.temperatures.tau_nash;
        let holds = self.eta.is_finite() && self.eta > 0.0 && self.eta >= tau;
        problems.require(holds, "method.eta", || {
            format!("{}; expected a finite number above 0 and at least game.tau_nash, which is {tau}", self.eta)
        });
        self.check_opponents(problems);
    }

    /// A natural step at 1/η is the minimum of the regression itself.
    fn usual_learning_rate(&self, _temperatures: Temperatures) -> Option<f64> {
        let training = &self.training;
        let is_natural = training.preconditioner == Preconditioner::Natural && training.optimizer == Optimizer::Sgd;
        is_natural.then_some(1.0 / self.eta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opponents_that_are_not_there_yet_weigh_nothing() {
        let mnpo = |opponents: &[f64]| Mnpo { eta: 2.0, opponents: opponents.to_vec(), training: () };
        let usual = mnpo(&[2.0, 1.0, 1.0]);
        assert_eq!(usual.weights(0), [1.0]);
        assert_eq!(usual.weights(1), [2.0 / 3.0, 1.0 / 3.0]);
        assert_eq!(usual.weights(2), [0.5, 0.25, 0.25]);
        assert_eq!(usual.weights(100), usual.weights(2));
        // Of the policies of steps before alone, there is none at first.
        assert_eq!(mnpo(&[0.0, 1.0]).weights(0), [1.0]);
        assert_eq!(mnpo(&[0.0, 1.0]).weights(1), [0.0, 1.0]);
    }
}

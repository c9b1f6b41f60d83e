//! One finite preference game: preferences, reference policies, temperatures.

use crate::error::{GameError, Part};
use crate::preference::PreferenceMatrix;
use crate::reference::{Distribution, FollowerReference};

/// The weights of the KL terms, in units of preference per nat, as a user writes them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemperatureValues {
    /// `τ_L` ≥ 0; 0 by default.
    pub leader: f64,
    /// `τ_F` ≥ 0; 0 by default.
    pub follower: f64,
    /// τ of the Nash equilibrium, ≥ 0; 0 (a maximal lottery) by default.
    pub nash: f64,
    /// τ of the RLHF policy, > 0; 1 by default.
    pub rlhf: f64,
}

impl Default for TemperatureValues {
    fn default() -> Self {
        Self { leader: 0.0, follower: 0.0, nash: 0.0, rlhf: 1.0 }
    }
}

/// Checked [`TemperatureValues`]: all finite, none negative, `τ_rlhf` positive.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Temperatures {
    values: TemperatureValues,
}

impl Temperatures {
    /// Checks the values; the error names the first that is refused.
    pub fn new(values: TemperatureValues) -> Result<Self, GameError> {
        let at_least_zero =
            [("tau_leader", values.leader), ("tau_follower", values.follower), ("tau_nash", values.nash)];
        for (name, value) in at_least_zero {
            if !(value.is_finite() && value >= 0.0) {
                return Err(GameError::Temperature {
                    name,
                    value,
                    expectation: "a finite number that is not negative",
                });
            }
        }
        if !(values.rlhf.is_finite() && values.rlhf > 0.0) {
            return Err(GameError::Temperature {
                name: "tau_rlhf",
                value: values.rlhf,
                expectation: "a finite number above 0",
            });
        }
        Ok(Self { values })
    }

    /// `τ_L`.
    pub fn leader(&self) -> f64 {
        self.values.leader
    }

    /// `τ_F`.
    pub fn follower(&self) -> f64 {
        self.values.follower
    }

    /// τ of the Nash equilibrium.
    pub fn nash(&self) -> f64 {
        self.values.nash
    }

    /// τ of the RLHF policy.
    pub fn rlhf(&self) -> f64 {
        self.values.rlhf
    }
}

/// A finite game, complete and valid: every function of this crate is total on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Game {
    preferences: PreferenceMatrix,
    reference_leader: Distribution,
    reference_follower: FollowerReference,
    temperatures: Temperatures,
}

impl Game {
    /// Joins the parts; the reference policies must be over the matrix's actions.
    pub fn new(
        preferences: PreferenceMatrix,
        reference_leader: Distribution,
        reference_follower: FollowerReference,
        temperatures: Temperatures,
    ) -> Result<Self, GameError> {
        let expected = preferences.actions();
        let lengths = [
            (Part::ReferenceLeader, reference_leader.actions()),
            (Part::ReferenceFollower, reference_follower.actions()),
        ];
        for (what, found) in lengths {
            if found != expected {
                return Err(GameError::ReferenceLength { what, expected, found });
            }
        }
        Ok(Self { preferences, reference_leader, reference_follower, temperatures })
    }

    /// With uniform reference policies.
    pub fn with_uniform_references(preferences: PreferenceMatrix, temperatures: Temperatures) -> Self {
        let actions = preferences.actions();
        Self {
            preferences,
            reference_leader: Distribution::uniform(actions),
            reference_follower: FollowerReference::uniform(actions),
            temperatures,
        }
    }

    /// The same game at other temperatures.
    #[must_use]
    pub fn at(&self, temperatures: Temperatures) -> Self {
        Self { temperatures, ..self.clone() }
    }

    /// The number of actions, `n ≥ 2`.
    pub fn actions(&self) -> usize {
        self.preferences.actions()
    }

    /// `P`.
    pub fn preferences(&self) -> &PreferenceMatrix {
        &self.preferences
    }

    /// `π_ref`.
    pub fn reference_leader(&self) -> &Distribution {
        &self.reference_leader
    }

    /// `ω_ref`.
    pub fn reference_follower(&self) -> &FollowerReference {
        &self.reference_follower
    }

    /// The temperatures.
    pub fn temperatures(&self) -> &Temperatures {
        &self.temperatures
    }
}

//! Finite games.

use slhf_game::{GameError, TemperatureValues};

use super::schedule::{FollowerLimits, check_schedule};
use crate::methods::{GamePlace, Method, Optimizer};
use crate::settings::Problems;
use crate::{ActionPlan, ComputePath, DevicePlan, Precision, Realisation, Schedule, Temperatures};

/// One cell of a grid on a finite game.
#[derive(Clone, Copy, Debug)]
pub struct GameCell<'a> {
    /// The game's actions.
    pub actions: &'a [ActionPlan],
    /// Whether the game was counted from comparisons.
    pub is_counted: bool,
    /// Its temperatures.
    pub temperatures: Temperatures,
    /// The method.
    pub method: &'a Method,
    /// The schedule.
    pub schedule: &'a Schedule,
    /// Where it is computed.
    pub device: &'a DevicePlan,
}

/// Follower updates for one of the Leader's that a step can count.
const UPDATES_MAX: u32 = 65_535;

/// Everything that is wrong with a cell.
#[must_use]
pub fn check_game(cell: &GameCell<'_>) -> Problems {
    let mut problems = Problems::default();
    check_temperatures(cell.temperatures, &mut problems);
    let place = GamePlace { temperatures: cell.temperatures, actions: cell.actions, is_counted: cell.is_counted };
    cell.method.check(&place, &mut problems);
    let training = cell.method.training();
    if cell.method.is_trained() {
        let follower = cell.method.has_follower().then_some(FollowerLimits { updates_max: UPDATES_MAX });
        if follower.is_some()
            && cell.schedule.realisation == Realisation::LossWeight
            && training.optimizer == Optimizer::Adam
        {
            problems.push(
                "schedule.realisation",
                "\"loss_weight\" under optimizer = \"adam\" with separate parameters does nothing: Adam divides every \
                 gradient by its own size, so a weight on the Follower's loss cancels; use \"learning_rate_ratio\" or \
                 \"updates_per_leader_update\", or optimizer = \"sgd\"",
            );
        }
        check_schedule(cell.schedule, training.steps, follower, &mut problems);
    }
    check_device(cell.device, &mut problems);
    problems.require(cell.device.path == ComputePath::Scalar || !cell.method.is_held_otherwise(), "device.path", || {
        "\"tensor\" with another regularizer than \"reverse_kl\", which the scalar loop alone has; use path = \"scalar\" on the cpu in f64".to_owned()
    });
    problems
}

fn check_temperatures(temperatures: Temperatures, problems: &mut Problems) {
    let Temperatures { tau_leader, tau_follower, tau_nash, tau_rlhf } = temperatures;
    let values = TemperatureValues { leader: tau_leader, follower: tau_follower, nash: tau_nash, rlhf: tau_rlhf };
    if let Err(error) = slhf_game::Temperatures::new(values) {
        let key = match error {
            GameError::Temperature { name: "tau_leader", .. } => "game.tau_leader",
            GameError::Temperature { name: "tau_follower", .. } => "game.tau_follower",
            GameError::Temperature { name: "tau_nash", .. } => "game.tau_nash",
            _ => "game.tau_rlhf",
        };
        problems.push(key, error.to_string());
    }
}

fn check_device(device: &DevicePlan, problems: &mut Problems) {
    if device.path != ComputePath::Scalar {
        return;
    }
    problems.require(device.precision != Precision::F32, "device.precision", || {
        "\"f32\" with path = \"scalar\": the scalar loop computes in f64; use \"tensor\"".to_owned()
    });
    problems.require(device.name == "cpu", "device.path", || {
        format!("\"scalar\" on {}: the scalar loop runs on the cpu; use \"tensor\"", device.name)
    });
}

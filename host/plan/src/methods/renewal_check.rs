//! What fits together where a reference is renewed.

use super::{GamePlace, Method};
use crate::settings::Problems;

const NOT_NASH: &str = "whose target is not the Nash policy of a game that a reference regularizes";

/// What a renewed reference asks of the method and of the game.
pub(super) fn check(method: &Method, place: &GamePlace<'_>, problems: &mut Problems) {
    let Some(renewed) = method.training().reference else { return };
    let key = "method.reference";
    problems.require(renewed.renew_every > 0, "method.reference.renew_every", || {
        "0; expected a number of steps between renewals, at least 1".to_owned()
    });
    if !method.uses().renews {
        problems.push(key, format!("renewed with {}, {}: remove it", method.name(), NOT_NASH));
    } else if let Some(why) = method.keeps_its_reference() {
        problems.push(key, format!("renewed with {}, {why}", method.name()));
    }
    // Methods that cycle at τ = 0 say so themselves.
    problems.require(place.temperatures.tau_nash > 0.0 || method.plays_itself(), key, || {
        "renewed at game.tau_nash = 0, where the reference has no weight: expected tau_nash above 0, or no reference".to_owned()
    });
}

//! A reference that moves with the policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GamePlace, Method};
use crate::settings::{Key, Problems, Reader};

/// A reference whose place the policy takes again and again (COMAL, Liu et al., arXiv 2410.23223; the magnet of MPO, Wang et al.,
/// arXiv 2410.16714): the proximal-point method, whose inner problem is the game at the temperature `game.tau_nash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewedReference {
    /// Steps between renewals, at least 1.
    pub renew_every: u64,
}

const REFERENCE: Key = Key::new(
    "reference",
    "`{ renew_every = K }`: after every K steps the policy takes the reference's place (COMAL, arXiv 2410.23223; MPO's magnet, \
     arXiv 2410.16714). The target is then a Nash policy of the game without regularization, which is reached if K steps come close to \
     each inner solution at `game.tau_nash`; with K too small the policy cycles. Without it the reference stays.",
)
.example("{ renew_every = 200 }")
.why_not("the others' target is not the Nash policy of a game that a reference regularizes");

const NOT_NASH: &str = "whose target is not the Nash policy of a game that a reference regularizes";

/// `reference`, of a method that is held to one which may move.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RenewedReference> {
    reader.optional(REFERENCE)
}

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

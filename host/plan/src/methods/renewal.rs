//! A reference that moves with the policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Key, Reader};

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

/// `reference`, of a method that is held to one which may move.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<RenewedReference> {
    reader.optional(REFERENCE)
}

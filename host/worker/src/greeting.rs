//! What this program says it is, to the lab and to other ranks.

use slhf_plan::{Hello, PROTOCOL_VERSION};

/// Hash of the sources this worker is built from; the lab's must be the same.
const BUILD_ID: &str = env!("SLHF_BUILD_ID");

/// The first message.
pub(crate) fn own() -> Hello {
    Hello { protocol: PROTOCOL_VERSION, build_id: BUILD_ID.to_owned() }
}

//! Looking after a record: what is wrong with it, what nobody needs, and room.

mod backup;
mod check;
mod garbage;
mod space;
mod stray;

pub use check::Problem;
pub use garbage::{Garbage, GarbageKind};
pub use space::{Sizes, Vacuumed};

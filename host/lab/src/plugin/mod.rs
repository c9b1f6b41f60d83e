//! What `slhf-lab plugin` does, one file a sub-verb.

pub(crate) mod asked;
pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod check;
mod component;
mod embedded;
pub(crate) mod inspect;
pub(crate) mod new;
mod packages;
pub(crate) mod try_one;
mod try_pairs;

//! What `slhf-lab plugin` does, one file a sub-verb.

pub(crate) mod asked;
pub(crate) mod bench;
pub(crate) mod build;
mod build_script;
pub(crate) mod check;
mod component;
mod embedded;
pub(crate) mod inspect;
mod kind;
pub(crate) mod new;
mod new_rust;
mod new_script;
mod packages;
mod project;
pub(crate) mod try_one;
mod try_pairs;

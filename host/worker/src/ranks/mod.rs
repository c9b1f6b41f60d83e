//! One run computed by several processes: data parallel over micro-batches, to the bits of one process.
//!
//! Rank 0 is the worker that the lab speaks to. It runs the loop, asks the judge, and writes checkpoints; the others ([`member`]) hold the
//! same model and do as they are told ([`order`]). Rows are sampled where they are dealt; whole micro-batches are passed where they are
//! dealt, weighed by rank 0 in their order, and their gradients are added in that order at every rank. So every sum has the same terms in
//! the same order whatever the number of ranks, and parameters, moments and metrics are equal to the bit.
//!
//! Where products depend on the number of rows, as those of unpacked weights do, no order of sums would help. There every rank adds the gradients of
//! its own micro-batches, they are all-reduced once a step, and every rank keeps the moments of its share of the parameters and moves that
//! ([`share_of`]): bits of this number of ranks.
//!
//! Ranks speak over c10d's group ([`slhf_torch_shim::ProcessGroup`]). A rank that dies or hangs ends the worker: the lab is told
//! [`FromWorker::Lost`](slhf_plan::FromWorker::Lost), and the run is resumed from its last checkpoint.

mod crew;
mod exchange;
pub(crate) mod member;
mod order;
mod passing;
mod reached;
mod shares;
mod team;

pub(crate) use crew::Crew;
pub(crate) use exchange::ExchangeError;
pub(crate) use order::Speaker;
pub(crate) use shares::share_of;
pub(crate) use team::{Ranks, Team};

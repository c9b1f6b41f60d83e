//! The record as its callers see it. One test binary, so that it is linked once.

#![expect(
    clippy::float_cmp,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_wrap,
    reason = "a test that panics has failed"
)]

mod checkpoints;
mod completions;
mod crash;
mod curves;
mod divergence;
mod executions;
mod files;
mod leases;
mod merges;
mod provenance;
mod queries;
mod schema;
mod slices;
mod statements;
mod support;
mod trash;
mod upkeep;
mod values;
mod versions;

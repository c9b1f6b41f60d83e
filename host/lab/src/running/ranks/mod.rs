//! `--ranks`: one run computed by processes that torchrun or srun started, on this machine and on others.
//!
//! All of them are the same command. Rank 0 is a lab as any other ([`Gathering`]); the others ([`serve`]) hold a connection to it as long as it lives. For
//! each run it tells them where its worker waits; each connects there, starts a worker of its own, and passes on what both say. The connection to the lab
//! is all that decides when they end.

mod gathering;
mod placement;
mod serving;

use slhf_experiment::SetOverride;

pub(crate) use gathering::Gathering;
use placement::Placement;

use crate::failure::Failure;

/// This process's part: rank 0 gathers the others. `None` at another rank, which has served rank 0 to its end by then.
pub(super) fn join() -> Result<Option<Gathering>, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let placement = Placement::of(variable).map_err(Failure::bad_input)?;
    if placement.rank == 0 {
        return Ok(Some(Gathering::start(&placement).map_err(Failure::failed)?));
    }
    serving::serve(&placement)?;
    Ok(None)
}

impl Gathering {
    /// What makes a plan one of so many processes.
    pub(crate) fn as_override(&self) -> SetOverride {
        SetOverride { key: "device.processes".to_owned(), value: toml::Value::Integer(i64::from(self.size())) }
    }
}

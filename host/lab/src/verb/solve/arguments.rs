//! Arguments of `solve`.

use std::path::PathBuf;

use clap::Args;

use crate::output::Format;

/// Arguments of `solve`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A game's or an experiment's TOML, a PrefLib file (.soc .soi .toc .toi), or a CSV: a matrix under a header of
    /// action names, or counts under first,second,wins
    pub(super) game: PathBuf,
    /// Weight of the Leader's KL divergence from its reference [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    pub(super) tau_leader: Option<f64>,
    /// Weight of the Follower's [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    pub(super) tau_follower: Option<f64>,
    /// Temperature of the Nash equilibrium [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    pub(super) tau_nash: Option<f64>,
    /// Temperature of RLHF, above 0 [default: the file's, else 1]
    #[arg(long, value_name = "TAU")]
    pub(super) tau_rlhf: Option<f64>,
    /// Where models that the judge asks are run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(super) device: String,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

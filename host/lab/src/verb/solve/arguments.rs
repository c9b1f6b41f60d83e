//! Arguments of `solve`.

use std::path::PathBuf;

use clap::Args;

use super::bootstrap::Settings;
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
    /// Draws ballots or counted comparisons again N times, with replacement: intervals, and whether a cycle is real
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub(super) bootstrap: Option<u32>,
    /// Seed of the bootstrap
    #[arg(long, value_name = "S", default_value_t = 0, requires = "bootstrap")]
    pub(super) seed: u64,
    /// How much a group of a CSV with a column `group` weighs, once for each group; in the place of the file's weights
    #[arg(long = "weight", value_name = "GROUP=W", value_parser = weight)]
    pub(super) weights: Vec<(String, f64)>,
    /// Where models that the judge asks are run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub(super) device: String,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

impl Arguments {
    /// What is drawn again, if anything.
    pub(super) fn resampling(&self) -> Option<Settings> {
        self.bootstrap.map(|resamples| Settings { resamples, seed: self.seed })
    }
}

/// `young=0.5`; the last `=` counts, since a name may hold one.
fn weight(text: &str) -> Result<(String, f64), String> {
    let expected = "expected a group's name, = and a number, like young=0.5";
    let (name, value) = text.rsplit_once('=').ok_or(expected)?;
    let value = value.trim().parse().map_err(|_| format!("\"{}\" is no number; {expected}", value.trim()))?;
    Ok((name.trim().to_owned(), value))
}

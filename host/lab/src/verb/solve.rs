//! `slhf-lab solve`: the exact solutions of a finite game, side by side.

mod input;
mod table;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value as Json, json};
use slhf_game::Solutions;

use crate::failure::Failure;
use crate::output::{self, Format};
use input::Input;

/// Arguments of `solve`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A game's or an experiment's TOML, a PrefLib file (.soc .soi .toc .toi), or a CSV: a matrix under a header of
    /// action names, or counts under first,second,wins
    game: PathBuf,
    /// Weight of the Leader's KL divergence from its reference [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    tau_leader: Option<f64>,
    /// Weight of the Follower's [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    tau_follower: Option<f64>,
    /// Temperature of the Nash equilibrium [default: the file's, else 0]
    #[arg(long, value_name = "TAU")]
    tau_nash: Option<f64>,
    /// Temperature of RLHF, above 0 [default: the file's, else 1]
    #[arg(long, value_name = "TAU")]
    tau_rlhf: Option<f64>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let input = Input::read(&arguments)?;
    let solutions = slhf_game::solve(&input.game);
    match arguments.format {
        Format::Json => output::print_json(&json_of(&input, &solutions)),
        format => table::print(&input, &solutions, format),
    }
}

/// Everything that the reader should know, the input's remarks first.
fn notes(input: &Input, solutions: &Solutions) -> Vec<String> {
    let solved = solutions.notes.iter().map(|note| note.sentence(&input.names));
    input.notes.iter().cloned().chain(solved).collect()
}

/// The documented shape; arrays in the order of `actions`.
fn json_of(input: &Input, solutions: &Solutions) -> Json {
    let names = &input.names;
    let n = names.len();
    let named = |action: usize| names[action].clone();
    let (stackelberg, nash, bradley_terry) = (&solutions.stackelberg, &solutions.nash, &solutions.bradley_terry);
    let follower = stackelberg.follower();
    let rows: Vec<&[f64]> = follower.chunks(n).collect();
    let support: Vec<String> = stackelberg.leader_support().iter().map(|action| named(*action)).collect();
    json!({
        "actions": names,
        "condorcet_winner": solutions.condorcet_winner.map(named),
        "stackelberg": {
            "leader": stackelberg.leader(),
            "follower": rows,
            "leader_values": stackelberg.leader_values(),
            "objective": stackelberg.objective(),
            "leader_support": support,
        },
        "nash": { "policy": nash.policy, "value": nash.value, "duality_gap": nash.duality_gap },
        "bradley_terry": { "scores": bradley_terry.fit.scores, "policy": bradley_terry.policy },
        "notes": notes(input, solutions),
    })
}

//! `slhf-lab solve`: the exact solutions of a finite game, side by side.

mod arguments;
mod input;
mod table;

pub(crate) use arguments::Arguments;

use serde_json::{Value as Json, json};
use slhf_game::Solutions;

use crate::failure::Failure;
use crate::output::{self, Format};
use input::Input;

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let input = Input::read(&arguments)?;
    let solutions = slhf_game::solve(&input.game);
    match arguments.format {
        Format::Json => output::print_json(&json_of(&input, &solutions)),
        format => table::print(&input, &solutions, format),
    }
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
        "notes": table::notes(input, solutions),
    })
}

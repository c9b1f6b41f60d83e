//! The three concepts: one row an action, what holds of the game as a whole, JSON.

use serde_json::{Value as Json, json};
use slhf_game::Solutions;

use super::input::Input;
use crate::output::{Cell, Column, number};

/// Probabilities below this are not worth a name in the Follower's answer.
const SHOWN_MIN: f64 = 0.005;
/// Answers that are named in full.
const ANSWERS_MAX: usize = 3;

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::number("slhf_leader").titled("SLHF leader"),
        Column::number("slhf_value").titled("f"),
        Column::text("slhf_follower_answers").titled("follower responses"),
        Column::number("nlhf_policy").titled("NLHF (Nash)"),
        Column::number("bradley_terry_score").titled("BT score"),
        Column::number("rlhf_policy").titled("RLHF (BT)"),
    ]
}

/// One row an action under [`columns`].
pub(super) fn rows(input: &Input, solutions: &Solutions) -> Vec<Vec<Cell>> {
    let n = input.names.len();
    let stackelberg = &solutions.stackelberg;
    let (leader, follower) = (stackelberg.leader(), stackelberg.follower());
    let cells = |i: usize| {
        vec![
            Cell::Number(leader[i]),
            Cell::Number(stackelberg.leader_values()[i]),
            Cell::Text(answers(&input.names, &follower[i * n..(i + 1) * n])),
            Cell::Number(solutions.nash.policy[i]),
            Cell::Number(solutions.bradley_terry.fit.scores[i]),
            Cell::Number(solutions.bradley_terry.policy[i]),
        ]
    };
    (0..n).map(cells).collect()
}

/// `scissors 0.98, paper 0.02`, the likeliest first.
fn answers(names: &[String], row: &[f64]) -> String {
    let mut order: Vec<usize> = (0..row.len()).filter(|j| row[*j] >= SHOWN_MIN).collect();
    order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
    let shown =
        order.iter().take(ANSWERS_MAX).map(|j| format!("{} {}", names[*j], number((row[*j] * 100.0).round() / 100.0)));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if order.len() > ANSWERS_MAX {
        text.push_str(", …");
    }
    text
}

pub(super) fn summary(input: &Input, solutions: &Solutions) -> Vec<String> {
    let temperatures = input.game.temperatures();
    let winner = solutions.condorcet_winner.map_or("none", |action| input.names[action].as_str());
    vec![
        format!("Condorcet winner: {winner}"),
        format!(
            "SLHF: value {} (tau_leader {}, tau_follower {})",
            number(solutions.stackelberg.objective()),
            temperatures.leader(),
            temperatures.follower()
        ),
        format!(
            "NLHF: value {}, duality gap {} (tau_nash {})",
            number(solutions.nash.value),
            number(solutions.nash.duality_gap),
            temperatures.nash()
        ),
        format!("RLHF: every pair weighted equally (tau_rlhf {})", temperatures.rlhf()),
    ]
}

/// Everything that the reader should know, the input's remarks first.
pub(super) fn notes(input: &Input, solutions: &Solutions) -> Vec<String> {
    let solved = solutions.notes.iter().map(|note| note.sentence(&input.names));
    input.notes.iter().cloned().chain(solved).collect()
}

/// The concepts' part of the documented shape.
pub(super) fn json_of(input: &Input, solutions: &Solutions) -> Json {
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

//! The solutions for people: one row an action, then what holds of the game as a whole.

use slhf_game::Solutions;

use super::input::Input;
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table, number};

/// Probabilities below this are not worth a name in the Follower's answer.
const SHOWN_MIN: f64 = 0.005;
/// Answers that are named in full.
const ANSWERS_MAX: usize = 3;

pub(super) fn print(input: &Input, solutions: &Solutions, format: Format) -> Result<(), Failure> {
    output::print_table(&table(input, solutions), format)?;
    if matches!(format, Format::Csv) {
        return Ok(());
    }
    let mut text = String::new();
    for line in summary(input, solutions) {
        text.push_str(if format == Format::Markdown { "\n- " } else { "" });
        text.push_str(&output::visible(&line));
        text.push_str(if format == Format::Markdown { "" } else { "\n" });
    }
    if format == Format::Markdown {
        text.push('\n');
    }
    output::print_text(&text)
}

fn table(input: &Input, solutions: &Solutions) -> Table {
    let n = input.names.len();
    let mut table = Table::new(vec![
        Column::text("action"),
        Column::number("slhf_leader").titled("SLHF leader"),
        Column::number("slhf_value").titled("f"),
        Column::text("slhf_follower_answers").titled("follower responses"),
        Column::number("nlhf_policy").titled("NLHF (Nash)"),
        Column::number("bradley_terry_score").titled("BT score"),
        Column::number("rlhf_policy").titled("RLHF (BT)"),
    ]);
    let stackelberg = &solutions.stackelberg;
    let (leader, follower) = (stackelberg.leader(), stackelberg.follower());
    for (i, name) in input.names.iter().enumerate() {
        table.push(vec![
            Cell::text(name),
            Cell::Number(leader[i]),
            Cell::Number(stackelberg.leader_values()[i]),
            Cell::Text(answers(&input.names, &follower[i * n..(i + 1) * n])),
            Cell::Number(solutions.nash.policy[i]),
            Cell::Number(solutions.bradley_terry.fit.scores[i]),
            Cell::Number(solutions.bradley_terry.policy[i]),
        ]);
    }
    table
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

fn summary(input: &Input, solutions: &Solutions) -> Vec<String> {
    let temperatures = input.game.temperatures();
    let winner = solutions.condorcet_winner.map_or("none", |action| input.names[action].as_str());
    let mut lines = vec![
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
    ];
    lines.extend(notes(input, solutions).into_iter().map(|note| format!("note: {note}")));
    lines
}

/// Everything that the reader should know, the input's remarks first.
pub(super) fn notes(input: &Input, solutions: &Solutions) -> Vec<String> {
    let solved = solutions.notes.iter().map(|note| note.sentence(&input.names));
    input.notes.iter().cloned().chain(solved).collect()
}

//! The games of an experiment: who is preferred to whom, what is exact, and what training made of it.

use slhf_game::{
    Distribution, FollowerReference, Game, PreferenceMatrix, Solutions, TemperatureValues, Temperatures, solve,
};
use slhf_plan::{EvaluationName, MetricKey, Work};
use slhf_record::{ComparedCell, Comparison, Record};
use slhf_report::{Block, Figure, Matrix, MatrixCell, Table};

use super::measured::{Evaluations, said_once};
use super::paths;
use super::text::{finished, inline};
use crate::failure::Failure;
use crate::output::number;
use crate::over_seeds::latest;

/// Actions that have a column each.
const COLUMNS_MAX: usize = 6;
/// Actions that are named where there are more.
const NAMED_MAX: usize = 4;
/// A matrix of more is no figure.
const FIGURE_ACTIONS_MAX: usize = 60;
/// Games beyond which each is closed until somebody opens it.
const OPEN_GAMES_MAX: usize = 4;

/// A game with the cells that were trained on it.
struct Played<'a> {
    actions: Vec<String>,
    game: Game,
    cells: Vec<&'a ComparedCell>,
}

/// Each game with its exact solutions beside the policies that were trained on it.
pub(super) fn blocks(
    record: &mut Record,
    comparison: &Comparison,
    evaluations: &Evaluations,
    stem: &str,
) -> Result<Vec<Block>, Failure> {
    let mut games: Vec<Played<'_>> = Vec::new();
    for cell in &comparison.cells {
        let Some((actions, game)) = game_of(record, cell)? else { continue };
        match games.iter_mut().find(|known| known.actions == actions && is_same(&known.game, &game)) {
            Some(known) => known.cells.push(cell),
            None => games.push(Played { actions, game, cells: vec![cell] }),
        }
    }
    let mut blocks = Vec::new();
    let are_many = games.len() > OPEN_GAMES_MAX;
    for (number, played) in games.iter().enumerate() {
        let name = name_of(comparison, played);
        let inner = one(played, evaluations, &name, &format!("{stem}-game-{}", number + 1));
        if are_many {
            blocks.push(Block::Folded { summary: name, blocks: inner });
        } else {
            blocks.push(Block::Text(format!("### {}", inline(&name))));
            blocks.extend(inner);
        }
    }
    if !blocks.is_empty() {
        blocks.insert(0, Block::Heading("Games, exact solutions and final policies".to_owned()));
    }
    Ok(blocks)
}

/// The game of a cell's first finished run; `None` where the record has no verdict on it.
fn game_of(record: &mut Record, cell: &ComparedCell) -> Result<Option<(Vec<String>, Game)>, Failure> {
    let Some(run) = finished(cell).next().map(|run| run.summary.run) else { return Ok(None) };
    let frozen = record.frozen_plan(run).map_err(Failure::failed)?;
    let Some(Ok(Work::Game(group))) = frozen.as_deref().map(Work::from_json) else { return Ok(None) };
    let Some(plan) = group.runs.iter().find(|plan| plan.run == run) else { return Ok(None) };
    let Some(game) = group.games.get(plan.game) else { return Ok(None) };
    let actions: Vec<String> = game.actions.iter().map(|action| action.name.clone()).collect();
    let place = |name: &str| actions.iter().position(|action| action == name);
    let mut rows = vec![vec![f64::NAN; actions.len()]; actions.len()];
    for verdict in record.verdicts(run).map_err(Failure::failed)? {
        if let Some((first, second)) = place(&verdict.first).zip(place(&verdict.second)) {
            rows[first][second] = verdict.probability;
        }
    }
    let values = TemperatureValues {
        leader: plan.temperatures.tau_leader,
        follower: plan.temperatures.tau_follower,
        nash: plan.temperatures.tau_nash,
        rlhf: plan.temperatures.tau_rlhf,
    };
    // A run of more than 100 actions has its verdicts in another place, and one that was never judged has none.
    let Ok(matrix) = PreferenceMatrix::from_rows(&rows) else { return Ok(None) };
    let made = Distribution::new(&game.reference_leader).and_then(|leader| {
        let follower = FollowerReference::from_rows(&game.reference_follower)?;
        Game::new(matrix, leader, follower, Temperatures::new(values)?)
    });
    made.map(|game| Some((actions, game)))
        .map_err(|error| Failure::failed(format!("run {run}: the recorded game cannot be solved: {error}")))
}

fn is_same(one: &Game, other: &Game) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let of = |game: &Game| {
        let temperatures = game.temperatures();
        let temperatures = [temperatures.leader(), temperatures.follower(), temperatures.nash(), temperatures.rlhf()];
        [
            bits(game.preferences().entries()),
            bits(game.reference_leader().log_probabilities()),
            bits(game.reference_follower().log_probabilities()),
            bits(&temperatures),
        ]
    };
    of(one) == of(other)
}

/// The axes' values that all cells of the game have and not all cells of the experiment.
fn name_of(comparison: &Comparison, played: &Played<'_>) -> String {
    let parts: Vec<&str> = (0..comparison.axes.len())
        .filter_map(|axis| {
            let of = |cell: &ComparedCell| cell.settings.get(axis).cloned();
            let own = played.cells.first().and_then(|cell| cell.settings.get(axis))?;
            let is_own = played.cells.iter().all(|cell| of(cell).as_ref() == Some(own));
            let is_all = comparison.cells.iter().all(|cell| of(cell).as_ref() == Some(own));
            (is_own && !is_all).then_some(own.as_str())
        })
        .collect();
    match (parts.is_empty(), played.cells.as_slice()) {
        (true, [cell]) => cell.label.clone(),
        (true, _) => format!("The game ({} actions)", played.actions.len()),
        (false, _) => parts.join(", "),
    }
}

fn one(played: &Played<'_>, evaluations: &Evaluations, name: &str, figure: &str) -> Vec<Block> {
    let solutions = solve(&played.game);
    let mut blocks = vec![Block::Text(about(played, &solutions))];
    let (table, constants) = policies(played, evaluations, &solutions).without_constants();
    blocks.extend(said_once(&constants));
    blocks.push(Block::Table(table));
    if played.actions.len() <= FIGURE_ACTIONS_MAX {
        blocks.push(matrix(played, name, figure));
    }
    let paths = format!("{figure}-paths");
    blocks.extend(paths::figure(&played.actions, &played.cells, evaluations, &solutions, (name, &paths)));
    blocks
}

/// What holds of the game as a whole.
fn about(played: &Played<'_>, solutions: &Solutions) -> String {
    let temperatures = played.game.temperatures();
    let winner = solutions.condorcet_winner.map_or_else(
        || "no action beats every other one".to_owned(),
        |action| format!("{} beats every other action", inline(&played.actions[action])),
    );
    let mut said = vec![format!(
        "{} actions; {winner}. Exact solutions at τ_L = {}, τ_F = {}, τ_Nash = {}, τ_RLHF = {}.",
        played.actions.len(),
        number(temperatures.leader()),
        number(temperatures.follower()),
        number(temperatures.nash()),
        number(temperatures.rlhf()),
    )];
    said.extend(solutions.notes.iter().map(|note| {
        let sentence = inline(&note.sentence(&played.actions));
        format!("Note: {}.", sentence.trim_end_matches('.'))
    }));
    said.join(" ")
}

/// One row a policy: the exact ones, then those that were trained.
fn policies(played: &Played<'_>, evaluations: &Evaluations, solutions: &Solutions) -> Table {
    let has_columns = played.actions.len() <= COLUMNS_MAX;
    let mut columns = vec!["policy".to_owned()];
    if has_columns {
        columns.extend(played.actions.iter().cloned());
    } else {
        columns.push("most likely actions".to_owned());
    }
    columns.extend([MetricKey::ValueCommitted.name().to_owned(), "n".to_owned()]);
    let shown = |policy: &[f64]| -> Vec<String> {
        if has_columns {
            policy.iter().map(|p| probability(*p)).collect()
        } else {
            vec![likeliest(&played.actions, policy)]
        }
    };
    let leader = solutions.stackelberg.leader();
    let exact = [
        ("SLHF Leader, exact", leader.as_slice()),
        ("NLHF, exact", solutions.nash.policy.as_slice()),
        ("RLHF, exact", solutions.bradley_terry.policy.as_slice()),
    ];
    let committed = |policy: &[f64]| {
        let logs: Vec<f64> = policy.iter().map(|p| p.ln()).collect();
        probability(played.game.preferences().committed_value(&logs))
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (name, policy) in exact {
        rows.push([vec![name.to_owned()], shown(policy), vec![committed(policy), String::new()]].concat());
    }
    let trained = |cell: &&ComparedCell| {
        let policy = trained_policy(cell, evaluations, &played.actions);
        let unknown = || vec!["–".to_owned(); columns.len() - 3];
        let value = latest(cell, MetricKey::ValueCommitted.name());
        let value = value.map_or_else(|| "–".to_owned(), |found| probability(found.mean));
        let runs = finished(cell).count().to_string();
        [vec![cell.label.clone()], policy.map_or_else(unknown, |policy| shown(&policy)), vec![value, runs]].concat()
    };
    rows.extend(played.cells.iter().map(trained));
    Table { columns, rows }
}

/// The mean over seeds of what a cell's runs ended with; `None` where the record does not list it (more than 20 actions).
fn trained_policy(cell: &ComparedCell, evaluations: &Evaluations, actions: &[String]) -> Option<Vec<f64>> {
    let of = |action: &String| {
        let found = evaluations.over_seeds(cell, &EvaluationName::Probability, &format!("leader/{action}"));
        found.map(|found| found.mean)
    };
    actions.iter().map(of).collect()
}

/// Three decimals; what is less has its own digits.
fn probability(value: f64) -> String {
    if value != 0.0 && value.abs() < 5e-4 { number(value) } else { format!("{value:.3}") }
}

/// `rock 0.51, paper 0.3, 8 more 0.19`
fn likeliest(actions: &[String], policy: &[f64]) -> String {
    let mut order: Vec<usize> = (0..policy.len()).collect();
    order.sort_by(|one, other| policy[*other].total_cmp(&policy[*one]).then(one.cmp(other)));
    let (first, rest) = order.split_at(order.len().min(NAMED_MAX));
    let mut parts: Vec<String> =
        first.iter().map(|at| format!("{} {}", actions[*at], probability(policy[*at]))).collect();
    if !rest.is_empty() {
        let sum: f64 = rest.iter().map(|at| policy[*at]).sum();
        parts.push(format!("{} more {}", rest.len(), probability(sum)));
    }
    parts.join(", ")
}

fn matrix(played: &Played<'_>, name: &str, figure: &str) -> Block {
    let preferences = played.game.preferences();
    let cell = |row: usize, column: usize| {
        (row != column).then(|| MatrixCell { value: preferences.get(row, column), is_significant: false })
    };
    let many = played.actions.len();
    let cells = (0..many).map(|row| (0..many).map(|column| cell(row, column)).collect()).collect();
    Block::Figure {
        name: figure.to_owned(),
        caption: "The judge's probability that the row's action is preferred to the column's.".to_owned(),
        figure: Figure::Matrix(Matrix { title: format!("Preferences, {name}"), names: played.actions.clone(), cells }),
    }
}

//! `slhf-lab samples`: what a run's policies said, pair by pair, and what the judge made of it.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Serialize;
use slhf_plan::PromptId;
use slhf_record::{Completion, OpenMode};

use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Pairs that are shown unless `--limit` says otherwise.
const LIMIT: usize = 10;

/// Arguments of `samples`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A number, `latest`, experiment/cell/seed, or a unique beginning of it
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
    /// The step [default: the last one with recorded completions]
    #[arg(long, value_name = "N")]
    step: Option<i64>,
    /// In which order
    #[arg(long, value_enum, default_value_t = Sort::Position)]
    sort: Sort,
    /// Only pairs with this role: leader, follower, reference, or as recorded, like held-out/leader
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// At most so many pairs [default: 10]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// The order of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// As they were recorded
    Position,
    /// By the verdict, best y first
    P,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::bad_input)?;
    let steps = record.completion_steps(run.run).map_err(Failure::failed)?;
    let name = format!("run {} ({})", run.run, output::visible(&run.name()));
    let Some(step) = arguments.step.or(steps.last().copied()) else {
        let why = if run.kind == "game" {
            "it trains on a finite game, whose policies are in `slhf-lab show`"
        } else {
            "none was recorded: log_completions_every is 0, or the run has not reached its first step"
        };
        return Err(Failure::bad_input(format!("{name} has no completions: {why}")));
    };
    if !steps.contains(&step) {
        return Err(Failure::bad_input(format!(
            "{name} has no completions at step {step}: they were recorded at {}",
            listed(&steps)
        )));
    }
    let mut pairs = pairs(record.completions(run.run, step).map_err(Failure::failed)?);
    if let Some(role) = &arguments.role {
        let mut known: Vec<String> =
            pairs.iter().flat_map(|pair| [pair.y_role.clone(), pair.y_prime_role.clone()]).collect();
        pairs.retain(|pair| matches(&pair.y_role, role) || matches(&pair.y_prime_role, role));
        if pairs.is_empty() {
            known.retain(|role| !role.is_empty());
            known.sort_unstable();
            known.dedup();
            return Err(Failure::bad_input(format!(
                "{name} has no completion of the role \"{}\" at step {step}: there are {}",
                output::visible(role),
                known.join(", ")
            )));
        }
    }
    if arguments.sort == Sort::P {
        let place = |pair: &Pair| pair.probability.unwrap_or(f64::NEG_INFINITY);
        pairs.sort_by(|a, b| place(b).total_cmp(&place(a)));
    }
    let all = pairs.len();
    pairs.truncate(arguments.limit.unwrap_or(LIMIT));
    match arguments.format.format {
        Format::Json => output::print_json(&pairs)?,
        Format::Table => output::print_text(&story(&pairs))?,
        format => output::print_table(&table(&pairs), format)?,
    }
    if pairs.len() < all {
        output::say(format!("{} of {all} pairs of step {step}: --limit shows more", pairs.len()));
    }
    if arguments.step.is_none() && steps.len() > 1 {
        output::say(format!("step {step}; completions were recorded at {}: --step chooses", listed(&steps)));
    }
    Ok(())
}

/// `1, 2, 3, … 90, 100 (37 steps)`.
fn listed(steps: &[i64]) -> String {
    let text = |steps: &[i64]| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match steps {
        [] => "no step".to_owned(),
        [one] => format!("step {one}"),
        few if few.len() <= 8 => format!("steps {}", text(few)),
        many => format!("steps {}, … {} ({} in all)", text(&many[..3]), text(&many[many.len() - 2..]), many.len()),
    }
}

/// `leader` means the Leader of training and of evaluations; a recorded role means itself.
fn matches(recorded: &str, wanted: &str) -> bool {
    let plain = recorded.strip_prefix("held-out/").unwrap_or(recorded);
    recorded == wanted
        || plain == wanted
        || plain.split('(').next() == Some(wanted)
        || (wanted == "held-out" && recorded.starts_with("held-out/"))
}

/// An answer, its opponent, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Pair {
    step: i64,
    position: i64,
    /// `None`: an earlier version recorded it.
    prompt_id: Option<PromptId>,
    prompt: String,
    y_role: String,
    y: String,
    y_finished: bool,
    y_tokens: i64,
    y_prime_role: String,
    y_prime: Option<String>,
    y_prime_finished: Option<bool>,
    y_prime_tokens: Option<i64>,
    /// p(y ≻ y′)
    probability: Option<f64>,
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Attribute {
    name: String,
    /// Its vote for y.
    value: Option<f64>,
    reason: String,
}

/// Which role an answer was compared with, and whether it is the pair's second part then.
fn opponent(role: &str) -> (String, bool) {
    let (prefix, plain) = role.strip_prefix("held-out/").map_or(("", role), |plain| ("held-out/", plain));
    let inner = plain.strip_prefix("follower(").and_then(|rest| rest.strip_suffix(')'));
    match (plain, inner) {
        (_, Some(inner)) => (format!("{prefix}{inner}"), true),
        ("leader", None) if prefix.is_empty() => ("follower".to_owned(), false),
        ("leader", None) => (format!("{prefix}reference"), false),
        ("follower", None) => (format!("{prefix}leader"), true),
        _ => (String::new(), false),
    }
}

/// Rows of one prompt follow each other: in training y and y′, in an evaluation everybody's answers.
fn pairs(completions: Vec<Completion>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut rest = completions.as_slice();
    while let Some(first) = rest.first() {
        let again = |row: &Completion| row.role == first.role && row.round == first.round;
        let another = |row: &Completion| row.prompt_id != first.prompt_id || row.prompt != first.prompt;
        let next = rest.iter().skip(1).position(|row| another(row) || again(row));
        let (group, others) = rest.split_at(next.map_or(rest.len(), |next| next + 1));
        rest = others;
        for row in group {
            let (opponent, is_second) = opponent(&row.role);
            let other = group.iter().find(|other| other.role == opponent);
            match (is_second, other) {
                // The Follower's answer in training stands in its Leader's pair already.
                (true, Some(_)) if row.role == "follower" => {}
                (true, Some(leader)) => pairs.push(pair(leader, Some(row), row, true)),
                (true, None) => pairs.push(pair(row, None, row, false)),
                (false, _) if row.role.ends_with("reference") => {}
                (false, other) => pairs.push(pair(row, other, row, false)),
            }
        }
    }
    pairs
}

/// The verdict is the one of `judged`, which speaks for y′ where it is turned.
fn pair(y: &Completion, y_prime: Option<&Completion>, judged: &Completion, turned: bool) -> Pair {
    let turn = |value: f64| if turned { 1.0 - value } else { value };
    Pair {
        step: y.step,
        position: y.position,
        prompt_id: y.prompt_id,
        prompt: y.prompt.clone(),
        y_role: y.role.clone(),
        y: y.text.clone(),
        y_finished: y.finished,
        y_tokens: y.tokens,
        y_prime_role: y_prime.map_or_else(String::new, |row| row.role.clone()),
        y_prime: y_prime.map(|row| row.text.clone()),
        y_prime_finished: y_prime.map(|row| row.finished),
        y_prime_tokens: y_prime.map(|row| row.tokens),
        probability: judged.probability.map(turn),
        attributes: judged
            .attributes
            .iter()
            .map(|(name, value, reason)| Attribute {
                name: name.clone(),
                value: value.map(turn),
                reason: reason.clone(),
            })
            .collect(),
    }
}

fn reasons(pair: &Pair) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.3}"));
    pair.attributes
        .iter()
        .map(|attribute| {
            let reason = if attribute.reason.is_empty() { String::new() } else { format!(" ({})", attribute.reason) };
            format!("{} {}{reason}", attribute.name, number(attribute.value))
        })
        .collect()
}

/// For people: texts one below the other.
fn story(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for (index, pair) in pairs.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let verdict = match (pair.probability, &pair.y_prime) {
            (Some(p), Some(_)) => format!("p(y ≻ y′) = {p:.3}"),
            (Some(p), None) => format!("score {p:.3}"),
            (None, _) => "no verdict".to_owned(),
        };
        let against =
            if pair.y_prime_role.is_empty() { String::new() } else { format!(" against {}", pair.y_prime_role) };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{gap}step {}, pair {}: {}{against}, {verdict}", pair.step, index + 1, pair.y_role);
        block(&mut text, "prompt", &pair.prompt);
        block(&mut text, "y", &ended(&pair.y, pair.y_finished));
        if let Some(y_prime) = &pair.y_prime {
            block(&mut text, "y′", &ended(y_prime, pair.y_prime_finished.unwrap_or(true)));
        }
        for reason in reasons(pair) {
            block(&mut text, "why", &reason);
        }
    }
    text
}

fn ended(text: &str, finished: bool) -> String {
    if finished { text.to_owned() } else { format!("{text} […cut]") }
}

fn block(text: &mut String, name: &str, content: &str) {
    for (index, line) in content.lines().enumerate() {
        let name = if index == 0 { name } else { "" };
        let _ = writeln!(text, "  {name:<7} {}", output::visible(line));
    }
    if content.is_empty() {
        let _ = writeln!(text, "  {name:<7} (empty)");
    }
}

fn table(pairs: &[Pair]) -> Table {
    let mut table = Table::new(vec![
        Column::number("step"),
        Column::number("position"),
        Column::text("y_role"),
        Column::text("y_prime_role").titled("y′ role"),
        Column::text("prompt"),
        Column::text("y"),
        Column::text("y_prime").titled("y′"),
        Column::number("probability").titled("p(y ≻ y′)"),
        Column::text("attributes"),
        Column::text("prompt_id"),
    ]);
    for pair in pairs {
        table.push(vec![
            Cell::Integer(pair.step),
            Cell::Integer(pair.position),
            Cell::text(&pair.y_role),
            Cell::text(&pair.y_prime_role),
            Cell::text(&pair.prompt),
            Cell::text(&pair.y),
            Cell::from(pair.y_prime.clone()),
            Cell::from(pair.probability),
            Cell::text(reasons(pair).join("; ")),
            Cell::from(pair.prompt_id.map(|id| id.to_string())),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(position: i64, role: &str, round: i64, prompt: &str, probability: f64) -> Completion {
        Completion {
            step: 5,
            position,
            role: role.into(),
            round,
            prompt_id: None,
            prompt: prompt.into(),
            text: format!("{role}'s"),
            finished: true,
            tokens: 3,
            probability: Some(probability),
            attributes: vec![("brevity".into(), Some(probability), String::new())],
        }
    }

    #[test]
    fn training_rows_are_pairs_of_leader_and_follower() {
        let rows = vec![
            said(0, "leader", 0, "a", 0.25),
            said(1, "follower", 1, "a", 0.75),
            said(2, "leader", 0, "a", 0.5),
            said(3, "follower", 1, "a", 0.5),
        ];
        let pairs = pairs(rows);
        let seen: Vec<_> =
            pairs.iter().map(|pair| (pair.position, pair.y_prime_role.as_str(), pair.probability)).collect();
        assert_eq!(seen, [(0, "follower", Some(0.25)), (2, "follower", Some(0.5))]);
    }

    #[test]
    fn an_evaluation_has_a_pair_a_contest_and_p_is_always_that_of_y() {
        let roles = ["leader", "reference", "follower(reference)", "follower(leader)"];
        let rows = roles.iter().zip(0..).map(|(role, position)| {
            said(position, &format!("held-out/{role}"), i64::from(role.starts_with("follower")), "a", 0.75)
        });
        let pairs = pairs(rows.collect());
        let seen: Vec<_> =
            pairs.iter().map(|pair| (pair.y_role.as_str(), pair.y_prime_role.as_str(), pair.probability)).collect();
        assert_eq!(
            seen,
            [
                ("held-out/leader", "held-out/reference", Some(0.75)),
                ("held-out/reference", "held-out/follower(reference)", Some(0.25)),
                ("held-out/leader", "held-out/follower(leader)", Some(0.25)),
            ]
        );
        assert!(matches(&pairs[1].y_prime_role, "follower") && !matches(&pairs[0].y_role, "follower"));
    }

    #[test]
    fn answers_of_one_policy_stand_alone() {
        let pairs = pairs(vec![said(0, "leader", 0, "a", 0.1), said(1, "leader", 0, "a", 0.9)]);
        assert_eq!(pairs.len(), 2);
        assert_eq!(pairs[1].y_prime, None);
    }
}

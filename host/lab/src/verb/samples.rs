//! `slhf-lab samples`: what a run's policies said, pair by pair, and what the judge made of it.

mod pair;
#[cfg(test)]
mod tests;
mod training;

use pair::{Pair, Side, pair};

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use slhf_plan::{Role, Who};
use slhf_record::{Completion, OpenMode, RecordedVerdict};

use super::common::{FormatArgument, RecordArgument};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table, Text};

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
    /// The order of the pairs
    #[arg(long, value_enum, default_value_t = Sort::Position)]
    sort: Sort,
    /// Only pairs with this role: leader, follower, reference, or as recorded, like held-out/leader
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Maximum number of pairs [default: 10]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
    /// With --format csv: text as it was recorded; without it what could steer a terminal is spelt out, and a text that a
    /// spreadsheet would take for a formula begins with an apostrophe
    #[arg(long)]
    raw: bool,
}

/// The order of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// As they were recorded
    Position,
    /// By the verdict (of both orders, where both were asked), best y first
    P,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let run = record.resolve_run(&arguments.run).map_err(Failure::of_record)?;
    let steps = record.completion_steps(run.run).map_err(Failure::failed)?;
    let name = format!("run {} ({})", run.run, output::visible(&run.name()));
    let Some(step) = arguments.step.or(steps.last().copied()) else {
        let why = if run.kind == "game" {
            "it trains on a finite game, whose policies are in `slhf-lab show`"
        } else {
            "none was recorded: log_completions_every is 0, the run has not reached its first step, or its policies are \
             restricted to closed sets, whose gaps are in `slhf-lab show`"
        };
        return Err(Failure::bad_input(format!("{name} has no completions: {why}")));
    };
    if !steps.contains(&step) {
        return Err(Failure::bad_input(format!(
            "{name} has no completions at step {step}: they were recorded at {}",
            listed(&steps)
        )));
    }
    let completions = record.completions(run.run, step).map_err(Failure::failed)?;
    let verdicts = record.training_verdicts(run.run, step).map_err(Failure::failed)?;
    let mut pairs = recorded_pairs(completions, &verdicts);
    if let Some(role) = &arguments.role {
        let mut known: Vec<String> = pairs.iter().flat_map(Pair::roles).map(ToString::to_string).collect();
        pairs.retain(|pair| pair.roles().any(|recorded| matches(recorded, role)));
        if pairs.is_empty() {
            known.sort_unstable();
            known.dedup();
            return Err(Failure::bad_input(format!(
                "{name} has no completion of the role \"{}\" at step {step}: there are {}",
                output::visible(role),
                slhf_words::known(role, known.iter().map(String::as_str))
            )));
        }
    }
    if arguments.sort == Sort::P {
        let place = |pair: &Pair| pair.win_rate().unwrap_or(f64::NEG_INFINITY);
        pairs.sort_by(|a, b| place(b).total_cmp(&place(a)));
    }
    let all = pairs.len();
    pairs.truncate(arguments.limit.unwrap_or(LIMIT));
    match arguments.format.format {
        Format::Json => output::print_json(&pairs)?,
        Format::Table => output::print_text(&story(&pairs))?,
        format => {
            let text = if arguments.raw { Text::Raw } else { Text::Escaped };
            output::print_table_of(&table(&pairs), format, text)?;
        }
    }
    if pairs.len() < all {
        output::say(format!("{} of {all} pairs of step {step}: --limit shows more", pairs.len()));
    }
    if arguments.step.is_none() && steps.len() > 1 {
        output::say(format!("step {step}; completions were recorded at {}: --step chooses", listed(&steps)));
    }
    Ok(())
}

/// A pair as a page shows it.
pub(super) struct Shown {
    pub(super) prompt: String,
    /// y, and y′ where there is one.
    pub(super) sides: Vec<ShownSide>,
    pub(super) verdict: String,
    pub(super) reasons: Vec<String>,
    /// Of y, over the orders that were asked.
    pub(super) win_rate: Option<f64>,
    /// How far the two orders are from saying the same.
    pub(super) disagreement: Option<f64>,
}

/// One response of a pair.
pub(super) struct ShownSide {
    pub(super) name: &'static str,
    pub(super) role: String,
    pub(super) text: String,
}

/// Every pair of a step, for a page.
pub(super) fn shown_pairs(
    record: &mut slhf_record::Record,
    run: i64,
    step: i64,
) -> Result<Vec<Shown>, slhf_record::RecordError> {
    let completions = record.completions(run, step)?;
    let verdicts = record.training_verdicts(run, step)?;
    Ok(recorded_pairs(completions, &verdicts).iter().map(shown).collect())
}

fn shown(pair: &Pair) -> Shown {
    let mut sides = vec![ShownSide { name: "y", role: pair.y_role.to_string(), text: ended(&pair.y, pair.y_finished) }];
    if let Some(text) = &pair.y_prime {
        let role = pair.y_prime_role.as_ref().map_or_else(String::new, ToString::to_string);
        sides.push(ShownSide { name: "y′", role, text: ended(text, pair.y_prime_finished.unwrap_or(true)) });
    }
    let both = pair.probability.zip(pair.reverse_probability);
    Shown {
        prompt: pair.prompt.clone(),
        sides,
        verdict: verdict(pair),
        reasons: reasons(pair),
        win_rate: pair.win_rate(),
        disagreement: both.map(|(there, back)| (there + back - 1.0).abs()),
    }
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
fn matches(role: &Role, wanted: &str) -> bool {
    let is_follower = matches!(role.who, Who::Refined { .. }) && wanted == "follower";
    let is_named = *role == Role::parse(wanted) || role.who == Who::parse(wanted);
    is_named || is_follower || (wanted == "held-out" && role.is_held_out)
}

impl Pair {
    fn roles(&self) -> impl Iterator<Item = &Role> {
        std::iter::once(&self.y_role).chain(&self.y_prime_role)
    }

    /// Of y, over the orders that were asked.
    fn win_rate(&self) -> Option<f64> {
        match (self.probability, self.reverse_probability) {
            (Some(there), Some(back)) => Some(0.5 * (there + 1.0 - back)),
            (Some(there), None) => Some(there),
            (None, back) => back.map(|back| 1.0 - back),
        }
    }
}

/// Where an answer stands in the contest whose verdict its row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// First, against these roles, of which one is there.
    Against(Vec<Role>),
    /// First, against what it refines.
    Refining(Role),
    /// Second, against this role.
    Behind(Role),
    /// In the row of this role.
    PartOf(Role),
}

fn standing(role: Role) -> Standing {
    if !role.is_held_out {
        return match role.who {
            Who::Leader => Standing::Against([Who::Follower, Who::Opponent].map(Role::of_training).to_vec()),
            _ => Standing::PartOf(Role::of_training(Who::Leader)),
        };
    }
    let leader = Role::held_out(Who::Leader);
    match role.who {
        Who::Refined { start, .. } => Standing::Refining(Role::held_out(*start)),
        Who::Leader => Standing::Against(vec![Role::held_out(Who::Reference)]),
        Who::Reference => Standing::PartOf(leader),
        // Others' answers meet the Leader's.
        _ => Standing::Behind(leader),
    }
}

/// Every pair of a step: of training as it was asked, where that was recorded.
fn recorded_pairs(completions: Vec<Completion>, verdicts: &[RecordedVerdict]) -> Vec<Pair> {
    if verdicts.is_empty() {
        return pairs(completions);
    }
    let (held_out, training): (Vec<_>, Vec<_>) = completions.into_iter().partition(|row| row.role.is_held_out);
    let mut found = training::pairs(&training, verdicts);
    found.extend(pairs(held_out));
    found
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
        pairs.extend(group.iter().filter_map(|row| pair_of(row, group)));
    }
    pairs
}

/// The pair whose verdict a row holds; none where another row of the prompt holds it.
fn pair_of(row: &Completion, group: &[Completion]) -> Option<Pair> {
    let of_role = |role: &Role| group.iter().find(|other| other.role == *role);
    let alone = || pair(row, None, (row, Side::Y, Side::Y));
    match standing(row.role.clone()) {
        Standing::Against(roles) => {
            let other = roles.iter().find_map(of_role);
            Some(pair(row, other, (row, Side::Y, Side::Y)))
        }
        Standing::Refining(start) => {
            Some(of_role(&start).map_or_else(alone, |start| pair(start, Some(row), (row, Side::YPrime, Side::YPrime))))
        }
        Standing::Behind(leader) => {
            Some(of_role(&leader).map_or_else(alone, |leader| pair(leader, Some(row), (row, Side::YPrime, Side::Y))))
        }
        Standing::PartOf(leader) => of_role(&leader).is_none().then(alone),
    }
}

/// A line a criterion: who stood first, its vote for y, and what it said of the first.
fn reasons(pair: &Pair) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.3}"));
    pair.attributes
        .iter()
        .map(|attribute| {
            let reason = if attribute.reason.is_empty() { String::new() } else { format!(" ({})", attribute.reason) };
            let first = match attribute.first {
                _ if pair.y_prime.is_none() => "",
                Side::Y => "y first: ",
                Side::YPrime => "y′ first: ",
            };
            format!("{first}{} {}{reason}", attribute.name, number(attribute.value))
        })
        .collect()
}

/// What the judge said, in numbers.
fn verdict(pair: &Pair) -> String {
    let mut said = match (pair.probability, &pair.y_prime) {
        (Some(p), Some(_)) => vec![format!("p(y ≻ y′) = {p:.3}")],
        // Records of earlier versions keep no more of an answer that was compared with several.
        (Some(p), None) => vec![format!("mean verdict {p:.3}")],
        (None, _) => Vec::new(),
    };
    said.extend(pair.reward.map(|reward| format!("reward {}", output::number(reward))));
    said.extend(pair.reverse_probability.map(|p| format!("p(y′ ≻ y) = {p:.3}")));
    said.extend(pair.failures.iter().map(|why| format!("failed: {}", output::visible(why))));
    if said.is_empty() { "no verdict".to_owned() } else { said.join(", ") }
}

/// For people: texts one below the other.
fn story(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for (index, pair) in pairs.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let verdict = verdict(pair);
        let against = pair.y_prime_role.as_ref().map_or_else(String::new, |role| format!(" against {role}"));
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
        Column::number("reverse_probability").titled("p(y′ ≻ y)"),
        Column::text("prompt_id"),
        Column::number("reward"),
    ]);
    for pair in pairs {
        table.push(vec![
            Cell::Integer(pair.step),
            Cell::Integer(pair.position),
            Cell::text(pair.y_role.to_string()),
            Cell::text(pair.y_prime_role.as_ref().map_or_else(String::new, ToString::to_string)),
            Cell::text(&pair.prompt),
            Cell::text(&pair.y),
            Cell::from(pair.y_prime.clone()),
            Cell::from(pair.probability),
            Cell::text(reasons(pair).join("; ")),
            Cell::from(pair.reverse_probability),
            Cell::from(pair.prompt_id.map(|id| id.to_string())),
            Cell::from(pair.reward),
        ]);
    }
    table
}

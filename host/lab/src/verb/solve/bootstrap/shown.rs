//! What the resamples say, for people and for programs.

use serde_json::{Value as Json, json};
use slhf_data::Unit;
use slhf_game::SocialChoice;
use slhf_statistics::Level;

use super::solved_again::{Bootstrap, Probability, Unanimous};
use crate::output::{Cell, Column, Table};

/// Pairs that people see; programs see all.
const PAIRS_SHOWN_MAX: usize = 30;

/// Condorcet winners that a sentence names.
const WINNERS_NAMED_MAX: usize = 5;

/// Policies with intervals, then how often each action wins: one row an action.
pub(crate) fn columns(bootstrap: &Bootstrap) -> Vec<Column> {
    let policies = bootstrap
        .policies
        .iter()
        .map(|policy| Column::estimate(format!("{}_interval", policy.key)).titled(policy.title));
    let top = [
        Column::number("condorcet_share").titled("Condorcet wins"),
        Column::number("smith_share").titled("in Smith set"),
    ];
    let rules = bootstrap.rules.iter().map(|rule| Column::number(rule.key).titled(format!("{} wins", rule.title)));
    policies.chain(top).chain(rules).collect()
}

/// The cells of one action under [`columns`].
pub(crate) fn cells(bootstrap: &Bootstrap, action: usize) -> Vec<Cell> {
    let policies = bootstrap.policies.iter().map(|policy| cell(bootstrap, policy.probabilities[action]));
    let top = [Cell::Number(bootstrap.condorcet[action]), Cell::Number(bootstrap.in_smith_set[action])];
    let rules = bootstrap.rules.iter().map(|rule| Cell::Number(rule.shares[action]));
    policies.chain(top).chain(rules).collect()
}

fn cell(bootstrap: &Bootstrap, probability: Probability) -> Cell {
    let Probability { of_data, low, high } = probability;
    Cell::Share { share: of_data, interval: (low, high), n: bootstrap.settings.resamples as usize }
}

/// The pairs of two members of the Smith set, or of its only member.
fn deciding<'a>(bootstrap: &'a Bootstrap, rules: &SocialChoice) -> Vec<&'a (usize, usize, Probability)> {
    let is_at_the_top = |action: &usize| rules.smith.contains(action);
    let decides = |i: &usize, j: &usize| match rules.smith[..] {
        [winner] => *i == winner || *j == winner,
        _ => is_at_the_top(i) && is_at_the_top(j),
    };
    bootstrap.pairs.iter().filter(|(i, j, _)| decides(i, j)).collect()
}

/// The pairs that decide who is at the top: those within the Smith set, or those of the one action in it.
pub(crate) fn pair_table(bootstrap: &Bootstrap, names: &[String], rules: &SocialChoice) -> Table {
    let mut table = Table::new(vec![
        Column::text("first"),
        Column::text("second"),
        Column::estimate("probability").titled("p(first beats second)"),
    ]);
    for (i, j, probability) in deciding(bootstrap, rules).into_iter().take(PAIRS_SHOWN_MAX) {
        // Who wins stands first.
        let is_turned = probability.of_data < 0.5;
        let (first, second) = if is_turned { (j, i) } else { (i, j) };
        let shown = if is_turned { turned(*probability) } else { *probability };
        table.push(vec![Cell::text(&names[*first]), Cell::text(&names[*second]), cell(bootstrap, shown)]);
    }
    table
}

fn turned(probability: Probability) -> Probability {
    let Probability { of_data, low, high } = probability;
    Probability { of_data: 1.0 - of_data, low: 1.0 - high, high: 1.0 - low }
}

/// Sentences: what was drawn, whether what is at the top of the data is real, what else to know.
pub(crate) fn answer(bootstrap: &Bootstrap, names: &[String], rules: &SocialChoice) -> Vec<String> {
    let drawn = match bootstrap.unit {
        Unit::Ballots(voters) => format!("{voters} ballots, whole"),
        Unit::Comparisons(comparisons) => format!("{comparisons} comparisons, each pair's by themselves"),
    };
    let settings = bootstrap.settings;
    let pairs = if bootstrap.are_weighed { "percentiles of resamples, too" } else { "Wilson's" };
    let mut lines = vec![format!(
        "Bootstrap: {} resamples of {drawn}, with replacement (seed {}); 95 % intervals of policies are percentiles of resamples, \
         those of pairs {pairs}; shares are of resamples, ties split",
        settings.resamples, settings.seed
    )];
    lines.push(match rules.smith[..] {
        [winner] => of_a_winner(bootstrap, names, winner),
        _ => of_a_circle(bootstrap, names, &rules.smith),
    });
    lines.extend(winners(bootstrap, names));
    let pairs = deciding(bootstrap, rules).len();
    if pairs > PAIRS_SHOWN_MAX {
        lines.push(format!(
            "note: the table of pairs has {PAIRS_SHOWN_MAX} of the {pairs} that decide; --format json has all"
        ));
    }
    let Unanimous { compared, few } = bootstrap.unanimous;
    if few > 0 {
        lines.push(format!(
            "note: one side won all of fewer than 30 comparisons in {few} of {compared} pairs: resamples cannot vary there, so that shares \
             and intervals of policies are too certain; compare these pairs more often"
        ));
    }
    if bootstrap.regularised > 0.0 {
        lines.push(format!(
            "note: virtual wins were added for Bradley-Terry in {} of resamples",
            percent(bootstrap.regularised)
        ));
    }
    if bootstrap.imprecise > 0.0 {
        lines.push(format!("note: the Nash solver was not precise in {} of resamples", percent(bootstrap.imprecise)));
    }
    lines
}

fn of_a_winner(bootstrap: &Bootstrap, names: &[String], winner: usize) -> String {
    let same = bootstrap.condorcet[winner];
    let another = bootstrap.condorcet.iter().sum::<f64>() - same;
    format!(
        "Is the winner real? {} beats every other action in the data, and in {} of resamples; another action does in {}, \
         none in {} (a cycle at the top in {}, ties alone in {})",
        names[winner],
        percent(same),
        percent(another.max(0.0)),
        percent(bootstrap.without_winner()),
        percent(bootstrap.cycle),
        percent(bootstrap.ties)
    )
}

fn of_a_circle(bootstrap: &Bootstrap, names: &[String], smith: &[usize]) -> String {
    let members: Vec<&str> = smith.iter().take(WINNERS_NAMED_MAX).map(|action| names[*action].as_str()).collect();
    let more = match smith.len().saturating_sub(WINNERS_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "Is the cycle real? No action beats every other in the data (Smith set: {}{more}), and none does in {} of resamples \
         (a cycle at the top in {}, ties alone in {}); the Smith set is the same in {}",
        members.join(", "),
        percent(bootstrap.without_winner()),
        percent(bootstrap.cycle),
        percent(bootstrap.ties),
        percent(bootstrap.same_smith_set)
    )
}

/// Who beats every other action, the most frequent first.
fn winners(bootstrap: &Bootstrap, names: &[String]) -> Option<String> {
    let mut order: Vec<usize> = (0..names.len()).filter(|action| bootstrap.condorcet[*action] > 0.0).collect();
    order.sort_by(|a, b| bootstrap.condorcet[*b].total_cmp(&bootstrap.condorcet[*a]).then(a.cmp(b)));
    let named: Vec<String> = order
        .iter()
        .take(WINNERS_NAMED_MAX)
        .map(|action| format!("{} {}", names[*action], percent(bootstrap.condorcet[*action])))
        .collect();
    let more = if order.len() > WINNERS_NAMED_MAX { ", …" } else { "" };
    (!named.is_empty()).then(|| format!("Condorcet winners of resamples: {}{more}", named.join(", ")))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The documented shape; arrays in the order of the actions.
pub(crate) fn json_of(bootstrap: &Bootstrap, names: &[String]) -> Json {
    let interval = |probability: &Probability| json!({ "probability": probability.of_data, "low": probability.low, "high": probability.high });
    let pair = |(i, j, probability): &(usize, usize, Probability)| {
        json!({
            "first": names[*i], "second": names[*j],
            "probability": probability.of_data, "low": probability.low, "high": probability.high,
        })
    };
    let policies: serde_json::Map<String, Json> = bootstrap
        .policies
        .iter()
        .map(|policy| (policy.key.to_owned(), policy.probabilities.iter().map(interval).collect()))
        .collect();
    let rules: serde_json::Map<String, Json> =
        bootstrap.rules.iter().map(|rule| (rule.key.to_owned(), Json::from(rule.shares.clone()))).collect();
    let (unit, units) = match bootstrap.unit {
        Unit::Ballots(voters) => ("ballots", voters),
        Unit::Comparisons(comparisons) => ("comparisons", comparisons),
    };
    json!({
        "resamples": bootstrap.settings.resamples,
        "seed": bootstrap.settings.seed,
        "unit": unit,
        "units": units,
        "level": Level::PERCENT_95.get(),
        "pairs": bootstrap.pairs.iter().map(pair).collect::<Vec<_>>(),
        "policies": policies,
        "condorcet_winner": bootstrap.condorcet,
        "no_condorcet_winner": bootstrap.without_winner(),
        "cycle_at_the_top": bootstrap.cycle,
        "ties_at_the_top": bootstrap.ties,
        "same_smith_set": bootstrap.same_smith_set,
        "in_smith_set": bootstrap.in_smith_set,
        "winners": rules,
        "bradley_terry_virtual_wins": bootstrap.regularised,
        "nash_not_precise": bootstrap.imprecise,
        "unanimous_pairs": bootstrap.unanimous.few,
    })
}

//! Rules of social choice beside the three concepts: as columns, as sentences, as JSON.

use serde_json::{Value as Json, json};
use slhf_game::{Kemeny, SocialChoice, Uniqueness};

use crate::output::{Cell, Column, number};

/// Actions of a set that a sentence names.
const NAMED_MAX: usize = 10;

/// One column a rule, one row an action.
pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::number("borda").titled("Borda"),
        Column::number("copeland").titled("Copeland"),
        Column::number("kemeny_place").titled("Kemeny place"),
        Column::number("schulze_place").titled("Schulze place"),
        Column::text("smith").titled("in Smith set"),
        Column::text("uncovered").titled("uncovered"),
        Column::number("maximal_lottery").titled("maximal lottery"),
    ]
}

/// The cells of one action under [`columns`].
pub(super) fn cells(rules: &SocialChoice, action: usize) -> Vec<Cell> {
    let kemeny = rules.kemeny.as_ref().ok().and_then(|kemeny| place_in(&kemeny.rankings[0], action));
    vec![
        Cell::Number(rules.borda.scores[action]),
        Cell::Number(rules.copeland.scores[action]),
        kemeny.map_or(Cell::Empty, Cell::count),
        Cell::count(rules.schulze.ranks[action]),
        Cell::Boolean(rules.smith.contains(&action)),
        Cell::Boolean(rules.uncovered.contains(&action)),
        Cell::Number(rules.lottery.policy[action]),
    ]
}

fn place_in(ranking: &[usize], action: usize) -> Option<usize> {
    ranking.iter().position(|other| *other == action).map(|place| place + 1)
}

/// What each rule says, one sentence a rule.
pub(super) fn sentences(names: &[String], rules: &SocialChoice) -> Vec<String> {
    let set = |actions: &[usize]| listed(names, actions);
    vec![
        format!("Borda (mean win probability): {}", set(&rules.borda.winners)),
        format!("Copeland (actions beaten, ties half): {}", set(&rules.copeland.winners)),
        format!("Kemeny (least disagreement): {}", kemeny(names, rules)),
        format!("Schulze (strongest paths): {}", set(&rules.schulze.winners)),
        smith(names, &rules.smith),
        format!("Uncovered set (McKelvey): {}", set(&rules.uncovered)),
        lottery(names, rules),
    ]
}

fn kemeny(names: &[String], rules: &SocialChoice) -> String {
    match &rules.kemeny {
        Err(refused) => refused.to_string(),
        Ok(kemeny) => {
            let ranking: Vec<&str> = kemeny.rankings[0].iter().map(|action| names[*action].as_str()).collect();
            let others = match kemeny.optimal_rankings {
                1 => "the only one".to_owned(),
                all => format!("one of {all} equally good; on top of one of them: {}", listed(names, &kemeny.winners)),
            };
            let pairs = names.len() * (names.len() - 1) / 2;
            format!(
                "{} ({others}; it contradicts {} of {pairs} pairs)",
                ranking.join(" > "),
                number(kemeny.disagreement)
            )
        }
    }
}

fn smith(names: &[String], smith: &[usize]) -> String {
    let what = if smith.len() == 1 { "it beats every other" } else { "a cycle or a tie at the top" };
    format!("Smith set: {} ({what})", listed(names, smith))
}

fn lottery(names: &[String], rules: &SocialChoice) -> String {
    let policy = &rules.lottery.policy;
    let played: Vec<usize> = (0..names.len()).filter(|action| policy[*action] > 0.0).collect();
    let uniqueness = match rules.lottery.uniqueness {
        Uniqueness::Unique => "the only one",
        Uniqueness::MaybeNot => "there may be others",
    };
    format!("Maximal lottery (NLHF at tau_nash 0): plays {} ({uniqueness})", listed(names, &played))
}

/// `a, b, c and 4 more`
fn listed(names: &[String], actions: &[usize]) -> String {
    let shown: Vec<&str> = actions.iter().take(NAMED_MAX).map(|action| names[*action].as_str()).collect();
    match actions.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The documented shape; arrays in the order of the actions.
pub(super) fn json_of(names: &[String], rules: &SocialChoice) -> Json {
    let named = |actions: &[usize]| actions.iter().map(|action| names[*action].as_str()).collect::<Vec<_>>();
    let strengths: Vec<&[f64]> = rules.schulze.strengths().chunks(names.len()).collect();
    json!({
        "borda": { "scores": rules.borda.scores, "winners": named(&rules.borda.winners) },
        "copeland": { "scores": rules.copeland.scores, "winners": named(&rules.copeland.winners) },
        "kemeny": match &rules.kemeny {
            Ok(kemeny) => kemeny_json(kemeny, named),
            Err(refused) => json!({ "refused": refused.to_string() }),
        },
        "schulze": { "strengths": strengths, "places": rules.schulze.ranks, "winners": named(&rules.schulze.winners) },
        "smith_set": named(&rules.smith),
        "uncovered_set": named(&rules.uncovered),
        "maximal_lottery": {
            "policy": rules.lottery.policy,
            "is_unique": rules.lottery.uniqueness == Uniqueness::Unique,
        },
    })
}

fn kemeny_json<'a>(kemeny: &Kemeny, named: impl Fn(&[usize]) -> Vec<&'a str>) -> Json {
    let rankings: Vec<Vec<&str>> = kemeny.rankings.iter().map(|ranking| named(ranking)).collect();
    json!({
        "disagreement": kemeny.disagreement,
        "optimal_rankings": kemeny.optimal_rankings,
        "rankings": rankings,
        "winners": named(&kemeny.winners),
    })
}

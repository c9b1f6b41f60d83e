//! What each policy is worth to each group, by the group's own matrix.

use serde_json::{Value as Json, json};
use slhf_data::{Counted, CountedGroup};
use slhf_game::{PreferenceMatrix, SocialChoice, Solutions};

use super::input::Input;
use crate::failure::Failure;
use crate::output::{Cell, Column, Table, number};

/// Groups that a sentence names.
const NAMED_MAX: usize = 8;

/// The values of one policy in the matrix of one group; win probabilities, in [0, 1].
pub(super) struct Worth {
    /// Against the Leader's reference policy.
    against_reference: f64,
    /// Against whoever knows the policy but not the action: 1/2 for the group's own Nash policy, less for any other.
    worst_case: f64,
    /// Against whoever sees the action: what committing to the policy is worth.
    committed: f64,
}

/// A policy with its worth to each group.
struct Row {
    key: &'static str,
    title: &'static str,
    worth: Vec<Worth>,
}

/// The welfare of every policy by group.
pub(super) struct Welfare {
    groups: Vec<String>,
    /// As they were given; `None`: every comparison counts once.
    weights: Option<Vec<f64>>,
    rows: Vec<Row>,
    /// Who beats every other action in each group.
    winners: Vec<Option<usize>>,
}

impl Welfare {
    /// `None` where the data have no groups.
    pub(super) fn of(input: &Input, solutions: &Solutions, rules: &SocialChoice) -> Result<Option<Self>, Failure> {
        let Some(Counted { groups, .. }) = input.counted.as_ref().filter(|counted| !counted.groups.is_empty()) else {
            return Ok(None);
        };
        let matrix = |group: &CountedGroup| PreferenceMatrix::from_rows(&group.tally.preferences());
        let matrices = groups.iter().map(matrix).collect::<Result<Vec<_>, _>>().map_err(Failure::bad_input)?;
        let reference = input.game.reference_leader().log_probabilities();
        let worth = |log_policy: &[f64]| {
            let of_group = |matrix: &PreferenceMatrix| Worth {
                against_reference: matrix.win_rate(log_policy, reference),
                worst_case: matrix.worst_case_win_rate(log_policy),
                committed: matrix.committed_value(log_policy),
            };
            matrices.iter().map(of_group).collect()
        };
        let policies = policies(input, solutions, rules);
        let row = |(key, title, policy): (_, _, Vec<f64>)| Row { key, title, worth: worth(&policy) };
        Ok(Some(Self {
            groups: groups.iter().map(|group| group.name.clone()).collect(),
            weights: input.weights.as_ref().map(|weights| weights.get().to_vec()),
            rows: policies.into_iter().map(row).collect(),
            winners: matrices.iter().map(PreferenceMatrix::condorcet_winner).collect(),
        }))
    }

    /// One row a policy and group.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(vec![
            Column::text("policy"),
            Column::text("group"),
            Column::number("against_reference").titled("against reference"),
            Column::number("worst_case").titled("worst case"),
            Column::number("committed").titled("committed"),
        ]);
        for row in &self.rows {
            for (group, worth) in self.groups.iter().zip(&row.worth) {
                table.push(vec![
                    Cell::text(row.title),
                    Cell::text(group),
                    Cell::Number(worth.against_reference),
                    Cell::Number(worth.worst_case),
                    Cell::Number(worth.committed),
                ]);
            }
        }
        table
    }

    /// Who the groups are, how they weigh, and who wins in each.
    pub(super) fn sentences(&self, names: &[String]) -> Vec<String> {
        let shown = |text: &dyn Fn(usize) -> String| {
            let named: Vec<String> = (0..self.groups.len().min(NAMED_MAX)).map(text).collect();
            let more = if self.groups.len() > NAMED_MAX { ", …" } else { "" };
            format!("{}{more}", named.join(", "))
        };
        let weights = match &self.weights {
            Some(weights) => shown(&|at| format!("{} {}", self.groups[at], number(weights[at]))),
            None => format!(
                "{}; not weighed, every comparison counts once (--weight GROUP=W)",
                shown(&|at| self.groups[at].clone())
            ),
        };
        let winner = |at: usize| self.winners[at].map_or("none", |action| names[action].as_str());
        vec![
            format!("Groups and weights: {weights}"),
            format!("Condorcet winner of each group: {}", shown(&|at| format!("{} {}", self.groups[at], winner(at)))),
        ]
    }

    /// The documented shape; arrays in the order of the groups.
    pub(super) fn json(&self, names: &[String]) -> Json {
        let column = |row: &Row, of: &dyn Fn(&Worth) -> f64| row.worth.iter().map(of).collect::<Vec<f64>>();
        let policy = |row: &Row| {
            let worth = json!({
                "against_reference": column(row, &|worth| worth.against_reference),
                "worst_case": column(row, &|worth| worth.worst_case),
                "committed": column(row, &|worth| worth.committed),
            });
            (row.key.to_owned(), worth)
        };
        let welfare: serde_json::Map<String, Json> = self.rows.iter().map(policy).collect();
        let winners: Vec<Option<&str>> =
            self.winners.iter().map(|winner| winner.map(|action| names[action].as_str())).collect();
        json!({ "names": self.groups, "weights": self.weights, "condorcet_winners": winners, "welfare": welfare })
    }
}

/// Every policy of the page as log-probabilities; a rule's is uniform over its winners.
fn policies(input: &Input, solutions: &Solutions, rules: &SocialChoice) -> Vec<(&'static str, &'static str, Vec<f64>)> {
    let n = input.names.len();
    let uniform = |winners: &[usize]| {
        let log_share = -(winners.len() as f64).ln();
        (0..n).map(|action| if winners.contains(&action) { log_share } else { f64::NEG_INFINITY }).collect::<Vec<f64>>()
    };
    let logarithms = |policy: &[f64]| policy.iter().map(|p| p.ln()).collect::<Vec<f64>>();
    let mut policies = vec![
        ("slhf_leader", "SLHF leader", solutions.stackelberg.log_leader().to_vec()),
        ("nlhf_policy", "NLHF (Nash)", solutions.nash.log_policy.clone()),
        ("rlhf_policy", "RLHF (BT)", logarithms(&solutions.bradley_terry.policy)),
        ("maximal_lottery", "maximal lottery", rules.lottery.log_policy.clone()),
        ("borda", "Borda", uniform(&rules.borda.winners)),
        ("copeland", "Copeland", uniform(&rules.copeland.winners)),
        ("schulze", "Schulze", uniform(&rules.schulze.winners)),
    ];
    if let Ok(kemeny) = &rules.kemeny {
        policies.push(("kemeny", "Kemeny", uniform(&kemeny.winners)));
    }
    policies
}

//! The Smith set (Smith 1973; Good 1971): the smallest set whose every member beats every action outside.
//!
//! One member is a Condorcet winner; more than one is a cycle, or a tie, at the top. Sets that dominate are nested, so the smallest is
//! what an action that surely is in it needs: everything that it, or one of those, does not beat.

use super::majority::Majority;
use super::scores::Scores;

/// Ascending. A Copeland winner is in every dominating set: members beat more actions than others can.
pub(super) fn set(majority: &Majority, copeland: &Scores) -> Vec<usize> {
    let mut is_member = vec![false; majority.actions()];
    let mut waiting: Vec<usize> = copeland.winners.clone();
    for action in &waiting {
        is_member[*action] = true;
    }
    while let Some(member) = waiting.pop() {
        for (other, is_inside) in is_member.iter_mut().enumerate() {
            if !*is_inside && !majority.beats(member, other) {
                *is_inside = true;
                waiting.push(other);
            }
        }
    }
    (0..majority.actions()).filter(|action| is_member[*action]).collect()
}

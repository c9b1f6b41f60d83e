//! From counted comparisons to preference probabilities.

use crate::preference_data::PreferenceData;
use crate::tally::Tally;

/// Most actions that counts can be about: they are a dense matrix, and a small file can name many.
pub(crate) const ACTIONS_MAX: usize = 4096;

/// Pairs that a note lists by name.
const PAIRS_NAMED_MAX: usize = 5;

/// `named`: the first of the `count` pairs.
fn never_compared(count: usize, named: &[String]) -> Option<String> {
    let more = match count - named.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named = named.join("; ");
    match count {
        0 => None,
        1 => Some(format!("1 pair was never compared and is taken as 0.5: {named}")),
        count => Some(format!("{count} pairs were never compared and are taken as 0.5: {named}{more}")),
    }
}

impl Tally {
    /// The preferences of [`Tally::preferences`], with a note of pairs that were never compared.
    pub(crate) fn into_data(self, actions: Vec<String>) -> PreferenceData {
        let preferences = self.preferences();
        let notes = self.note_of_gaps(&actions).into_iter().collect();
        PreferenceData { actions, preferences, tally: Some(self), ballots: Vec::new(), groups: Vec::new(), notes }
    }

    /// Which pairs were never compared, if any.
    pub(crate) fn note_of_gaps(&self, actions: &[String]) -> Option<String> {
        let n = actions.len();
        let (mut never, mut named) = (0, Vec::new());
        for i in 0..n {
            for j in i + 1..n {
                if self.wins[i][j] + self.wins[j][i] <= 0.0 {
                    never += 1;
                    if never <= PAIRS_NAMED_MAX {
                        named.push(format!("{} and {}", actions[i], actions[j]));
                    }
                }
            }
        }
        never_compared(never, &named)
    }
}

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
    /// p(i ≻ j) = wins of i over both; 0.5 where the two were never compared, with a note.
    pub(crate) fn into_data(self, actions: Vec<String>) -> PreferenceData {
        let n = actions.len();
        let mut preferences = vec![vec![0.5; n]; n];
        let (mut never, mut named) = (0, Vec::new());
        for i in 0..n {
            for j in 0..n {
                let total = self.wins[i][j] + self.wins[j][i];
                if i != j && total > 0.0 {
                    preferences[i][j] = self.wins[i][j] / total;
                } else if i < j {
                    never += 1;
                    if never <= PAIRS_NAMED_MAX {
                        named.push(format!("{} and {}", actions[i], actions[j]));
                    }
                }
            }
        }
        PreferenceData {
            actions,
            preferences,
            tally: Some(self),
            notes: never_compared(never, &named).into_iter().collect(),
        }
    }
}

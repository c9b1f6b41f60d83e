//! What the alternatives are called, as `preflibtools` calls them.

use std::collections::{BTreeMap, HashMap};

/// Changed names that a note lists.
const NAMES_LISTED_MAX: usize = 5;

/// What the alternatives are called, and what was done so that each has a name of its own.
pub(super) struct Names {
    pub(super) actions: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Names that were given so far.
#[derive(Default)]
struct Taken {
    /// How many alternatives are called so.
    alternatives: HashMap<String, usize>,
    /// The last number that stands behind a name.
    repetitions: HashMap<String, usize>,
}

impl Taken {
    /// The name, with the next number behind it that makes it one of its own, where it is none (`autocorrect`).
    fn own(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.alternatives.get(&name).is_some_and(|count| *count > 0) {
            let repetition = self.repetitions.entry(wanted.to_owned()).or_default();
            *repetition += 1;
            name = format!("{wanted}__{repetition}");
        }
        *self.alternatives.entry(name.clone()).or_default() += 1;
        name
    }

    fn give_back(&mut self, name: &str) {
        if let Some(count) = self.alternatives.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }
}

/// A name of its own for each of `numbers`, from (line, number, name) in the file's order: what is called like an earlier one
/// gets a number behind its name, as `autocorrect` does it; what has no name is called by its number, as in `append_order`; of
/// two names for one alternative the last counts.
pub(super) fn of(given: &[(usize, u64, String)], numbers: &[u64]) -> Names {
    let mut taken = Taken::default();
    let mut names: BTreeMap<u64, (String, &str)> = BTreeMap::new();
    let (mut notes, mut overruled) = (Vec::new(), Vec::new());
    // A line without a name gives none.
    for (line, number, name) in given.iter().filter(|(_, _, name)| !name.is_empty()) {
        if let Some((own, wanted)) = names.get(number) {
            if wanted == name {
                continue;
            }
            taken.give_back(own);
            overruled
                .push(format!("row {line}: alternative {number} is called \"{wanted}\" already; the last name counts"));
        }
        names.insert(*number, (taken.own(name), name));
    }
    let (mut actions, mut renamed, mut unnamed) = (Vec::with_capacity(numbers.len()), Vec::new(), 0);
    for number in numbers {
        let (action, is_other) = if let Some((own, wanted)) = names.remove(number) {
            let is_other = own != wanted;
            (own, is_other)
        } else {
            unnamed += 1;
            let wanted = format!("Alternative {number}");
            let own = taken.own(&wanted);
            let is_other = own != wanted;
            (own, is_other)
        };
        if is_other {
            renamed.push(format!("alternative {number} is called \"{action}\""));
        }
        actions.push(action);
    }
    if let Some(first) = overruled.first() {
        let more = overruled.len() - 1;
        notes.push(if more > 0 { format!("{first}; likewise in {more} more") } else { first.clone() });
    }
    if unnamed > 0 {
        let (are, them) = if unnamed == 1 { ("alternative has", "it is") } else { ("alternatives have", "they are") };
        notes.push(format!("{unnamed} {are} no name in the file; {them} called by number"));
    }
    if !renamed.is_empty() {
        let more = renamed.len().saturating_sub(NAMES_LISTED_MAX);
        renamed.truncate(NAMES_LISTED_MAX);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        notes.push(format!("names that stand twice in the file: {}{more}", renamed.join("; ")));
    }
    Names { actions, notes }
}

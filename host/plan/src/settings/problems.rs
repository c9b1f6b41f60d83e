//! What is wrong with settings: all of it, not the first.

/// A setting that cannot be, under its dotted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Dotted, as a TOML has it: `method.epsilon`.
    pub key: String,
    /// What is wrong, what was expected, how to mend it.
    pub problem: String,
}

/// Everything that is wrong, in the order in which it was found; at most one problem a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem; a key that has one already keeps the first, of which the second is most often a consequence.
    pub fn push(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        let key = key.into();
        if !self.0.iter().any(|known| known.key == key) {
            self.0.push(Problem { key, problem: problem.into() });
        }
    }

    /// Adds all of another list.
    pub fn extend(&mut self, others: Self) {
        for Problem { key, problem } in others.0 {
            self.push(key, problem);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number of a range; `expected` says which.
    pub(crate) fn require(&mut self, holds: bool, key: &str, problem: impl FnOnce() -> String) {
        if !holds {
            self.push(key, problem());
        }
    }

    /// A finite number above 0.
    pub(crate) fn above_zero(&mut self, key: &str, value: f64) {
        self.require(value.is_finite() && value > 0.0, key, || format!("{value}; expected a finite number above 0"));
    }

    /// A finite number, not negative.
    pub(crate) fn not_negative(&mut self, key: &str, value: f64) {
        self.require(value.is_finite() && value >= 0.0, key, || {
            format!("{value}; expected a finite number, not negative")
        });
    }

    /// A whole number of a range.
    pub(crate) fn whole(&mut self, key: &str, value: u64, least: u64, most: u64) {
        self.require((least..=most).contains(&value), key, || format!("{value}; expected {least} to {most}"));
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_problem_and_the_first_counts() {
        let mut problems = Problems::default();
        assert!(problems.is_empty());
        problems.above_zero("a", 0.0);
        problems.not_negative("a", -1.0);
        problems.whole("b", 5, 1, 4);
        let found: Vec<(String, String)> = problems.into_iter().map(|one| (one.key, one.problem)).collect();
        let expected = [("a", "0; expected a finite number above 0"), ("b", "5; expected 1 to 4")];
        assert_eq!(found, expected.map(|(key, problem)| (key.to_owned(), problem.to_owned())));
    }
}

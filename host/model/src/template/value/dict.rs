//! Dicts.

use super::{Dict, Value, equal};
use crate::template::fault::Outcome;
use crate::template::run::Budget;

impl Dict {
    fn place(&self, key: &Value, budget: &Budget) -> Outcome<Option<usize>> {
        budget.lookup(self.entries.len())?;
        for (place, (other, _)) in self.entries.iter().enumerate() {
            if equal(other, key, budget)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    pub(in crate::template) fn get(&self, key: &Value, budget: &Budget) -> Outcome<Option<&Value>> {
        Ok(self.place(key, budget)?.map(|place| &self.entries[place].1))
    }

    pub(in crate::template) fn named(&self, name: &str) -> Option<&Value> {
        let found = self.entries.iter().find(|(key, _)| key.text().is_some_and(|key| key == name));
        found.map(|(_, value)| value)
    }

    /// A key that is there keeps its place and its first spelling, as in Python.
    pub(in crate::template) fn insert(&mut self, key: Value, value: Value, budget: &Budget) -> Outcome<()> {
        key.check_hashable(budget)?;
        match self.place(&key, budget)? {
            Some(place) => self.entries[place].1 = value,
            None => self.entries.push((key, value)),
        }
        Ok(())
    }

    /// A key that is surely new.
    pub(in crate::template) fn push(&mut self, key: &str, value: Value) {
        self.entries.push((Value::from(key), value));
    }

    pub(in crate::template) fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }
}

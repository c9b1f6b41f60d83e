//! The arguments of one instruction: an object of `kwargs`. Problems are the end of a sentence about that instruction.

use slhf_sdk::serde_json::{Map, Value};

use super::Count;
use crate::instruction::COUNT_MAX;

/// What is there, and which of it was asked for.
pub(super) struct Arguments<'data> {
    given: &'data Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'data> Arguments<'data> {
    pub(super) fn new(given: &'data Map<String, Value>) -> Self {
        Self { given, asked: Vec::new() }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Result<String, String> {
        const EXPECTED: &str = "a text";
        let value = self.take(key, EXPECTED)?;
        value
            .as_str()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| wrong(key, value, EXPECTED))
    }

    /// At least one text, none of them empty.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, String> {
        const EXPECTED: &str = "a list of texts";
        let value = self.take(key, EXPECTED)?;
        let is_text = |item: &Value| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let texts: Option<Vec<String>> = value.as_array().and_then(|items| items.iter().map(is_text).collect());
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| wrong(key, value, EXPECTED))
    }

    pub(super) fn character(&mut self, key: &'static str) -> Result<char, String> {
        let text = self.text(key)?.to_lowercase();
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(format!("'{key}' is \"{text}\", one character was expected")),
        }
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<u32, String> {
        let expected = format!("a whole number from 1 to {COUNT_MAX}");
        let value = self.take(key, &expected)?;
        // pandas and Arrow keep a column of whole numbers with missing ones as floats: 3.0.
        let whole =
            value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=f64::from(COUNT_MAX)).contains(number));
        let number = whole.map(|number| number as u32);
        number.filter(|number| (1..=COUNT_MAX).contains(number)).ok_or_else(|| wrong(key, value, &expected))
    }

    pub(super) fn count(&mut self, relation: &'static str, number: &'static str) -> Result<Count, String> {
        const EXPECTED: &str = "\"less than\" or \"at least\"";
        let value = self.take(relation, EXPECTED)?;
        match value.as_str() {
            Some("less than") => Ok(Count::LessThan(self.number(number)?)),
            Some("at least") => Ok(Count::AtLeast(self.number(number)?)),
            _ => Err(wrong(relation, value, EXPECTED)),
        }
    }

    /// That nothing else is there. What is null is not: some copies of the data list every argument of every instruction.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.given.iter().find(|(key, value)| !value.is_null() && !self.asked.contains(&key.as_str())) {
            Some((key, _)) => Err(format!("'{key}' is unknown to it")),
            None => Ok(()),
        }
    }

    fn take(&mut self, key: &'static str, expected: &str) -> Result<&'data Value, String> {
        self.asked.push(key);
        self.given.get(key).ok_or_else(|| format!("'{key}' is missing, {expected} was expected"))
    }
}

fn wrong(key: &str, value: &Value, expected: &str) -> String {
    format!("'{key}' is {value}, {expected} was expected")
}

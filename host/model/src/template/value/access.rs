//! Lengths, items, slices, and iteration.

use super::{Range, Value, View};
use crate::template::fault::{Outcome, fail};
use crate::template::run::Budget;

/// `len(value)`
pub(in crate::template) fn length(value: &Value, budget: &Budget) -> Outcome<usize> {
    Ok(match value {
        Value::Undefined(_) => 0,
        Value::Text(text) | Value::Markup(text) => {
            budget.bytes(text.len())?;
            text.chars().count()
        }
        Value::List(items) => items.len(),
        Value::Tuple(tuple) => tuple.items.len(),
        Value::Dict(dict) | Value::View(_, dict) => dict.entries().len(),
        Value::Range(range) => range.length(),
        Value::Loop(state) => state.known_length()?,
        _ => fail!("object of type '{}' has no len()", value.type_name()),
    })
}

/// The characters of a text, each as a text.
pub(in crate::template) fn characters(text: &str) -> Vec<Value> {
    let mut buffer = [0; 4];
    text.chars().map(|letter| Value::from(&*letter.encode_utf8(&mut buffer))).collect()
}

/// `list(value)`. A generator is used up.
pub(in crate::template) fn items(value: &Value, budget: &Budget) -> Outcome<Vec<Value>> {
    if value.text().is_some() {
        budget.values(length(value, budget)?)?;
    }
    let all = match value {
        Value::Undefined(_) => Vec::new(),
        Value::Text(text) | Value::Markup(text) => characters(text),
        Value::List(items) => items.to_vec(),
        Value::Tuple(tuple) => tuple.items.clone(),
        Value::Dict(dict) | Value::View(View::Keys, dict) => {
            dict.entries().iter().map(|(key, _)| key.clone()).collect()
        }
        Value::View(View::Values, dict) => dict.entries().iter().map(|(_, value)| value.clone()).collect(),
        Value::View(View::Items, dict) => {
            dict.entries().iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect()
        }
        Value::Range(range) => (0..range.length()).map(|place| Value::Integer(range.at(place))).collect(),
        Value::Iterator(left) => left.borrow_mut().by_ref().collect(),
        _ => fail!("'{}' object is not iterable", value.type_name()),
    };
    if value.text().is_none() {
        budget.values(all.len())?;
    }
    Ok(all)
}

/// The place of an index that may count from the end.
pub(in crate::template) fn index_of(index: i128, length: usize) -> Option<usize> {
    let place = if index < 0 { index + length as i128 } else { index };
    usize::try_from(place).ok().filter(|place| *place < length)
}

/// `container[key]`, or nothing where Python raises `LookupError` or `TypeError`.
pub(in crate::template) fn item(container: &Value, key: &Value, budget: &Budget) -> Outcome<Option<Value>> {
    container.check_defined()?;
    if let Value::Dict(dict) = container {
        let is_key = !matches!(key, Value::List(_) | Value::Dict(_)) && key.check_hashable(budget).is_ok();
        return Ok(if is_key { dict.get(key, budget)?.cloned() } else { None });
    }
    let Some(index) = key.integer() else { return Ok(None) };
    Ok(match container {
        Value::List(items) => index_of(index, items.len()).map(|place| items[place].clone()),
        Value::Tuple(tuple) => index_of(index, tuple.items.len()).map(|place| tuple.items[place].clone()),
        Value::Range(range) => index_of(index, range.length()).map(|place| Value::Integer(range.at(place))),
        Value::Text(text) | Value::Markup(text) => {
            budget.bytes(text.len())?;
            let place = if index < 0 { index_of(index, text.chars().count()) } else { usize::try_from(index).ok() };
            place.and_then(|place| text.chars().nth(place)).map(|letter| container.like(letter.to_string()))
        }
        _ => None,
    })
}

/// The three parts of a slice.
pub(in crate::template) struct Bounds {
    pub(in crate::template) start: Option<i128>,
    pub(in crate::template) stop: Option<i128>,
    pub(in crate::template) step: i128,
}

impl Bounds {
    /// The places within a sequence of this length.
    fn places(&self, length: usize) -> Range {
        let length = length as i128;
        let (low, high) = if self.step < 0 { (-1, length - 1) } else { (0, length) };
        let clamp = |bound: i128| if bound < 0 { (bound.saturating_add(length)).max(low) } else { bound.min(high) };
        let (first, last) = if self.step < 0 { (high, low) } else { (low, high) };
        let start = self.start.map_or(first, clamp);
        let stop = self.stop.map_or(last, clamp);
        Range { start, stop, step: self.step }
    }

    fn pick<T: Clone>(&self, from: &[T]) -> Vec<T> {
        let places = self.places(from.len());
        (0..places.length()).filter_map(|place| from.get(places.at(place) as usize).cloned()).collect()
    }
}

/// `container[start:stop:step]`, or nothing where it has no slices.
pub(in crate::template) fn slice(container: &Value, bounds: &Bounds, budget: &Budget) -> Outcome<Option<Value>> {
    container.check_defined()?;
    Ok(Some(match container {
        Value::List(items) => {
            budget.values(bounds.places(items.len()).length())?;
            Value::list(bounds.pick(items))
        }
        Value::Tuple(tuple) => {
            budget.values(bounds.places(tuple.items.len()).length())?;
            Value::tuple(bounds.pick(&tuple.items))
        }
        Value::Text(text) | Value::Markup(text) => {
            // A character takes four times the room of a byte.
            budget.bytes(text.len().saturating_mul(4))?;
            let letters: Vec<char> = text.chars().collect();
            container.like(bounds.pick(&letters).into_iter().collect())
        }
        Value::Range(range) => {
            let places = bounds.places(range.length());
            let at = |place: i128| range.start + place * range.step;
            Value::Range(Range { start: at(places.start), stop: at(places.stop), step: range.step * bounds.step })
        }
        _ => return Ok(None),
    }))
}

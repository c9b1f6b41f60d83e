//! `==`, `<` and `in`.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Dict, Value, View, items};
use crate::template::fault::{Outcome, fail};
use crate::template::run::Budget;
use crate::template::syntax::Comparison;

/// `left == right`
pub(in crate::template) fn equal(left: &Value, right: &Value, budget: &Budget) -> Outcome<bool> {
    Ok(match (left, right) {
        (Value::List(left), Value::List(right)) => Rc::ptr_eq(left, right) || all_equal(left, right, budget)?,
        (Value::Tuple(left), Value::Tuple(right)) => {
            Rc::ptr_eq(left, right) || all_equal(&left.items, &right.items, budget)?
        }
        (Value::Dict(left), Value::Dict(right)) => Rc::ptr_eq(left, right) || same_entries(left, right, budget)?,
        (Value::View(View::Keys, left), Value::View(View::Keys, right)) => {
            if left.entries().len() != right.entries().len() {
                return Ok(false);
            }
            for (key, _) in left.entries() {
                if right.get(key, budget)?.is_none() {
                    return Ok(false);
                }
            }
            true
        }
        (Value::View(View::Items, left), Value::View(View::Items, right)) => same_entries(left, right, budget)?,
        (Value::Text(left) | Value::Markup(left), Value::Text(right) | Value::Markup(right)) => {
            if left.len() == right.len() {
                budget.bytes(left.len())?;
            }
            left == right
        }
        _ => plainly_equal(left, right),
    })
}

/// Equality of what has no parts, and of texts.
pub(super) fn plainly_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) => true,
        (Value::Range(left), Value::Range(right)) => {
            let (length, other) = (left.length(), right.length());
            length == other && (length == 0 || left.start == right.start && (length == 1 || left.step == right.step))
        }
        (
            Value::Namespace(_)
            | Value::Loop(_)
            | Value::Cycler(_)
            | Value::Callable(_)
            | Value::Iterator(_)
            | Value::Template
            | Value::None,
            _,
        ) => std::mem::discriminant(left) == std::mem::discriminant(right) && left.is_same(right),
        _ => match (left.text(), right.text()) {
            (Some(left), Some(right)) => left == right,
            _ => matches!(numbers(left, right), Some(Numbers::Ordered(Ordering::Equal))),
        },
    }
}

/// Whether two sequences are equal.
pub(in crate::template) fn all_equal(left: &[Value], right: &[Value], budget: &Budget) -> Outcome<bool> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right) {
        budget.step()?;
        if !equal(left, right, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_entries(left: &Dict, right: &Dict, budget: &Budget) -> Outcome<bool> {
    if left.entries().len() != right.entries().len() {
        return Ok(false);
    }
    for (key, value) in left.entries() {
        budget.step()?;
        let is_same = match right.get(key, budget)? {
            Some(other) => equal(value, other, budget)?,
            None => false,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The place of the first equal value.
pub(in crate::template) fn position(values: &[Value], wanted: &Value, budget: &Budget) -> Outcome<Option<usize>> {
    budget.values(values.len() / 16)?;
    for (place, value) in values.iter().enumerate() {
        if equal(value, wanted, budget)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// How two numbers are ordered; NaN is not.
enum Numbers {
    Ordered(Ordering),
    Unordered,
}

impl From<Option<Ordering>> for Numbers {
    fn from(order: Option<Ordering>) -> Self {
        order.map_or(Self::Unordered, Self::Ordered)
    }
}

/// The order of two values where both are numbers.
fn numbers(left: &Value, right: &Value) -> Option<Numbers> {
    Some(match (left.integer(), right.integer()) {
        (Some(left), Some(right)) => Numbers::Ordered(left.cmp(&right)),
        (Some(left), None) => integer_with_float(left, right.float()?).into(),
        (None, Some(right)) => integer_with_float(right, left.float()?).map(Ordering::reverse).into(),
        (None, None) => left.float()?.partial_cmp(&right.float()?).into(),
    })
}

fn integer_with_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // Beyond these bounds every i128 is on one side.
    if float >= 1.7e38 {
        return Some(Ordering::Less);
    }
    if float <= -1.7e38 {
        return Some(Ordering::Greater);
    }
    let whole = float.floor();
    Some(match integer.cmp(&(whole as i128)) {
        Ordering::Equal if float > whole => Ordering::Less,
        other => other,
    })
}

/// `left < right` and its like; `None` where NaN makes all of them false.
fn order(left: &Value, right: &Value, sign: &str, budget: &Budget) -> Outcome<Option<Ordering>> {
    left.check_defined()?;
    right.check_defined()?;
    match numbers(left, right) {
        Some(Numbers::Ordered(found)) => return Ok(Some(found)),
        Some(Numbers::Unordered) => return Ok(None),
        None => {}
    }
    if let (Some(left), Some(right)) = (left.text(), right.text()) {
        budget.bytes(left.len().min(right.len()))?;
        return Ok(Some(left.cmp(right)));
    }
    let (left_items, right_items) = match (left, right) {
        (Value::List(left), Value::List(right)) => (&left[..], &right[..]),
        (Value::Tuple(left), Value::Tuple(right)) => (&left.items[..], &right.items[..]),
        _ => fail!("'{sign}' not supported between instances of '{}' and '{}'", left.type_name(), right.type_name()),
    };
    for (left, right) in left_items.iter().zip(right_items) {
        budget.step()?;
        if !equal(left, right, budget)? {
            return order(left, right, sign, budget);
        }
    }
    Ok(Some(left_items.len().cmp(&right_items.len())))
}

/// `left < right`, for sorting.
pub(in crate::template) fn less(left: &Value, right: &Value, budget: &Budget) -> Outcome<bool> {
    Ok(order(left, right, "<", budget)? == Some(Ordering::Less))
}

/// One comparison.
pub(in crate::template) fn compare(how: Comparison, left: &Value, right: &Value, budget: &Budget) -> Outcome<bool> {
    Ok(match how {
        Comparison::Equal => equal(left, right, budget)?,
        Comparison::NotEqual => !equal(left, right, budget)?,
        Comparison::In => contains(right, left, budget)?,
        Comparison::NotIn => !contains(right, left, budget)?,
        Comparison::Less => order(left, right, "<", budget)? == Some(Ordering::Less),
        Comparison::Greater => order(left, right, ">", budget)? == Some(Ordering::Greater),
        Comparison::LessEqual => order(left, right, "<=", budget)?.is_some_and(Ordering::is_le),
        Comparison::GreaterEqual => order(left, right, ">=", budget)?.is_some_and(Ordering::is_ge),
    })
}

/// `value in container`
pub(in crate::template) fn contains(container: &Value, value: &Value, budget: &Budget) -> Outcome<bool> {
    match container {
        Value::Text(text) | Value::Markup(text) => {
            budget.bytes(text.len())?;
            match value.text() {
                Some(part) => Ok(text.contains(part)),
                None => fail!("'in <string>' requires string as left operand, not {}", value.type_name()),
            }
        }
        Value::Dict(dict) | Value::View(View::Keys, dict) => {
            value.check_hashable(budget)?;
            Ok(dict.get(value, budget)?.is_some())
        }
        Value::List(values) => Ok(position(values, value, budget)?.is_some()),
        Value::Undefined(_) | Value::Tuple(_) | Value::View(..) | Value::Range(_) => {
            Ok(position(&items(container, budget)?, value, budget)?.is_some())
        }
        Value::Iterator(left) => {
            // A generator is used up to the place where the value was found.
            for item in left.borrow_mut().by_ref() {
                budget.step()?;
                if equal(&item, value, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => fail!("argument of type '{}' is not iterable", container.type_name()),
    }
}

impl Value {
    /// `is`: the same object.
    pub(in crate::template) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(left), Self::List(right)) => Rc::ptr_eq(left, right),
            (Self::Tuple(left), Self::Tuple(right)) => {
                Rc::ptr_eq(left, right) || left.items.is_empty() && right.items.is_empty()
            }
            (Self::Dict(left), Self::Dict(right)) => Rc::ptr_eq(left, right),
            (Self::Namespace(left), Self::Namespace(right)) => Rc::ptr_eq(left, right),
            (Self::Loop(left), Self::Loop(right)) => Rc::ptr_eq(left, right),
            (Self::Cycler(left), Self::Cycler(right)) => Rc::ptr_eq(left, right),
            (Self::Callable(left), Self::Callable(right)) => Rc::ptr_eq(left, right),
            (Self::Iterator(left), Self::Iterator(right)) => Rc::ptr_eq(left, right),
            (Self::Undefined(left), Self::Undefined(right)) => Rc::ptr_eq(left, right),
            (Self::Template, Self::Template) | (Self::None, Self::None) => true,
            (Self::Range(_) | Self::View(..), _) => false,
            _ => self.type_name() == other.type_name() && plainly_equal(self, other),
        }
    }
}

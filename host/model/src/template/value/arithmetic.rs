//! `+`, `-`, `*`, `/`, `//`, `%` and `**`.

use super::{Value, items};
use crate::template::fault::{Fault, Outcome, fail};
use crate::template::format;
use crate::template::markup;
use crate::template::run::Budget;
use crate::template::syntax::Arithmetic;

fn too_large() -> Fault {
    Fault::new("an integer has more than 38 digits; larger ones are not supported")
}

/// One operation with two operands.
pub(in crate::template) fn arithmetic(how: Arithmetic, left: &Value, right: &Value, budget: &Budget) -> Outcome<Value> {
    if how == Arithmetic::Modulo && left.text().is_some() {
        return format::percent(left, right, budget);
    }
    left.check_defined()?;
    right.check_defined()?;
    if let (Some(left), Some(right)) = (left.integer(), right.integer()) {
        return integers(how, left, right);
    }
    if let (Some(left), Some(right)) = (left.float(), right.float()) {
        return floats(how, left, right).map(Value::Float);
    }
    let sequence = match how {
        Arithmetic::Add => joined(left, right, budget)?,
        Arithmetic::Multiply => match (left.integer(), right.integer()) {
            (_, Some(count)) => repeated(left, count, budget)?,
            (Some(count), _) => repeated(right, count, budget)?,
            _ => None,
        },
        _ => None,
    };
    match sequence {
        Some(value) => Ok(value),
        None => {
            fail!("unsupported operand type(s) for {}: '{}' and '{}'", how.sign(), left.type_name(), right.type_name())
        }
    }
}

fn joined(left: &Value, right: &Value, budget: &Budget) -> Outcome<Option<Value>> {
    Ok(Some(match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            budget.bytes(left.len() + right.len())?;
            Value::from([&**left, &**right].concat())
        }
        (Value::Text(_) | Value::Markup(_), Value::Text(_) | Value::Markup(_)) => {
            let text = markup::escaped(left, budget)? + &markup::escaped(right, budget)?;
            Value::Markup(text.into())
        }
        (Value::List(_), Value::List(_)) => {
            let mut all = items(left, budget)?;
            all.extend(items(right, budget)?);
            Value::list(all)
        }
        (Value::Tuple(_), Value::Tuple(_)) => {
            let mut all = items(left, budget)?;
            all.extend(items(right, budget)?);
            Value::tuple(all)
        }
        _ => return Ok(None),
    }))
}

fn repeated(value: &Value, count: i128, budget: &Budget) -> Outcome<Option<Value>> {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    Ok(Some(match value {
        Value::Text(text) | Value::Markup(text) => {
            budget.bytes(text.len().saturating_mul(count))?;
            value.like(text.repeat(count))
        }
        Value::List(list) => {
            budget.values(list.len().saturating_mul(count))?;
            Value::list(again(list, count))
        }
        Value::Tuple(tuple) => {
            budget.values(tuple.items.len().saturating_mul(count))?;
            Value::tuple(again(&tuple.items, count))
        }
        _ => return Ok(None),
    }))
}

fn again(values: &[Value], count: usize) -> Vec<Value> {
    values.iter().cycle().take(values.len() * count).cloned().collect()
}

fn integers(how: Arithmetic, left: i128, right: i128) -> Outcome<Value> {
    let by_zero = |sentence: &str| Fault::new(sentence);
    let found = match how {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => {
            if right == 0 {
                return Err(by_zero("division by zero"));
            }
            return Ok(Value::Float(quotient(left, right)));
        }
        Arithmetic::FloorDivide | Arithmetic::Modulo if right == 0 => {
            return Err(by_zero(if how == Arithmetic::Modulo {
                "integer modulo by zero"
            } else {
                "integer division or modulo by zero"
            }));
        }
        Arithmetic::FloorDivide => left.checked_div_euclid(right).map(|quotient| {
            // Euclid's remainder is never negative; Python's has the sign of the divisor.
            if right < 0 && left.rem_euclid(right) != 0 { quotient - 1 } else { quotient }
        }),
        Arithmetic::Modulo => {
            left.checked_rem_euclid(right).map(|rest| if right < 0 && rest != 0 { rest + right } else { rest })
        }
        Arithmetic::Power if right < 0 => {
            if left == 0 {
                return Err(by_zero("0.0 cannot be raised to a negative power"));
            }
            return floats(how, left as f64, right as f64).map(Value::Float);
        }
        Arithmetic::Power => power(left, right),
    };
    found.map(Value::Integer).ok_or_else(too_large)
}

fn power(base: i128, exponent: i128) -> Option<i128> {
    match base {
        0 | 1 => Some(if exponent == 0 { 1 } else { base }),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

/// The nearest float of a fraction of integers.
fn quotient(left: i128, right: i128) -> f64 {
    const EXACT: i128 = 1 << 53;
    if left.abs() <= EXACT && right.abs() <= EXACT {
        return left as f64 / right as f64;
    }
    let (whole, rest) = (left / right, left % right);
    if rest == 0 { whole as f64 } else { left as f64 / right as f64 }
}

fn floats(how: Arithmetic, left: f64, right: f64) -> Outcome<f64> {
    let is_division = matches!(how, Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo);
    if is_division && right == 0.0 {
        fail!(
            "{}",
            match how {
                Arithmetic::Divide => "float division by zero",
                Arithmetic::FloorDivide => "float floor division by zero",
                _ => "float modulo",
            }
        );
    }
    Ok(match how {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::FloorDivide => floor_division(left, right).0,
        Arithmetic::Modulo => floor_division(left, right).1,
        Arithmetic::Power => {
            if left == 0.0 && right < 0.0 {
                fail!("0.0 cannot be raised to a negative power");
            }
            let found = left.powf(right);
            if found.is_nan() && !left.is_nan() && !right.is_nan() {
                fail!("a root of a negative number is complex, and complex numbers are not supported");
            }
            if found.is_infinite() && left.is_finite() && right.is_finite() {
                fail!("Numerical result out of range");
            }
            found
        }
    })
}

/// As Python's own `float_divmod`.
fn floor_division(left: f64, right: f64) -> (f64, f64) {
    let mut rest = left % right;
    let mut quotient = (left - rest) / right;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(right);
    } else if (right < 0.0) != (rest < 0.0) {
        rest += right;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(left / right), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

/// `-value`
pub(in crate::template) fn negative(value: &Value) -> Outcome<Value> {
    value.check_defined()?;
    match value {
        Value::Float(number) => Ok(Value::Float(-number)),
        _ => match value.integer() {
            Some(number) => number.checked_neg().map(Value::Integer).ok_or_else(too_large),
            None => fail!("bad operand type for unary -: '{}'", value.type_name()),
        },
    }
}

/// `+value`
pub(in crate::template) fn positive(value: &Value) -> Outcome<Value> {
    value.check_defined()?;
    match value {
        Value::Float(_) => Ok(value.clone()),
        _ => match value.integer() {
            Some(number) => Ok(Value::Integer(number)),
            None => fail!("bad operand type for unary +: '{}'", value.type_name()),
        },
    }
}

//! The methods of lists, tuples, dicts and numbers.

use super::arguments::integer_or;
use crate::template::fault::{Outcome, fail};
use crate::template::run::{Args, Run};
use crate::template::value::{Value, View, equal, items, position, represented};

/// `receiver.name(args)`
pub(super) fn call(run: &Run, receiver: &Value, name: &str, args: Args) -> Outcome<Value> {
    if matches!((receiver, name), (Value::List(_) | Value::Tuple(_) | Value::Range(_), "index" | "count")) {
        return search(run, receiver, name, args);
    }
    if let (Value::Dict(dict), "get") = (receiver, name) {
        let [key, default] = args.bind(name, ["key", "default"], 1)?;
        let key = key.unwrap_or(Value::None);
        key.check_hashable(&run.budget)?;
        let found = dict.get(&key, &run.budget)?;
        return Ok(found.cloned().or(default).unwrap_or(Value::None));
    }
    args.bind::<0>(name, [], 0)?;
    Ok(match (receiver, name) {
        (Value::List(_), "copy") => Value::list(items(receiver, &run.budget)?),
        (Value::Dict(dict), "keys") => Value::View(View::Keys, dict.clone()),
        (Value::Dict(dict), "values") => Value::View(View::Values, dict.clone()),
        (Value::Dict(dict), "items") => Value::View(View::Items, dict.clone()),
        (Value::Dict(dict), "copy") => {
            run.budget.values(dict.entries().len())?;
            Value::Dict(std::rc::Rc::new((**dict).clone()))
        }
        (Value::Bool(_) | Value::Integer(_), "bit_length") => {
            let number = receiver.integer().unwrap_or(0).unsigned_abs();
            Value::Integer(i128::from(u128::BITS - number.leading_zeros()))
        }
        (Value::Bool(_) | Value::Integer(_), "conjugate") => Value::Integer(receiver.integer().unwrap_or(0)),
        (Value::Float(number), "is_integer") => (number.is_finite() && number.fract() == 0.0).into(),
        (Value::Float(number), "conjugate") => Value::Float(*number),
        (Value::Cycler(cycler), "next") => {
            let mut place = cycler.place.borrow_mut();
            let value = cycler.items[*place].clone();
            *place = (*place + 1) % cycler.items.len();
            value
        }
        (Value::Cycler(cycler), "reset") => {
            *cycler.place.borrow_mut() = 0;
            Value::None
        }
        _ => fail!("the method '{name}' of a {} is not supported", receiver.type_name()),
    })
}

fn search(run: &Run, receiver: &Value, name: &str, args: Args) -> Outcome<Value> {
    let values = items(receiver, &run.budget)?;
    if name == "count" {
        let [wanted] = args.bind(name, ["value"], 1)?;
        let wanted = wanted.unwrap_or(Value::None);
        let mut count = 0_usize;
        for value in &values {
            count += usize::from(equal(value, &wanted, &run.budget)?);
        }
        return Ok(count.into());
    }
    let [wanted, start, stop] = args.bind(name, ["value", "start", "stop"], 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    let length = values.len() as i128;
    let clamp = |place: i128| if place < 0 { place.saturating_add(length).max(0) } else { place.min(length) };
    let start = clamp(integer_or(start, 0, name)?) as usize;
    let stop = clamp(integer_or(stop, length, name)?) as usize;
    let window = values.get(start..stop).unwrap_or_default();
    match position(window, &wanted, &run.budget)? {
        Some(place) => Ok((start + place).into()),
        None => fail!("{} is not in the {}", represented(&wanted, &run.budget)?, receiver.type_name()),
    }
}

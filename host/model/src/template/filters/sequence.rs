//! Filters on sequences.

use super::order::Key;
use crate::template::fault::{Outcome, fail};
use crate::template::methods::integer_of;
use crate::template::run::{Args, Run};
use crate::template::value::{Bounds, Value, View, items, length, printed, slice};

/// `value | name(args)`
pub(super) fn apply(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    match name {
        "join" => return join(run, value, args),
        "batch" => return batch(run, value, args),
        "slice" => return slices(run, value, args),
        _ => {}
    }
    args.bind::<0>(name, [], 0)?;
    match name {
        "count" | "length" => length(value, &run.budget).map(Value::from),
        "list" => items(value, &run.budget).map(Value::list),
        "first" => {
            let first = match value {
                // The rest of a generator stays for whoever asks next.
                Value::Iterator(left) => left.borrow_mut().next(),
                _ => items(value, &run.budget)?.into_iter().next(),
            };
            Ok(first.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
        }
        "last" => {
            if !is_reversible(value) {
                fail!("'{}' object is not reversible", value.type_name());
            }
            let last = items(value, &run.budget)?.pop();
            Ok(last.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
        }
        "reverse" => {
            if value.text().is_some() {
                let whole = Bounds { start: None, stop: None, step: -1 };
                return Ok(slice(value, &whole, &run.budget)?.unwrap_or(Value::None));
            }
            let mut values = items(value, &run.budget)?;
            values.reverse();
            Ok(if is_reversible(value) { Value::iterator(values) } else { Value::list(values) })
        }
        _ => match value {
            Value::Undefined(_) => Ok(Value::iterator(Vec::new())),
            Value::Dict(dict) => Ok(Value::iterator(items(&Value::View(View::Items, dict.clone()), &run.budget)?)),
            _ => fail!("Can only get item pairs from a mapping."),
        },
    }
}

fn is_reversible(value: &Value) -> bool {
    !matches!(value, Value::Iterator(_) | Value::Loop(_))
}

fn join(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [separator, attribute] = args.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.map_or(Ok(String::new()), |separator| printed(&separator, &run.budget))?;
    let key = Key::new(attribute.as_ref(), None);
    let mut out = String::new();
    for (place, item) in items(value, &run.budget)?.into_iter().enumerate() {
        if place > 0 {
            run.budget.bytes(separator.len())?;
            out.push_str(&separator);
        }
        out.push_str(&printed(&key.of(run, item)?, &run.budget)?);
    }
    Ok(Value::from(out))
}

fn batch(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [count, fill] = args.bind("batch", ["linecount", "fill_with"], 1)?;
    // A number that no length equals makes one batch of all, as in Python.
    let count = count.as_ref().and_then(Value::integer).unwrap_or(-1);
    let mut batches: Vec<Vec<Value>> = Vec::new();
    for item in items(value, &run.budget)? {
        match batches.last_mut().filter(|batch| batch.len() as i128 != count) {
            Some(batch) => batch.push(item),
            None => batches.push(vec![item]),
        }
    }
    if count == 0 && !batches.is_empty() {
        batches.insert(0, Vec::new());
    }
    if let (Some(batch), Some(fill)) = (batches.last_mut(), fill.filter(|fill| !matches!(fill, Value::None))) {
        let missing = usize::try_from(count - batch.len() as i128).unwrap_or(0);
        run.budget.values(missing)?;
        batch.resize(batch.len() + missing, fill);
    }
    Ok(Value::iterator(batches.into_iter().map(Value::list).collect()))
}

fn slices(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [count, fill] = args.bind("slice", ["slices", "fill_with"], 1)?;
    let values = items(value, &run.budget)?;
    let count = integer_of(&count.unwrap_or(Value::None), "slice")?;
    if count == 0 {
        fail!("integer division or modulo by zero");
    }
    let count = usize::try_from(count).unwrap_or(0);
    run.budget.values(count)?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    let each = values.len().checked_div(count).unwrap_or(0);
    let longer = values.len() - each * count;
    let mut rest = values.into_iter();
    let mut out = Vec::new();
    for place in 0..count {
        let mut part: Vec<Value> = rest.by_ref().take(each + usize::from(place < longer)).collect();
        if place >= longer {
            part.extend(fill.clone());
        }
        out.push(Value::list(part));
    }
    Ok(Value::iterator(out))
}

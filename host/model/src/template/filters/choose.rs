//! `map`, `select` and their like.

use super::order::Key;
use crate::template::checks;
use crate::template::fault::{Outcome, fail};
use crate::template::run::{Args, Run};
use crate::template::syntax::Name;
use crate::template::value::{Value, items, printed};

/// `value | name(args)` of any filter.
pub(super) type Filter = dyn Fn(&Run, &str, Value, Args) -> Outcome<Value>;

/// `value | name(args)`; all of them give a generator. `map` applies any filter.
pub(super) fn apply(run: &Run, name: &str, value: &Value, args: Args, filter: &Filter) -> Outcome<Value> {
    if !value.is_true() {
        return Ok(Value::iterator(Vec::new()));
    }
    let found = if name == "map" { map(run, value, args, filter)? } else { select(run, name, value, args)? };
    Ok(Value::iterator(found))
}

fn copied(args: &[Value], named: &[(Name, Value)]) -> Args {
    Args { positional: args.to_vec(), named: named.to_vec() }
}

fn map(run: &Run, value: &Value, mut args: Args, apply: &Filter) -> Outcome<Vec<Value>> {
    let attribute = args.named.iter().position(|(name, _)| **name == *"attribute");
    if let Some(place) = attribute.filter(|_| args.positional.is_empty()) {
        let attribute = args.named.remove(place).1;
        let [default] = args.bind("map", ["default"], 0)?;
        let key = Key::new(Some(&attribute), default);
        return items(value, &run.budget)?.into_iter().map(|item| key.of(run, item)).collect();
    }
    let Some((filter, rest)) = args.positional.split_first() else { fail!("map requires a filter argument") };
    let filter = printed(filter, &run.budget)?;
    let values = items(value, &run.budget)?;
    values.into_iter().map(|item| apply(run, &filter, item, copied(rest, &args.named))).collect()
}

fn select(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Vec<Value>> {
    let wanted = name.starts_with("select");
    let mut positional = &args.positional[..];
    let mut key = None;
    if name.ends_with("attr") {
        let Some((attribute, rest)) = positional.split_first() else { fail!("Missing parameter for attribute name") };
        key = Some(Key::new(Some(attribute), None));
        positional = rest;
    }
    let test = match positional.split_first() {
        Some((test, rest)) => Some((printed(test, &run.budget)?, rest)),
        None => None,
    };
    if test.is_none()
        && let Some((argument, _)) = args.named.first()
    {
        fail!("{name}() got the keyword argument '{argument}', but no test that takes it");
    }
    let mut found = Vec::new();
    for item in items(value, &run.budget)? {
        let tested = match &key {
            Some(key) => key.of(run, item.clone())?,
            None => item.clone(),
        };
        let holds = match &test {
            Some((test, rest)) => checks::check(run, test, &tested, copied(rest, &args.named))?,
            None => tested.is_true(),
        };
        if holds == wanted {
            found.push(item);
        }
    }
    Ok(found)
}

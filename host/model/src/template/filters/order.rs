//! Filters that order and group.

use crate::template::fault::{Outcome, fail};
use crate::template::run::{Args, Budget, Run};
use crate::template::value::{Tuple, Value, equal, items, less, position};

/// What of an item is compared: an attribute, or the item.
pub(super) struct Key {
    parts: Vec<Value>,
    default: Option<Value>,
    ignores_case: bool,
}

impl Key {
    /// The attribute may be a path with points.
    pub(super) fn new(attribute: Option<&Value>, default: Option<Value>) -> Self {
        let parts = match attribute {
            None | Some(Value::None) => Vec::new(),
            Some(value) => match value.text() {
                Some(path) => path
                    .split('.')
                    .map(|part| {
                        let is_index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                        let index = part.parse().ok().filter(|_| is_index);
                        index.map_or_else(|| Value::from(part), Value::Integer)
                    })
                    .collect(),
                None => vec![value.clone()],
            },
        };
        let default = default.filter(|default| !matches!(default, Value::None));
        Self { parts, default, ignores_case: false }
    }

    fn ignoring_case(mut self, case_sensitive: Option<&Value>) -> Self {
        self.ignores_case = !case_sensitive.is_some_and(Value::is_true);
        self
    }

    pub(super) fn of(&self, run: &Run, mut item: Value) -> Outcome<Value> {
        for part in &self.parts {
            item = run.item(&item, part)?;
            if let (Some(default), Value::Undefined(_)) = (&self.default, &item) {
                item = default.clone();
            }
        }
        Ok(if self.ignores_case { without_case(item) } else { item })
    }
}

fn without_case(value: Value) -> Value {
    match &value {
        Value::Text(text) | Value::Markup(text) => value.like(text.to_lowercase()),
        _ => value,
    }
}

/// The places of these keys in their order; equal ones stay as they are.
pub(in crate::template) fn order(keys: &[Value], budget: &Budget) -> Outcome<Vec<usize>> {
    let mut places: Vec<usize> = (0..keys.len()).collect();
    let mut width = 1;
    while width < places.len() {
        let mut merged = Vec::with_capacity(places.len());
        for pair in places.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
                budget.step()?;
                let takes_right = less(&keys[**second], &keys[**first], budget)?;
                merged.extend(if takes_right { right.next() } else { left.next() });
            }
            merged.extend(left.chain(right));
        }
        places = merged;
        width *= 2;
    }
    Ok(places)
}

/// `sorted(values, key, reverse)`
fn sorted(run: &Run, mut values: Vec<Value>, mut keys: Vec<Value>, reverse: bool) -> Outcome<Vec<Value>> {
    if reverse {
        values.reverse();
        keys.reverse();
    }
    let mut places = order(&keys, &run.budget)?;
    if reverse {
        places.reverse();
    }
    Ok(places.into_iter().map(|place| values[place].clone()).collect())
}

/// `value | name(args)`
pub(super) fn apply(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    match name {
        "sort" => sort(run, value, args),
        "dictsort" => dict_sort(run, value, args),
        "groupby" => group(run, value, args),
        "unique" => {
            let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
            let key = Key::new(attribute.as_ref(), None).ignoring_case(case_sensitive.as_ref());
            let mut seen: Vec<Value> = Vec::new();
            let mut found = Vec::new();
            for item in items(value, &run.budget)? {
                let key = key.of(run, item.clone())?;
                key.check_hashable(&run.budget)?;
                if position(&seen, &key, &run.budget)?.is_none() {
                    seen.push(key);
                    found.push(item);
                }
            }
            Ok(Value::iterator(found))
        }
        _ => extreme(run, name, value, args),
    }
}

fn extreme(run: &Run, name: &str, value: &Value, args: Args) -> Outcome<Value> {
    let [case_sensitive, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
    let key = Key::new(attribute.as_ref(), None).ignoring_case(case_sensitive.as_ref());
    let mut best: Option<(Value, Value)> = None;
    for item in items(value, &run.budget)? {
        let key = key.of(run, item.clone())?;
        let is_better = match &best {
            None => true,
            Some((other, _)) if name == "max" => less(other, &key, &run.budget)?,
            Some((other, _)) => less(&key, other, &run.budget)?,
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("No aggregated item, sequence was empty."), |(_, item)| item))
}

fn sort(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [reverse, case_sensitive, attribute] = args.bind("sort", ["reverse", "case_sensitive", "attribute"], 0)?;
    let attributes = match attribute.as_ref().and_then(Value::text) {
        Some(path) => path.split(',').map(|part| Some(Value::from(part))).collect(),
        None => vec![attribute],
    };
    let mut parts = Vec::new();
    for attribute in attributes {
        parts.push(Key::new(attribute.as_ref(), None).ignoring_case(case_sensitive.as_ref()));
    }
    let values = items(value, &run.budget)?;
    let mut keys = Vec::new();
    for item in &values {
        let key: Outcome<Vec<Value>> = parts.iter().map(|part| part.of(run, item.clone())).collect();
        keys.push(Value::list(key?));
    }
    sorted(run, values, keys, reverse.is_some_and(|flag| flag.is_true())).map(Value::list)
}

fn dict_sort(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [case_sensitive, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
    let by_value = match by.as_ref().map_or(Some("key"), Value::text) {
        Some("key") => false,
        Some("value") => true,
        _ => fail!("You can only sort by either \"key\" or \"value\""),
    };
    value.check_defined()?;
    let Value::Dict(dict) = value else { fail!("'{}' object has no attribute 'items'", value.type_name()) };
    let keeps_case = case_sensitive.is_some_and(|flag| flag.is_true());
    let mut keys = Vec::new();
    let mut pairs = Vec::new();
    for (key, value) in dict.entries() {
        let sorted_by = if by_value { value } else { key }.clone();
        keys.push(if keeps_case { sorted_by } else { without_case(sorted_by) });
        pairs.push(Value::tuple(vec![key.clone(), value.clone()]));
    }
    sorted(run, pairs, keys, reverse.is_some_and(|flag| flag.is_true())).map(Value::list)
}

fn group(run: &Run, value: &Value, args: Args) -> Outcome<Value> {
    let [attribute, default, case_sensitive] = args.bind("groupby", ["attribute", "default", "case_sensitive"], 1)?;
    let key = Key::new(attribute.as_ref(), default.clone()).ignoring_case(case_sensitive.as_ref());
    let spelled = Key::new(attribute.as_ref(), default);
    let values = items(value, &run.budget)?;
    let mut keys = Vec::new();
    for item in &values {
        keys.push(key.of(run, item.clone())?);
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in sorted(run, values, keys, false)? {
        let found = key.of(run, item.clone())?;
        match groups.last_mut() {
            Some((other, members)) if equal(other, &found, &run.budget)? => members.push(item),
            _ => groups.push((found, vec![item])),
        }
    }
    let mut out = Vec::new();
    for (_, members) in groups {
        let name =
            if key.ignores_case { spelled.of(run, members[0].clone())? } else { key.of(run, members[0].clone())? };
        out.push(Value::Tuple(std::rc::Rc::new(Tuple { items: vec![name, Value::list(members)], is_group: true })));
    }
    Ok(Value::list(out))
}

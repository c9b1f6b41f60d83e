//! The filters of Jinja: what stands after `|`.

mod choose;
mod names;
mod number;
mod order;
mod sequence;
mod text;

use super::fault::{Outcome, fail};
use super::json;
use super::run::{Args, Run};
use super::value::Value;

pub(super) use names::is_known;
pub(super) use order::order;

/// `value | name(args)`
pub(super) fn apply(run: &Run, name: &str, value: Value, args: Args) -> Outcome<Value> {
    run.budget.step()?;
    match name {
        "abs" | "float" | "int" | "round" | "sum" | "filesizeformat" => number::apply(run, name, &value, args),
        "tojson" => json::to_json(&value, args, &run.budget),
        "default" | "d" => {
            let [default, boolean] = args.bind(name, ["default_value", "boolean"], 0)?;
            let is_absent =
                matches!(value, Value::Undefined(_)) || boolean.is_some_and(|flag| flag.is_true()) && !value.is_true();
            Ok(if is_absent { default.unwrap_or_else(|| Value::from("")) } else { value })
        }
        "attr" => {
            let [attribute] = args.bind(name, ["name"], 1)?;
            let Some(attribute) = attribute.as_ref().and_then(Value::text) else {
                fail!("attr() takes the name of an attribute")
            };
            run.only_attribute(&value, attribute)
        }
        "map" | "select" | "reject" | "selectattr" | "rejectattr" => choose::apply(run, name, &value, args, &apply),
        "dictsort" | "groupby" | "max" | "min" | "sort" | "unique" => order::apply(run, name, &value, args),
        "batch" | "count" | "first" | "items" | "join" | "last" | "length" | "list" | "reverse" | "slice" => {
            sequence::apply(run, name, &value, args)
        }
        "pprint" | "random" | "urlize" | "wordwrap" => fail!("the filter '{name}' is not supported"),
        _ if is_known(name) => text::apply(run, name, &value, args),
        _ => fail!("No filter named '{name}' found."),
    }
}

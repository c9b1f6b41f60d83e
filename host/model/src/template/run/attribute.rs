//! `value.name` and `value[key]`, as the sandbox of Jinja lets a template have them.

use super::Run;
use crate::template::fault::{Outcome, fail};
use crate::template::methods::{self, Known};
use crate::template::syntax::Name;
use crate::template::value::{Callable, Value, item, represented};

impl Run {
    /// What Python's `getattr` finds.
    fn python_attribute(&self, value: &Value, name: &str) -> Outcome<Option<Value>> {
        let found = match value {
            Value::Loop(state) => state.attribute(name, self)?,
            Value::Namespace(dict) => return Ok(dict.borrow().named(name).cloned()),
            Value::Template => {
                return Ok(self.blocks.contains_key(name).then(|| Value::callable(Callable::Block(name.into()))));
            }
            Value::Callable(callable) => match (&**callable, name) {
                (Callable::Macro(definition, _), "name") => Some(match &definition.name {
                    Some(name) => Value::from(&**name),
                    None => Value::None,
                }),
                (Callable::Macro(definition, _), "arguments") => {
                    Some(Value::tuple(definition.parameters.iter().map(|(name, _)| Value::from(&**name)).collect()))
                }
                (Callable::Macro(definition, _), "catch_kwargs") => Some(definition.reads_kwargs.into()),
                (Callable::Macro(definition, _), "catch_varargs") => Some(definition.reads_varargs.into()),
                (Callable::Macro(definition, _), "caller") => Some(definition.reads_caller.into()),
                _ => None,
            },
            _ => methods::attribute(value, name),
        };
        if found.is_some() {
            return Ok(found);
        }
        match methods::known(value, name) {
            Known::Method => Ok(Some(Value::callable(Callable::Method(value.clone(), name.into())))),
            Known::Mutating => {
                let sentence = format!("access to attribute '{name}' of '{}' object is unsafe.", value.type_name());
                Ok(Some(Value::undefined(sentence)))
            }
            Known::Unsupported => fail!("the attribute '{name}' of a {} is not supported", value.type_name()),
            Known::Nothing => Ok(None),
        }
    }

    /// `value.name`: an attribute of the value, else an item.
    pub(in crate::template) fn attribute(&self, value: &Value, name: &Name) -> Outcome<Value> {
        value.check_defined()?;
        if let Some(found) = self.python_attribute(value, name)? {
            return Ok(found);
        }
        Ok(item(value, &Value::Text(name.clone()), &self.budget)?.unwrap_or_else(|| no_attribute(value, name)))
    }

    /// `value | attr(name)`: an attribute, never an item.
    pub(in crate::template) fn only_attribute(&self, value: &Value, name: &str) -> Outcome<Value> {
        value.check_defined()?;
        Ok(self.python_attribute(value, name)?.unwrap_or_else(|| no_attribute(value, name)))
    }

    /// `value[key]`: an item, else an attribute of that name.
    pub(in crate::template) fn item(&self, value: &Value, key: &Value) -> Outcome<Value> {
        if let Some(found) = item(value, key, &self.budget)? {
            return Ok(found);
        }
        if let Some(name) = key.text() {
            return Ok(self.python_attribute(value, name)?.unwrap_or_else(|| no_attribute(value, name)));
        }
        let key = represented(key, &self.budget)?;
        Ok(Value::undefined(format!("{} has no element {key}", value.described())))
    }
}

fn no_attribute(value: &Value, name: &str) -> Value {
    Value::undefined(format!("'{}' has no attribute '{name}'", value.described()))
}

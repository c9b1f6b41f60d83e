//! Expressions to values.

use std::rc::Rc;

use super::{Args, BODY, Run};
use crate::template::fault::{Outcome, fail};
use crate::template::syntax::{Arguments, Comparison, Expression, ExpressionKind, Name};
use crate::template::value::{
    Bounds, Builtin, Callable, Dict, Scope, Value, arithmetic, compare, items, negative, positive, printed,
    represented, slice,
};
use crate::template::{checks, filters};

impl Run {
    pub(super) fn evaluate(&self, expression: &Expression, scope: &Rc<Scope>) -> Outcome<Value> {
        self.budget.step()?;
        self.evaluate_kind(expression, scope).map_err(|fault| fault.at(expression.line))
    }

    fn evaluate_kind(&self, expression: &Expression, scope: &Rc<Scope>) -> Outcome<Value> {
        Ok(match &expression.kind {
            ExpressionKind::None => Value::None,
            ExpressionKind::Bool(value) => Value::Bool(*value),
            ExpressionKind::Integer(value) => Value::Integer(*value),
            ExpressionKind::Float(value) => Value::Float(*value),
            ExpressionKind::Text(text) => Value::Text(text.clone()),
            ExpressionKind::Name(name) => named(name, scope),
            ExpressionKind::Body => named(BODY, scope),
            ExpressionKind::List(values) => Value::list(self.several(values, scope)?),
            ExpressionKind::Tuple(values) => Value::tuple(self.several(values, scope)?),
            ExpressionKind::Dict(pairs) => self.dict_literal(pairs, scope)?,
            ExpressionKind::Not(value) => Value::Bool(!self.evaluate(value, scope)?.is_true()),
            ExpressionKind::Negative(value) => negative(&self.evaluate(value, scope)?)?,
            ExpressionKind::Positive(value) => positive(&self.evaluate(value, scope)?)?,
            ExpressionKind::Arithmetic(how, left, right) => {
                let left = self.evaluate(left, scope)?;
                arithmetic(*how, &left, &self.evaluate(right, scope)?, &self.budget)?
            }
            ExpressionKind::And(left, right) => {
                let left = self.evaluate(left, scope)?;
                if left.is_true() { self.evaluate(right, scope)? } else { left }
            }
            ExpressionKind::Or(left, right) => {
                let left = self.evaluate(left, scope)?;
                if left.is_true() { left } else { self.evaluate(right, scope)? }
            }
            ExpressionKind::Concatenation(parts) => self.concatenated(parts, scope)?,
            ExpressionKind::Comparison(first, rest) => Value::Bool(self.comparisons(first, rest, scope)?),
            ExpressionKind::Conditional { condition, then, otherwise } => {
                if self.evaluate(condition, scope)?.is_true() {
                    self.evaluate(then, scope)?
                } else if let Some(otherwise) = otherwise {
                    self.evaluate(otherwise, scope)?
                } else {
                    Value::undefined("the inline if-expression evaluated to false and no else section was defined")
                }
            }
            ExpressionKind::Attribute(value, name) => {
                let value = self.evaluate(value, scope)?;
                self.attribute(&value, name)?
            }
            ExpressionKind::Item(value, key) => {
                let value = self.evaluate(value, scope)?;
                let key = self.evaluate(key, scope)?;
                self.item(&value, &key)?
            }
            ExpressionKind::Slice(value, bounds) => self.sliced(value, bounds, scope)?,
            ExpressionKind::Call(..) => self.evaluate_call(expression, scope, None)?,
            ExpressionKind::Filter(value, name, arguments) => {
                let value = self.evaluate(value, scope)?;
                let args = self.arguments(arguments, scope)?;
                filters::apply(self, name, value, args)?
            }
            ExpressionKind::Test(value, name, arguments) => {
                let value = self.evaluate(value, scope)?;
                let args = self.arguments(arguments, scope)?;
                Value::Bool(checks::check(self, name, &value, args)?)
            }
        })
    }

    fn dict_literal(&self, pairs: &[(Expression, Expression)], scope: &Rc<Scope>) -> Outcome<Value> {
        let mut dict = Dict::default();
        for (key, value) in pairs {
            let key = self.evaluate(key, scope)?;
            dict.insert(key, self.evaluate(value, scope)?, &self.budget)?;
        }
        Ok(Value::Dict(Rc::new(dict)))
    }

    /// `a < b < c` holds where `a < b` and `b < c` do.
    fn comparisons(&self, first: &Expression, rest: &[(Comparison, Expression)], scope: &Rc<Scope>) -> Outcome<bool> {
        let mut left = self.evaluate(first, scope)?;
        for (how, right) in rest {
            let right = self.evaluate(right, scope)?;
            if !compare(*how, &left, &right, &self.budget)? {
                return Ok(false);
            }
            left = right;
        }
        Ok(true)
    }

    fn concatenated(&self, parts: &[Expression], scope: &Rc<Scope>) -> Outcome<Value> {
        let mut text = String::new();
        for value in self.several(parts, scope)? {
            text.push_str(&printed(&value, &self.budget)?);
        }
        Ok(Value::from(text))
    }

    fn several(&self, expressions: &[Expression], scope: &Rc<Scope>) -> Outcome<Vec<Value>> {
        expressions.iter().map(|expression| self.evaluate(expression, scope)).collect()
    }

    fn sliced(&self, value: &Expression, bounds: &[Option<Box<Expression>>; 3], scope: &Rc<Scope>) -> Outcome<Value> {
        let value = self.evaluate(value, scope)?;
        let mut numbers = [None; 3];
        let mut are_indices = true;
        for (place, bound) in bounds.iter().enumerate() {
            let Some(bound) = bound else { continue };
            let bound = self.evaluate(bound, scope)?;
            numbers[place] = bound.integer();
            are_indices &= matches!(bound, Value::None) || numbers[place].is_some();
        }
        let [start, stop, step] = numbers;
        let step = step.unwrap_or(1);
        let found = match (are_indices, step) {
            (true, 0) if slice(&value, &Bounds { start, stop, step: 1 }, &self.budget)?.is_some() => {
                fail!("slice step cannot be zero")
            }
            (true, 0) | (false, _) => {
                value.check_defined()?;
                None
            }
            (true, _) => slice(&value, &Bounds { start, stop, step }, &self.budget)?,
        };
        Ok(found.unwrap_or_else(|| Value::undefined(format!("{} cannot be sliced so", value.described()))))
    }

    pub(super) fn arguments(&self, arguments: &Arguments, scope: &Rc<Scope>) -> Outcome<Args> {
        let mut positional = self.several(&arguments.positional, scope)?;
        if let Some(more) = &arguments.more_positional {
            positional.extend(items(&self.evaluate(more, scope)?, &self.budget)?);
        }
        let mut named: Vec<(Name, Value)> = Vec::new();
        for (name, value) in &arguments.named {
            named.push((name.clone(), self.evaluate(value, scope)?));
        }
        if let Some(more) = &arguments.more_named {
            let Value::Dict(dict) = self.evaluate(more, scope)? else { fail!("argument after ** must be a mapping") };
            for (key, value) in dict.entries() {
                let Some(name) = key.text() else { fail!("keywords must be strings") };
                if named.iter().any(|(other, _)| **other == *name) {
                    fail!("got multiple values for keyword argument {}", represented(key, &self.budget)?);
                }
                named.push((name.into(), value.clone()));
            }
        }
        Ok(Args { positional, named })
    }

    /// A call, with the macro that a `call` block hands over.
    pub(super) fn evaluate_call(&self, call: &Expression, scope: &Rc<Scope>, caller: Option<Value>) -> Outcome<Value> {
        let ExpressionKind::Call(callee, arguments) = &call.kind else { fail!("expected call") };
        let callee = self.evaluate(callee, scope)?;
        let mut args = self.arguments(arguments, scope)?;
        if let Some(caller) = caller {
            args.named.push(("caller".into(), caller));
        }
        self.call(&callee, args).map_err(|fault| fault.at(call.line))
    }
}

/// A name that is set, a function that every template has, or nothing.
fn named(name: &str, scope: &Scope) -> Value {
    if let Some(value) = scope.get(name) {
        return value;
    }
    match (Builtin::named(name), name) {
        (Some(builtin), _) => Value::callable(Callable::Builtin(builtin)),
        (None, "self") => Value::Template,
        (None, _) => Value::undefined(format!("'{name}' is undefined")),
    }
}

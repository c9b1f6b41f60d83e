//! Carries a template out.

mod args;
mod attribute;
mod budget;
mod call;
mod expression;
mod r#loop;
mod scope;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

pub(super) use args::Args;
pub(super) use budget::Budget;
#[cfg(test)]
pub(super) use budget::RECURSION_MAX;

use super::fault::{Outcome, fail};
use super::syntax::{Body, Expression, For, Name, Statement, StatementKind, Target};
use super::value::{LoopState, Scope, Value, items, printed};

/// The name under which a block's text waits for its filters; no template can write it.
const BODY: &str = " body";

/// One rendering.
pub(super) struct Run {
    pub(super) budget: Budget,
    /// What the template is given, and what its outermost level has set.
    root: Rc<Scope>,
    outermost: Rc<Scope>,
    blocks: HashMap<Name, Arc<Body>>,
    /// Scopes that a macro holds on to, to be emptied at the end.
    closures: RefCell<Vec<Rc<Scope>>>,
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Renders a template with these values.
pub(super) fn render(body: &Body, values: Vec<(Name, Value)>) -> Outcome<String> {
    let mut blocks = HashMap::new();
    collect_blocks(body, &mut blocks);
    let root = Scope::root(values);
    let outermost = Scope::of(body, &root);
    let run = Run { budget: Budget::new(), root, outermost, blocks, closures: RefCell::default() };
    let mut out = String::new();
    let result = run.body(body, &run.outermost, &mut out);
    for scope in run.closures.take() {
        scope.clear();
    }
    result.map(|_| out)
}

fn collect_blocks(body: &Body, blocks: &mut HashMap<Name, Arc<Body>>) {
    for statement in &body.statements {
        match &statement.kind {
            StatementKind::Block(name, body) => {
                blocks.insert(name.clone(), body.clone());
                collect_blocks(body, blocks);
            }
            StatementKind::If { branches, otherwise } => {
                for (_, body) in branches {
                    collect_blocks(body, blocks);
                }
                collect_blocks(otherwise, blocks);
            }
            StatementKind::For(node) => {
                collect_blocks(&node.body, blocks);
                collect_blocks(&node.otherwise, blocks);
            }
            StatementKind::SetBlock(_, _, body) | StatementKind::With(_, body) | StatementKind::Filter(_, body) => {
                collect_blocks(body, blocks);
            }
            StatementKind::Macro(node) | StatementKind::Call(_, node) | StatementKind::Generation(node) => {
                collect_blocks(&node.body, blocks);
            }
            _ => {}
        }
    }
}

impl Run {
    fn body(&self, body: &Body, scope: &Rc<Scope>, out: &mut String) -> Outcome<Flow> {
        for statement in &body.statements {
            let flow = self.statement(statement, scope, out).map_err(|fault| fault.at(statement.line))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&self, statement: &Statement, scope: &Rc<Scope>, out: &mut String) -> Outcome<Flow> {
        self.budget.step()?;
        match &statement.kind {
            StatementKind::Data(text) => self.budget.write(out, text)?,
            StatementKind::Print(values) => {
                for value in values {
                    self.print(&self.evaluate(value, scope)?, out)?;
                }
            }
            StatementKind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.evaluate(condition, scope)?.is_true() {
                        return self.body(body, scope, out);
                    }
                }
                return self.body(otherwise, scope, out);
            }
            StatementKind::For(node) => self.for_statement(node, scope, out)?,
            StatementKind::Set(target, value) => {
                let value = self.evaluate(value, scope)?;
                self.assign(target, value, scope)?;
            }
            StatementKind::SetBlock(target, filter, body) => match self.captured(body, filter.as_ref(), scope)? {
                Ok(value) => self.assign(target, value, scope)?,
                Err(flow) => return Ok(flow),
            },
            StatementKind::With(values, body) => {
                let inner = Scope::of(body, scope);
                for (target, value) in values {
                    let value = self.evaluate(value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.body(body, &inner, out);
            }
            StatementKind::Macro(definition) => {
                let value = self.macro_value(definition, scope);
                if let Some(name) = &definition.name {
                    scope.set(name, value);
                }
            }
            StatementKind::Call(call, definition) => {
                let caller = self.macro_value(definition, scope);
                self.print(&self.evaluate_call(call, scope, Some(caller))?, out)?;
            }
            StatementKind::Filter(filter, body) => match self.captured(body, Some(filter), scope)? {
                Ok(value) => self.print(&value, out)?,
                Err(flow) => return Ok(flow),
            },
            StatementKind::Block(name, _) => {
                let text = self.block(name)?;
                self.budget.write(out, &text)?;
            }
            StatementKind::Generation(definition) => {
                let text = self.call_macro(definition, scope, Args { positional: Vec::new(), named: Vec::new() })?;
                self.print(&text, out)?;
            }
            StatementKind::Break => return Ok(Flow::Break),
            StatementKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&self, value: &Value, out: &mut String) -> Outcome<()> {
        self.budget.write(out, &printed(value, &self.budget)?)
    }

    /// What a body writes, through filters; or how it was left before its end, and what it wrote is lost.
    fn captured(&self, body: &Body, filter: Option<&Expression>, scope: &Rc<Scope>) -> Outcome<Result<Value, Flow>> {
        let inner = Scope::of(body, scope);
        let mut text = String::new();
        let flow = self.body(body, &inner, &mut text)?;
        if flow != Flow::Next {
            return Ok(Err(flow));
        }
        let Some(filter) = filter else { return Ok(Ok(Value::from(text))) };
        inner.set(&BODY.into(), Value::from(text));
        self.evaluate(filter, &inner).map(Ok)
    }

    /// A block sees what the template's outermost level has set.
    fn block(&self, name: &Name) -> Outcome<String> {
        let Some(body) = self.blocks.get(name) else { fail!("there is no block '{name}'") };
        let mut text = String::new();
        self.budget.enter(|| self.body(body, &Scope::of_block(body, &self.outermost, &self.root), &mut text))?;
        Ok(text)
    }

    fn for_statement(&self, node: &Arc<For>, scope: &Rc<Scope>, out: &mut String) -> Outcome<()> {
        let values = self.evaluate(&node.items, scope)?;
        if node.is_recursive {
            let mut text = String::new();
            self.iterate(node, &values, 0, scope, &mut text)?;
            return self.budget.write(out, &text);
        }
        self.iterate(node, &values, 0, scope, out)
    }

    fn iterate(
        &self,
        node: &Arc<For>,
        values: &Value,
        depth: usize,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Outcome<()> {
        let state = Rc::new(LoopState::new(node, items(values, &self.budget)?, depth, scope));
        let mut has_completed = false;
        while let Some(value) = state.advance(self)? {
            let inner = Scope::of(&node.body, scope);
            inner.set(&"loop".into(), Value::Loop(state.clone()));
            self.assign(&node.target, value, &inner)?;
            match self.body(&node.body, &inner, out)? {
                Flow::Break => break,
                Flow::Continue => {}
                // As Jinja compiles it: only an iteration that reached its end forbids `else`.
                Flow::Next => has_completed = true,
            }
        }
        if !has_completed {
            self.body(&node.otherwise, &Scope::of(&node.otherwise, scope), out)?;
        }
        Ok(())
    }

    fn assign(&self, target: &Target, value: Value, scope: &Rc<Scope>) -> Outcome<()> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Attribute(name, attribute) => {
                let Some(Value::Namespace(dict)) = scope.get(name) else {
                    fail!("cannot assign attribute on non-namespace object");
                };
                if attribute.starts_with('_') {
                    fail!(
                        "chat templates cannot store underscore-prefixed attributes on a namespace, but got '{attribute}'"
                    );
                }
                dict.borrow_mut().insert(Value::from(&**attribute), value, &self.budget)?;
            }
            Target::Several(targets) => {
                let values = items(&value, &self.budget)?;
                if values.len() < targets.len() {
                    fail!("not enough values to unpack (expected {}, got {})", targets.len(), values.len());
                }
                if values.len() > targets.len() {
                    fail!("too many values to unpack (expected {})", targets.len());
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, scope)?;
                }
            }
        }
        Ok(())
    }
}

//! Which names a body hides before it has set them, as `jinja2.idtracking` decides it.
//!
//! Jinja compiles names to Python's local variables. A name that a body sets before it reads it is local to the body from its
//! beginning, so that what stands around it cannot be seen there, not even by the macros inside.

use std::collections::HashSet;
use std::sync::Arc;

use super::syntax::{Body, Expression, ExpressionKind, Macro, Name, Statement, StatementKind, Target};

/// The names of one frame.
#[derive(Default)]
struct Frame {
    known: HashSet<Name>,
    hidden: Vec<Name>,
}

/// The frames around, from the innermost.
#[derive(Clone, Copy)]
struct Around<'a> {
    known: &'a HashSet<Name>,
    outer: Option<&'a Around<'a>>,
}

impl Around<'_> {
    fn has(mut self, name: &Name) -> bool {
        loop {
            if self.known.contains(name) {
                return true;
            }
            match self.outer {
                Some(outer) => self = *outer,
                None => return false,
            }
        }
    }
}

/// Notes in every body what it hides.
pub(super) fn resolve(body: &mut Body) {
    frame(body, Frame::default(), None);
}

/// A body with names that are set already.
fn frame(body: &mut Body, mut frame: Frame, around: Option<&Around<'_>>) {
    for statement in &body.statements {
        frame.statement(statement, around);
    }
    let Frame { known, hidden } = frame;
    body.hidden = Arc::new(hidden.into_iter().collect());
    let inner = Around { known: &known, outer: around };
    for statement in &mut body.statements {
        inside(statement, Some(&inner));
    }
}

/// The bodies in a statement.
fn inside(statement: &mut Statement, around: Option<&Around<'_>>) {
    match &mut statement.kind {
        StatementKind::If { branches, otherwise } => {
            let bodies = branches.iter_mut().map(|(_, body)| body).chain([otherwise]);
            for statement in bodies.flat_map(|body| &mut body.statements) {
                inside(statement, around);
            }
        }
        StatementKind::For(node) => {
            let Some(node) = Arc::get_mut(node) else { return };
            let mut target = Frame::default();
            target.parameters(&node.target);
            target.known.insert("loop".into());
            frame(&mut node.body, target, around);
            frame(&mut node.otherwise, Frame::default(), around);
        }
        StatementKind::SetBlock(_, _, body) | StatementKind::Filter(_, body) => frame(body, Frame::default(), around),
        StatementKind::With(values, body) => {
            let mut targets = Frame::default();
            for (target, _) in values.iter() {
                targets.parameters(target);
            }
            frame(body, targets, around);
        }
        StatementKind::Macro(node) | StatementKind::Call(_, node) | StatementKind::Generation(node) => {
            if let Some(node) = Arc::get_mut(node) {
                macro_frame(node, around);
            }
        }
        StatementKind::Block(_, body) => {
            if let Some(body) = Arc::get_mut(body) {
                frame(body, Frame::default(), None);
            }
        }
        _ => {}
    }
}

fn macro_frame(node: &mut Macro, around: Option<&Around<'_>>) {
    let mut parameters = Frame::default();
    parameters.known.extend(node.parameters.iter().map(|(name, _)| name.clone()));
    let special = [(node.reads_caller, "caller"), (node.reads_kwargs, "kwargs"), (node.reads_varargs, "varargs")];
    parameters.known.extend(special.into_iter().filter(|(reads, _)| *reads).map(|(_, name)| name.into()));
    for default in node.parameters.iter().filter_map(|(_, default)| default.as_ref()) {
        parameters.expression(default, around);
    }
    frame(&mut node.body, parameters, around);
}

impl Frame {
    fn load(&mut self, name: &Name, around: Option<&Around<'_>>) {
        if !around.is_some_and(|around| around.has(name)) {
            self.known.insert(name.clone());
        }
    }

    fn store(&mut self, name: &Name, around: Option<&Around<'_>>) {
        if self.known.insert(name.clone()) && !around.is_some_and(|around| around.has(name)) {
            self.hidden.push(name.clone());
        }
    }

    fn parameters(&mut self, target: &Target) {
        match target {
            Target::Name(name) => drop(self.known.insert(name.clone())),
            Target::Several(targets) => {
                for target in targets {
                    self.parameters(target);
                }
            }
            Target::Attribute(..) => {}
        }
    }

    fn target(&mut self, target: &Target, around: Option<&Around<'_>>) {
        match target {
            Target::Name(name) => self.store(name, around),
            Target::Attribute(name, _) => self.load(name, around),
            Target::Several(targets) => {
                for target in targets {
                    self.target(target, around);
                }
            }
        }
    }

    /// What this frame itself reads and sets; bodies with frames of their own come later.
    fn statement(&mut self, statement: &Statement, around: Option<&Around<'_>>) {
        match &statement.kind {
            StatementKind::Print(values) => {
                for value in values {
                    self.expression(value, around);
                }
            }
            StatementKind::If { branches, otherwise } => {
                // What only some branches set is looked up around where they did not.
                let hidden = self.hidden.len();
                for (condition, body) in branches {
                    self.expression(condition, around);
                    self.branch(body, around);
                }
                self.branch(otherwise, around);
                self.hidden.truncate(hidden);
            }
            StatementKind::For(node) => self.expression(&node.items, around),
            StatementKind::Set(target, value) => {
                self.expression(value, around);
                self.target(target, around);
            }
            StatementKind::SetBlock(target, ..) => self.target(target, around),
            StatementKind::With(values, _) => {
                for (_, value) in values {
                    self.expression(value, around);
                }
            }
            StatementKind::Macro(node) => {
                if let Some(name) = &node.name {
                    self.store(name, around);
                }
            }
            StatementKind::Call(value, _) | StatementKind::Filter(value, _) => self.expression(value, around),
            StatementKind::Data(_)
            | StatementKind::Block(..)
            | StatementKind::Generation(_)
            | StatementKind::Break
            | StatementKind::Continue => {}
        }
    }

    fn branch(&mut self, body: &Body, around: Option<&Around<'_>>) {
        for statement in &body.statements {
            self.statement(statement, around);
        }
    }

    fn expression(&mut self, expression: &Expression, around: Option<&Around<'_>>) {
        if let ExpressionKind::Name(name) = &expression.kind {
            self.load(name, around);
        }
        for child in expression.children() {
            self.expression(child, around);
        }
    }
}

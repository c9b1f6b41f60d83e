//! `loop`, as `jinja2.runtime.LoopContext` has it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::{Args, Budget, Run};
use crate::template::fault::{Outcome, fail};
use crate::template::syntax::For;
use crate::template::value::{LoopState, Scope, Value, all_equal};

impl LoopState {
    pub(super) fn new(node: &Arc<For>, values: Vec<Value>, depth: usize, scope: &Rc<Scope>) -> Self {
        Self {
            node: node.clone(),
            scope: scope.clone(),
            source: RefCell::new(values.into_iter()),
            ready: RefCell::default(),
            passed: Cell::new(0),
            previous: RefCell::default(),
            current: RefCell::default(),
            last_changed: RefCell::default(),
            depth,
        }
    }

    /// The next item that meets the condition.
    fn pull(&self, run: &Run) -> Outcome<Option<Value>> {
        loop {
            let Some(value) = self.source.borrow_mut().next() else { return Ok(None) };
            let Some(condition) = &self.node.condition else { return Ok(Some(value)) };
            let inner = Scope::inside(&self.scope);
            run.assign(&self.node.target, value.clone(), &inner)?;
            if run.evaluate(condition, &inner)?.is_true() {
                return Ok(Some(value));
            }
        }
    }

    pub(super) fn advance(&self, run: &Run) -> Outcome<Option<Value>> {
        let ready = self.ready.borrow_mut().pop_front();
        let next = match ready {
            Some(value) => Some(value),
            None => self.pull(run)?,
        };
        if let Some(value) = &next {
            self.passed.set(self.passed.get() + 1);
            *self.previous.borrow_mut() = self.current.replace(Some(value.clone()));
        }
        Ok(next)
    }

    fn peek(&self, run: &Run) -> Outcome<Option<Value>> {
        if self.ready.borrow().is_empty()
            && let Some(value) = self.pull(run)?
        {
            self.ready.borrow_mut().push_back(value);
        }
        Ok(self.ready.borrow().front().cloned())
    }

    pub(in crate::template) fn index(&self) -> usize {
        self.passed.get()
    }

    /// How many items there are, where no condition has to be asked for it.
    pub(in crate::template) fn known_length(&self) -> Outcome<usize> {
        if self.node.condition.is_some() && self.source.borrow().len() > 0 {
            fail!("the length of a loop with a condition is not known here; use loop.length");
        }
        Ok(self.passed.get() + self.ready.borrow().len() + self.source.borrow().len())
    }

    fn length(&self, run: &Run) -> Outcome<usize> {
        while self.node.condition.is_some()
            && let Some(value) = self.pull(run)?
        {
            self.ready.borrow_mut().push_back(value);
        }
        self.known_length()
    }

    /// An attribute that is no method.
    pub(super) fn attribute(&self, name: &str, run: &Run) -> Outcome<Option<Value>> {
        let index = self.index();
        Ok(Some(match name {
            "index" => index.into(),
            "index0" => (index - 1).into(),
            "first" => (index == 1).into(),
            "last" => self.peek(run)?.is_none().into(),
            "length" => self.length(run)?.into(),
            "revindex" => (self.length(run)? - (index - 1)).into(),
            "revindex0" => (self.length(run)? - index).into(),
            "depth" => (self.depth + 1).into(),
            "depth0" => self.depth.into(),
            "previtem" => match &*self.previous.borrow() {
                Some(value) => value.clone(),
                None => Value::undefined("there is no previous item"),
            },
            "nextitem" => self.peek(run)?.unwrap_or_else(|| Value::undefined("there is no next item")),
            _ => return Ok(None),
        }))
    }

    pub(super) fn method(&self, name: &str, args: Args, budget: &Budget) -> Outcome<Value> {
        let values = args.only_positional(name)?;
        if name == "cycle" {
            if values.is_empty() {
                fail!("no items for cycling given");
            }
            return Ok(values[(self.index() - 1) % values.len()].clone());
        }
        let mut last = self.last_changed.borrow_mut();
        let is_same = match &*last {
            Some(last) => all_equal(last, &values, budget)?,
            None => false,
        };
        if !is_same {
            *last = Some(values);
        }
        Ok((!is_same).into())
    }

    /// `loop(items)`: the loop's body once more, for what an item holds.
    pub(super) fn recurse(self: &Rc<Self>, run: &Run, args: Args) -> Outcome<Value> {
        if !self.node.is_recursive {
            fail!("The loop must have the 'recursive' marker to be called recursively.");
        }
        let [values] = args.bind("loop", ["iterable"], 1)?;
        let mut text = String::new();
        let values = values.unwrap_or(Value::None);
        run.budget.enter(|| run.iterate(&self.node, &values, self.depth + 1, &self.scope, &mut text))?;
        Ok(Value::from(text))
    }
}

//! Where names stand for values.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::template::syntax::{Body, Name};
use crate::template::value::{Scope, Value};

impl Scope {
    fn new(values: HashMap<Name, Value>, hidden: Option<Arc<HashSet<Name>>>, parent: Option<&Rc<Self>>) -> Rc<Self> {
        Rc::new(Self { values: RefCell::new(values), hidden, parent: parent.cloned() })
    }

    /// What the template is given.
    pub(super) fn root(values: Vec<(Name, Value)>) -> Rc<Self> {
        Self::new(values.into_iter().collect(), None, None)
    }

    pub(super) fn inside(parent: &Rc<Self>) -> Rc<Self> {
        Self::new(HashMap::new(), None, Some(parent))
    }

    /// The scope of a body, with what it hides.
    pub(super) fn of(body: &Body, parent: &Rc<Self>) -> Rc<Self> {
        Self::new(HashMap::new(), Some(body.hidden.clone()), Some(parent))
    }

    /// The scope of a block: what the outermost level has set so far, and what the template is given.
    pub(super) fn of_block(body: &Body, outermost: &Self, root: &Rc<Self>) -> Rc<Self> {
        let exported = Self::new(outermost.values.borrow().clone(), None, Some(root));
        Self::of(body, &exported)
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.values.borrow().get(name) {
                return Some(value.clone());
            }
            if scope.hidden.as_ref().is_some_and(|hidden| hidden.contains(name)) {
                return Some(Value::undefined(format!("'{name}' is undefined")));
            }
            scope = scope.parent.as_deref()?;
        }
    }

    pub(super) fn set(&self, name: &Name, value: Value) {
        let replaced = self.values.borrow_mut().insert(name.clone(), value);
        drop(replaced);
    }

    /// Forgets all: a macro holds the scope that holds the macro.
    pub(super) fn clear(&self) {
        let values = std::mem::take(&mut *self.values.borrow_mut());
        drop(values);
    }
}

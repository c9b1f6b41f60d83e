//! Where names stand for values.

use std::cell::RefCell;
use std::rc::Rc;

use crate::template::syntax::{Body, Name};
use crate::template::value::Value;

/// The names of one body, and the scope around it.
pub(in crate::template) struct Scope {
    values: RefCell<Vec<(Name, Value)>>,
    /// Names that are undefined until they are set here, whatever stands around.
    hidden: Vec<Name>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    fn new(values: Vec<(Name, Value)>, hidden: &[Name], parent: Option<&Rc<Self>>) -> Rc<Self> {
        Rc::new(Self { values: RefCell::new(values), hidden: hidden.to_vec(), parent: parent.cloned() })
    }

    /// What the template is given.
    pub(super) fn root(values: Vec<(Name, Value)>) -> Rc<Self> {
        Self::new(values, &[], None)
    }

    pub(super) fn inside(parent: &Rc<Self>) -> Rc<Self> {
        Self::new(Vec::new(), &[], Some(parent))
    }

    /// The scope of a body, with what it hides.
    pub(super) fn of(body: &Body, parent: &Rc<Self>) -> Rc<Self> {
        Self::new(Vec::new(), &body.hidden, Some(parent))
    }

    /// The scope of a block: what the outermost level has set so far, and what the template is given.
    pub(super) fn of_block(body: &Body, outermost: &Self, root: &Rc<Self>) -> Rc<Self> {
        let exported = Self::new(outermost.values.borrow().clone(), &[], Some(root));
        Self::of(body, &exported)
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            let values = scope.values.borrow();
            if let Some((_, value)) = values.iter().find(|(other, _)| **other == *name) {
                return Some(value.clone());
            }
            if scope.hidden.iter().any(|other| **other == *name) {
                return Some(Value::undefined(format!("'{name}' is undefined")));
            }
            scope = scope.parent.as_deref()?;
        }
    }

    pub(super) fn set(&self, name: &Name, value: Value) {
        let mut values = self.values.borrow_mut();
        match values.iter_mut().find(|(other, _)| other == name) {
            Some((_, place)) => *place = value,
            None => values.push((name.clone(), value)),
        }
    }

    /// Forgets all: a macro holds the scope that holds the macro.
    pub(super) fn clear(&self) {
        let values = std::mem::take(&mut *self.values.borrow_mut());
        drop(values);
    }
}

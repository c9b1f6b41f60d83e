//! Where names stand for values.

use std::cell::RefCell;
use std::rc::Rc;

use crate::template::syntax::Name;
use crate::template::value::Value;

/// The names of one body, and the scope around it.
pub(in crate::template) struct Scope {
    values: RefCell<Vec<(Name, Value)>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn root(values: Vec<(Name, Value)>) -> Rc<Self> {
        Rc::new(Self { values: RefCell::new(values), parent: None })
    }

    pub(super) fn inside(parent: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { values: RefCell::new(Vec::new()), parent: Some(parent.clone()) })
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            let values = scope.values.borrow();
            if let Some((_, value)) = values.iter().find(|(other, _)| **other == *name) {
                return Some(value.clone());
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

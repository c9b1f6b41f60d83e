//! What a template computes with: Python's values, as far as a chat template meets them.

mod access;
mod arithmetic;
mod compare;
mod dict;
mod number;
mod print;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

pub(super) use access::{Bounds, item, items, length, slice};
pub(super) use arithmetic::{arithmetic, negative, positive};
pub(super) use compare::{all_equal, compare, equal, less, position};
pub(super) use number::{float_text, rounded};
pub(super) use print::{is_printable, printed, quoted, represented};

use super::fault::{Outcome, fail};
use super::run::Budget;
use super::syntax::{For, Macro, Name};

/// A value.
#[derive(Clone)]
pub(super) enum Value {
    /// With the sentence that an operation on it fails with.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Arc<str>),
    /// A text that was escaped for HTML, or declared to be.
    Markup(Arc<str>),
    List(Rc<Vec<Value>>),
    Tuple(Rc<Tuple>),
    Dict(Rc<Dict>),
    Range(Range),
    /// `dict.keys()` and its like.
    View(View, Rc<Dict>),
    /// What a generator still has to give.
    Iterator(Rc<RefCell<std::vec::IntoIter<Value>>>),
    Namespace(Rc<RefCell<Dict>>),
    Loop(Rc<LoopState>),
    Cycler(Rc<Cycler>),
    Callable(Rc<Callable>),
    /// `self`, whose attributes are the template's blocks.
    Template,
}

/// A tuple, or what `groupby` gives.
pub(super) struct Tuple {
    pub(super) items: Vec<Value>,
    pub(super) is_group: bool,
}

/// Which half of a dict a view shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: i128,
    pub(super) stop: i128,
    pub(super) step: i128,
}

impl Range {
    pub(super) fn length(self) -> usize {
        let distance = if self.step > 0 { self.stop - self.start } else { self.start - self.stop };
        if distance <= 0 { 0 } else { ((distance - 1) / self.step.abs() + 1) as usize }
    }

    pub(super) fn at(self, place: usize) -> i128 {
        self.start + place as i128 * self.step
    }
}

pub(super) struct Cycler {
    pub(super) items: Vec<Value>,
    pub(super) place: RefCell<usize>,
}

/// The names of one body, and the scope around it.
pub(super) struct Scope {
    pub(super) values: RefCell<HashMap<Name, Value>>,
    /// Names that are undefined until they are set here, whatever stands around.
    pub(super) hidden: Option<Arc<HashSet<Name>>>,
    pub(super) parent: Option<Rc<Scope>>,
}

/// Where a loop stands. Its condition is asked as late as Python asks it: the body may change what it reads.
pub(super) struct LoopState {
    pub(super) node: Arc<For>,
    pub(super) scope: Rc<Scope>,
    pub(super) source: RefCell<std::vec::IntoIter<Value>>,
    /// Items that were looked at before their turn.
    pub(super) ready: RefCell<VecDeque<Value>>,
    /// Items that had their turn.
    pub(super) passed: Cell<usize>,
    pub(super) previous: RefCell<Option<Value>>,
    pub(super) current: RefCell<Option<Value>>,
    pub(super) last_changed: RefCell<Option<Vec<Value>>>,
    pub(super) depth: usize,
}

/// What can be called.
pub(super) enum Callable {
    Builtin(Builtin),
    Macro(Arc<Macro>, Rc<Scope>),
    /// A method and what it belongs to.
    Method(Value, Name),
    /// `joiner()`: nothing at its first call, the separator from then on.
    Joiner(Value, Cell<bool>),
    Block(Name),
}

/// A function that every template has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    RaiseException,
    StrftimeNow,
    Lipsum,
}

/// Keys in the order in which they came.
#[derive(Clone, Default)]
pub(super) struct Dict {
    entries: Vec<(Value, Value)>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(value as i128)
    }
}

impl Value {
    pub(super) fn undefined(sentence: impl AsRef<str>) -> Self {
        Self::Undefined(sentence.as_ref().into())
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Self {
        Self::Tuple(Rc::new(Tuple { items, is_group: false }))
    }

    pub(super) fn iterator(items: Vec<Self>) -> Self {
        Self::Iterator(Rc::new(RefCell::new(items.into_iter())))
    }

    pub(super) fn callable(callable: Callable) -> Self {
        Self::Callable(Rc::new(callable))
    }

    /// The text of a string, marked up or not.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Markup(text) => Some(text),
            _ => None,
        }
    }

    /// The integer of an `int` or `bool`.
    pub(super) fn integer(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some(i128::from(*value)),
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.integer().map(|value| value as f64),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) | Self::Markup(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Tuple(tuple) => !tuple.items.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.entries.is_empty(),
            Self::Range(range) => range.length() > 0,
            Self::Loop(_)
            | Self::Iterator(_)
            | Self::Namespace(_)
            | Self::Cycler(_)
            | Self::Callable(_)
            | Self::Template => true,
        }
    }

    /// The name of its type in Python.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::Markup(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(tuple) => {
                if tuple.is_group {
                    "_GroupTuple"
                } else {
                    "tuple"
                }
            }
            Self::Dict(_) => "dict",
            Self::Range(_) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Iterator(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Loop(_) => "LoopContext",
            Self::Cycler(_) => "Cycler",
            Self::Callable(callable) => callable.type_name(),
            Self::Template => "TemplateReference",
        }
    }

    /// How `jinja2.utils.object_type_repr` names it.
    pub(super) fn described(&self) -> String {
        match self {
            Self::None => "None".to_owned(),
            Self::Callable(callable) if callable.is_macro() => "jinja2.runtime.Macro object".to_owned(),
            Self::Namespace(_) => "jinja2.utils.Namespace object".to_owned(),
            _ => format!("{} object", self.type_name()),
        }
    }

    pub(super) fn check_hashable(&self, budget: &Budget) -> Outcome<()> {
        budget.step()?;
        match self {
            Self::List(_) | Self::Dict(_) | Self::View(View::Keys | View::Items, _) => {
                fail!("unhashable type: '{}'", self.type_name())
            }
            Self::Tuple(tuple) => tuple.items.iter().try_for_each(|item| item.check_hashable(budget)),
            _ => Ok(()),
        }
    }

    /// Fails where an operation would touch an undefined value.
    pub(super) fn check_defined(&self) -> Outcome<()> {
        match self {
            Self::Undefined(sentence) => fail!("{sentence}"),
            _ => Ok(()),
        }
    }

    /// This text with the markup of the one it was made from.
    pub(super) fn like(&self, text: String) -> Self {
        match self {
            Self::Markup(_) => Self::Markup(text.into()),
            _ => Self::Text(text.into()),
        }
    }
}

//! What can be called: macros, methods, and the functions that every template has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::{Args, Run};
use crate::template::fault::{Fault, Outcome, fail};
use crate::template::syntax::Macro;
use crate::template::value::{Builtin, Callable, Cycler, Dict, Range, Scope, Value, items, printed};
use crate::template::{date, methods};

/// Jinja's sandbox makes no longer ranges.
const RANGE_MAX: usize = 100_000;

const BUILTINS: [(&str, Builtin); 8] = [
    ("range", Builtin::Range),
    ("dict", Builtin::Dict),
    ("namespace", Builtin::Namespace),
    ("cycler", Builtin::Cycler),
    ("joiner", Builtin::Joiner),
    ("raise_exception", Builtin::RaiseException),
    ("strftime_now", Builtin::StrftimeNow),
    ("lipsum", Builtin::Lipsum),
];

impl Builtin {
    pub(super) fn named(name: &str) -> Option<Self> {
        BUILTINS.iter().find(|(other, _)| *other == name).map(|(_, builtin)| *builtin)
    }
}

impl Callable {
    pub(in crate::template) fn is_macro(&self) -> bool {
        matches!(self, Self::Macro(..))
    }

    pub(in crate::template) fn type_name(&self) -> &'static str {
        match self {
            Self::Builtin(Builtin::Range | Builtin::RaiseException | Builtin::StrftimeNow | Builtin::Lipsum) => {
                "function"
            }
            Self::Builtin(Builtin::Dict) => "TemplateDict",
            Self::Builtin(_) => "type",
            Self::Macro(..) => "Macro",
            Self::Method(..) => "builtin_function_or_method",
            Self::Joiner(..) => "Joiner",
            Self::Block(_) => "BlockReference",
        }
    }

    /// What it prints, where that is no address.
    pub(in crate::template) fn printed(&self) -> Option<String> {
        match self {
            Self::Macro(definition, _) => Some(match &definition.name {
                Some(name) => format!("<Macro '{name}'>"),
                None => "<Macro anonymous>".to_owned(),
            }),
            _ => None,
        }
    }
}

impl Run {
    /// `callee(args)`
    pub(in crate::template) fn call(&self, callee: &Value, args: Args) -> Outcome<Value> {
        self.budget.step()?;
        callee.check_defined()?;
        match callee {
            Value::Loop(state) => state.recurse(self, args),
            Value::Callable(callable) => match &**callable {
                Callable::Builtin(builtin) => self.builtin(*builtin, args),
                Callable::Macro(definition, scope) => self.call_macro(definition, scope, args),
                Callable::Method(Value::Loop(state), name) => state.method(name, args, &self.budget),
                Callable::Method(receiver, name) => methods::call(self, receiver, name, args),
                Callable::Joiner(separator, was_called) => {
                    args.bind::<0>("joiner", [], 0)?;
                    Ok(if was_called.replace(true) { separator.clone() } else { Value::from("") })
                }
                Callable::Block(name) => {
                    args.bind::<0>("block", [], 0)?;
                    self.block(name).map(Value::from)
                }
            },
            _ => fail!("'{}' object is not callable", callee.type_name()),
        }
    }

    fn builtin(&self, builtin: Builtin, args: Args) -> Outcome<Value> {
        match builtin {
            Builtin::Range => range(args),
            Builtin::Dict => self.dict(args).map(|dict| Value::Dict(Rc::new(dict))),
            Builtin::Namespace => {
                let dict = self.dict(args)?;
                if let Some(name) =
                    dict.entries().iter().filter_map(|(key, _)| key.text()).find(|name| name.starts_with('_'))
                {
                    fail!(
                        "chat templates cannot store underscore-prefixed attributes on a namespace, but got '{name}'"
                    );
                }
                Ok(Value::Namespace(Rc::new(RefCell::new(dict))))
            }
            Builtin::Cycler => {
                let items = args.only_positional("cycler")?;
                if items.is_empty() {
                    fail!("at least one item has to be provided to cycler()");
                }
                Ok(Value::Cycler(Rc::new(Cycler { items, place: RefCell::new(0) })))
            }
            Builtin::Joiner => {
                let [separator] = args.bind("joiner", ["sep"], 0)?;
                Ok(Value::callable(Callable::Joiner(separator.unwrap_or_else(|| Value::from(", ")), Cell::new(false))))
            }
            Builtin::RaiseException => {
                let [message] = args.bind("raise_exception", ["message"], 1)?;
                Err(Fault::new(printed(&message.unwrap_or(Value::None), &self.budget)?))
            }
            Builtin::StrftimeNow => {
                let [format] = args.bind("strftime_now", ["format"], 1)?;
                match format.as_ref().and_then(Value::text) {
                    Some(format) => date::fixed_date(format).map(Value::from),
                    None => fail!("strftime_now() takes a text"),
                }
            }
            Builtin::Lipsum => fail!("the function 'lipsum' is not supported: it writes random words"),
        }
    }

    /// `dict(mapping or pairs, **more)`
    fn dict(&self, args: Args) -> Outcome<Dict> {
        let mut dict = Dict::default();
        if args.positional.len() > 1 {
            fail!("dict expected at most 1 argument, got {}", args.positional.len());
        }
        match args.positional.first() {
            None => {}
            Some(Value::Dict(other)) => dict = (**other).clone(),
            Some(pairs) => {
                for pair in items(pairs, &self.budget)? {
                    let pair = items(&pair, &self.budget)?;
                    let [key, value] = &pair[..] else { fail!("dict() takes pairs, but got {} value(s)", pair.len()) };
                    dict.insert(key.clone(), value.clone(), &self.budget)?;
                }
            }
        }
        for (name, value) in args.named {
            dict.insert(Value::from(&*name), value, &self.budget)?;
        }
        self.budget.values(dict.entries().len())?;
        Ok(dict)
    }

    pub(super) fn macro_value(&self, definition: &Arc<Macro>, scope: &Rc<Scope>) -> Value {
        self.closures.borrow_mut().push(scope.clone());
        Value::callable(Callable::Macro(definition.clone(), scope.clone()))
    }

    pub(super) fn call_macro(&self, definition: &Macro, closure: &Rc<Scope>, args: Args) -> Outcome<Value> {
        let name = definition.name.as_deref().unwrap_or("None");
        let scope = Scope::of(&definition.body, closure);
        let Args { positional, mut named } = args;
        let mut positional = positional.into_iter();
        let mut take =
            |wanted: &str| named.iter().position(|(name, _)| **name == *wanted).map(|place| named.remove(place).1);
        // All are bound before the first default is evaluated: a default may name an earlier parameter.
        let mut missing = Vec::new();
        for (parameter, default) in &definition.parameters {
            if let Some(value) = positional.next().or_else(|| take(parameter)) {
                scope.set(parameter, value);
            } else {
                scope.set(parameter, Value::undefined(format!("'{parameter}' is undefined")));
                missing.push((parameter, default));
            }
        }
        if definition.reads_caller {
            let caller = take("caller").filter(|caller| !matches!(caller, Value::None));
            scope.set(&"caller".into(), caller.unwrap_or_else(|| Value::undefined("No caller defined")));
        }
        if definition.reads_kwargs {
            let mut dict = Dict::default();
            for (name, value) in std::mem::take(&mut named) {
                dict.insert(Value::from(&*name), value, &self.budget)?;
            }
            scope.set(&"kwargs".into(), Value::Dict(Rc::new(dict)));
        } else if let Some((argument, _)) = named.first() {
            fail!("macro '{name}' takes no keyword argument '{argument}'");
        }
        let rest: Vec<Value> = positional.collect();
        if definition.reads_varargs {
            scope.set(&"varargs".into(), Value::tuple(rest));
        } else if !rest.is_empty() {
            fail!("macro '{name}' takes not more than {} argument(s)", definition.parameters.len());
        }
        for (parameter, default) in missing {
            let value = match default {
                Some(default) => self.evaluate(default, &scope)?,
                None => Value::undefined(format!("parameter '{parameter}' was not provided")),
            };
            scope.set(parameter, value);
        }
        let mut text = String::new();
        self.budget.enter(|| self.body(&definition.body, &scope, &mut text))?;
        Ok(Value::from(text))
    }
}

fn range(args: Args) -> Outcome<Value> {
    let bounds = args.only_positional("range")?;
    let mut numbers = Vec::new();
    for bound in &bounds {
        bound.check_defined()?;
        match bound.integer() {
            Some(number) => numbers.push(number),
            None => fail!("'{}' object cannot be interpreted as an integer", bound.type_name()),
        }
    }
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => fail!("range expected 1 to 3 arguments, got {}", numbers.len()),
    };
    if step == 0 {
        fail!("range() arg 3 must not be zero");
    }
    // Far bounds would overflow; what is this long is refused anyway.
    let is_near = [start, stop, step].iter().all(|number| number.unsigned_abs() < 1 << 100);
    let range = Range { start, stop, step };
    if !is_near || range.length() > RANGE_MAX {
        fail!("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE_MAX}).");
    }
    Ok(Value::Range(range))
}

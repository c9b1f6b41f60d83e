//! What a call is given.

use crate::template::fault::{Outcome, fail};
use crate::template::syntax::Name;
use crate::template::value::Value;

/// What a call is given.
pub(in crate::template) struct Args {
    pub(in crate::template) positional: Vec<Value>,
    pub(in crate::template) named: Vec<(Name, Value)>,
}

impl Args {
    /// Arguments by the names of the parameters, of which the first so many must be given.
    pub(in crate::template) fn bind<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
        required: usize,
    ) -> Outcome<[Option<Value>; N]> {
        let given = self.positional.len();
        if given > N {
            fail!("{function}() takes at most {N} argument(s), but {given} were given");
        }
        let mut bound = std::array::from_fn(|_| None);
        for (place, value) in self.positional.into_iter().enumerate() {
            bound[place] = Some(value);
        }
        for (name, value) in self.named {
            let Some(place) = names.iter().position(|other| **other == *name) else {
                fail!("{function}() got an unexpected keyword argument '{name}'");
            };
            if bound[place].replace(value).is_some() {
                fail!("{function}() got multiple values for argument '{name}'");
            }
        }
        match names.iter().zip(&bound).take(required).find(|(_, value)| value.is_none()) {
            Some((name, _)) => fail!("{function}() lacks the argument '{name}'"),
            None => Ok(bound),
        }
    }

    pub(in crate::template) fn only_positional(self, function: &str) -> Outcome<Vec<Value>> {
        match self.named.first() {
            Some((name, _)) => fail!("{function}() takes no keyword arguments, but got '{name}'"),
            None => Ok(self.positional),
        }
    }
}

//! Comparisons of experiments that pages have asked for, kept until the record changes: who sorts a table asks for the same again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use slhf_record::{Comparison, Record};
use slhf_ui::ViewError;

use super::refusal::of_record;

/// Experiments that are kept at most.
const KEPT_MAX: usize = 4;

/// Reads the comparison of an experiment by its name, or has it.
pub(super) type Compare<'a> = &'a mut dyn FnMut(&mut Record, &str) -> Result<Arc<Comparison>, ViewError>;

/// What is known of one state of the record.
#[derive(Default)]
pub(super) struct Comparisons {
    kept: Mutex<(String, HashMap<String, Arc<Comparison>>)>,
}

impl Comparisons {
    /// Of `name` (`name#3`: its third execution), `version` being the record's state before it was opened. Without a version
    /// nothing is kept.
    pub(super) fn of(&self, record: &mut Record, name: &str, version: &str) -> Result<Arc<Comparison>, ViewError> {
        if let Some(known) = self.known(name, version) {
            return Ok(known);
        }
        let (experiment, execution) = slhf_comparison::split_execution(name);
        let comparison = Arc::new(record.comparison(experiment, execution).map_err(of_record)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 == version && !version.is_empty() {
            if kept.1.len() >= KEPT_MAX {
                kept.1.clear();
            }
            kept.1.insert(name.to_owned(), Arc::clone(&comparison));
        }
        Ok(comparison)
    }

    fn known(&self, name: &str, version: &str) -> Option<Arc<Comparison>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != version {
            *kept = (version.to_owned(), HashMap::new());
        }
        kept.1.get(name).map(Arc::clone)
    }
}

//! Where replies of served models are kept while no run asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use slhf_plan::{ModelUsage, ModelUse, ServedModelPlan};
use slhf_record::{AnswerKey, Record, RecordError};

use crate::running::Keep;

/// In the record where there is one, else in memory: what was answered once is not asked again.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    record: Option<Mutex<Record>>,
    known: Mutex<HashMap<AnswerKey, Vec<u8>>>,
    used: Mutex<BTreeMap<Asked, ModelUsage>>,
}

/// A model and its server; no server: on the device.
pub(crate) type Asked = (String, String);

impl Replies {
    /// `record`: a connection of its own.
    pub(crate) fn new(record: Option<Record>) -> Self {
        Self { record: record.map(Mutex::new), ..Self::default() }
    }

    /// Counts a call.
    pub(crate) fn count(&self, asked: Asked, usage: &ModelUsage) {
        lock(&self.used).entry(asked).or_default().add(usage);
    }

    /// What was asked so far.
    pub(crate) fn usage(&self) -> Vec<(Asked, ModelUsage)> {
        lock(&self.used).iter().map(|(asked, usage)| (asked.clone(), *usage)).collect()
    }
}

impl Keep for Replies {
    fn known(&self, keys: &[AnswerKey]) -> Result<HashMap<AnswerKey, Vec<u8>>, RecordError> {
        if let Some(record) = &self.record {
            return lock(record).model_answers(keys);
        }
        let known = lock(&self.known);
        Ok(keys.iter().filter_map(|key| known.get(key).map(|reply| (*key, reply.clone()))).collect())
    }

    fn keep(&self, key: AnswerKey, reply: Vec<u8>) -> Result<(), RecordError> {
        if let Some(record) = &self.record {
            return lock(record).add_model_answer(&key, &reply);
        }
        lock(&self.known).insert(key, reply);
        Ok(())
    }

    /// A command has its budget to itself.
    fn tokens_spent(&self, _run: i64, _plan: &ServedModelPlan) -> Result<u64, RecordError> {
        Ok(0)
    }

    fn used(&self, used: ModelUse) -> Result<(), RecordError> {
        self.count((used.model, used.server), &used.usage);
        Ok(())
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

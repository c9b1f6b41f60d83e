//! `baseline` plugins as the control variates of runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use slhf_judge::{Baseline, Host, Role, Sample};
use slhf_learn::{BaselineEstimator, BaselineRole, BaselineSample, Cause};
use slhf_plan::PluginPlan;

use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// The plugin of one run; the trainer uses it, the worker keeps another hand on it for its usage.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Baseline>>);

/// All baselines of a group.
#[derive(Debug, Default)]
pub(crate) struct Baselines {
    by_run: BTreeMap<i64, Shared>,
}

impl Baselines {
    /// One fresh instance for every run that wants one: (run, plugin).
    pub(crate) fn load<'a>(
        wanted: impl IntoIterator<Item = (i64, &'a PluginPlan)>,
        host: &Host,
    ) -> Result<Self, WorkerError> {
        let mut by_run = BTreeMap::new();
        for (run, plugin) in wanted {
            let loaded = host.baseline(plugin);
            let loaded = loaded.map_err(|source| WorkerError::Baseline { run, source: Box::new(source) })?;
            by_run.insert(run, Shared(Arc::new(Mutex::new(loaded))));
        }
        Ok(Self { by_run })
    }

    /// As the trainer wants them.
    pub(crate) fn estimators(&self) -> BTreeMap<i64, Box<dyn BaselineEstimator>> {
        let boxed = |(run, shared): (&i64, &Shared)| (*run, Box::new(shared.clone()) as Box<dyn BaselineEstimator>);
        self.by_run.iter().map(boxed).collect()
    }

    /// What each used.
    pub(crate) fn tell_usage(&self, outgoing: &Outgoing) -> Result<(), WorkerError> {
        for (run, shared) in &self.by_run {
            for usage in shared.lock().usage("baseline", &[*run]) {
                outgoing.report(usage)?;
            }
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Baseline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BaselineEstimator for Shared {
    fn estimate(&mut self, samples: &[BaselineSample]) -> Result<Vec<f64>, Cause> {
        let sample = |sample: &BaselineSample| Sample {
            prompt_id: u64::from(sample.prompt),
            role: match sample.role {
                BaselineRole::Leader => Role::Leader,
                BaselineRole::Follower => Role::Follower,
            },
            step: sample.step,
            reward: sample.reward,
        };
        let batch: Vec<Sample> = samples.iter().map(sample).collect();
        Ok(self.lock().estimate(&batch)?)
    }

    fn save(&mut self) -> Result<Vec<u8>, Cause> {
        Ok(self.lock().save()?)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        Ok(self.lock().restore(state)?)
    }
}

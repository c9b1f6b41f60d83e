//! One piece of work, as it is frozen in the record and handed to a worker.

use serde::{Deserialize, Serialize};

use crate::{ControlVariate, GroupPlan, LanguagePlan, PluginPlan};

/// What one worker carries out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// A batch group of finite-game runs.
    Game(GroupPlan),
    /// One run of a language model.
    LanguageModel(Box<LanguagePlan>),
}

impl Work {
    /// Reads a frozen plan. One without a `kind` was frozen before there were language models: it is a game's.
    ///
    /// # Errors
    /// The text is no JSON, or no plan that this version knows.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if value.get("kind").is_some() {
            serde_json::from_str(text)
        } else {
            serde_json::from_str(text).map(Self::Game)
        }
    }

    /// The runs, each with the steps that it has in all.
    #[must_use]
    pub fn runs(&self) -> Vec<(i64, u64)> {
        match self {
            Self::Game(group) => group.runs.iter().map(|run| (run.run, run.method.training().steps)).collect(),
            Self::LanguageModel(plan) => vec![(plan.run, plan.method.training().steps)],
        }
    }

    /// The device's name, and the threads of libtorch.
    #[must_use]
    pub fn device(&self) -> (&str, u32) {
        match self {
            Self::Game(group) => (&group.device.name, group.device.threads),
            Self::LanguageModel(plan) => (&plan.device.name, plan.device.threads),
        }
    }

    /// Every plugin that the worker will load, but for those that others wrap.
    #[must_use]
    pub fn plugins(&self) -> Vec<&PluginPlan> {
        match self {
            Self::Game(group) => {
                let judges = group.games.iter().map(|game| &game.judge.plugin);
                let baselines = group.runs.iter().filter_map(|run| variate(&run.method.training().score_baseline));
                judges.chain(baselines).collect()
            }
            Self::LanguageModel(plan) => plan.plugins(),
        }
    }

    /// Leaves out the runs of a batch group that `keep` does not want. A language-model run is a group of its own, so
    /// it is either wanted or nobody asks.
    #[must_use]
    pub fn with_runs(mut self, keep: impl Fn(i64) -> bool) -> Self {
        if let Self::Game(group) = &mut self {
            group.runs.retain(|run| keep(run.run));
        }
        self
    }
}

impl LanguagePlan {
    /// Every plugin that the worker will load, but for those that others wrap.
    #[must_use]
    pub fn plugins(&self) -> Vec<&PluginPlan> {
        let judges = self.evaluation.judges.iter().map(|asked| &asked.judge.plugin);
        let measures = self.evaluation.measures.iter().map(|asked| &asked.plugin);
        let trained = [Some(&self.judge.plugin), self.method.reward(), variate(&self.method.training().score_baseline)];
        trained.into_iter().flatten().chain(judges).chain(measures).collect()
    }
}

fn variate(baseline: &ControlVariate) -> Option<&PluginPlan> {
    match baseline {
        ControlVariate::Plugin { plugin } => Some(plugin),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckpointKeep, ComputePath, DevicePlan, Precision};

    #[test]
    fn a_plan_that_was_frozen_before_there_were_kinds_is_a_game() {
        let device =
            DevicePlan { name: "cpu".into(), threads: 1, path: ComputePath::Scalar, precision: Precision::F64 };
        let group = GroupPlan {
            device,
            evaluation_every: 1,
            checkpoint_every: 1,
            checkpoint_keep: CheckpointKeep::default(),
            games: Vec::new(),
            runs: Vec::new(),
        };
        let old = serde_json::to_string(&group).unwrap();
        let new = serde_json::to_string(&Work::Game(group.clone())).unwrap();
        assert!(!new.contains("checkpoint_keep"), "{new}");
        assert!(new.starts_with(r#"{"kind":"game","#), "{new}");
        assert_eq!(Work::from_json(&old).unwrap(), Work::Game(group.clone()));
        assert_eq!(Work::from_json(&new).unwrap(), Work::Game(group));
    }
}

//! One piece of work, as it is frozen in the record and handed to a worker.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::{ControlVariate, GroupPlan, LanguagePlan, PluginPlan, RewardTrainingPlan};

/// What one worker carries out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// A batch group of finite-game runs.
    Game(GroupPlan),
    /// One run of a language model.
    LanguageModel(Box<LanguagePlan>),
    /// One run that trains a reward model.
    RewardModel(Box<RewardTrainingPlan>),
}

/// What tells a plan of today from one that was frozen before there were language models.
#[derive(Deserialize)]
struct OfAKind {
    kind: Option<IgnoredAny>,
}

/// A plan with the text that the record keeps of it: encoded once when it is frozen, decoded once where it is read back. The
/// text goes to the worker as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenWork {
    text: String,
    work: Work,
}

impl FrozenWork {
    /// Freezes a plan.
    ///
    /// # Errors
    /// The plan holds a number that JSON has no word for.
    pub fn freeze(work: Work) -> Result<Self, serde_json::Error> {
        Ok(Self { text: serde_json::to_string(&work)?, work })
    }

    /// Reads a recorded plan.
    ///
    /// # Errors
    /// See [`Work::from_json`].
    pub fn read(text: String) -> Result<Self, serde_json::Error> {
        Ok(Self { work: Work::from_json(&text)?, text })
    }

    /// As it is recorded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says, of the runs that are wanted.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Narrows the plan, not its text: see [`Work::with_runs`].
    #[must_use]
    pub fn with_runs(self, keep: impl Fn(i64) -> bool) -> Self {
        Self { work: self.work.with_runs(keep), ..self }
    }
}

impl Work {
    /// Reads a frozen plan. One without a `kind` was frozen before there were language models: it is a game's.
    ///
    /// # Errors
    /// The text is no JSON, or no plan that this version knows.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).or_else(|error| {
            // Looked at only here: a text of today is read once.
            let is_of_a_kind = serde_json::from_str::<OfAKind>(text).is_ok_and(|found| found.kind.is_some());
            if is_of_a_kind { Err(error) } else { serde_json::from_str(text).map(Self::Game) }
        })
    }

    /// The runs, each with the steps that it has in all.
    #[must_use]
    pub fn runs(&self) -> Vec<(i64, u64)> {
        match self {
            Self::Game(group) => group.runs.iter().map(|run| (run.run, run.method.training().steps)).collect(),
            Self::LanguageModel(plan) => vec![(plan.run, plan.method.training().steps)],
            Self::RewardModel(plan) => vec![(plan.run, plan.training.steps)],
        }
    }

    /// The device's name, and the threads of libtorch.
    #[must_use]
    pub fn device(&self) -> (&str, u32) {
        match self {
            Self::Game(group) => (&group.device.name, group.device.threads),
            Self::LanguageModel(plan) => (&plan.device.name, plan.device.threads),
            Self::RewardModel(plan) => (&plan.device.name, plan.device.threads),
        }
    }

    /// Processes that compute it together.
    #[must_use]
    pub fn processes(&self) -> u32 {
        match self {
            Self::LanguageModel(plan) => plan.device.processes,
            Self::Game(_) | Self::RewardModel(_) => 1,
        }
    }

    /// The same work by another number of processes; that of other kinds has one.
    #[must_use]
    pub fn by_processes(mut self, processes: u32) -> Self {
        if let Self::LanguageModel(plan) = &mut self {
            plan.device.processes = processes;
        }
        self
    }

    /// The same work on another device of its kind: what the plan says of it else stays.
    #[must_use]
    pub fn on_device(mut self, name: &str) -> Self {
        let device = match &mut self {
            Self::Game(group) => &mut group.device.name,
            Self::LanguageModel(plan) => &mut plan.device.name,
            Self::RewardModel(plan) => &mut plan.device.name,
        };
        name.clone_into(device);
        self
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
            Self::RewardModel(_) => Vec::new(),
        }
    }

    /// Whether a server samples its responses, so that no two computations of it come to the same bits.
    #[must_use]
    pub fn is_sampled_by_a_server(&self) -> bool {
        matches!(self, Self::LanguageModel(plan) if plan.device.sampler.is_some())
    }

    /// Names of the environment's variables that hold keys of servers: its plugins' models', and its sampler's.
    #[must_use]
    pub fn key_variables(&self) -> Vec<&str> {
        let sampler = match self {
            Self::LanguageModel(plan) => plan.device.sampler.as_ref().and_then(|sampler| sampler.key_env.as_deref()),
            Self::Game(_) | Self::RewardModel(_) => None,
        };
        self.plugins().into_iter().flat_map(PluginPlan::key_variables).chain(sampler).collect()
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
        let judge = self.judge.as_ref().map(|judge| &judge.plugin);
        let trained = [judge, self.method.reward(), variate(&self.method.training().score_baseline)];
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
    use crate::{Assignment, CheckpointKeep, ComputePath, DevicePlan, Precision};

    #[test]
    fn a_plan_that_was_frozen_before_there_were_kinds_is_a_game() {
        let group = group();
        let old = serde_json::to_string(&group).unwrap();
        let new = serde_json::to_string(&Work::Game(group.clone())).unwrap();
        assert!(!new.contains("checkpoint_keep"), "{new}");
        assert!(new.starts_with(r#"{"kind":"game","#), "{new}");
        assert_eq!(Work::from_json(&old).unwrap(), Work::Game(group.clone()));
        assert_eq!(Work::from_json(&new).unwrap(), Work::Game(group));
    }
    fn group() -> GroupPlan {
        let device =
            DevicePlan { name: "cpu".into(), threads: 1, path: ComputePath::Scalar, precision: Precision::F64 };
        GroupPlan {
            device,
            evaluation_every: 1,
            target_distance: None,
            checkpoint_every: 1,
            checkpoint_keep: CheckpointKeep::default(),
            games: Vec::new(),
            runs: Vec::new(),
        }
    }

    #[test]
    fn a_worker_may_be_given_another_device_of_the_kind() {
        let mut planned = group();
        planned.device.name = "cuda:0".into();
        let frozen = FrozenWork::freeze(Work::Game(planned)).unwrap();
        let mut assignment = Assignment::new(&frozen, "folder".to_owned(), Vec::new());
        assert_eq!(assignment.work().unwrap().device(), ("cuda:0", 1));
        assignment.device = Some("cuda:3".to_owned());
        assert_eq!(assignment.work().unwrap().device(), ("cuda:3", 1));
        // What is recorded names what was planned.
        assert!(assignment.frozen.contains("cuda:0"), "{}", assignment.frozen);
    }

    #[test]
    fn a_recorded_text_goes_to_the_worker_to_the_byte() {
        // As an earlier version wrote it, and as somebody's editor left it: what the lab would write is another text.
        let old = format!(" {}\n", serde_json::to_string(&group()).unwrap());
        let frozen = FrozenWork::read(old.clone()).unwrap();
        let assignment = Assignment::new(&frozen.clone().with_runs(|_| true), "folder".to_owned(), Vec::new());
        assert_eq!((assignment.frozen.as_str(), &assignment.work().unwrap()), (old.as_str(), frozen.work()));
        let new = FrozenWork::freeze(Work::Game(group())).unwrap();
        assert_eq!(FrozenWork::read(new.text().to_owned()).unwrap(), new);
    }

    #[test]
    fn a_plan_of_another_version_is_told_by_its_own_error() {
        let kind = Work::from_json(r#"{"kind":"quiz"}"#).unwrap_err().to_string();
        assert!(kind.contains("unknown variant `quiz`"), "{kind}");
        let none = Work::from_json(r#"{"device":3}"#).unwrap_err().to_string();
        assert!(none.contains("struct DevicePlan"), "{none}");
    }
}

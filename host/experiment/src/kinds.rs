//! What the kinds of experiments have of their own on the way from a cell's TOML to its runs.

use serde::de::DeserializeOwned;
use slhf_plan::settings::Problems;

use crate::config::{ExperimentConfig, SeedsConfig};
use crate::error::ExperimentError;
use crate::language::{self, LanguageExperimentConfig, ResolvedLanguage};
use crate::planned::{PlannedGroup, PlannedRun, TypedValue};
use crate::planner::Planner;
use crate::resolve::Resolved;
use crate::reward_model::{self, ResolvedReward, RewardExperimentConfig};
use crate::{grouping, parameters};

/// What an experiment says of itself: name, question, seeds.
pub(crate) type Heading = (Option<String>, Option<String>, Option<SeedsConfig>);

/// The TOML of a kind of experiments.
pub(crate) trait OfAKind: DeserializeOwned {
    /// A cell with nothing left open.
    type Resolved;

    /// Fills in defaults and finds what the cell names; `problems` are those that were found so far.
    fn resolve(
        &self,
        planner: &mut Planner<'_>,
        problems: Problems,
        label: &str,
    ) -> Result<Self::Resolved, ExperimentError>;

    /// As the record keeps them.
    fn parameters(cell: &Self::Resolved) -> Vec<(String, TypedValue)>;

    /// The runs of all cells, in batch groups.
    fn plan(cells: &[Self::Resolved], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>);

    fn heading(self) -> Heading;
}

macro_rules! of_a_kind {
    ($config:ty, $resolved:ty, $resolve:ident, $parameters:path, $plan:path) => {
        impl OfAKind for $config {
            type Resolved = $resolved;

            fn resolve(
                &self,
                planner: &mut Planner<'_>,
                problems: Problems,
                label: &str,
            ) -> Result<Self::Resolved, ExperimentError> {
                planner.$resolve(self, problems, label)
            }

            fn parameters(cell: &Self::Resolved) -> Vec<(String, TypedValue)> {
                $parameters(cell)
            }

            fn plan(cells: &[Self::Resolved], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
                $plan(cells, seeds)
            }

            fn heading(self) -> Heading {
                (self.name, self.question, self.seeds)
            }
        }
    };
}

of_a_kind!(ExperimentConfig, Resolved, resolve, parameters::parameters, grouping::plan);
of_a_kind!(LanguageExperimentConfig, ResolvedLanguage, resolve_language, language::parameters, language::plan);
of_a_kind!(RewardExperimentConfig, ResolvedReward, resolve_reward, reward_model::parameters, reward_model::plan);

//! Whether a component keeps its promises, whatever language it came from.
//!
//! What the host enforces anyway (range, length, finiteness) is provoked here; what it can only assume (that the same
//! question has the same answer, alone or in company) is tested.

mod baseline;
mod checks;
mod corpus;
mod judged;

use serde::Serialize;
use slhf_plan::PluginPlan;

pub use checks::{Check, Outcome};
pub use corpus::Corpus;

use checks::Checks;

use crate::{
    Host, JudgeError,
    types::{Candidate, Comparison},
    world::World,
};

/// All checks of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The plugin's own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it is for.
    pub world: World,
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether none failed.
    pub fn has_passed(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != Outcome::Failed)
    }
}

/// Runs all checks that a plugin's world has. An error means that it could not even be loaded.
pub fn check(host: &Host, plan: &PluginPlan, corpus: &Corpus) -> Result<Report, JudgeError> {
    let description = host.describe(&plan.name, plan.path.as_ref(), &plan.limits)?;
    let mut checks = Checks::new(&description.manifest, &description.inspection);
    match description.world {
        World::Preference => {
            let preference = host.preference(plan)?;
            let ask = |batch: &[Comparison]| preference.compare(batch);
            let has_answers = judged::check_all(&mut checks, &corpus.comparisons(), &corpus.hard_comparisons(), ask);
            if has_answers {
                let is_claimed = preference.manifest().claims.complementary;
                judged::check_complementarity(&mut checks, &corpus.comparisons(), is_claimed, ask);
            }
        }
        World::Reward => {
            let reward = host.reward(plan)?;
            let ask = |batch: &[Candidate]| reward.score(batch);
            judged::check_all(&mut checks, &corpus.candidates(), &corpus.hard_candidates(), ask);
        }
        World::Baseline => baseline::check_all(&mut checks, &host.baseline(plan)?),
    }
    Ok(Report {
        name: description.manifest.name,
        version: description.manifest.version,
        world: description.world,
        checks: checks.done,
    })
}

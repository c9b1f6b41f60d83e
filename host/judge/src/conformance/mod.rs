//! Whether a component keeps its promises, whatever language it came from.
//!
//! What the host enforces anyway (range, length, finiteness) is provoked here; what it can only assume (that the same
//! question has the same answer, alone or in company) is tested.

mod baseline;
mod corpus;
mod judged;

use serde::Serialize;
use slhf_plan::PluginPlan;

pub use corpus::Corpus;

use crate::{
    Host, JudgeError,
    inspect::{Inspection, World},
    manifest::Manifest,
    types::{Candidate, Comparison},
};

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it must be.
    Passed,
    /// Not as it must be.
    Failed,
    /// A finding that is neither right nor wrong.
    Reported,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name: one or two words.
    pub name: &'static str,
    /// What it found.
    pub outcome: Outcome,
    /// In one sentence.
    pub detail: String,
}

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

/// The checks done so far.
pub(crate) struct Checks {
    done: Vec<Check>,
}

impl Checks {
    /// The two checks that loading is: who got here has passed them.
    fn new(manifest: &Manifest, inspection: &Inspection) -> Self {
        let mut checks = Self { done: Vec::new() };
        let version = inspection.wit_version.as_deref().unwrap_or("?");
        let said = format!("{} {}: {}", manifest.name, manifest.version, crate::log::harmless(&manifest.measures));
        checks.add("manifest", Ok(format!("{said} (slhf:lab@{version})")));
        let imports = if inspection.imports.is_empty() { "nothing".to_owned() } else { inspection.imports.join(", ") };
        checks.add("imports", Ok(imports));
        checks
    }

    fn add(&mut self, name: &'static str, found: Result<String, String>) {
        let (outcome, detail) = match found {
            Ok(detail) => (Outcome::Passed, detail),
            Err(detail) => (Outcome::Failed, detail),
        };
        self.done.push(Check { name, outcome, detail });
    }

    fn report(&mut self, name: &'static str, detail: String) {
        self.done.push(Check { name, outcome: Outcome::Reported, detail });
    }
}

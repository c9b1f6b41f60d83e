//! What the checks of a plugin found.

use serde::Serialize;

use crate::{inspect::Inspection, manifest::Manifest};

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

/// The checks done so far.
pub(crate) struct Checks {
    pub(super) done: Vec<Check>,
}

impl Checks {
    /// The two checks that loading is: who got here has passed them.
    pub(super) fn new(manifest: &Manifest, inspection: &Inspection) -> Self {
        let mut checks = Self { done: Vec::new() };
        let version = inspection.wit_version.as_deref().unwrap_or("?");
        let said = format!("{} {}: {}", manifest.name, manifest.version, crate::log::harmless(&manifest.measures));
        checks.add("manifest", Ok(format!("{said} (slhf:lab@{version})")));
        let imports = if inspection.imports.is_empty() { "nothing".to_owned() } else { inspection.imports.join(", ") };
        checks.add("imports", Ok(imports));
        checks
    }

    pub(super) fn add(&mut self, name: &'static str, found: Result<String, String>) {
        let (outcome, detail) = match found {
            Ok(detail) => (Outcome::Passed, detail),
            Err(detail) => (Outcome::Failed, detail),
        };
        self.done.push(Check { name, outcome, detail });
    }

    pub(super) fn report(&mut self, name: &'static str, detail: String) {
        self.done.push(Check { name, outcome: Outcome::Reported, detail });
    }
}

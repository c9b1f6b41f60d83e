//! The runs of an experiment on language models, and the hash of what each computes.

use serde_json::json;
use slhf_plan::{LanguagePlan, Work};

use super::estimate;
use super::resolved::ResolvedLanguage;
use crate::grouping::forget_paths;
use crate::planned::{PlannedGroup, PlannedRun};

/// Raised when what the hash covers changes, or what it computes: docs/what-changed.md says what.
const HASH_VERSION: u32 = 2;

/// The runs, cell by cell: each is a group of its own, because each is one worker.
pub(crate) fn plan(cells: &[ResolvedLanguage], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    let mut runs = Vec::with_capacity(cells.len() * seeds.len());
    let mut groups = Vec::with_capacity(cells.len() * seeds.len());
    for (index, cell) in cells.iter().enumerate() {
        for &seed in seeds {
            let mut plan = cell.plan.clone();
            plan.run = i64::try_from(runs.len()).unwrap_or(i64::MAX);
            plan.seed = seed;
            let content_hash = content_hash(&plan);
            let estimated_seconds = estimate::seconds(&plan, cell.parameters);
            groups.push(PlannedGroup {
                runs: vec![runs.len()],
                template: Work::LanguageModel(Box::new(plan)),
                estimated_seconds,
            });
            runs.push(PlannedRun { cell: index, seed, group: groups.len() - 1, content_hash });
        }
    }
    (runs, groups)
}

/// SHA-256 over everything that influences the run's numbers.
///
/// Paths are left out (the hashes of plugins, model and data are in), and so is how often checkpoints are written and kept and
/// completions recorded, and which comparisons are asked about: none changes bits.
fn content_hash(plan: &LanguagePlan) -> String {
    let mut content = json!({ "version": HASH_VERSION, "language_model": plan });
    if let Some(plan) = content["language_model"].as_object_mut() {
        for key in ["run", "checkpoint_every", "checkpoint_keep", "log_completions_every"] {
            plan.remove(key);
        }
    }
    if let Some(model) = content["language_model"]["model"].as_object_mut() {
        model.remove("name");
    }
    if let Some(evaluation) = content["language_model"]["evaluation"].as_object_mut() {
        evaluation.remove("family");
    }
    forget_paths(&mut content);
    slhf_files::sha256_hex(content.to_string().as_bytes())
}

//! The runs of an experiment on language models, and what the hash of each covers.

use slhf_plan::{Division, LanguagePlan, Work};

use super::estimate;
use super::resolved::ResolvedLanguage;
use crate::alone::{self, Alone, Hashed};
use crate::planned::{PlannedGroup, PlannedRun};

/// How often checkpoints are written and kept and completions recorded, how many processes compute a run to the bits of one, how patiently a sampler is
/// asked and who pays, what the model is called, which comparisons are asked about and when enough is known of them change no bits. Version:
/// docs/what-changed.md says what.
fn content_hash(plan: &LanguagePlan) -> String {
    let mut left_out: Vec<&[&str]> = vec![
        &["run"],
        &["checkpoint_every"],
        &["checkpoint_keep"],
        &["log_completions_every"],
        &["device", "process_timeout_s"],
        &["device", "sampler", "key_env"],
        &["device", "sampler", "concurrency"],
        &["device", "sampler", "timeout_ms"],
        &["device", "sampler", "retries"],
        &["device", "sampler", "budget_tokens"],
        &["device", "sampler", "folder_on_server"],
        &["model", "name"],
        &["evaluation", "family"],
        &["evaluation", "stop_at"],
    ];
    match plan.division() {
        Division::BitsOfOne => left_out.push(&["device", "processes"]),
        Division::Sharded => {}
    }
    Hashed { version: 4, name: "language_model", left_out: &left_out }.hash(plan)
}

/// The runs, cell by cell.
pub(crate) fn plan(cells: &[ResolvedLanguage], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    alone::plan(cells, seeds, |cell, run, seed| {
        let plan = LanguagePlan { run, seed, ..cell.plan.clone() };
        Alone {
            content_hash: content_hash(&plan),
            estimated_seconds: estimate::seconds(&plan, cell.parameters),
            sizes: cell.sizes,
            work: Work::LanguageModel(Box::new(plan)),
        }
    })
}

//! The cell's part of the key of its evaluations' random streams.

use std::num::NonZeroU32;

use serde_json::json;
use slhf_plan::LanguagePlan;

use crate::grouping::forget_paths;

/// From what decides the cell's policies and how they are sampled, by content: a cell has the same stream alone and among
/// others, wherever its files lie. Seeds, judges, measures and rounds of evaluations, devices and cadences are left out, so that runs
/// that differ in these alone answer alike.
pub(super) fn of(plan: &LanguagePlan) -> NonZeroU32 {
    let mut content = json!({
        "model": plan.model,
        "data": plan.data,
        "judge": plan.judge,
        "method": plan.method,
        "schedule": plan.schedule,
        "sampling": plan.evaluation.sampling,
    });
    if let Some(model) = content["model"].as_object_mut() {
        model.remove("name");
        // How weights lie in memory is no part of what a policy is.
        model.remove("weights");
    }
    forget_paths(&mut content);
    let digest = slhf_files::sha256_hex(content.to_string().as_bytes());
    // 0 is the key of plans without one.
    let number = u32::from_str_radix(&digest[..8], 16).unwrap_or_default();
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

//! What the record keeps of a resolved cell: every hyper-parameter under the key that the TOML gives it.

use serde_json::Value as Json;

use super::resolved::ResolvedReward;
use crate::model_parameters::{fields, model_and_data, with_optimizer};
use crate::parameters::{flatten, to_json};
use crate::planned::TypedValue;

/// All parameters, sorted by key.
pub(crate) fn parameters(cell: &ResolvedReward) -> Vec<(String, TypedValue)> {
    let plan = &cell.plan;
    let mut found = Vec::new();
    model_and_data(&plan.model, &plan.data, ("pairs", &cell.data_name), &mut found);
    let mut put = |key: &str, value: &Json| flatten(key, value, &mut found);
    put("head", &to_json(&plan.head));
    let mut training = with_optimizer(fields(&plan.training));
    for key in ["learning_rate", "warmup_steps"] {
        if let Some(value) = training.remove(key) {
            put(&format!("schedule.{key}"), &value);
        }
    }
    put("training", &Json::Object(training));
    put("device", &to_json(&plan.device));
    put("evaluation.every", &Json::from(plan.evaluation_every));
    put("checkpoint.every", &Json::from(plan.checkpoint_every));
    put("checkpoint.keep", &to_json(&plan.checkpoint_keep));
    put("save", &to_json(&plan.save));
    found.sort_by(|first, second| first.0.cmp(&second.0));
    found
}

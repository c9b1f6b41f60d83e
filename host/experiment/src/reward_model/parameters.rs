//! What the record keeps of a resolved cell: every hyper-parameter under the key that the TOML gives it.

use serde_json::{Map, Value as Json};

use super::resolved::ResolvedReward;
use crate::parameters::{flatten, to_json};
use crate::planned::TypedValue;

/// All parameters, sorted by key.
pub(crate) fn parameters(cell: &ResolvedReward) -> Vec<(String, TypedValue)> {
    let plan = &cell.plan;
    let mut found = Vec::new();
    let mut put = |key: &str, value: &Json| flatten(key, value, &mut found);
    let mut model = fields(&plan.model);
    model.remove("name");
    model.insert("path".to_owned(), Json::from(plan.model.name.as_str()));
    put("model", &Json::Object(model));
    let mut data = fields(&plan.data);
    data.remove("path");
    data.insert("pairs".to_owned(), Json::from(cell.data_name.as_str()));
    put("data", &Json::Object(data));
    put("head", &to_json(&plan.head));
    let mut training = fields(&plan.training);
    if let Some(Json::Object(mut optimizer)) = training.remove("optimizer") {
        let kind = optimizer.remove("kind").unwrap_or_default();
        training.insert("optimizer".to_owned(), kind);
        training.extend(optimizer);
    }
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

fn fields(value: &impl serde::Serialize) -> Map<String, Json> {
    match to_json(value) {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

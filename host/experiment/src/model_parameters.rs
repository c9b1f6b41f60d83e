//! What the record keeps of cells that train a model: what the kinds of them have in common.

use serde_json::{Map, Value as Json};
use slhf_plan::ModelPlan;

use crate::parameters::{flatten, to_json};
use crate::planned::TypedValue;

/// Puts the model and the data, whose file the experiment names as `named` at `key`.
pub(crate) fn model_and_data(
    model: &ModelPlan,
    data: &impl serde::Serialize,
    (key, named): (&str, &str),
    found: &mut Vec<(String, TypedValue)>,
) {
    let mut of_model = fields(model);
    of_model.remove("name");
    of_model.insert("path".to_owned(), Json::from(model.name.as_str()));
    flatten("model", &Json::Object(of_model), found);
    let mut of_data = fields(data);
    of_data.remove("path");
    of_data.insert(key.to_owned(), Json::from(named));
    flatten("data", &Json::Object(of_data), found);
}

/// A structure's fields.
pub(crate) fn fields(value: &impl serde::Serialize) -> Map<String, Json> {
    match to_json(value) {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The optimizer's settings beside the others, as the TOML has them.
pub(crate) fn with_optimizer(mut fields: Map<String, Json>) -> Map<String, Json> {
    if let Some(Json::Object(mut optimizer)) = fields.remove("optimizer") {
        let kind = optimizer.remove("kind").unwrap_or_default();
        fields.insert("optimizer".to_owned(), kind);
        fields.extend(optimizer);
    }
    fields
}

//! What the record keeps of a resolved cell: every hyper-parameter under the key that the TOML gives it.

use serde_json::{Map, Value as Json};
use slhf_plan::{LanguageMethod, LanguagePlan};

use super::resolved::ResolvedLanguage;
use crate::grouping::forget_paths;
use crate::model_parameters::{fields, model_and_data, with_optimizer};
use crate::parameters::{flatten, plugin, to_json};
use crate::planned::TypedValue;

/// All parameters, sorted by key.
pub(crate) fn parameters(cell: &ResolvedLanguage) -> Vec<(String, TypedValue)> {
    let plan = &cell.plan;
    let mut found = Vec::new();
    let key = if plan.data.layout.preferences().is_some() { "pairs" } else { "prompts" };
    model_and_data(&plan.model, &data(plan), (key, &cell.data_name), &mut found);
    let mut put = |key: &str, value: &Json| flatten(key, value, &mut found);
    put("method", &Json::Object(method(&plan.method)));
    put("schedule", &Json::Object(schedule(cell)));
    put("device", &to_json(&plan.device));
    let mut evaluation = Json::Object(hoisted(fields(&plan.evaluation), "sampling"));
    forget_paths(&mut evaluation);
    put("evaluation", &evaluation);
    if let Some(answers) = &plan.answers {
        let mut fields = fields(answers);
        if let Some(given) = fields.remove("given") {
            put("data.answers", &given);
        }
        put("answers", &Json::Object(fields));
    }
    put("checkpoint.every", &Json::from(plan.checkpoint_every));
    put("checkpoint.keep", &to_json(&plan.checkpoint_keep));
    put("log_completions_every", &Json::from(plan.log_completions_every));
    if let Some(judge) = &plan.judge {
        plugin("judge", &judge.plugin, false, &mut found);
        flatten("judge.on_failure", &to_json(&judge.on_failure), &mut found);
    }
    found.sort_by(|first, second| first.0.cmp(&second.0));
    found
}

/// The fields of the data, those of pairs among them as the TOML has them.
fn data(plan: &LanguagePlan) -> Json {
    let mut fields = fields(&plan.data);
    if let Some(Json::Object(mut of_pairs)) = fields.remove("layout").filter(Json::is_object) {
        fields.insert("layout".to_owned(), of_pairs.remove("pairs").unwrap_or_default());
        fields.extend(of_pairs);
    } else {
        fields.insert("layout".to_owned(), to_json(&plan.data.layout));
    }
    Json::Object(fields)
}

/// Fields of an inner table as fields of the outer one.
fn hoisted(mut fields: Map<String, Json>, key: &str) -> Map<String, Json> {
    if let Some(Json::Object(inner)) = fields.remove(key) {
        fields.extend(inner);
    }
    fields
}

fn method(method: &LanguageMethod) -> Map<String, Json> {
    let mut fields = with_optimizer(hoisted(fields(method), "sampling"));
    for key in method.unused_keys() {
        fields.remove(key);
    }
    for place in ["/score_baseline/plugin", "/reward"] {
        let mut whole = Json::Object(std::mem::take(&mut fields));
        if let Some(plugin) = whole.pointer_mut(place) {
            without_paths(plugin);
        }
        if let Json::Object(rest) = whole {
            fields = rest;
        }
    }
    fields
}

/// Where a plugin, those that it wraps and their models lie is this machine's business.
fn without_paths(plugin: &mut Json) {
    let Some(fields) = plugin.as_object_mut() else { return };
    fields.remove("path");
    for model in fields.get_mut("models").and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let Some(device) = model.get_mut("device").and_then(Json::as_object_mut) else { continue };
        device.remove("path");
        if let Some(adapter) = device.get_mut("adapter").and_then(Json::as_object_mut) {
            adapter.remove("path");
        }
    }
    if let Some(upstream) = fields.get_mut("upstream") {
        without_paths(upstream);
    }
}

fn schedule(cell: &ResolvedLanguage) -> Map<String, Json> {
    let plan = &cell.plan;
    let mut fields = fields(&plan.schedule);
    let has_two_speeds = plan.method.has_two_speeds();
    if !plan.method.is_trained() {
        return Map::new();
    }
    if !has_two_speeds {
        fields.remove("realisation");
    }
    if !has_two_speeds || plan.schedule.follower_learning_rate.is_some() {
        fields.remove("kappa");
    }
    fields
}

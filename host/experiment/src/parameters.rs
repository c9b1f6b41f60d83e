//! What the record keeps of a resolved cell: every hyper-parameter as a typed value under a dotted key.

use serde_json::Value as Json;
use slhf_plan::PluginPlan;

use crate::planned::TypedValue;
use crate::resolve::Resolved;

/// Lists whose JSON is longer are kept as their hash: a matrix of a thousand actions is no parameter to look at.
const TEXT_BYTES_MAX: usize = 1024;

/// All parameters, sorted by key.
pub(crate) fn parameters(cell: &Resolved) -> Vec<(String, TypedValue)> {
    let mut found = Vec::new();
    let mut put = |key: &str, value: &Json| flatten(key, value, &mut found);
    put("game.actions", &Json::from(cell.game.actions.len()));
    if let Some((file, sha256)) = &cell.data {
        put("game.file", &Json::from(file.as_str()));
        put("game.file_sha256", &Json::from(sha256.as_str()));
    }
    for (group, weight) in &cell.group_weights {
        put(&format!("game.weights.{group}"), &Json::from(*weight));
    }
    if !cell.game.prompt.is_empty() {
        put("game.prompt", &Json::from(cell.game.prompt.as_str()));
    }
    put("game.reference_leader", &reference(&[&cell.game.reference_leader]));
    let rows: Vec<&Vec<f64>> = cell.game.reference_follower.iter().collect();
    put("game.reference_follower", &reference(&rows));
    put("game", &to_json(&cell.temperatures));
    put("method", &method(cell));
    put("schedule", &schedule(cell));
    put("device", &to_json(&cell.device));
    put("evaluation.every", &Json::from(cell.evaluation_every));
    put("evaluation.target_distance", &cell.target_distance.map_or(Json::Null, Json::from));
    put("checkpoint.every", &Json::from(cell.checkpoint_every));
    put("checkpoint.keep", &to_json(&cell.checkpoint_keep));
    let judge = &cell.game.judge;
    plugin("judge", &judge.plugin, cell.judge_is_implied, &mut found);
    flatten("judge.on_failure", &to_json(&judge.on_failure), &mut found);
    found.sort_by(|first, second| first.0.cmp(&second.0));
    found
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// `"uniform"`, or the numbers.
fn reference(rows: &[&Vec<f64>]) -> Json {
    let is_uniform = rows.iter().all(|row| row.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()));
    match rows {
        _ if is_uniform => Json::from("uniform"),
        [row] => to_json(row),
        _ => to_json(&rows),
    }
}

fn method(cell: &Resolved) -> Json {
    let mut json = to_json(&cell.method);
    if let Json::Object(fields) = &mut json {
        fields.insert("parameters".to_owned(), Json::from("separate"));
        for unused in cell.method.unused_keys() {
            fields.remove(unused);
        }
        if let Some(Json::Object(baseline)) = fields.get_mut("score_baseline")
            && let Some(Json::Object(plugin)) = baseline.get_mut("plugin")
        {
            plugin.remove("path");
        }
    }
    json
}

fn schedule(cell: &Resolved) -> Json {
    if !cell.method.is_trained() {
        return Json::Null;
    }
    let mut json = to_json(&cell.schedule);
    if let Json::Object(fields) = &mut json {
        let has_follower = cell.method.has_follower();
        if !has_follower {
            fields.remove("realisation");
        }
        if !has_follower || cell.schedule.follower_learning_rate.is_some() {
            fields.remove("kappa");
        }
    }
    json
}

pub(super) fn plugin(key: &str, plan: &PluginPlan, is_implied: bool, found: &mut Vec<(String, TypedValue)>) {
    flatten(&format!("{key}.plugin"), &Json::from(plan.name.as_str()), found);
    flatten(&format!("{key}.sha256"), &Json::from(plan.sha256.as_str()), found);
    flatten(&format!("{key}.limits"), &to_json(&plan.limits), found);
    if is_implied {
        flatten(&format!("{key}.parameters.preferences"), &plan.parameters["preferences"], found);
    } else {
        flatten(&format!("{key}.parameters"), &plan.parameters, found);
    }
    if let Some(upstream) = &plan.upstream {
        plugin(&format!("{key}.upstream"), upstream, false, found);
    }
}

pub(super) fn flatten(key: &str, value: &Json, found: &mut Vec<(String, TypedValue)>) {
    let typed = match value {
        Json::Null => return,
        Json::Bool(flag) => TypedValue::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => TypedValue::Integer(whole),
            None => TypedValue::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => TypedValue::Text(short_or_hash(text.clone())),
        Json::Array(_) => TypedValue::Text(list(value)),
        Json::Object(fields) => {
            for (name, inner) in fields {
                flatten(&format!("{key}.{name}"), inner, found);
            }
            return;
        }
    };
    found.push((key.to_owned(), typed));
}

fn list(value: &Json) -> String {
    short_or_hash(value.to_string())
}

fn short_or_hash(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX { text } else { format!("sha256:{}", slhf_files::sha256_hex(text.as_bytes())) }
}

//! Unknown keys, found by walking the JSON Schema of a type beside a TOML tree, with the key that was probably meant.

use serde_json::Value as Json;
use toml::{Table, Value};

/// Names that users of other tools know, and what they are here.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("follower_weight", "it is schedule.kappa here (follower_weight is the name of a recorded metric)"),
    ("leader_update_frequency", "it is schedule.realisation = \"updates_per_leader_update\" here, with schedule.kappa"),
    ("separate_follower_model", "it is method.parameters = \"shared\" or \"separate\" here"),
    ("lr_scheduler_type", "it is schedule.learning_rate.kind here"),
    ("learning_rate", "it is schedule.learning_rate here"),
    ("lr", "it is schedule.learning_rate here"),
    ("max_steps", "it is method.steps here"),
    ("rloo_baseline", "it is method.score_baseline = { kind = \"leave_one_out\" } here"),
    ("seed", "it is seeds = [...] here"),
    ("eval_steps", "it is evaluation.every here"),
    ("save_steps", "it is checkpoint.every here"),
];

/// Likewise, where a game is trained.
const GAME_NAMES: [(&str, &str); 8] = [
    (
        "beta",
        "on a game it is game.tau_leader (tau_nash for nash-md, online-ipo, inpo, mnpo, egpo and omwu, tau_rlhf for rlhf, rloo, grpo and \
         online-dpo)",
    ),
    ("loss_type", "a response of a game is one token long, so there is no length to divide by"),
    ("max_new_tokens", "a response of a game is one of its actions"),
    ("instruction", "on a game the Follower's reference says how responses are improved: game.reference_follower"),
    ("n", "it is method.num_generations here"),
    ("follower_beta", "on a game it is game.tau_follower"),
    ("model", "it belongs to kind = \"language-model\""),
    ("data", "it belongs to kind = \"language-model\"; a game has game.file"),
];

/// Likewise, where a language model is trained.
const LANGUAGE_NAMES: [(&str, &str); 26] = [
    ("game", "a finite game belongs to kind = \"game\""),
    ("beta", "it is method.beta here"),
    ("follower_beta", "it is method.follower_beta here"),
    ("kl_coef", "it is method.beta here"),
    ("lora_rank", "it is model.adapter.lora_r here"),
    ("r", "it is model.adapter.lora_r here"),
    ("lora_r", "it is model.adapter.lora_r here"),
    ("lora_alpha", "it is model.adapter.lora_alpha here"),
    ("lora_dropout", "it is model.adapter.lora_dropout here"),
    ("lora_target_modules", "it is model.adapter.lora_target_modules here"),
    ("target_modules", "it is model.adapter.lora_target_modules here"),
    ("model_name_or_path", "it is model.path here"),
    ("gradient_checkpointing", "it is model.activation_checkpointing here"),
    ("dataset_name", "it is data.prompts here"),
    ("max_prompt_length", "it is data.max_prompt_tokens here"),
    ("max_completion_length", "it is method.max_new_tokens here"),
    ("response_length", "it is method.max_new_tokens here"),
    ("follower_prompt", "it is method.instruction here"),
    ("rloo_k", "it is method.num_generations here"),
    ("per_device_train_batch_size", "it is method.micro_batch_size here, beside method.prompts_per_step"),
    (
        "gradient_accumulation_steps",
        "a step's prompts_per_step × num_generations rows are passed micro_batch_size at a time and accumulated",
    ),
    ("num_train_epochs", "it is method.steps here"),
    ("warmup_ratio", "it is schedule.warmup_steps here"),
    ("bf16", "it is device.precision = \"bf16\" here"),
    ("logging_steps", "every step is recorded"),
    ("gradient", "it is method.kl_gradient here; on a language model gradients are always sampled"),
];

/// A key that the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownKey {
    /// Dotted.
    pub(crate) key: String,
    /// What is wrong and what was probably meant.
    pub(crate) problem: String,
}

/// Every key of `table` that `schema` does not have, in the document's order.
pub(crate) fn unknown_keys(schema: &Json, table: &Table) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    walk(schema, schema, table, "", &mut found);
    found
}

/// Whether the schema has this dotted key; if not, what was probably meant.
pub(crate) fn find(schema: &Json, key: &str) -> Option<UnknownKey> {
    let mut nodes = vec![schema];
    let mut path = String::new();
    for part in key.split('.').map(str::trim) {
        let alternatives: Vec<&Json> = nodes.iter().flat_map(|node| alternatives(schema, node)).collect();
        if alternatives.iter().any(|node| is_free(node)) {
            return None;
        }
        let next: Vec<&Json> = alternatives.iter().filter_map(|node| node.get("properties")?.get(part)).collect();
        if next.is_empty() {
            let names: Vec<&str> = alternatives.iter().flat_map(|node| names(node)).collect();
            return Some(unknown(schema, &path, part, &names));
        }
        path = join(&path, part);
        nodes = next;
    }
    None
}

fn walk(root: &Json, node: &Json, table: &Table, path: &str, found: &mut Vec<UnknownKey>) {
    walk_any(root, &[node], table, path, found);
}

/// A table that several schemas may describe: a key is known that one of them has.
fn walk_any(root: &Json, several: &[&Json], table: &Table, path: &str, found: &mut Vec<UnknownKey>) {
    let kind = table.get("kind").and_then(Value::as_str);
    let mut nodes: Vec<&Json> = several.iter().flat_map(|node| alternatives(root, node)).collect();
    if nodes.iter().any(|node| is_free(node)) {
        return;
    }
    // A part of an axis may leave its kind to the table that it is merged into: then any kind's fields may stand here.
    let kind_of = |node: &Json| node.pointer("/properties/kind/const").and_then(Json::as_str).map(str::to_owned);
    if kind.is_some() && nodes.iter().any(|node| kind_of(node).as_deref() == kind) {
        nodes.retain(|node| kind_of(node).is_none_or(|of_node| Some(of_node.as_str()) == kind));
    }
    let known: Vec<&str> = nodes.iter().flat_map(|node| names(node)).collect();
    for (key, value) in table {
        if !known.contains(&key.as_str()) {
            found.push(unknown(root, path, key, &known));
            continue;
        }
        let below: Vec<&Json> = nodes.iter().filter_map(|node| node.get("properties")?.get(key)).collect();
        let path = join(path, key);
        match value {
            Value::Table(inner) => walk_any(root, &below, inner, &path, found),
            Value::Array(values) => {
                let all = below.iter().flat_map(|node| alternatives(root, node));
                let items: Vec<&Json> = all.filter_map(|node| node.get("items")).collect();
                let tables = values.iter().enumerate().filter_map(|(index, value)| Some((index, value.as_table()?)));
                for (index, inner) in tables.filter(|_| !items.is_empty()) {
                    walk_any(root, &items, inner, &format!("{path}[{index}]"), found);
                }
            }
            _ => {}
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The schemas that a node may mean: references followed, alternatives spread out.
fn alternatives<'a>(root: &'a Json, node: &'a Json) -> Vec<&'a Json> {
    if let Some(reference) = node.get("$ref").and_then(Json::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or_else(Vec::new, |target| alternatives(root, target));
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(nodes) = node.get(several).and_then(Json::as_array) {
            return nodes.iter().flat_map(|node| alternatives(root, node)).collect();
        }
    }
    vec![node]
}

/// Whether any key may stand here: parameters of plugins, attributes of actions.
fn is_free(node: &Json) -> bool {
    node.as_bool() == Some(true)
        || (node.get("properties").is_none() && node.get("additionalProperties").is_some_and(|other| other != false))
}

fn names(node: &Json) -> Vec<&str> {
    let properties = node.get("properties").and_then(Json::as_object);
    properties.map_or_else(Vec::new, |properties| properties.keys().map(String::as_str).collect())
}

fn unknown(root: &Json, path: &str, key: &str, known: &[&str]) -> UnknownKey {
    let full = join(path, key);
    let is_language = root.pointer("/properties/model").is_some();
    let of_kind: &[(&str, &str)] = if is_language { &LANGUAGE_NAMES } else { &GAME_NAMES };
    let problem = if let Some((_, hint)) = OTHER_NAMES.iter().chain(of_kind).find(|(name, _)| *name == key) {
        format!("there is no such key; {hint}")
    } else if let Some(near) = slhf_words::nearest(key, known.iter().copied()) {
        format!("there is no such key; did you mean {}?", join(path, near))
    } else if let Some(elsewhere) = elsewhere(root, key) {
        format!("there is no such key; did you mean {elsewhere}?")
    } else {
        let mut known = known.to_vec();
        known.sort_unstable();
        known.dedup();
        format!("there is no such key; known here: {}", slhf_words::known(key, known))
    };
    UnknownKey { key: full, problem }
}

/// A key of this very name one level down: `tau_leader` at the top is `game.tau_leader`.
fn elsewhere(root: &Json, key: &str) -> Option<String> {
    let top = root.get("properties")?.as_object()?;
    top.iter().find_map(|(table, node)| {
        let has = alternatives(root, node).iter().any(|node| names(node).contains(&key));
        has.then(|| join(table, key))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExperimentConfig;

    fn schema() -> Json {
        schemars::schema_for!(ExperimentConfig).to_value()
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let found = unknown_keys(&schema(), &toml::from_str(text).unwrap()).into_iter().next();
        let found = found.map(|unknown| (unknown.key, unknown.problem));
        let expected = expected.map(|(key, problem)| (key.to_owned(), format!("there is no such key; {problem}")));
        assert_eq!(found, expected);
    }

    #[test]
    fn known_keys_pass_at_every_depth() {
        check("kind = 'game'\n[method]\nname = 'rlhf'\npairs = {kind = 'weights', weights = []}", None);
        check("[schedule]\nkappa = {kind = 'power', start = 1, exponent = 0.5}\nlearning_rate = 0.5", None);
        check("[judge]\nplugin = 'a'\nparameters = {anything = {goes = 1}}\n[judge.upstream]\nplugin = 'b'", None);
        check("[game]\nactions = [{name = 'a', attributes = {taste = 1}}, 'b']", None);
    }

    #[test]
    fn the_nearest_key_is_suggested() {
        check("[method]\nstep = 5", Some(("method.step", "did you mean method.steps?")));
        check("tau_leader = 0.1", Some(("tau_leader", "did you mean game.tau_leader?")));
        check(
            "[schedule.kappa]\nkind = 'constant'\nvalu = 1",
            Some(("schedule.kappa.valu", "did you mean schedule.kappa.value?")),
        );
        check("[[ablation]]\nkeys = 'a'\nvalues = []", Some(("ablation[0].keys", "did you mean ablation[0].key?")));
        check(
            "[judge]\nplugin = 'a'\nlimits = {memory_mb = 1}",
            Some(("judge.limits.memory_mb", "did you mean judge.limits.memory_mib?")),
        );
    }

    #[test]
    fn a_part_of_a_curve_may_leave_its_kind_to_the_rest() {
        check("[schedule]\nkappa = {value = 5}", None);
        check("[schedule]\nkappa = {valve = 5}", Some(("schedule.kappa.valve", "did you mean schedule.kappa.value?")));
    }

    #[test]
    fn a_curve_has_the_fields_of_its_kind_only() {
        let expected = "known here: kind, value";
        check("[schedule.kappa]\nkind = 'constant'\nexponent = 1", Some(("schedule.kappa.exponent", expected)));
    }

    #[test]
    fn names_of_the_paper_and_of_trainers_are_told_their_place() {
        check(
            "[method]\nfollower_weight = 5",
            Some((
                "method.follower_weight",
                "it is schedule.kappa here (follower_weight is the name of a recorded metric)",
            )),
        );
        check(
            "[method]\nseparate_follower_model = true",
            Some(("method.separate_follower_model", "it is method.parameters = \"shared\" or \"separate\" here")),
        );
        check(
            "[schedule]\nlr_scheduler_type = 'x'",
            Some(("schedule.lr_scheduler_type", "it is schedule.learning_rate.kind here")),
        );
    }

    #[test]
    fn names_of_trainers_are_told_their_place_on_a_language_model() {
        let schema = schemars::schema_for!(crate::language::LanguageExperimentConfig).to_value();
        for (text, key, problem) in [
            ("[method]\nlora_rank = 8", "method.lora_rank", "it is model.adapter.lora_r here"),
            ("[method]\nlearning_rate = 1", "method.learning_rate", "it is schedule.learning_rate here"),
            ("[data]\nprompt = 'a'", "data.prompt", "did you mean data.prompts?"),
            ("[model]\nadapter = {lora_alfa = 1}", "model.adapter.lora_alfa", "did you mean model.adapter.lora_alpha?"),
            ("[game]\nactions = []", "game", "a finite game belongs to kind = \"game\""),
        ] {
            let unknown = unknown_keys(&schema, &toml::from_str(text).unwrap()).remove(0);
            assert_eq!((unknown.key.as_str(), unknown.problem), (key, format!("there is no such key; {problem}")));
        }
    }

    #[test]
    fn dotted_keys_are_found_or_corrected() {
        let schema = schema();
        for key in ["schedule.kappa.value", "schedule.kappa", "judge.parameters.x.y", "method.initial.logit_scale"] {
            assert_eq!(find(&schema, key), None, "{key}");
        }
        let unknown = find(&schema, "schedule.kappa.valeu").unwrap();
        assert_eq!(unknown.problem, "there is no such key; did you mean schedule.kappa.value?");
    }
}

//! Facts of a configuration that stand in one place or in two: what the reference libraries make of them
//! (`tests/fixtures/make_places.py`).

use std::path::Path;

use serde_json::Value;
use slhf_plan::ModelPrecision;
use slhf_policy::{Engine, Player, ReadWeights as _, StoredModel};

use crate::support::{assert_close, fixture, row, sampling, settings};

fn table() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("places.json")).unwrap()).unwrap()
}

fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

fn loaded(model: &Path) -> Engine {
    let mut model = StoredModel::open(model).unwrap();
    let config = model.config().clone();
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    Engine::load(config, settings(None, &[]), &mut |name| weights.take(name)).unwrap()
}

/// log p of each of these tokens but the first, after those before it.
fn scored(model: &Path, tokens: &[u32]) -> Vec<f64> {
    let mut engine = loaded(model);
    let answer = tokens.split_at(1);
    // Beside a short one: what a text is turned by depends on no other text.
    let short = tokens[..5].split_at(1);
    let mut found = engine.log_probabilities(Player::Leader, &[answer, short]).unwrap();
    let alone = engine.log_probabilities(Player::Leader, &[short]).unwrap();
    assert_close(&found[1], &alone[0], 1e-5, "beside a longer text");
    found.remove(0)
}

#[test]
fn config_json_means_what_transformers_makes_of_it() {
    let table = table();
    let tokens: Vec<u32> = list(&table["tokens"]);
    let rows = table["folders"].as_array().unwrap();
    assert!(rows.len() > 50);
    for row in rows {
        let base = row["base"].as_str().unwrap();
        let folder = changed(base, &row["set"]);
        let expected: Vec<f64> = list(&row["next_log_probabilities"]);
        assert_close(&scored(folder.path(), &tokens), &expected, 2e-4, &format!("{base} with {}", row["set"]));
    }
}

/// A metadata entry as a GGUF file has it.
fn entry(key: &str, kind: &str, value: &Value) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let scalar = |value: &Value| match (kind, value) {
        ("u32", Value::Number(number)) => (number.as_u64().unwrap() as u32).to_le_bytes().to_vec(),
        ("f32", Value::Number(number)) => (number.as_f64().unwrap() as f32).to_le_bytes().to_vec(),
        ("bool", flag) => vec![u8::from(flag.as_bool().unwrap())],
        (_, string) => text(string.as_str().unwrap()),
    };
    let number: u32 = match kind {
        "u32" => 4,
        "f32" => 6,
        "bool" => 7,
        _ => 8,
    };
    let value = match value {
        Value::Array(list) => {
            let head = [&9_u32.to_le_bytes()[..], &number.to_le_bytes(), &(list.len() as u64).to_le_bytes()].concat();
            [head, list.iter().flat_map(scalar).collect()].concat()
        }
        one => [number.to_le_bytes().to_vec(), scalar(one)].concat(),
    };
    [text(key), value].concat()
}

/// The file with further metadata. An entry that fills up keeps the weights where they are aligned.
fn with_metadata(file: &[u8], metadata: &[(String, String, Value)]) -> Vec<u8> {
    let mut more: Vec<u8> = metadata.iter().flat_map(|(key, kind, value)| entry(key, kind, value)).collect();
    let bare = entry("test.filler", "string", &Value::String(String::new())).len();
    let missing = (more.len() + bare).next_multiple_of(32) - more.len() - bare;
    more.extend(entry("test.filler", "string", &Value::String(".".repeat(missing))));
    let entries = u64::from_le_bytes(file[16..24].try_into().unwrap()) + metadata.len() as u64 + 1;
    [&file[..16], &entries.to_le_bytes(), &more, &file[24..]].concat()
}

#[test]
fn metadata_of_a_gguf_file_mean_what_llama_cpp_makes_of_them() {
    let table = table();
    let tokens: Vec<u32> = list(&table["tokens"]);
    let rows = table["gguf"].as_array().unwrap();
    assert!(rows.len() > 50);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for row in rows {
        let base = row["base"].as_str().unwrap();
        let file = std::fs::read(fixture(base)).unwrap();
        std::fs::write(&path, with_metadata(&file, &list(&row["metadata"]))).unwrap();
        let mut engine = loaded(&path);
        let after: Vec<(u32, f64)> = list(&row["after"]);
        let ids: Vec<[u32; 1]> = after.iter().map(|(id, _)| [*id]).collect();
        let answers: Vec<(&[u32], &[u32])> = ids.iter().map(|id| (tokens.as_slice(), id.as_slice())).collect();
        let found: Vec<f64> = engine.log_probabilities(Player::Leader, &answers).unwrap().concat();
        let expected: Vec<f64> = after.iter().map(|(_, value)| *value).collect();
        // llama.cpp rounds activations to the type of the weights; what a row changes is ten times as much.
        let tolerance = if base.contains("bf16") { 3e-2 } else { 3e-3 };
        assert_close(&found, &expected, tolerance, &format!("{base} with {}", row["metadata"]));
    }
}

/// A folder's copy with these keys of config.json.
fn changed(base: &str, set: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixture(base)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: serde_json::Map<String, Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in set.as_object().unwrap() {
        match value.as_str() {
            Some("absent") => config.remove(key),
            _ => config.insert(key.clone(), value.clone()),
        };
    }
    std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    folder
}

#[test]
fn where_long_texts_turn_otherwise_answers_stay_short_and_are_scored_as_they_were_sampled() {
    let long = [
        serde_json::json!({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}, "max_position_embeddings": 16}),
        serde_json::json!({"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 2, 3, 4], "long_factor": [2, 3, 4, 5],
                           "original_max_position_embeddings": 16}}),
    ];
    for set in long {
        let folder = changed("llama-tied", &set);
        let mut engine = loaded(folder.path());
        let sampling = sampling(1.0);
        let context: Vec<u32> = (3..10).collect();
        let (answers, _) = engine.generate(Player::Leader, &[row(0, &context)], 1, &sampling).unwrap();
        let again = scored(folder.path(), &[context.as_slice(), answers[0].tokens.as_slice()].concat());
        let found = engine.log_probabilities(Player::Leader, &[(&context, &answers[0].tokens)]).unwrap();
        assert_close(&found[0], &again[context.len() - 1..], 1e-5, "one text");
        let longer: Vec<u32> = (3..11).collect();
        let said = engine.generate(Player::Leader, &[row(0, &longer)], 1, &sampling).unwrap_err().to_string();
        assert!(said.contains("needs 17 positions, but this model generates within 16 positions only"), "{said}");
        // But longer texts are scored.
        let text: Vec<u32> = (3..43).collect();
        engine.log_probabilities(Player::Leader, &[text.split_at(1)]).unwrap();
    }
}

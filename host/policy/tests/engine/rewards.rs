//! Reward models against transformers' logits, and texts as vectors against its hidden states (`tests/fixtures/make_rewards.py`).

use std::path::{Path, PathBuf};

use serde_json::Value;
use slhf_plan::{ModelPrecision, Sampling};
use slhf_policy::{
    Agent, Engine, Export, Player, Pooling, ReadWeights as _, SHARD_BYTES_MAX, StoredAdapter, StoredModel, Training,
    export_model,
};
use tch::Device;

use crate::support::{assert_close, fixture, lora, pass_settings, row, settings, weigh};

const MODELS: [&str; 5] = ["llama", "llama-scaled", "qwen2", "qwen3", "gemma3"];

fn rewards(name: &str) -> PathBuf {
    fixture("rewards").join(name)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn numbers(value: &Value, key: &str) -> Vec<f64> {
    list(value, key).iter().map(|number| number.as_f64().unwrap()).collect()
}

fn tokens(value: &Value) -> Vec<u32> {
    list(value, "tokens").iter().map(|token| token.as_u64().unwrap() as u32).collect()
}

fn engine_at(folder: &Path, training: Option<Training>) -> Engine {
    let mut model = StoredModel::open(folder).unwrap();
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    let agents: &[Agent] = if training.is_some() { &[Agent::Shared] } else { &[] };
    Engine::load(model.config().clone(), settings(training, agents), &mut |name| weights.take(name)).unwrap()
}

/// A base model with an adapter over it, as the worker joins them.
fn adapted(base: &Path, adapter: &Path) -> Engine {
    let mut model = StoredModel::open(base).unwrap();
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    let adapter = StoredAdapter::open(adapter, model.config()).unwrap();
    let edits = adapter.edits().unwrap();
    edits.apply(&mut weights).unwrap();
    let mut engine = Engine::load(edits.config().clone(), settings(None, &[]), &mut |name| weights.take(name)).unwrap();
    let parameters = adapter.parameters(engine.config(), &[Agent::Shared], Device::Cpu).unwrap().unwrap();
    engine.set_parameters(parameters);
    engine
}

fn assert_labels(engine: &Engine, expected: &Value, name: &str) {
    let labels: Vec<&str> = list(expected, "labels").iter().filter_map(Value::as_str).collect();
    assert_eq!(engine.config().reward.as_ref().unwrap().labels, labels, "{name}");
}

#[test]
fn values_of_every_family_are_the_logits_of_transformers() {
    for name in MODELS {
        let expected = json(&rewards(name).join("expected.json"));
        let mut engine = engine_at(&rewards(name), None);
        assert_labels(&engine, &expected, name);
        let alone = list(&expected, "texts").iter().chain(list(&expected, "chats")).chain(list(&expected, "truncated"));
        let in_batches = list(&expected, "padded").iter().flat_map(|batch| list(batch, "rows"));
        let mut count = 0;
        for text in alone.chain(in_batches) {
            let found = engine.values(Player::Leader, &tokens(text)).unwrap();
            assert_close(&found, &numbers(text, "values"), 1e-5, name);
            count += 1;
        }
        // Without a padding token transformers takes no batch, and no text has padding.
        assert!(count >= if name == "qwen3" { 4 } else { 15 }, "{name}: {count}");
    }
}

#[test]
fn vectors_of_texts_are_pooled_from_the_hidden_states_of_transformers() {
    for name in MODELS {
        let mut engine = engine_at(&rewards(name), None);
        for text in list(&json(&rewards(name).join("expected.json")), "texts") {
            let tokens = tokens(text);
            for pooling in [Pooling::Mean, Pooling::Last] {
                let found = engine.embedding(Player::Leader, &tokens, pooling).unwrap();
                assert_close(&found, &numbers(text, pooling.name()), 1e-5, name);
            }
        }
    }
    assert_eq!(Pooling::default(), Pooling::Mean);
}

#[test]
fn heads_of_adapters_are_read_over_models_with_and_without_one() {
    let expected = json(&fixture("rewards").join("adapters.json"));
    for (name, expected) in expected.as_object().unwrap() {
        let adapter = rewards("adapters").join(name);
        let mut engine = adapted(&fixture(expected["base"].as_str().unwrap()), &adapter);
        assert_labels(&engine, expected, name);
        let found = engine.values(Player::Leader, &tokens(expected)).unwrap();
        assert_close(&found, &numbers(expected, "values"), 1e-5, name);
    }
}

#[test]
fn a_value_depends_on_its_text_alone_whatever_was_asked_before() {
    let texts: Vec<Vec<u32>> =
        (1..12_u32).map(|length| (0..length).map(|at| 3 + (length * 31 + at * 17) % 290).collect()).collect();
    for name in MODELS {
        let mut one = engine_at(&rewards(name), None);
        let forth: Vec<_> = texts.iter().map(|text| one.values(Player::Leader, text).unwrap()).collect();
        let back: Vec<_> = texts.iter().rev().map(|text| one.values(Player::Leader, text).unwrap()).collect();
        assert!(forth.iter().eq(back.iter().rev()), "{name}");
    }
}

#[test]
fn what_a_reward_model_cannot_do_is_refused_in_a_sentence() {
    let mut engine = engine_at(&rewards("llama"), Some(lora(0.0)));
    let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 2 };
    let generated = engine.generate(Player::Leader, &[row(0, &[5])], 1, &sampling).unwrap_err();
    let scored = engine.log_probabilities(Player::Leader, &[(&[5], &[6])]).unwrap_err();
    let passed = engine.pass(&crate::support::pairs(true), &pass_settings(), &mut weigh).unwrap_err();
    for refusal in [generated, scored, passed] {
        assert!(refusal.to_string().starts_with("the model is a reward model: it scores texts, and has no output"));
    }
    let long = vec![5; 65];
    let refusal = engine.values(Player::Leader, &long).unwrap_err().to_string();
    assert_eq!(refusal, "the text needs 65 positions, but the model has 64; shorten it");
    assert!(engine.values(Player::Leader, &[]).unwrap_err().to_string().contains("has no tokens"));
    let mut plain = crate::support::engine("qwen2", settings(None, &[]));
    let refusal = plain.values(Player::Leader, &[5]).unwrap_err().to_string();
    assert_eq!(refusal, "the text has no values: the model has no reward head (`score.weight`)");
}

/// A copy of a reward model whose `config.json` says something else.
fn changed(name: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut config = json(&rewards(name).join("config.json"));
    change(&mut config);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(rewards(name).join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    folder
}

#[test]
fn a_head_that_is_missing_or_misshapen_or_misnamed_is_named() {
    let refusal = |folder: &tempfile::TempDir| StoredModel::open(folder.path()).unwrap_err().to_string();
    let three = |config: &mut Value| config["id2label"] = serde_json::json!({"0": "a", "1": "b"});
    let text = refusal(&changed("qwen2", three));
    assert!(
        text.ends_with("model.safetensors: tensor `score.weight` has shape [3, 8], but config.json expects [2, 8]")
    );
    // Nothing said is two labels, as in transformers.
    let silent = |config: &mut Value| config["id2label"] = Value::Null;
    assert!(refusal(&changed("qwen2", silent)).contains("has shape [3, 8], but config.json expects [2, 8]"));
    let cases = [
        (
            serde_json::json!({"0": "a", "1": "a", "2": "b"}),
            "`id2label` names the label \"a\" twice; expected each once",
        ),
        (
            serde_json::json!({"1": "a", "2": "b", "3": "c"}),
            "`id2label` gives \"c\" for \"3\"; expected a text for each of the numbers 0 to 2",
        ),
        (serde_json::json!({}), "`id2label` names 0 labels; expected 1 to 65536"),
        (serde_json::json!(3), "`id2label` is 3; expected an object"),
    ];
    for (labels, expected) in cases {
        let text = refusal(&changed("qwen2", |config| config["id2label"] = labels.clone()));
        assert!(text.contains("config.json: ") && text.ends_with(expected), "{text}");
    }
    // The head of a folder without one is not drawn at random, as transformers does.
    let folder = tempfile::tempdir().unwrap();
    let mut config = json(&fixture("qwen2").join("config.json"));
    config["architectures"] = serde_json::json!(["Qwen2ForSequenceClassification"]);
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    std::fs::copy(fixture("qwen2/model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let text = refusal(&folder);
    assert!(text.contains("tensor `score.weight` is missing; config.json expects it with shape [2, 32]"), "{text}");
    // An adapter's head over a model with another one.
    let model = StoredModel::open(&rewards("llama")).unwrap();
    let adapter = rewards("adapters").join("qwen2-score");
    let text = StoredAdapter::open(&adapter, model.config()).unwrap_err().to_string();
    assert!(text.contains("score") && text.ends_with("has shape [3, 8], but the model makes it [1, 8]"), "{text}");
}

#[test]
fn a_head_of_an_adapter_is_exported_as_transformers_names_it() {
    let expected = &json(&fixture("rewards").join("adapters.json"))["llama-tied-score"];
    let mut model = StoredModel::open(&fixture("llama-tied")).unwrap();
    let adapter = StoredAdapter::open(&rewards("adapters").join("llama-tied-score"), model.config()).unwrap();
    let parameters = adapter.parameters(adapter.edits().unwrap().config(), &[Agent::Shared], Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap().path().join("whole");
    let export = Export {
        model: &mut model,
        edits: adapter.edits(),
        head: None,
        trained: parameters.as_ref().map(|parameters| (parameters, Agent::Shared)),
        precision: ModelPrecision::F32,
        tokenizer_folder: None,
        tokenizer_files: &[],
        chat_template: None,
        shard_bytes_max: SHARD_BYTES_MAX,
    };
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    export_model(export, &folder).unwrap();
    let config = json(&folder.join("config.json"));
    assert_eq!(config["architectures"], serde_json::json!(["LlamaForSequenceClassification"]));
    assert_eq!(config["id2label"], serde_json::json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}));
    let mut engine = engine_at(&folder, None);
    let found = engine.values(Player::Leader, &tokens(expected)).unwrap();
    assert_close(&found, &numbers(expected, "values"), 1e-5, "merged");
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}

//! Adapters and merged models as files: what is written is read again, by this crate and by PEFT.

use std::path::{Path, PathBuf};
use std::process::Command;

use slhf_plan::ModelPrecision;
use slhf_policy::{
    Agent, Engine, EngineSettings, Export, LoraSettings, Parameters, Player, PolicyError, Projection, ReadWeights as _,
    SHARD_BYTES_MAX, StoredAdapter, StoredModel, export_model, save_adapter,
};
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn settings() -> LoraSettings {
    LoraSettings { rank: 3, alpha: 12.0, dropout: 0.05, targets: Projection::ALL.to_vec() }
}

/// Adapters whose B is not zero, so that they do something.
fn trained(model: &StoredModel, agents: &[Agent]) -> Parameters {
    let mut parameters = Parameters::lora(model.config(), settings(), agents, 5, Device::Cpu).expect("adapters");
    for (index, parameter) in parameters.iter_mut().enumerate() {
        if parameter.name.contains("lora_B") {
            let steps = Tensor::arange(parameter.tensor.numel() as i64, (Kind::Float, Device::Cpu));
            let values = ((steps * 0.7 + index as f64).sin() * 0.2).reshape(parameter.tensor.size());
            parameter.assign(&values).expect("values");
        }
    }
    parameters
}

fn equal(left: &Parameters, right: &Parameters, agent: Agent) -> bool {
    left.of(agent).count() == right.of(agent).count()
        && left.of(agent).zip(right.of(agent)).all(|(l, r)| l.name == r.name && l.tensor.equal(&r.tensor))
}

#[test]
fn a_saved_adapter_is_read_again_bit_for_bit() {
    let temporary = tempfile::tempdir().expect("a folder");
    let model = StoredModel::open(&fixture("llama-tied")).expect("the fixture");
    let parameters = trained(&model, &[Agent::Leader, Agent::Follower]);
    let folder = temporary.path().join("follower");
    let files = save_adapter(&folder, &parameters, Agent::Follower, "some/base").expect("saved");
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors"]);
    let stored = StoredAdapter::open(&folder, model.config()).expect("read");
    assert_eq!((stored.settings(), stored.base_model()), (Some(&settings()), Some("some/base")));
    assert!(stored.edits().is_none());
    let read =
        stored.parameters(model.config(), &[Agent::Follower], Device::Cpu).expect("parameters").expect("matrices");
    assert!(equal(&read, &parameters, Agent::Follower));
    assert!(!equal(&parameters, &read, Agent::Leader));
    let left = std::fs::read_dir(temporary.path()).expect("listed").count();
    assert_eq!(left, 1, "no temporary folder stays behind");
}

#[test]
fn a_folder_that_exists_is_never_written_into() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut model = StoredModel::open(&fixture("llama-tied")).expect("the fixture");
    let parameters = trained(&model, &[Agent::Shared]);
    let expected = "it exists already; name a folder that does not, or remove this one";
    let error = save_adapter(temporary.path(), &parameters, Agent::Shared, "base").expect_err("refused");
    assert!(error.to_string().ends_with(expected), "{error}");
    let error = export_model(export(&mut model, None), temporary.path()).expect_err("refused");
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn what_cannot_be_honoured_is_refused_by_its_name() {
    let temporary = tempfile::tempdir().expect("a folder");
    let model = StoredModel::open(&fixture("llama-tied")).expect("the fixture");
    let folder = temporary.path().join("adapter");
    save_adapter(&folder, &trained(&model, &[Agent::Shared]), Agent::Shared, "base").expect("saved");
    let config = folder.join("adapter_config.json");
    let good: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).expect("read")).expect("JSON");
    let cases = [
        ("use_dora", "true", "lora_magnitude_vector` is missing, although the module has others"),
        ("use_dora", "3", "`use_dora` is 3; expected true or false"),
        ("alpha_pattern", r#"{"(q_proj":8}"#, "`alpha_pattern` has the pattern \"(q_proj\", which is not understood"),
        ("alpha_pattern", r#"{"q_proj":"8"}"#, "`alpha_pattern` is no object from patterns of module names to numbers"),
        (
            "modules_to_save",
            r#"["lm_head"]"#,
            "`modules_to_save` names lm_head, but adapter_model.safetensors holds no tensor of such a module",
        ),
        ("init_lora_weights", r#""fancy""#, "`init_lora_weights` is \"fancy\"; known are true, false, `gaussian`"),
        ("modules_to_save", "3", "`modules_to_save` is 3; expected a list of module names"),
        ("target_parameters", r#"["experts"]"#, "`target_parameters` is [\"experts\"]; that is not supported"),
        ("layer_replication", "[[0,1]]", "`layer_replication` is [[0,1]]; that is not supported"),
        ("lora_bias", "true", "`lora_bias` is true; that is not supported"),
        ("fan_in_fan_out", "true", "`fan_in_fan_out` is true; that is not supported"),
        ("a_feature_of_tomorrow", "3", "`a_feature_of_tomorrow` is 3; that is not supported"),
        ("bias", r#""some""#, "`bias` is \"some\"; known are `none`, `all` and `lora_only`"),
        ("peft_type", r#""LOHA""#, "`peft_type` is \"LOHA\"; only `LORA` is known"),
        ("task_type", r#""TOKEN_CLS""#, "`task_type` is \"TOKEN_CLS\"; known are `CAUSAL_LM` and `SEQ_CLS`"),
        ("init_lora_weights", r#""pissa""#, "`init_lora_weights` is \"pissa\"; that start changes"),
        ("r", "0", "`r` must be a whole number of at least 1"),
        ("lora_alpha", "null", "`lora_alpha` must be a number"),
        ("lora_dropout", "1.5", "`lora_dropout` is 1.5, but must lie in [0, 1)"),
        ("target_modules", "[1]", "`target_modules` names 1; expected texts"),
        ("target_modules", "3", "`target_modules` is 3; expected a list of module names, or a regular expression"),
    ];
    for (key, value, expected) in cases {
        let mut changed = good.clone();
        changed[key] = serde_json::from_str(value).expect("JSON");
        std::fs::write(&config, changed.to_string()).expect("written");
        let error = StoredAdapter::open(&folder, model.config()).expect_err(key).to_string();
        assert!(error.contains("/adapter_") && error.contains(expected), "{error}\ninstead of\n{expected}");
    }
    std::fs::write(&config, "{").expect("written");
    let error = StoredAdapter::open(&folder, model.config()).expect_err("no JSON").to_string();
    assert!(error.ends_with("this is not the JSON of an adapter's configuration"), "{error}");
}

/// A vocabulary that grew on one side only would be a model whose matrices do not fit together.
#[test]
fn a_vocabulary_that_grew_on_one_side_only_is_refused() {
    for name in ["llama-tied-resized-saved", "qwen3-resized"] {
        let temporary = tempfile::tempdir().expect("a folder");
        let from = fixture("adapters").join(name);
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(from.join("adapter_config.json")).expect("read")).expect("JSON");
        if !config["modules_to_save"].is_null() {
            config["modules_to_save"] = serde_json::json!(["embed_tokens"]);
        }
        std::fs::write(temporary.path().join("adapter_config.json"), config.to_string()).expect("written");
        let mut tensors = Tensor::read_safetensors(from.join("adapter_model.safetensors")).expect("tensors");
        tensors.retain(|(name, _)| !name.contains("lm_head"));
        Tensor::write_safetensors(&tensors, temporary.path().join("adapter_model.safetensors")).expect("written");
        let base = name.split("-resized").next().expect("a name");
        let mut model = StoredModel::open(&fixture(base)).expect("the base");
        let stored = StoredAdapter::open(temporary.path(), model.config()).expect("an adapter");
        let out = temporary.path().join("merged");
        let error = export_model(Export { edits: stored.edits(), ..export(&mut model, None) }, &out).expect_err(name);
        let expected = "`lm_head.weight` has 300 rows, but the adapter was trained with a vocabulary of 304, and it holds no such \
                        matrix of that size: save it with save_embedding_layers=True";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(!out.exists());
    }
}

type Named = Vec<(String, Tensor)>;

#[test]
fn a_wrong_or_missing_tensor_names_the_file_and_itself() {
    let temporary = tempfile::tempdir().expect("a folder");
    let model = StoredModel::open(&fixture("llama-tied")).expect("the fixture");
    let folder = temporary.path().join("adapter");
    save_adapter(&folder, &trained(&model, &[Agent::Shared]), Agent::Shared, "base").expect("saved");
    let config = folder.join("adapter_config.json");
    let good = std::fs::read_to_string(&config).expect("read");
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        std::fs::write(&config, good.replace(from, to)).expect("written");
        StoredAdapter::open(&folder, model.config()).err().map_or(String::new(), |error| error.to_string())
    };
    let error = refused("\"target_modules\": [", "\"target_modules\": [\n    \"q_proj\",\n    \"lm_head\",");
    assert!(error.is_empty(), "{error}");
    std::fs::write(&config, &good).expect("written");
    let weights = folder.join("adapter_model.safetensors");
    let bytes = std::fs::read(&weights).expect("read");
    std::fs::write(&weights, &bytes[..bytes.len() - 4]).expect("written");
    let error = StoredAdapter::open(&folder, model.config()).expect_err("cut short").to_string();
    assert!(error.contains("cut short"), "{error}");
    // A tensor fewer, one too many, one of another model.
    std::fs::write(&weights, &bytes).expect("written");
    let whole = Tensor::read_safetensors(&weights).expect("tensors");
    let stem = "base_model.model.model.layers.1.mlp.up_proj";
    let changed = |change: &dyn Fn(&mut Named)| {
        let mut tensors: Vec<(String, Tensor)> =
            whole.iter().map(|(name, one)| (name.clone(), one.shallow_clone())).collect();
        change(&mut tensors);
        Tensor::write_safetensors(&tensors, &weights).expect("written");
        StoredAdapter::open(&folder, model.config()).expect_err("refused").to_string()
    };
    let named = |name: &str, tensor: Tensor| (name.to_owned(), tensor);
    let ones = |shape: [i64; 2]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let without = |end: &str| {
        let name = format!("{stem}.{end}");
        changed(&|tensors| tensors.retain(|(found, _)| *found != name))
    };
    let error = without("lora_B.weight");
    assert!(error.ends_with(&format!("`{stem}.lora_B.weight` is missing, although the module has others")), "{error}");
    let error = changed(&|tensors| tensors.retain(|(found, _)| !found.starts_with(stem)));
    assert!(
        error.ends_with(&format!("`{stem}.lora_A.weight` is missing, although target_modules names up_proj")),
        "{error}"
    );
    let stray = "base_model.model.model.layers.2.mlp.up_proj.lora_A.weight";
    let error = changed(&|tensors| tensors.push(named(stray, ones([3, 32]))));
    assert!(error.contains(&format!("`{stray}` belongs to no module of this model")), "{error}");
    let wide = "base_model.model.lm_head.weight";
    let error = changed(&|tensors| tensors.push(named(wide, ones([300, 31]))));
    assert!(
        error.ends_with("`base_model.model.lm_head.weight` has shape [300, 31], but the model's has [300, 32]"),
        "{error}"
    );
    let error = changed(&|tensors| {
        tensors.retain(|(found, _)| *found != format!("{stem}.lora_A.weight"));
        tensors.push(named(&format!("{stem}.lora_A.weight"), ones([3, 31])));
    });
    assert!(error.ends_with("has shape [3, 31], but the model makes it [rank, 32]"), "{error}");
    std::fs::remove_file(&weights).expect("removed");
    let error = StoredAdapter::open(&folder, model.config()).expect_err("missing").to_string();
    assert!(error.ends_with("adapter_model.safetensors is missing; expected a folder as PEFT saves it"), "{error}");
}

fn export<'a>(model: &'a mut StoredModel, trained: Option<(&'a Parameters, Agent)>) -> Export<'a> {
    Export {
        model,
        edits: None,
        head: None,
        tokenizer_folder: None,
        trained,
        precision: ModelPrecision::F32,
        tokenizer_files: &[],
        chat_template: None,
        shard_bytes_max: SHARD_BYTES_MAX,
    }
}

#[test]
fn merging_adds_the_scaled_product_and_nothing_else() {
    for (name, shard_bytes_max) in [("llama-tied", SHARD_BYTES_MAX), ("qwen3", 20_000), ("llama-scaled", 30_000)] {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = temporary.path().join("merged");
        let mut model = StoredModel::open(&fixture(name)).expect("the fixture");
        let parameters = trained(&model, &[Agent::Leader, Agent::Follower]);
        let options = Export { shard_bytes_max, ..export(&mut model, Some((&parameters, Agent::Follower))) };
        let files = export_model(options, &folder).expect("exported");
        let sharded = files.iter().any(|(name, _)| name == "model.safetensors.index.json");
        assert_eq!(sharded, shard_bytes_max != SHARD_BYTES_MAX, "{files:?}");
        assert!(folder.join("tokenizer.json").exists());
        let mut merged = StoredModel::open(&folder).expect("a model again");
        assert_eq!(merged.config(), model.config());
        let mut after = merged.weights(ModelPrecision::F32).expect("weights");
        let mut before = model.weights(ModelPrecision::F32).expect("weights");
        for (weight, _) in model.config().tensors() {
            let (found, base) = (after.take(&weight).expect("there"), before.take(&weight).expect("there"));
            let stem = format!("base_model.model.{}", weight.trim_end_matches(".weight"));
            let part = |which: &str| parameters.get(Agent::Follower, &format!("{stem}.{which}.weight"));
            let expected = match (part("lora_A"), part("lora_B")) {
                // alpha / r = 4
                (Some(a), Some(b)) => base + b.tensor.detach().matmul(&a.tensor.detach()) * 4.0,
                _ => base,
            };
            assert!(found.allclose(&expected, 1e-6, 1e-6, false), "{name}: {weight}");
        }
    }
}

#[test]
fn fully_trained_weights_replace_the_models_own() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().join("merged");
    let mut model = StoredModel::open(&fixture("qwen2")).expect("the fixture");
    let name = "model.layers.1.mlp.up_proj.weight";
    let value = model.weights(ModelPrecision::F32).expect("weights").take(name).expect("there") + 1.0;
    let parameters =
        Parameters::full(&[(name.to_owned(), value.copy())], &[Agent::Shared], Device::Cpu).expect("parameters");
    let options = Export { precision: ModelPrecision::Bf16, ..export(&mut model, Some((&parameters, Agent::Shared))) };
    export_model(options, &folder).expect("exported");
    let mut merged = StoredModel::open(&folder).expect("a model again");
    assert!(merged.tensors().iter().all(|tensor| tensor.data_type == "BF16"));
    let found = merged.weights(ModelPrecision::F32).expect("weights").take(name).expect("there");
    assert!(found.equal(&value.to_kind(Kind::BFloat16).to_kind(Kind::Float)));
}

#[test]
fn a_parameter_that_fits_nowhere_is_not_lost_silently() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut model = StoredModel::open(&fixture("qwen2")).expect("the fixture");
    let stray = [("model.layers.9.mlp.up_proj.weight".to_owned(), Tensor::zeros([2], (Kind::Float, Device::Cpu)))];
    let parameters = Parameters::full(&stray, &[Agent::Shared], Device::Cpu).expect("parameters");
    let folder = temporary.path().join("merged");
    let error = export_model(export(&mut model, Some((&parameters, Agent::Shared))), &folder).expect_err("refused");
    assert!(matches!(error, PolicyError::Parameter { .. }), "{error}");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("listed").count(), 0, "nothing stays behind");
}

/// log-probabilities of tokens[1..], as the engine computes them from a folder and adapters.
fn engine_values(folder: &Path, parameters: Option<&Parameters>, tokens: &[u32]) -> Vec<f64> {
    let mut model = StoredModel::open(folder).expect("a model");
    let mut weights = model.weights(ModelPrecision::F32).expect("weights");
    let settings = EngineSettings {
        device: Device::Cpu,
        precision: ModelPrecision::F32,
        activation_checkpointing: false,
        training: parameters.map(|parameters| parameters.training().clone()),
        agents: vec![Agent::Shared],
        seed: 1,
    };
    let mut engine = Engine::load(model.config().clone(), settings, &mut |name| weights.take(name)).expect("an engine");
    if let (Some(given), Some(own)) = (parameters, engine.parameters_mut()) {
        for parameter in own.iter_mut() {
            let values = given.get(Agent::Shared, &parameter.name).expect("the same names");
            parameter.assign(&values.tensor).expect("assigned");
        }
        engine.parameters_changed();
    }
    let player = if parameters.is_some() { Player::Leader } else { Player::Reference };
    let answers = [(&tokens[..1], &tokens[1..])];
    engine.log_probabilities(player, &answers).expect("log-probabilities").remove(0)
}

#[test]
fn a_merged_model_says_what_the_adapter_says() {
    let temporary = tempfile::tempdir().expect("a folder");
    let tokens: Vec<u32> = (3..40).collect();
    for name in ["llama-tied", "qwen2", "qwen3", "gemma3", "gemma3-pattern"] {
        let merged = temporary.path().join(name);
        let mut model = StoredModel::open(&fixture(name)).expect("the fixture");
        let parameters = trained(&model, &[Agent::Shared]);
        export_model(export(&mut model, Some((&parameters, Agent::Shared))), &merged).expect("exported");
        let difference = |left: &[f64], right: &[f64]| {
            assert_eq!(left.len(), right.len());
            left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
        };
        let adapted = engine_values(&fixture(name), Some(&parameters), &tokens);
        // Seven layers round more often than two.
        let apart = difference(&engine_values(&merged, None, &tokens), &adapted);
        assert!(apart < 1e-5 * model.config().layers as f64, "{name}: {apart}");
        assert!(difference(&engine_values(&fixture(name), None, &tokens), &adapted) > 1e-2, "{name}");
    }
}

#[test]
fn a_folder_made_of_a_gguf_file_says_what_the_file_said() {
    let temporary = tempfile::tempdir().expect("a folder");
    for name in ["llama-f32.gguf", "qwen3-bf16.gguf", "gemma3-f32.gguf"] {
        let folder = temporary.path().join(name);
        let mut model = StoredModel::open(&fixture(name)).expect("the fixture");
        export_model(export(&mut model, None), &folder).expect("exported");
        let exported = StoredModel::open(&folder).expect("the exported folder");
        assert_eq!(exported.config(), model.config(), "{name}");
    }
}

/// A Python that has PEFT, or nothing.
fn python_with_peft() -> Option<String> {
    let python = std::env::var("SLHF_LAB_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).args(["-c", "import peft, transformers"]).output().ok()?;
    output.status.success().then_some(python)
}

#[test]
fn peft_and_transformers_read_what_is_written() {
    let Some(python) = python_with_peft() else {
        eprintln!("skipped: no Python with peft and transformers; name one in SLHF_LAB_PYTHON");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/peft_roundtrip.py");
    let temporary = tempfile::tempdir().expect("a folder");
    let (base, adapter) = (fixture("llama-tied"), temporary.path().join("adapter"));
    let (merged, saved) = (temporary.path().join("merged"), temporary.path().join("saved"));
    let mut model = StoredModel::open(&base).expect("the fixture");
    let parameters = trained(&model, &[Agent::Shared]);
    save_adapter(&adapter, &parameters, Agent::Shared, "base").expect("saved");
    export_model(export(&mut model, Some((&parameters, Agent::Shared))), &merged).expect("exported");
    let tokens: Vec<u32> = (3..40).collect();
    let values = temporary.path().join("values.json");
    let found = engine_values(&base, Some(&parameters), &tokens);
    let json = serde_json::json!({ "tokens": tokens, "log_probabilities": found });
    std::fs::write(&values, json.to_string()).expect("written");
    let output = Command::new(python)
        .env("HF_HUB_OFFLINE", "1")
        .arg(script)
        .args([&base, &adapter, &merged, &saved, &values])
        .output()
        .expect("Python runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    assert!(output.status.success(), "{said}");
    let back = StoredAdapter::open(&saved, model.config()).expect("what PEFT saved is read");
    let back = back.parameters(model.config(), &[Agent::Shared], Device::Cpu).expect("parameters").expect("matrices");
    assert!(equal(&back, &parameters, Agent::Shared));
}

/// log-probabilities with an adapter as a model's task loads it.
fn adapted_values(model: &Path, adapter: &Path, tokens: &[u32]) -> Vec<f64> {
    let mut model = StoredModel::open(model).expect("a model");
    let stored = StoredAdapter::open(adapter, model.config()).expect("an adapter");
    let mut weights = model.weights(ModelPrecision::F32).expect("weights");
    let mut config = model.config().clone();
    if let Some(edits) = stored.edits() {
        edits.apply(&mut weights).expect("applied");
        config = edits.config().clone();
    }
    let settings = EngineSettings {
        device: Device::Cpu,
        precision: ModelPrecision::F32,
        activation_checkpointing: false,
        training: None,
        agents: vec![],
        seed: 1,
    };
    let mut engine = Engine::load(config, settings, &mut |name| weights.take(name)).expect("an engine");
    assert_eq!(weights.names().count(), 0);
    if let Some(parameters) = stored.parameters(engine.config(), &[Agent::Shared], Device::Cpu).expect("parameters") {
        engine.set_parameters(parameters);
    }
    engine.log_probabilities(Player::Leader, &[(&tokens[..1], &tokens[1..])]).expect("log-probabilities").remove(0)
}

/// `tests/fixtures/make_adapters.py`
#[test]
fn adapters_of_peft_answer_as_peft_does_and_so_does_the_merged_model() {
    let truth = std::fs::read(fixture("adapters/expected.json")).expect("expectations");
    let truth: serde_json::Value = serde_json::from_slice(&truth).expect("JSON");
    let tokens: Vec<u32> = serde_json::from_value(truth["tokens"].clone()).expect("tokens");
    let adapters = truth["adapters"].as_object().expect("adapters");
    assert!(adapters.len() > 40);
    let temporary = tempfile::tempdir().expect("a folder");
    let mut files = 0;
    for (name, case) in adapters {
        let base = fixture(case["model"].as_str().expect("a model"));
        let folder = fixture("adapters").join(name);
        let expected: Vec<f64> = serde_json::from_value(case["next_log_probabilities"].clone()).expect("numbers");
        let difference = |found: &[f64]| {
            assert_eq!(found.len(), expected.len(), "{name}");
            found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max)
        };
        let apart = difference(&adapted_values(&base, &folder, &tokens));
        assert!(apart < 1e-5, "{name}: {apart}");
        if let Some(file) = case["file"].as_str() {
            let expected: Vec<f64> = serde_json::from_value(case["of_file"].clone()).expect("numbers");
            let found = adapted_values(&fixture(file), &folder, &tokens);
            let apart =
                found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-5, "{name} on {file}: {apart}");
            files += 1;
        }

        let merged = temporary.path().join(name);
        let mut model = StoredModel::open(&base).expect("the base");
        let stored = StoredAdapter::open(&folder, model.config()).expect("an adapter");
        let parameters = stored.parameters(model.config(), &[Agent::Shared], Device::Cpu).expect("parameters");
        let trained = parameters.as_ref().map(|parameters| (parameters, Agent::Shared));
        export_model(Export { edits: stored.edits(), ..export(&mut model, trained) }, &merged).expect("exported");
        let apart = difference(&engine_values(&merged, None, &tokens));
        assert!(apart < 1e-5, "{name}, merged: {apart}");
    }
    assert!(files > 30);
}

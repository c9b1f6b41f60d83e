//! Hugging Face folders: what is read, and what is said of files that are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slhf_plan::ModelPrecision;
use slhf_policy::{Export, Family, ModelConfig, ReadWeights as _, RopeScaling, StoredModel, export_model};
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of a fixture that a test may spoil.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// Changes a field of config.json; null removes it.
fn set(folder: &Path, key: &str, value: Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

fn message<T: std::fmt::Debug, E: std::error::Error>(result: Result<T, E>, folder: &Path) -> String {
    let error = result.expect_err("the model is broken");
    error.to_string().replace(folder.to_str().unwrap(), "MODEL")
}

#[test]
fn every_family_is_read_and_all_its_tensors_have_their_shapes() {
    for name in ["llama-tied", "llama-scaled", "llama-bias", "qwen2", "qwen3", "gemma3", "gemma3-pattern"] {
        let mut model = StoredModel::open(&fixture(name)).unwrap();
        let expected = model.config().tensors();
        let mut weights = model.weights(ModelPrecision::F32).unwrap();
        for (tensor, shape) in expected {
            let found = weights.take(&tensor).unwrap();
            assert_eq!((found.size(), found.kind()), (shape, Kind::Float), "{name} {tensor}");
        }
        assert_eq!(weights.names().count(), 0);
        assert!(weights.take("model.norm.weight").is_err(), "a tensor is taken once");
    }
}

#[test]
fn configurations_say_what_differs_between_families() {
    let of = |name: &str| ModelConfig::from_folder(&fixture(name)).unwrap();
    let (tied, scaled, bias, qwen2, qwen3) =
        (of("llama-tied"), of("llama-scaled"), of("llama-bias"), of("qwen2"), of("qwen3"));
    assert_eq!((tied.family, tied.head_size, tied.tied_embeddings), (Family::Llama, 8, true));
    assert_eq!(tied.rope.scaling, RopeScaling::None);
    assert_eq!((scaled.tied_embeddings, scaled.end_tokens.as_slice()), (false, [0, 2].as_slice()));
    assert!(matches!(scaled.rope.scaling, RopeScaling::Llama3 { original_context: 64, .. }));
    assert_eq!((bias.attention_bias, bias.output_bias, bias.head_size), (true, true, 12));
    assert_eq!(bias.rope.scaling, RopeScaling::Linear { factor: 2.0 });
    assert_eq!((qwen2.family, qwen2.attention_bias, qwen2.output_bias), (Family::Qwen2, true, false));
    assert_eq!((qwen3.family, qwen3.query_key_norms, qwen3.head_size), (Family::Qwen3, true, 16));
    assert_eq!((qwen3.beginning_token, qwen3.end_tokens.as_slice()), (Some(1), [2].as_slice()));
}

#[test]
fn gemma_says_which_layers_have_windows_and_how_they_turn() {
    let config = |name: &str| ModelConfig::from_folder(&fixture(name)).unwrap();
    let by_list = config("gemma3");
    let windows = by_list.windows.clone().unwrap();
    assert_eq!((windows.positions, windows.layers), (8, vec![true, false, true]));
    assert_eq!((windows.rope.theta, by_list.rope.theta), (50.0, 1000.0));
    assert_eq!(by_list.rope.scaling, RopeScaling::Linear { factor: 2.0 });
    assert_eq!((by_list.attention_divisor, by_list.embedding_scale(), by_list.tied_embeddings), (20.0, 4.0, true));
    let by_pattern = config("gemma3-pattern").windows.unwrap();
    assert_eq!(by_pattern.layers, [true, true, true, true, true, false, true]);

    // The older layout, as Gemma's own files have it, says the same.
    let folder = copy("gemma3");
    let older = [
        ("rope_parameters", Value::Null),
        ("rope_theta", json!(1000.0)),
        ("rope_scaling", json!({"rope_type": "linear", "factor": 2.0})),
        ("rope_local_base_freq", json!(50.0)),
        ("layer_types", Value::Null),
        ("sliding_window_pattern", json!(2)),
        ("tie_word_embeddings", Value::Null),
    ];
    for (key, value) in older {
        set(folder.path(), key, value);
    }
    assert_eq!(ModelConfig::from_folder(folder.path()).unwrap(), config("gemma3"));
}

#[test]
fn what_gemma_does_not_do_here_is_refused_by_name() {
    let cases = [
        ("final_logit_softcapping", json!(30.0), "is set; capped logits are not supported"),
        ("use_bidirectional_attention", json!(true), "is true; only causal attention is supported"),
        ("hidden_activation", json!("silu"), "is \"silu\"; only \"gelu_pytorch_tanh\" is known for gemma3_text"),
        ("sliding_window", json!(0), "is 0; expected 1 to 268435456"),
        ("sliding_window", json!(u64::MAX), "is 18446744073709551615; expected 1 to 268435456"),
        ("layer_types", json!(["full_attention"]), "has 1 entries, but there are 3 layers"),
        (
            "layer_types",
            json!(["full_attention", "full_attention", "chunked_attention"]),
            "contains \"chunked_attention\"; known are \"full_attention\" and \"sliding_attention\"",
        ),
        ("query_pre_attn_scalar", json!(0), "is 0; expected a number above 0"),
        // The model that also sees has its text model one level down.
        ("model_type", json!("gemma3"), "is \"gemma3\"; known are llama, qwen2, qwen3 and gemma3_text"),
    ];
    for (key, value, expected) in cases {
        let folder = copy("gemma3");
        set(folder.path(), key, value);
        let expected = format!("MODEL/config.json: `{key}` {expected}");
        assert_eq!(message(StoredModel::open(folder.path()), folder.path()), expected);
    }
}

/// Which layers have windows is only listed for as many layers as a model may have.
#[test]
fn no_number_of_layers_takes_all_memory() {
    let folder = copy("gemma3");
    set(folder.path(), "layer_types", Value::Null);
    set(folder.path(), "num_hidden_layers", json!(u64::MAX));
    let expected = "MODEL/config.json: `num_hidden_layers` is 18446744073709551615; expected 1 to 4096";
    assert_eq!(message(StoredModel::open(folder.path()), folder.path()), expected);
}

#[test]
fn end_tokens_of_both_files_are_merged() {
    let folder = copy("llama-tied");
    fs::write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [2, 7]}"#).unwrap();
    assert_eq!(ModelConfig::from_folder(folder.path()).unwrap().end_tokens, [2, 7]);
}

#[test]
fn settings_that_would_change_numbers_are_refused_by_name() {
    let cases = [
        (
            "model_type",
            json!("gpt2"),
            "MODEL/config.json: `model_type` is \"gpt2\"; known are llama, qwen2, qwen3 and gemma3_text",
        ),
        ("hidden_act", json!("gelu"), "MODEL/config.json: `hidden_act` is \"gelu\"; only \"silu\" is known for llama"),
        (
            "mlp_bias",
            json!(true),
            "MODEL/config.json: `mlp_bias` is true; biases in the feed-forward network are not supported",
        ),
        (
            "use_sliding_window",
            json!(true),
            "MODEL/config.json: `use_sliding_window` is true, but a llama's layers have no windows",
        ),
        (
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
            "MODEL/config.json: `layer_types` contains \"sliding_attention\", but use_sliding_window is not true",
        ),
        ("partial_rotary_factor", json!(0.5), "MODEL/config.json: `partial_rotary_factor` is 0.5; only 1 is supported"),
        (
            "rope_parameters",
            json!({"rope_type": "proportional", "factor": 2.0}),
            "MODEL/config.json: `rope_parameters.rope_type` is \"proportional\"; known are \"default\", \"linear\", \"dynamic\", \"yarn\", \"llama3\" and \"longrope\"",
        ),
        (
            "rope_scaling",
            json!({"rope_type": "longrope", "factor": 2.0, "short_factor": [1, 2, 3, 4], "long_factor": [1, 2, 0, 4]}),
            "MODEL/config.json: `rope_scaling.long_factor` is no list of 4 numbers above 0, one for each pair of a head's dimensions",
        ),
        (
            "rope_scaling",
            json!({"rope_type": "yarn", "factor": 2.0, "rope_theta": 1.0}),
            "MODEL/config.json: `rope_scaling.rope_theta` is 1; \"yarn\" needs more than 1",
        ),
        (
            "rope_scaling",
            json!({"rope_type": "yarn", "factor": 2.0, "beta_fast": -3}),
            "MODEL/config.json: `rope_scaling.beta_fast` is -3; expected a number above 0",
        ),
        (
            "rope_parameters",
            json!({"full_attention": {"rope_type": "default"}}),
            "MODEL/config.json: `rope_parameters.full_attention` is an entry by kind of layer, which only gemma3_text has",
        ),
        (
            "quantization_config",
            json!({}),
            "MODEL/config.json: `quantization_config` is set; quantized weights are read from GGUF files only (or save the model unquantized)",
        ),
        (
            "num_key_value_heads",
            json!(3),
            "MODEL/config.json: `num_key_value_heads` is 3, which does not divide num_attention_heads = 4",
        ),
        ("num_hidden_layers", json!(0), "MODEL/config.json: `num_hidden_layers` is 0; expected 1 to 4096"),
        (
            "num_hidden_layers",
            json!(9e300),
            "MODEL/config.json: `num_hidden_layers` is 9e+300; expected a whole number",
        ),
        ("hidden_size", Value::Null, "MODEL/config.json: `hidden_size` is missing"),
        ("head_dim", json!(7), "MODEL/config.json: `head_dim` is 7; rotary embeddings need an even size"),
        (
            "hidden_size",
            json!(64),
            "MODEL/model.safetensors: tensor `model.embed_tokens.weight` has shape [300, 32], but config.json expects [300, 64]",
        ),
        (
            "num_hidden_layers",
            json!(3),
            "MODEL: tensor `model.layers.2.input_layernorm.weight` is missing; config.json expects it with shape [32]",
        ),
    ];
    for (key, value, expected) in cases {
        let folder = copy("llama-tied");
        set(folder.path(), key, value);
        assert_eq!(message(StoredModel::open(folder.path()), folder.path()), expected);
    }
}

/// The tensors of a folder's only file, changed.
fn rewrite(folder: &Path, change: impl FnOnce(&mut Vec<(String, Tensor)>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = Tensor::read_safetensors(&path).unwrap();
    change(&mut tensors);
    Tensor::write_safetensors(&tensors, &path).unwrap();
}

fn named(name: &str, tensors: &[(String, Tensor)]) -> Tensor {
    tensors.iter().find(|(found, _)| found == name).unwrap().1.shallow_clone()
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const OUTPUT: &str = "lm_head.weight";

#[test]
fn an_output_matrix_beside_a_tied_embedding_counts_if_it_is_another_one() {
    let folder = copy("llama-tied");
    let open = || StoredModel::open(folder.path()).unwrap();
    // The same numbers, even in another type, are the embedding.
    rewrite(folder.path(), |tensors| tensors.push((OUTPUT.into(), named(EMBEDDING, tensors))));
    assert!(open().config().tied_embeddings);
    rewrite(folder.path(), |tensors| {
        for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name == EMBEDDING || name == OUTPUT) {
            *tensor = tensor.to_kind(Kind::BFloat16).to_kind(if name == OUTPUT { Kind::Float } else { Kind::BFloat16 });
        }
    });
    assert!(open().config().tied_embeddings);
    rewrite(folder.path(), |tensors| {
        for (_, tensor) in tensors.iter_mut().filter(|(name, _)| name == OUTPUT) {
            *tensor = tensor.f_mul_scalar(0.5).unwrap();
        }
    });
    let mut model = open();
    assert!(!model.config().tied_embeddings);
    let mut weights = model.weights(ModelPrecision::F32).unwrap();
    let (embedding, output) = (weights.take(EMBEDDING).unwrap(), weights.take(OUTPUT).unwrap());
    assert!(output.allclose(&(embedding * 0.5), 0.0, 1e-6, false));

    // An exported folder says what it is, to every reader.
    let out = tempfile::tempdir().unwrap();
    let exported = out.path().join("exported");
    let export = Export {
        model: &mut model,
        edits: None,
        head: None,
        tokenizer_folder: None,
        trained: None,
        precision: ModelPrecision::F32,
        tokenizer_files: &[],
        chat_template: None,
        shard_bytes_max: u64::MAX,
    };
    export_model(export, &exported).unwrap();
    let config: Value = serde_json::from_slice(&fs::read(exported.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["tie_word_embeddings"], json!(false));
    let mut weights = StoredModel::open(&exported).unwrap().weights(ModelPrecision::F32).unwrap();
    assert!(weights.take(OUTPUT).unwrap().equal(&output));
}

#[test]
fn an_output_matrix_alone_is_the_embedding_of_a_tied_model() {
    let folder = copy("llama-tied");
    let expected = StoredModel::open(folder.path()).unwrap().weights(ModelPrecision::F32).unwrap().take(EMBEDDING);
    rewrite(folder.path(), |tensors| {
        for (name, _) in tensors.iter_mut().filter(|(name, _)| name == EMBEDDING) {
            OUTPUT.clone_into(name);
        }
    });
    let mut model = StoredModel::open(folder.path()).unwrap();
    assert!(model.config().tied_embeddings);
    let found = model.weights(ModelPrecision::F32).unwrap().take(EMBEDDING).unwrap();
    assert!(found.equal(&expected.unwrap()));
}

#[test]
fn a_tensor_that_nobody_asked_for_is_an_error_by_name() {
    let surplus = |name: &str| {
        let folder = copy("llama-tied");
        rewrite(folder.path(), |tensors| tensors.push((name.into(), Tensor::ones([8], (Kind::Float, Device::Cpu)))));
        StoredModel::open(folder.path())
            .map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "MODEL"))
    };
    for name in ["model.layers.0.self_attn.q_proj.bias", "model.layers.2.input_layernorm.weight", "score.weight"] {
        let said = surplus(name).unwrap_err();
        let expected = format!(
            "MODEL/model.safetensors: tensor `{name}` is in the file, but a llama model with this config.json has no such \
             tensor, and it would be ignored; take config.json and weights of one and the same model, or remove the tensor"
        );
        assert_eq!(said, expected);
    }
    // What older transformers saved and everybody computes.
    surplus("model.layers.0.self_attn.rotary_emb.inv_freq").unwrap();
}

#[test]
fn a_whole_file_goes_before_an_index() {
    let folder = copy("llama-tied");
    let expected =
        StoredModel::open(folder.path()).unwrap().weights(ModelPrecision::F32).unwrap().take(EMBEDDING).unwrap();
    let index = folder.path().join("model.safetensors.index.json");
    let map = json!({"weight_map": {EMBEDDING: "old-00001-of-00002.safetensors"}});
    fs::write(&index, map.to_string()).unwrap();
    // The shards are gone, or still there with other weights.
    StoredModel::open(folder.path()).unwrap();
    let old = [(EMBEDDING, expected.f_mul_scalar(2.0).unwrap())];
    Tensor::write_safetensors(&old, folder.path().join("old-00001-of-00002.safetensors")).unwrap();
    let found =
        StoredModel::open(folder.path()).unwrap().weights(ModelPrecision::F32).unwrap().take(EMBEDDING).unwrap();
    assert!(found.equal(&expected));
}

#[test]
fn what_an_index_lists_beyond_need_does_no_harm() {
    let folder = copy("llama-scaled");
    let index = folder.path().join("model.safetensors.index.json");
    let read = || -> Value { serde_json::from_slice(&fs::read(&index).unwrap()).unwrap() };
    let mut listed = read();
    let some_file = listed["weight_map"][EMBEDDING].clone();
    listed["weight_map"]["model.layers.0.self_attn.rotary_emb.inv_freq"] = some_file;
    listed["weight_map"]["vision.weight"] = json!("gone-00009-of-00009.safetensors");
    // Left out of the index, but in a file that it names.
    listed["weight_map"].as_object_mut().unwrap().remove("model.norm.weight").unwrap();
    fs::write(&index, listed.to_string()).unwrap();
    StoredModel::open(folder.path()).unwrap().weights(ModelPrecision::F32).unwrap();

    // A file that is gone and was needed is missed by what it held.
    let gone = read()["weight_map"][EMBEDDING].as_str().unwrap().to_owned();
    fs::remove_file(folder.path().join(gone)).unwrap();
    let said = message(StoredModel::open(folder.path()), folder.path());
    assert!(said.contains("is missing; config.json expects it"), "{said}");
    assert!(
        said.ends_with("it is in none of the files that model.safetensors.index.json names and that are there"),
        "{said}"
    );
}

#[test]
fn a_theta_that_an_added_scaling_takes_away_is_said() {
    let folder = copy("llama-tied");
    let notes = || StoredModel::open(folder.path()).unwrap().notes().unwrap();
    set(folder.path(), "rope_parameters", json!({"rope_type": "default", "rope_theta": 500.0}));
    assert!(notes().is_empty());
    set(folder.path(), "rope_scaling", json!({"rope_type": "yarn", "factor": 4.0}));
    let said = notes().concat().replace(folder.path().to_str().unwrap(), "MODEL");
    assert_eq!(
        said,
        "MODEL/config.json: `rope_scaling` takes the place of all of `rope_parameters`, as in transformers 5, so that theta \
         is 10000 and not 500; write `rope_theta` into `rope_scaling` to keep it"
    );
    set(folder.path(), "rope_scaling", json!({"rope_type": "yarn", "factor": 4.0, "rope_theta": 500.0}));
    assert!(notes().is_empty());
}

#[test]
fn a_folder_without_weights_says_what_was_looked_for() {
    let folder = copy("llama-tied");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), b"").unwrap();
    let said = message(StoredModel::open(folder.path()), folder.path());
    assert!(said.starts_with("MODEL: there are no weights in this folder; pytorch_model.bin is not read"), "{said}");
    let nothing = tempfile::tempdir().unwrap();
    let said = message(StoredModel::open(nothing.path()), nothing.path());
    assert!(said.starts_with("MODEL/config.json: there is no such file"), "{said}");
}

#[test]
fn an_index_may_not_lead_out_of_the_folder() {
    let folder = copy("llama-scaled");
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(index, r#"{"weight_map": {"model.norm.weight": "../secret.safetensors"}}"#).unwrap();
    let said = message(StoredModel::open(folder.path()), folder.path());
    assert!(said.contains("expected the name of a file in the same folder"), "{said}");
}

#[test]
fn a_safetensors_file_cut_anywhere_is_an_error_that_names_it() {
    let folder = copy("llama-tied");
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in (0..64).chain((64..whole.len()).step_by(997)) {
        fs::write(&path, &whole[..length]).unwrap();
        let said = message(StoredModel::open(folder.path()), folder.path());
        assert!(said.starts_with("MODEL/model.safetensors: "), "{length}: {said}");
    }
}

#[test]
fn a_safetensors_file_that_lies_is_an_error_that_names_the_tensor() {
    let headers = [
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9999999]}}"#,
            "tensor `a` claims bytes 0 to 9999999 of 8",
        ),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, "tensor `a` claims bytes 8 to 0 of 8"),
        (r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, "tensor `a` has 8 bytes, which is not F32 × [3]"),
        (
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}"#,
            "tensor `a` has 8 bytes, which is not F32",
        ),
        (
            r#"{"a":{"dtype":"I8","shape":[18446744073709551615],"data_offsets":[0,8]}}"#,
            "tensor `a` has 8 bytes, which is not I8",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
            "tensor `a` is in the header twice",
        ),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#, "this is not the JSON of a safetensors header"),
        ("[]", "this is not the JSON of a safetensors header"),
    ];
    let folder = copy("llama-tied");
    let path = folder.path().join("model.safetensors");
    for (header, expected) in headers {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&[0; 8]);
        fs::write(&path, &bytes).unwrap();
        let said = message(StoredModel::open(folder.path()), folder.path());
        assert!(said.starts_with(&format!("MODEL/model.safetensors: {expected}")), "{said}");
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        let said = message(StoredModel::open(folder.path()), folder.path());
        assert!(said.starts_with("MODEL/model.safetensors: the header claims 18446744073709551615 bytes"), "{said}");
    }
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let folder = copy("llama-tied");
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header: usize = u64::from_le_bytes(bytes[..8].try_into().unwrap()).try_into().unwrap();
    let described: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let norm = &described["model.norm.weight"];
    let start = 8 + header + norm["data_offsets"][0].as_u64().unwrap() as usize;
    let (width, values): (usize, [&[u8]; 2]) = match norm["dtype"].as_str().unwrap() {
        "F32" => (4, [&[0, 0, 0xc0, 0x7f], &[0, 0, 0x80, 0xff]]),
        "BF16" => (2, [&[0xc0, 0x7f], &[0x80, 0xff]]),
        other => (2, if other == "F16" { [&[0, 0x7e], &[0, 0xfc]] } else { panic!("{other}") }),
    };
    for value in values {
        bytes[start + 3 * width..start + 4 * width].copy_from_slice(value);
        fs::write(&path, &bytes).unwrap();
        let weights = StoredModel::open(folder.path()).unwrap().weights(ModelPrecision::F32);
        let said = message(weights, folder.path());
        let expected =
            "MODEL/model.safetensors: tensor `model.norm.weight` holds a value that is not finite (element 3, counted";
        assert!(said.starts_with(expected), "{said}");
    }
}

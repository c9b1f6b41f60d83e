//! Special tokens and what stands around a text, against what transformers 5.24 and llama.cpp make of the same files
//! (fixtures/tokens/make.py, fixtures/tokens/make_gguf.py).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use slhf_model::{ModelConfig, ModelError, Thinking, Tokens};
use slhf_plan::Message;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Fixture {
    template: String,
    bases: BTreeMap<String, Map<String, Value>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    family: String,
    what: String,
    base: String,
    /// Keys of `tokenizer.json` that are others than in the base.
    patch: Map<String, Value>,
    files: BTreeMap<String, Value>,
    named: BTreeMap<String, String>,
    eos: Option<u32>,
    raw: Vec<Text>,
    plain: Vec<Text>,
    chat: Vec<u32>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
    decoded: Option<String>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokens/folders.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder of these files, with `rows` embeddings.
fn folder(family: &str, tokenizer: &Map<String, Value>, files: &BTreeMap<String, Value>, rows: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
    let config = json!({"model_type": family, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": rows,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 4});
    write("config.json", &config);
    write("tokenizer.json", &Value::Object(tokenizer.clone()));
    files.iter().for_each(|(name, value)| write(name, value));
    folder
}

fn read(folder: &Path) -> Result<Tokens, ModelError> {
    Tokens::from_folder(folder, &ModelConfig::from_folder(folder)?, Thinking::Off)
}

fn named(tokens: &Tokens) -> BTreeMap<String, String> {
    tokens.texts().iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn user(content: &str) -> [Message; 1] {
    [Message { role: "user".to_owned(), content: content.to_owned() }]
}

#[test]
fn a_folder_has_the_special_tokens_that_transformers_finds_in_it() {
    let fixture = fixture();
    assert!(fixture.cases.len() > 70);
    for case in fixture.cases {
        let mut tokenizer = fixture.bases[&case.base].clone();
        tokenizer.extend(case.patch);
        let folder = folder(&case.family, &tokenizer, &case.files, 1000);
        let tokens = read(folder.path()).unwrap().with_template(&fixture.template, Thinking::Off).unwrap();
        let what = format!("{}: {}", case.family, case.what);
        assert_eq!(named(&tokens), case.named, "{what}");
        assert_eq!(tokens.end_tokens(), case.eos.as_slice(), "{what}");
        for Text { text, tokens: ids, .. } in case.raw {
            assert_eq!(tokens.encode_raw(&text).unwrap(), ids, "{what}, {text:?} with what stands around it");
        }
        for Text { text, tokens: ids, decoded } in case.plain {
            assert_eq!(tokens.encode(&text).unwrap(), ids, "{what}, {text:?}");
            assert_eq!(Some(tokens.decode(&ids).unwrap()), decoded, "{what}, {text:?}");
        }
        assert_eq!(tokens.prompt(&user("hello")).unwrap(), case.chat, "{what}");
    }
}

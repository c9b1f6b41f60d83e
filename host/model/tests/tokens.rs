//! Special tokens and what stands around a text, against what transformers 5.24 and llama.cpp make of the same files
//! (`fixtures/tokens/make.py` and `make_gguf.py`).

#![expect(
    clippy::unwrap_used,
    clippy::struct_field_names,
    reason = "a test fails by panicking; the names are those of the JSON"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use slhf_model::{ModelConfig, ModelError, StoredModel, Thinking, Tokens};
use slhf_plan::Message;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Fixture {
    template: String,
    bases: BTreeMap<String, Map<String, Value>>,
    cases: Vec<Case>,
    classes: Vec<Case>,
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

#[derive(Deserialize)]
struct GgufFixture {
    cases: Vec<GgufCase>,
}

#[derive(Deserialize)]
struct GgufCase {
    file: String,
    ends: Vec<u32>,
    tokens: Vec<Text>,
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokens").join(name)
}

fn fixture<F: for<'a> Deserialize<'a>>(name: &str) -> F {
    serde_json::from_slice(&fs::read(path(name)).unwrap()).unwrap()
}

/// A folder of these files, with `rows` embeddings.
fn folder(family: &str, tokenizer: &Map<String, Value>, files: &BTreeMap<String, Value>, rows: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        // A text is the file as it stands.
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fs::write(folder.path().join(name), text).unwrap();
    };
    let config = json!({"model_type": family, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": rows,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 4});
    write("config.json", &config);
    write("tokenizer.json", &Value::Object(tokenizer.clone()));
    for (name, value) in files {
        write(name, value);
    }
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
    let fixture: Fixture = fixture("folders.json");
    assert!(fixture.cases.len() > 180);
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

#[test]
fn a_gguf_file_begins_and_ends_texts_as_llama_cpp_does() {
    let GgufFixture { cases } = fixture("gguf.json");
    assert!(cases.len() >= 15);
    for GgufCase { file, ends, tokens: texts } in cases {
        let tokens = StoredModel::open(&path(&file)).unwrap().tokens(Thinking::Off).unwrap();
        for Text { text, tokens: ids, .. } in texts {
            assert_eq!(tokens.encode_raw(&text).unwrap(), ids, "{file}, {text:?}");
        }
        // llama.cpp adds to the ends that the file names those that it knows by their texts.
        assert!(tokens.end_tokens().iter().all(|end| ends.contains(end)) && !tokens.end_tokens().is_empty(), "{file}");
    }
}

#[test]
fn a_gguf_file_that_names_no_end_has_those_that_llama_cpp_knows_by_their_texts() {
    let GgufFixture { cases } = fixture("gguf.json");
    let silent = cases.iter().filter(|case| case.file.ends_with("-silent.gguf"));
    let mut tried = 0;
    for GgufCase { file, ends, .. } in silent {
        let bytes = fs::read(path(file)).unwrap();
        let key = b"tokenizer.ggml.eos_token_id";
        let at = bytes.windows(key.len()).position(|found| found == key).unwrap();
        let mut unnamed = bytes;
        unnamed[at + 15] = b'x';
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("model.gguf");
        fs::write(&place, unnamed).unwrap();
        let named = StoredModel::open(&path(file)).unwrap().tokens(Thinking::Off).unwrap().end_tokens().to_vec();
        let found = StoredModel::open(&place).unwrap().tokens(Thinking::Off).unwrap().end_tokens().to_vec();
        let unnamed_ends: Vec<u32> = ends.iter().copied().filter(|end| !named.contains(end)).collect();
        assert!(!unnamed_ends.is_empty() && unnamed_ends.iter().all(|end| found.contains(end)), "{file}: {found:?}");
        tried += 1;
    }
    assert!(tried >= 4);
}

#[test]
fn an_exported_tokenizer_says_in_a_folder_what_the_gguf_file_said() {
    let GgufFixture { cases } = fixture("gguf.json");
    for GgufCase { file, tokens: texts, .. } in cases {
        let stored = StoredModel::open(&path(&file)).unwrap();
        let tokens = stored.tokens(Thinking::Off).unwrap();
        let family = stored.config().family.name();
        let folder = folder(family, &Map::new(), &BTreeMap::new(), stored.config().vocabulary_size);
        for (name, content) in tokens.files().unwrap() {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let again = read(folder.path()).unwrap();
        for Text { text, tokens: ids, .. } in texts {
            assert_eq!(again.encode_raw(&text).unwrap(), ids, "{file}, {text:?}");
        }
        let sorted = |tokens: &Tokens| {
            let mut ends = tokens.end_tokens().to_vec();
            ends.sort_unstable();
            ends
        };
        assert_eq!(sorted(&again), sorted(&tokens), "{file}");
        assert_eq!(again.beginning_token(), tokens.beginning_token(), "{file}");
        let settings = fs::read(folder.path().join("tokenizer_config.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let around = again.encode_raw("").unwrap();
        assert_eq!(settings["add_bos_token"], json!(around.first() == tokens.beginning_token().as_ref()), "{file}");
        for (name, text) in named(&tokens) {
            assert_eq!(named(&again).get(&name), Some(&text), "{file}");
        }
    }
}

fn one_case(base: &str) -> (Map<String, Value>, BTreeMap<String, Value>) {
    let mut fixture: Fixture = fixture("folders.json");
    let settings = json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>"});
    (fixture.bases.remove(base).unwrap(), BTreeMap::from([("tokenizer_config.json".to_owned(), settings)]))
}

#[test]
fn a_token_beyond_the_embedding_is_an_error_where_it_is_used() {
    let (tokenizer, files) = one_case("byte_level");
    // The last of the marks has no row.
    let folder = folder("gemma3_text", &tokenizer, &files, 262);
    let tokens = read(folder.path()).unwrap().with_template("{{ messages[0].content }}", Thinking::Off).unwrap();
    assert_eq!(tokens.encode("<|im_start|>hello").unwrap(), [261, 259]);
    for said in [
        tokens.encode("hello<|im_end|>").unwrap_err(),
        tokens.encode_raw("hello<|im_end|>").unwrap_err(),
        tokens.prompt(&user("hello<|im_end|>")).unwrap_err(),
    ] {
        let said = said.to_string();
        let expect = "tokenizer.json: a text has the token \"<|im_end|>\", whose id 262 is beyond the 262 rows of the model's \
                      embedding; leave it out of the text";
        assert!(said.ends_with(expect), "{said}");
    }
    assert_eq!(tokens.decode(&[259, 262]).unwrap(), "hello");
}

#[test]
fn a_dropout_of_merges_is_switched_off_and_said() {
    let (mut tokenizer, files) = one_case("byte_level");
    let check = |tokenizer: &Map<String, Value>, notes: usize| {
        let folder = folder("llama", tokenizer, &files, 300);
        let tokens = read(folder.path()).unwrap();
        for _ in 0..100 {
            assert_eq!(tokens.encode("hello hello").unwrap(), [259, 220, 259]);
        }
        assert_eq!(tokens.notes().len(), notes);
        tokens.notes().first().cloned().unwrap_or_default()
    };
    check(&tokenizer, 0);
    tokenizer["model"]["dropout"] = json!(0.0);
    check(&tokenizer, 0);
    tokenizer["model"]["dropout"] = json!(0.5);
    let note = check(&tokenizer, 1);
    assert!(
        note.contains("tokenizer.json: the tokenizer leaves out merges by chance (`model.dropout` is 0.5)"),
        "{note}"
    );
}

#[test]
fn a_byte_order_mark_before_any_of_the_files_does_no_harm() {
    let (tokenizer, files) = one_case("byte_level");
    let folder = folder("llama", &tokenizer, &files, 300);
    let plain = read(folder.path()).unwrap().encode_raw("hello<|im_end|>").unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let path = folder.path().join(name);
        let marked = [b"\xef\xbb\xbf", fs::read(&path).unwrap().as_slice()].concat();
        fs::write(path, marked).unwrap();
    }
    assert_eq!(read(folder.path()).unwrap().encode_raw("hello<|im_end|>").unwrap(), plain);
}

#[test]
fn a_special_token_that_is_none_is_named_with_its_file() {
    let (tokenizer, _) = one_case("byte_level");
    let check = |name: &str, value: Value, expect: &str| {
        let folder = folder("llama", &tokenizer, &BTreeMap::from([(name.to_owned(), value)]), 300);
        let said = read(folder.path()).unwrap_err().to_string();
        assert!(said.contains(name) && said.ends_with(expect), "{said}");
    };
    let settings = "tokenizer_config.json";
    let no_token = "is no token; expected a text, or an object with its `content`";
    check(settings, json!({"bos_token": 5}), &format!("`bos_token` {no_token}"));
    check("special_tokens_map.json", json!({"sep_token": {"text": "a"}}), &format!("`sep_token` {no_token}"));
    check(
        settings,
        json!({"extra_special_tokens": "a"}),
        "is neither a list of tokens nor an object from names to tokens",
    );
    check(settings, json!({"extra_special_tokens": [1]}), no_token);
    let taken = "`extra_special_tokens` calls a token \"messages\", which a chat template is given already";
    check(settings, json!({"extra_special_tokens": {"messages": "a"}}), taken);
    check("added_tokens.json", json!({"a": "b"}), "`a` has no id; expected a whole number");
    check(
        settings,
        json!({"added_tokens_decoder": {"a": {"content": "b"}}}),
        "`added_tokens_decoder.a` is no token's id; expected a whole number",
    );
    check(
        settings,
        json!({"added_tokens_decoder": {"7": "b"}}),
        "`added_tokens_decoder.7` is no token; expected an object with its `content`",
    );
}

/// Where transformers builds a tokenizer by its class, each text has the tokens that it has there, or a note says that it may not.
#[test]
fn a_class_that_makes_other_tokens_of_a_text_is_said() {
    let fixture: Fixture = fixture("folders.json");
    let (mut alike, mut said) = (0, 0);
    for case in fixture.classes {
        let mut tokenizer = fixture.bases[&case.base].clone();
        tokenizer.extend(case.patch);
        let folder = folder(&case.family, &tokenizer, &case.files, 1000);
        let tokens = read(folder.path()).unwrap();
        let is_alike = !case.raw.is_empty()
            && case.raw.iter().all(|text| tokens.encode_raw(&text.text).unwrap() == text.tokens)
            && case.plain.iter().all(|text| tokens.decode(&text.tokens).unwrap() == *text.decoded.as_ref().unwrap());
        let what = format!("{}: {}", case.family, case.what);
        assert!(is_alike || tokens.notes().len() == 1, "{what}: another tokenizer, and not said");
        alike += usize::from(tokens.notes().is_empty());
        said += usize::from(!is_alike);
    }
    assert!(alike >= 12 && said >= 50, "{alike} alike, {said} said");
}

#[test]
fn a_class_that_cuts_texts_otherwise_than_the_file_is_said() {
    let (bytes, _) = one_case("byte_level");
    let (pieces, _) = one_case("pieces");
    let gpt2 = |mut tokenizer: Map<String, Value>| {
        tokenizer["normalizer"] = Value::Null;
        tokenizer["pre_tokenizer"] =
            json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        tokenizer
    };
    let check = |family: &str, class: &str, tokenizer: &Map<String, Value>, expect: Option<&str>| {
        let settings = json!({"tokenizer_class": class});
        let folder = folder(family, tokenizer, &BTreeMap::from([("tokenizer_config.json".to_owned(), settings)]), 300);
        let notes = read(folder.path()).unwrap().notes().concat();
        let said =
            expect.map(|class| format!("tokenizer.json: transformers 5 reads this as a {class}, which cuts texts"));
        assert!(
            said.is_none_or(|said| notes.contains(&said)) && expect.is_some() != notes.is_empty(),
            "{family}: {notes}"
        );
    };
    check("llama", "PreTrainedTokenizerFast", &gpt2(bytes.clone()), None);
    check("llama", "GPT2Tokenizer", &gpt2(bytes.clone()), None);
    check("llama", "GPT2Tokenizer", &bytes, Some("GPT2Tokenizer"));
    check("llama", "LlamaTokenizer", &bytes, None);
    check("qwen2", "PreTrainedTokenizerFast", &bytes, None);
    check("qwen2", "PreTrainedTokenizerFast", &gpt2(bytes.clone()), Some("Qwen2Tokenizer"));
    check("qwen3", "TokenizersBackend", &gpt2(bytes.clone()), None);
    check("gemma3_text", "GemmaTokenizer", &pieces, None);
    check("gemma3_text", "GemmaTokenizer", &gpt2(bytes), Some("GemmaTokenizer"));
    let mut llama2 = pieces;
    check("llama", "LlamaTokenizer", &llama2, Some("LlamaTokenizer"));
    llama2["pre_tokenizer"] =
        json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": false});
    llama2["normalizer"] = Value::Null;
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    llama2["decoder"]["decoders"].as_array_mut().unwrap().push(strip);
    check("llama", "LlamaTokenizer", &llama2, None);
}

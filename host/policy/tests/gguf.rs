//! GGUF files: the same model as the folder they were made from, and no panic whatever the bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use slhf_plan::ModelPrecision;
use slhf_policy::{ModelConfig, PolicyError, ReadWeights as _, StoredModel, Thinking};
use tch::{Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_gguf_file_is_the_model_of_its_folder() {
    let cases = [
        ("llama-f32.gguf", "llama-tied", Kind::Float),
        ("qwen2-f16.gguf", "qwen2", Kind::Half),
        ("qwen3-bf16.gguf", "qwen3", Kind::BFloat16),
        ("gemma3-f32.gguf", "gemma3-pattern", Kind::Float),
    ];
    for (file, folder, stored) in cases {
        let mut file = StoredModel::open(&fixture(file)).unwrap();
        let mut folder = StoredModel::open(&fixture(folder)).unwrap();
        // The files name no padding token, which counts for reward models alone.
        let expected = ModelConfig { padding_token: None, ..folder.config().clone() };
        assert_eq!(*file.config(), expected);
        let names: Vec<String> = file.config().tensors().into_iter().map(|(name, _)| name).collect();
        let mut found = file.weights(ModelPrecision::F32).unwrap();
        let mut expected = folder.weights(ModelPrecision::F32).unwrap();
        for name in names {
            let (found, expected) = (found.take(&name).unwrap(), expected.take(&name).unwrap());
            // Matrices were stored in the narrower type, vectors in f32.
            let narrow =
                |tensor: &Tensor| if tensor.dim() > 1 { tensor.to_kind(stored) } else { tensor.shallow_clone() };
            let expected = narrow(&expected).to_kind(Kind::Float);
            // Gemma's norms are stored as 1 + weight: what remains after subtracting is rounded.
            let alike = if name.ends_with("norm.weight") {
                found.allclose(&expected, 0.0, 1e-6, false)
            } else {
                found.equal(&expected)
            };
            assert!(alike, "{name}");
        }
    }
}

#[test]
fn sentencepiece_tokens_are_those_of_the_reference_library() {
    let tokens = StoredModel::open(&fixture("gemma3-f32.gguf")).unwrap().tokens(Thinking::Off).unwrap();
    let truth = fs::read(fixture("gemma3-f32.tokens.json")).unwrap();
    let truth: Vec<serde_json::Value> = serde_json::from_slice(&truth).unwrap();
    assert!(truth.len() > 10);
    for case in truth {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["tokens"].clone()).unwrap();
        let found = tokens.encode(text).unwrap();
        assert_eq!(found, expected, "{text:?}");
        assert_eq!(tokens.decode(&found).unwrap(), case["decoded"].as_str().unwrap(), "{text:?}");
    }
}

/// What opening and loading these bytes says, if it is an error.
fn said(folder: &Path, bytes: &[u8]) -> Option<String> {
    let path = folder.join("tiny.gguf");
    fs::write(&path, bytes).unwrap();
    let attempt = StoredModel::open(&path).map_err(PolicyError::from).and_then(|mut model| {
        model.weights(ModelPrecision::F32)?;
        Ok(model.tokens(Thinking::Off)?)
    });
    attempt.err().map(|error| error.to_string().replace(folder.to_str().unwrap(), "DIR"))
}

#[test]
fn a_part_of_a_split_model_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_part) in
        [("tiny-00001-of-00003.gguf", true), ("tiny-00003-of-00003.gguf", true), ("a-1-of-3.gguf", false)]
    {
        let path = folder.path().join(name);
        fs::copy(fixture("llama-f32.gguf"), &path).unwrap();
        let said =
            StoredModel::open(&path).map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "DIR"));
        let expected = format!(
            "DIR/{name}: this is one of the 3 files of a model that was split, and only whole files are read; join them: \
             llama-gguf-split --merge FIRST-FILE WHOLE.gguf"
        );
        assert_eq!(said.err(), is_part.then_some(expected));
    }
}

#[test]
fn a_tensor_without_a_place_is_an_error_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("llama-f32.gguf")).unwrap();
    // A layer fewer: what it had is left over.
    let key = b"llama.block_count";
    let at = whole.windows(key.len()).position(|found| found == key).unwrap() + key.len() + 4;
    let mut fewer = whole;
    fewer[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    let said = said(folder.path(), &fewer).unwrap();
    assert!(said.starts_with("DIR/tiny.gguf: tensor `blk.1."), "{said}");
    assert!(said.contains("is in the file, but a llama model with this metadata has no such tensor"), "{said}");
}

/// A file with further metadata, and an entry that keeps the weights where they are aligned.
fn with_entry(file: &[u8], key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut more = [text(key), kind.to_le_bytes().to_vec(), value.to_vec()].concat();
    let bare = text("test.filler").len() + 4 + 8;
    let missing = (more.len() + bare).next_multiple_of(32) - more.len() - bare;
    more.extend([text("test.filler"), 8_u32.to_le_bytes().to_vec(), text(&".".repeat(missing))].concat());
    let entries = u64::from_le_bytes(file[16..24].try_into().unwrap()) + 2;
    [&file[..16], &entries.to_le_bytes(), &more, &file[24..]].concat()
}

#[test]
fn metadata_that_would_change_numbers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (number, flag) = (6, 7);
    for (file, key, kind, value, expected) in [
        (
            "gemma3-f32.gguf",
            "gemma3.final_logit_softcapping",
            number,
            30_f32.to_le_bytes().to_vec(),
            "is set; capped logits",
        ),
        (
            "gemma3-f32.gguf",
            "gemma3.attn_logit_softcapping",
            number,
            50_f32.to_le_bytes().to_vec(),
            "is set; capped logits",
        ),
        ("llama-f32.gguf", "llama.attention.causal", flag, vec![0], "is false; only causal attention is supported"),
    ] {
        let bytes = with_entry(&fs::read(fixture(file)).unwrap(), key, kind, &value);
        let said = said(folder.path(), &bytes).unwrap();
        assert!(said.starts_with(&format!("DIR/tiny.gguf: `{key}` {expected}")), "{said}");
    }
    let causal = with_entry(&fs::read(fixture("llama-f32.gguf")).unwrap(), "llama.attention.causal", flag, &[1]);
    assert_eq!(said(folder.path(), &causal), None);
}

#[test]
fn a_file_cut_anywhere_is_an_error_that_names_it() {
    let whole = fs::read(fixture("llama-f32.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for length in (0..200).chain((200..whole.len()).step_by(499)) {
        let said = said(folder.path(), &whole[..length]).expect("a part of a model is no model");
        assert!(said.starts_with("DIR/tiny.gguf: "), "{length}: {said}");
    }
}

#[test]
fn no_eight_bytes_of_the_header_can_do_harm() {
    let whole = fs::read(fixture("llama-f32.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The header is the first ten kilobytes; weights follow, and any bytes are weights.
    for place in (4..64).chain((64..12_000).step_by(499)) {
        for value in [u64::MAX, 1 << 40] {
            let mut bytes = whole.clone();
            bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
            if let Some(said) = said(folder.path(), &bytes) {
                assert!(said.starts_with("DIR/tiny.gguf: "), "{place}: {said}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let whole = fs::read(fixture("llama-f32.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spoiled = |from: &[u8], to: &[u8]| {
        let place = whole.windows(from.len()).position(|window| window == from).unwrap();
        let mut bytes = whole.clone();
        bytes[place..place + to.len()].copy_from_slice(to);
        said(folder.path(), &bytes).expect("the file is spoiled")
    };
    assert_eq!(
        spoiled(b"GGUF", b"GGML"),
        "DIR/tiny.gguf: a GGUF file starts with \"GGUF\", but this one with \"GGML\""
    );
    assert!(spoiled(&[b'G', b'G', b'U', b'F', 3], b"GGUF\x01").contains("the GGUF version is 1; known are 2 and 3"));
    let said = spoiled(b"llama\x11", b"llamb\x11");
    assert!(said.contains("`general.architecture` is \"llamb\"; known are llama, qwen2, qwen3 and gemma3"), "{said}");
    let said = spoiled(b"smollm", b"smollx");
    assert!(said.contains("`tokenizer.ggml.pre` is \"smollx\"; known are"), "{said}");
    let said = spoiled(b"blk.0.attn_q.weight", b"blk.0.attn_k.weight");
    assert!(said.contains("tensor `blk.0.attn_k.weight` is in the file twice"), "{said}");
    let said = spoiled(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight");
    assert!(said.contains("tensor `model.layers.1.self_attn.q_proj.weight` is missing"), "{said}");
    // Name, two dimensions, type, offset: type 0 (F32) becomes 99, or the rows become 31.
    let name = b"blk.0.attn_q.weight";
    let at = whole.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    let entry = &whole[at - name.len()..at + 24];
    let said = spoiled(entry, &[&entry[..name.len() + 20], &[99, 0, 0, 0]].concat());
    assert!(said.contains("tensor `blk.0.attn_q.weight` is stored as GGML type 99; known are F32"), "{said}");
    let said = spoiled(entry, &[&entry[..name.len() + 12], &[31]].concat());
    assert!(
        said.contains("tensor `blk.0.attn_q.weight` has shape [31, 32], but the metadata expects [32, 32]"),
        "{said}"
    );
}

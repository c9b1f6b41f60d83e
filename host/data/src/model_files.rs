//! Which files a model consists of, and their hash: what a record keeps of the model a run started from.

use std::path::{Path, PathBuf};

use slhf_files::{Digest, FolderDigest};

/// The files of a folder that change what a model computes, besides its weights.
const SETTINGS: [&str; 5] =
    ["chat_template.jinja", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
const WHOLE: &str = "model.safetensors";
/// An adapter in PEFT's format.
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
/// Files that are read where [`TOKENIZER_SETTINGS`] have no `added_tokens_decoder`, and only there: folders of today carry
/// them along unread.
const LEGACY: [&str; 2] = ["added_tokens.json", "special_tokens_map.json"];
const TOKENIZER_SETTINGS: &str = "tokenizer_config.json";
/// A tokenizer's settings are a few hundred kilobytes at most.
const SETTINGS_BYTES_MAX: u64 = 64 << 20;
const INDEX: &str = "model.safetensors.index.json";
/// An index is a few hundred kilobytes at most.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// A model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// SHA-256, in hexadecimal: of a GGUF file's bytes; of a folder, over the lines `file-name␀sha256␊` of its files.
    pub sha256: String,
    /// Names and sizes in bytes, sorted by name.
    pub files: Vec<(String, u64)>,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// A model's files cannot be hashed.
#[derive(Debug, thiserror::Error)]
pub enum ModelFilesError {
    /// The operating system refused a file.
    #[error("{}: cannot read this file of the model", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The path is no model.
    #[error("{}: {problem}", path.display())]
    NoModel {
        /// The folder or file.
        path: PathBuf,
        /// What was expected.
        problem: String,
    },
}

/// Hashes a Hugging Face folder or a GGUF file: every file that loading the model reads, and no other.
pub fn model_sha256(path: &Path) -> Result<ModelFiles, ModelFilesError> {
    let no_model = |problem: &str| ModelFilesError::NoModel { path: path.to_owned(), problem: problem.to_owned() };
    if !path.exists() {
        return Err(no_model("there is no such file or folder; expected a Hugging Face folder or a .gguf file"));
    }
    if !path.is_dir() {
        let Digest { sha256, size_bytes: bytes } = digest(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(ModelFiles { sha256, files: vec![(name, bytes)], bytes });
    }
    let mut names: Vec<String> =
        SETTINGS.iter().filter(|name| path.join(name).exists()).map(|name| (*name).to_owned()).collect();
    if !names.iter().any(|name| name == "config.json") {
        return Err(no_model("there is no config.json in this folder; expected the folder of a Hugging Face model"));
    }
    names.extend(legacy_files(path)?);
    names.extend(weight_files(path)?);
    names.sort();
    let mut whole = FolderDigest::default();
    let mut files = Vec::new();
    for name in names {
        let file = digest(&path.join(&name))?;
        whole.add(&name, &file);
        files.push((name, file.size_bytes));
    }
    let Digest { sha256, size_bytes: bytes } = whole.finish();
    Ok(ModelFiles { sha256, files, bytes })
}

/// Likewise of an adapter's folder in PEFT's format, with the tokenizer that it may bring.
pub fn adapter_sha256(folder: &Path) -> Result<String, ModelFilesError> {
    let there = |name: &&str| folder.join(name).exists();
    let settings = SETTINGS.into_iter().filter(|name| *name != "config.json").filter(there);
    let mut names: Vec<&str> = ADAPTER.into_iter().chain(settings).collect();
    names.sort_unstable();
    let mut whole = FolderDigest::default();
    for name in names {
        whole.add(name, &digest(&folder.join(name))?);
    }
    Ok(whole.finish().sha256)
}

/// Files of older tokenizers that count in this folder.
fn legacy_files(folder: &Path) -> Result<Vec<String>, ModelFilesError> {
    let there: Vec<String> =
        LEGACY.iter().filter(|name| folder.join(name).exists()).map(|name| (*name).to_owned()).collect();
    let settings = folder.join(TOKENIZER_SETTINGS);
    if there.is_empty() || !settings.exists() {
        return Ok(there);
    }
    let failed = |source| ModelFilesError::Read { path: settings.clone(), source };
    let bytes = slhf_files::read(&settings, SETTINGS_BYTES_MAX).map_err(failed)?;
    // What is no JSON is refused where the tokenizer is read.
    let parsed = slhf_json::read(&bytes).unwrap_or_default();
    let is_read = parsed.get("added_tokens_decoder").is_none_or(serde_json::Value::is_null);
    Ok(if is_read { there } else { Vec::new() })
}

/// What loading reads: the whole file where there is one, else the index and those of the files it names that are there.
fn weight_files(folder: &Path) -> Result<Vec<String>, ModelFilesError> {
    let index = folder.join(INDEX);
    if folder.join(WHOLE).exists() || !index.exists() {
        return Ok(vec![WHOLE.to_owned()]);
    }
    let wrong = |problem: &str| ModelFilesError::NoModel { path: index.clone(), problem: problem.to_owned() };
    let failed = |source| ModelFilesError::Read { path: index.clone(), source };
    let bytes = slhf_files::read(&index, INDEX_BYTES_MAX).map_err(failed)?;
    let parsed: serde_json::Value =
        slhf_json::read(&bytes).map_err(|_| wrong("this is not the JSON of an index of safetensors files"))?;
    let map = parsed.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| wrong("`weight_map` is missing; expected an object from tensors to files"))?;
    let mut names = vec![INDEX.to_owned()];
    for file in map.values() {
        // A name with a path in it could lead anywhere.
        let plain = file.as_str().filter(|name| !name.is_empty() && *name != ".." && !name.contains(['/', '\\']));
        let name = plain.ok_or_else(|| wrong("`weight_map` names a file that is not in the same folder"))?;
        if folder.join(name).exists() {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn digest(path: &Path) -> Result<Digest, ModelFilesError> {
    slhf_files::digest_file(path).map_err(|source| ModelFilesError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("slhf-model-files-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_hashed_over_the_files_that_are_read_and_no_other() {
        let base = [("config.json", "{}"), ("model.safetensors", "w"), ("tokenizer.json", "{}")];
        let plain = folder(&base);
        let found = model_sha256(&plain).unwrap();
        assert_eq!(
            found.files,
            [("config.json".into(), 2), ("model.safetensors".into(), 1), ("tokenizer.json".into(), 2)]
        );
        assert_eq!(found.bytes, 5);
        let sha = |text: &str| slhf_files::sha256_hex(text);
        let lines = format!("config.json\0{0}\nmodel.safetensors\0{1}\ntokenizer.json\0{0}\n", sha("{}"), sha("w"));
        assert_eq!(found.sha256, sha(&lines));
        fs::write(plain.join("README.md"), "hello").unwrap();
        assert_eq!(model_sha256(&plain).unwrap(), found);
        fs::write(plain.join("chat_template.jinja"), "hello").unwrap();
        assert_ne!(model_sha256(&plain).unwrap().sha256, found.sha256);
        fs::remove_dir_all(plain).unwrap();
    }

    #[test]
    fn older_files_of_tokenizers_count_where_they_are_read() {
        let map = ("special_tokens_map.json", r#"{"bos_token": "a"}"#);
        let added = ("added_tokens.json", r#"{"a": 7}"#);
        let check = |settings: Option<&str>, expect: &[&str]| {
            let settings = settings.map(|text| ("tokenizer_config.json", text));
            let base = [("config.json", "{}"), ("model.safetensors", "w")];
            let without = folder(&base.into_iter().chain(settings).collect::<Vec<_>>());
            let with = folder(&base.into_iter().chain(settings).chain([map, added]).collect::<Vec<_>>());
            let (without, with) = (model_sha256(&without).unwrap(), model_sha256(&with).unwrap());
            let names: Vec<&str> = with.files.iter().map(|(name, _)| name.as_str()).collect();
            let more: Vec<&str> =
                names.into_iter().filter(|name| !without.files.iter().any(|f| f.0 == *name)).collect();
            assert_eq!(more, expect, "{settings:?}");
            assert_eq!(with.sha256 == without.sha256, expect.is_empty());
        };
        check(None, &LEGACY);
        check(Some("{}"), &LEGACY);
        check(Some(r#"{"added_tokens_decoder": null}"#), &LEGACY);
        check(Some(r#"{"added_tokens_decoder": {}}"#), &[]);
    }

    #[test]
    fn shards_are_found_through_the_index_and_may_not_lie_elsewhere() {
        let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"}}"#;
        let model =
            folder(&[("config.json", "{}"), (INDEX, index), ("one.safetensors", "1"), ("two.safetensors", "22")]);
        let names: Vec<String> = model_sha256(&model).unwrap().files.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["config.json", INDEX, "one.safetensors", "two.safetensors"]);
        // What is gone is not read, and an index beside the whole file is not either.
        let before = model_sha256(&model).unwrap().sha256;
        fs::remove_file(model.join("two.safetensors")).unwrap();
        assert_ne!(model_sha256(&model).unwrap().sha256, before);
        fs::write(model.join("model.safetensors"), "333").unwrap();
        let names: Vec<String> = model_sha256(&model).unwrap().files.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["config.json", "model.safetensors"]);
        fs::remove_file(model.join("model.safetensors")).unwrap();
        fs::write(model.join(INDEX), r#"{"weight_map": {"a": "../one.safetensors"}}"#).unwrap();
        let said = model_sha256(&model).unwrap_err().to_string();
        assert!(said.ends_with("`weight_map` names a file that is not in the same folder"), "{said}");
        fs::remove_dir_all(model).unwrap();
    }

    #[test]
    fn a_single_file_is_hashed_as_it_is() {
        let model = folder(&[("tiny.gguf", "abc")]);
        let found = model_sha256(&model.join("tiny.gguf")).unwrap();
        assert_eq!(found.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((found.files, found.bytes), (vec![("tiny.gguf".to_owned(), 3)], 3));
        assert!(
            model_sha256(&model.join("none.gguf")).unwrap_err().to_string().contains("there is no such file or folder")
        );
        fs::remove_dir_all(model).unwrap();
    }
}

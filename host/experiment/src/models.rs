//! Models on this machine: found by name or path, hashed, and their size guessed without libtorch.

use std::io;
use std::path::{Path, PathBuf};

use slhf_data::{ModelFilesError, model_sha256};
use slhf_plan::ModelShape;
use slhf_toolchain::Environment;

/// Why there is no such model here.
#[derive(Debug, thiserror::Error)]
pub enum ModelFindError {
    /// The path leads nowhere.
    #[error("\"{named}\" cannot be read; expected a model's name, a Hugging Face folder, or a GGUF file")]
    Unreadable {
        /// As it was named.
        named: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nothing lies there, and it may be the name of a model elsewhere.
    #[error(
        "\"{named}\" is no file or folder here; a model of the Hugging Face hub is downloaded first: run `{}` \
         (`huggingface-cli download` in older versions), and name the folder \"{}\"",
        id.command(""),
        id.folder()
    )]
    OnTheHub {
        /// As it was named.
        named: String,
        /// What it would be called there.
        id: HubId,
    },
    /// A file that is no GGUF.
    #[error("{} is no GGUF file: it does not begin with the letters GGUF", .0.display())]
    NoGguf(PathBuf),
    /// Not a path; and not fetched, or not a name that the set-up provides.
    #[error(transparent)]
    NotInstalled(slhf_toolchain::Error),
    /// A file of the model is missing or cannot be read.
    #[error(transparent)]
    Files(ModelFilesError),
}

/// What may be the name of a model or a data set on the Hugging Face hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubId {
    owner: String,
    name: String,
    revision: Option<String>,
}

impl HubId {
    /// `owner/name`, also with the hub's address before it, and with a revision (`@main`) or a kind of quantisation (`:Q4_K_M`)
    /// behind it; a path that says that it is one is none.
    pub fn of(named: &str) -> Option<Self> {
        let prefixes = ["https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/", "hf://", "hf:"];
        let plain = prefixes.iter().find_map(|prefix| named.strip_prefix(prefix)).unwrap_or(named);
        let plain = plain.strip_prefix("datasets/").unwrap_or(plain).trim_end_matches('/');
        let (plain, revision) = match plain.split_once("/tree/").or_else(|| plain.split_once('@')) {
            Some((plain, revision)) => (plain, Some(revision.to_owned())),
            None => (plain.split_once(':').map_or(plain, |(plain, _)| plain), None),
        };
        let (owner, name) = plain.split_once('/')?;
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_alphanumeric())
                && word.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign))
        };
        let is_file = [".gguf", ".safetensors", ".json", ".jsonl", ".parquet", ".txt", ".gz", ".bin"]
            .iter()
            .any(|ending| name.to_ascii_lowercase().ends_with(ending));
        let id = Self { owner: owner.to_owned(), name: name.to_owned(), revision };
        let is_id = is_word(owner) && is_word(name) && !is_file && id.revision.as_deref().is_none_or(is_word);
        is_id.then_some(id)
    }

    /// Where the command puts it.
    pub fn folder(&self) -> &str {
        &self.name
    }

    /// What downloads it; `more` are further arguments.
    pub fn command(&self, more: &str) -> String {
        let Self { owner, name, revision } = self;
        let revision = revision.as_ref().map_or_else(String::new, |revision| format!(" --revision {revision}"));
        format!("hf download {owner}/{name}{revision}{more} --local-dir {name}")
    }
}

/// A model that lies here.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Absolute path of the folder or file.
    pub path: PathBuf,
    /// See [`slhf_plan::ModelPlan::sha256`].
    pub sha256: String,
    /// Parameters, guessed from the files' sizes.
    pub parameters: f64,
}

/// Finds a model: a path (relative to `base`) where it looks like one or lies there, else a name of the set-up's.
pub fn find(named: &str, base: &Path) -> Result<PathBuf, ModelFindError> {
    let path = base.join(named);
    let looks_like_a_path = named.contains(['/', '\\'])
        || Path::new(named).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    if looks_like_a_path || path.exists() {
        return path.canonicalize().map_err(|cause| match HubId::of(named) {
            Some(id) if cause.kind() == io::ErrorKind::NotFound => {
                ModelFindError::OnTheHub { named: named.to_owned(), id }
            }
            _ => ModelFindError::Unreadable { named: named.to_owned(), cause },
        });
    }
    slhf_toolchain::resolve_model(&Environment::of_process(), named).map_err(ModelFindError::NotInstalled)
}

impl Found {
    /// One that is not here.
    pub(crate) fn described(named: &str, shape: &ModelShape) -> Self {
        Self { path: PathBuf::from(named), sha256: String::new(), parameters: shape.parameters() }
    }

    /// Looks at a model's files.
    pub fn read(path: &Path) -> Result<Self, ModelFindError> {
        let is_file = path.is_file();
        if is_file && !begins_as_gguf(path) {
            return Err(ModelFindError::NoGguf(path.to_path_buf()));
        }
        let files = model_sha256(path).map_err(ModelFindError::Files)?;
        // Published folders are bf16 nearly without exception. Quantised files take a half to a whole byte a parameter;
        // Q4_1 with its scales and an embedding in Q8_0 0.73.
        let weights = files.files.iter().filter(|(name, _)| is_file || name.ends_with(".safetensors"));
        let bytes: u64 = weights.map(|(_, bytes)| bytes).sum();
        let parameters = bytes as f64 / if is_file { 0.73 } else { 2.0 };
        Ok(Self { path: path.to_path_buf(), sha256: files.sha256, parameters })
    }
}

fn begins_as_gguf(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = slhf_files::open(path, slhf_files::WEIGHTS_BYTES_MAX)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && &start == b"GGUF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_on_the_hub_is_told_from_paths() {
        let check = |named: &str, command: Option<&str>| {
            assert_eq!(HubId::of(named).map(|id| id.command("")).as_deref(), command, "{named}");
        };
        let usual = Some("hf download Qwen/Qwen2.5-0.5B-Instruct --local-dir Qwen2.5-0.5B-Instruct");
        check("Qwen/Qwen2.5-0.5B-Instruct", usual);
        check("https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct", usual);
        check("hf.co/Qwen/Qwen2.5-0.5B-Instruct/", usual);
        check("Qwen/Qwen2.5-0.5B-Instruct:Q4_K_M", usual);
        check("o/n@v1.0", Some("hf download o/n --revision v1.0 --local-dir n"));
        check("https://huggingface.co/o/n/tree/main", Some("hf download o/n --revision main --local-dir n"));
        for path in
            ["./o/n", "../n", "/o/n", "~/n", "n", "a/b/c", "o/n.gguf", "o/", "o\\n", "o/n m", "https://example.org/o/n"]
        {
            check(path, None);
        }
    }

    #[test]
    fn a_hub_id_is_told_to_be_downloaded_first() {
        let said = find("some-org/some-model", Path::new("/nowhere")).expect_err("nothing is there").to_string();
        assert_eq!(
            said,
            "\"some-org/some-model\" is no file or folder here; a model of the Hugging Face hub is downloaded first: run `hf \
             download some-org/some-model --local-dir some-model` (`huggingface-cli download` in older versions), and name the \
             folder \"some-model\""
        );
        let path = find("./some-org/some-model", Path::new("/nowhere")).expect_err("nothing is there");
        assert!(matches!(path, ModelFindError::Unreadable { .. }));
    }
}

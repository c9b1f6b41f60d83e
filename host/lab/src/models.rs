//! Models on this machine: found by name or path, hashed, and their size guessed without libtorch.

use std::io;
use std::path::{Path, PathBuf};

use slhf_data::{ModelFilesError, model_sha256};
use slhf_toolchain::Environment;

/// Why there is no such model here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelFindError {
    /// The path leads nowhere.
    #[error("\"{named}\" cannot be read; expected a model's name, a Hugging Face folder, or a GGUF file")]
    Unreadable {
        /// As it was named.
        named: String,
        /// Why.
        #[source]
        cause: io::Error,
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

/// A model that lies here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Absolute path of the folder or file.
    pub(crate) path: PathBuf,
    /// See [`slhf_plan::ModelPlan::sha256`].
    pub(crate) sha256: String,
    /// Parameters, guessed from the files' sizes.
    pub(crate) parameters: f64,
}

/// Finds a model: a path (relative to `base`) where it looks like one or lies there, else a name of the set-up's.
pub(crate) fn find(named: &str, base: &Path) -> Result<PathBuf, ModelFindError> {
    let path = base.join(named);
    let looks_like_a_path = named.contains(['/', '\\'])
        || Path::new(named).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    if looks_like_a_path || path.exists() {
        let unreadable = |cause| ModelFindError::Unreadable { named: named.to_owned(), cause };
        return path.canonicalize().map_err(unreadable);
    }
    slhf_toolchain::resolve_model(&Environment::of_process(), named).map_err(ModelFindError::NotInstalled)
}

impl Found {
    /// Looks at a model's files.
    pub(crate) fn read(path: &Path) -> Result<Self, ModelFindError> {
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

//! Who compiles and describes: this process, or one that may come to any end.
//!
//! A component is a stranger's, and a compiler's time and memory are at its mercy. Whoever must not die of it (the lab)
//! has another process compile and describe it first: that one leaves code in the store and a description, or a sentence.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use slhf_plan::Limits;

use crate::{
    cache::Store,
    engine::{EngineKey, Engines},
    error::{FileFault, JudgeError},
    inspect::Inspection,
    manifest::Manifest,
    structure,
    world::World,
};

/// Who compiles a component that lies in no cache yet, and asks what it is.
#[derive(Clone, Debug, Default)]
pub enum Compilation {
    /// This process.
    #[default]
    Here,
    /// Another one, which leaves the code in the cache and gives back a description.
    Elsewhere(Elsewhere),
}

/// What another process must be told to compile a component as this one would, and to describe it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DescribeRequest {
    /// As the experiment names it.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Of the guest.
    pub limits: Limits,
    /// Whether instances come from a pool.
    pub pool: bool,
    /// The folder of compiled plugins; `None`: the code is kept nowhere.
    pub cache: Option<PathBuf>,
}

/// Asks the other process; an error is its sentence, or how it ended.
type Ask = dyn Fn(&DescribeRequest) -> Result<Description, String> + Send + Sync;

/// Another process, as a function that asks it.
#[derive(Clone)]
pub struct Elsewhere(Arc<Ask>);

impl Elsewhere {
    /// `ask` returns when the code lies in the request's cache, with what [`describe`](crate::describe) said, or with a sentence that names the
    /// file.
    pub fn new(ask: impl Fn(&DescribeRequest) -> Result<Description, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn describe(&self, request: &DescribeRequest) -> Result<Description, JudgeError> {
        let description = (self.0)(request).map_err(JudgeError::Elsewhere)?;
        let found = description.inspection.sha256.clone();
        if found == request.sha256 {
            return Ok(description);
        }
        let fault = FileFault::WrongHash { expected: request.sha256.clone(), found };
        Err(JudgeError::File { path: request.path.clone(), fault })
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

/// The store's name for the code of a component that is compiled for such an engine.
pub(crate) fn code_name(sha256: &str, engine: &str) -> String {
    format!("{sha256}-{engine}")
}

pub(crate) fn into_store(
    store: &Store,
    name: &str,
    (key, pooled): (EngineKey, bool),
    bytes: &[u8],
) -> Result<Option<PathBuf>, FileFault> {
    structure::check(bytes)?;
    store.make(name, |folder: &Path| Engines::compile(key, pooled, folder, bytes))
}

/// A plugin that was asked what it is, without parameters and without its upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// What its file says.
    pub inspection: Inspection,
    /// What it is for.
    pub world: World,
    /// What it says itself.
    pub manifest: Manifest,
}

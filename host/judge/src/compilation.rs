//! Who compiles: this process, or one that may come to any end.
//!
//! A component is a stranger's, and a compiler's time and memory are at its mercy. Whoever must not die of it (the lab)
//! has another process compile first: that one leaves code in the store, or a sentence.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    cache::{self, CacheLocation, Store},
    engine::{EngineKey, Engines},
    error::{FileFault, JudgeError},
    host::read,
    inspect::inspect,
    structure,
};

/// Who compiles a component that lies in no cache yet.
#[derive(Clone, Debug, Default)]
pub enum Compilation {
    /// This process.
    #[default]
    Here,
    /// Another one, which leaves the code in the cache.
    Elsewhere(Elsewhere),
}

/// What another process must be told to compile a component as this one would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileRequest {
    /// As the experiment names it.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// The guest's stack.
    pub stack_kib: u32,
    /// Whether fuel is counted.
    pub metered: bool,
    /// Whether instances come from a pool.
    pub pool: bool,
    /// The folder of compiled plugins; `None`: only see that it can be compiled.
    pub cache: Option<PathBuf>,
}

/// Asks the other process; an error is its sentence, or how it ended.
type Ask = dyn Fn(&CompileRequest) -> Result<(), String> + Send + Sync;

/// Another process, as a function that asks it.
#[derive(Clone)]
pub struct Elsewhere(Arc<Ask>);

impl Elsewhere {
    /// `ask` returns when the code lies in the request's cache, or with a sentence that names the file.
    pub fn new(ask: impl Fn(&CompileRequest) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn compile(&self, request: &CompileRequest) -> Result<(), JudgeError> {
        (self.0)(request).map_err(JudgeError::Elsewhere)
    }
}

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elsewhere").finish_non_exhaustive()
    }
}

/// What the other process does.
pub fn compile(request: &CompileRequest) -> Result<(), JudgeError> {
    let file_fault = |fault| JudgeError::File { path: request.path.clone(), fault };
    let bytes = read(&request.name, &request.path)?;
    let found = slhf_files::sha256_hex(&bytes);
    if found != request.sha256 {
        return Err(file_fault(FileFault::WrongHash { expected: request.sha256.clone(), found }));
    }
    let inspection = inspect(&bytes).map_err(file_fault)?;
    let world = inspection.check().map_err(file_fault)?;
    let key = EngineKey::new(request.stack_kib, request.metered, world);
    let pooled = request.pool && !key.long_lived;
    let store = match &request.cache {
        Some(folder) => cache::open(&CacheLocation::Folder(folder.clone()))?,
        None => None,
    };
    let Some(store) = store else {
        structure::check(&bytes).map_err(file_fault)?;
        return Engines::compile(key, pooled, None, &bytes).map_err(file_fault);
    };
    let name = code_name(&found, &Engines::new(crate::Allocation::OnDemand).name(key, pooled)?);
    if store.find(&name).is_none() {
        into_store(&store, &name, (key, pooled), &bytes).map_err(file_fault)?;
    }
    Ok(())
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
    store.make(name, |folder: &Path| Engines::compile(key, pooled, Some(folder), bytes))
}

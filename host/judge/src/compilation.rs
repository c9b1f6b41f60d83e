//! Who compiles and describes: this process, or one that may come to any end.
//!
//! A component is a stranger's, and a compiler's time and memory are at its mercy. Whoever must not die of it (the lab)
//! has another process compile and describe it first: that one leaves code in the store and a description, or a sentence.

use std::{
    fmt,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use slhf_plan::Limits;

use crate::{
    cache::{self, CacheLocation, Store},
    engine::{Allocation, EngineKey, Engines},
    error::{FileFault, JudgeError},
    host::{Description, Host, HostSettings, read},
    inspect::inspect,
    log::LogSink,
    structure,
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
    /// `ask` returns when the code lies in the request's cache, with what [`describe`] said, or with a sentence that names the
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

/// What the other process does: it compiles for whoever asks and describes under an engine with small reservations, since its
/// own address space is limited.
pub fn describe(request: &DescribeRequest) -> Result<Description, JudgeError> {
    compile(request)?;
    let cache = request.cache.clone().map_or(CacheLocation::Off, CacheLocation::Folder);
    let settings = HostSettings {
        cache,
        allocation: Allocation::OnDemand,
        threads: NonZeroUsize::MIN,
        log: LogSink::default(),
        compilation: Compilation::Here,
    };
    Host::new(settings)?.describe(&request.name, &request.path, &request.limits)
}

fn compile(request: &DescribeRequest) -> Result<(), JudgeError> {
    let file_fault = |fault| JudgeError::File { path: request.path.clone(), fault };
    let bytes = read(&request.name, &request.path)?;
    let found = slhf_files::sha256_hex(&bytes);
    if found != request.sha256 {
        return Err(file_fault(FileFault::WrongHash { expected: request.sha256.clone(), found }));
    }
    let inspection = inspect(&bytes).map_err(file_fault)?;
    let world = inspection.check().map_err(file_fault)?;
    let key = EngineKey::of(&request.limits, world);
    let pooled = request.pool && !key.long_lived;
    let store = match &request.cache {
        Some(folder) => cache::open(&CacheLocation::Folder(folder.clone()))?,
        None => None,
    };
    let Some(store) = store else {
        // Whoever describes it compiles it.
        return structure::check(&bytes).map_err(file_fault);
    };
    let name = code_name(&found, &Engines::new(Allocation::OnDemand).name(key, pooled)?);
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
    store.make(name, |folder: &Path| Engines::compile(key, pooled, folder, bytes))
}

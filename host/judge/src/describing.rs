//! What another process does that is asked to compile a component and to describe it.

use std::num::NonZeroUsize;

use crate::{
    cache::{self, CacheLocation},
    compilation::{Compilation, DescribeRequest, Description, code_name, into_store},
    engine::{Allocation, EngineKey, Engines},
    error::{FileFault, JudgeError},
    host::{Host, HostSettings},
    inspect::{inspect, read},
    log::LogSink,
    structure,
};

/// What the other process does: it compiles for whoever asks and describes under an engine with small reservations, since its
/// own address space is limited.
pub fn describe(request: &DescribeRequest) -> Result<Description, JudgeError> {
    compile(request)?;
    let cache = request.cache.clone().map_or(CacheLocation::Off, CacheLocation::Folder);
    let settings = HostSettings {
        models: None,
        cache,
        allocation: Allocation::OnDemand,
        threads: NonZeroUsize::MIN,
        // Whoever asked says that this takes long.
        log: LogSink::default().without_notices(),
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

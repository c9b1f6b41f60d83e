//! The host: where plugins are loaded.

use std::{
    collections::HashMap,
    fmt,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use slhf_plan::{Limits, PluginPlan};

use crate::{
    baseline::Baseline,
    cache::{self, CacheLocation, Store},
    compilation::{self, Compilation, DescribeRequest, Description},
    counters::Counters,
    engine::{Allocation, EngineKey, Engines},
    error::{FileFault, JudgeError, PlanFault, PluginIdentity},
    guest::Guest,
    inspect::{Inspection, inspect, read},
    judges::{Preference, Reward},
    log::LogSink,
    manifest::Manifest,
    models::{AnswerModels, Grants},
    notice::{self, while_compiling},
    plugin::{Compiled, Plugin, Sandbox, Surroundings},
    structure,
    threads::{Threads, on_a_thread},
    ticker::Ticker,
    world::World,
};

/// How many plugins may wrap each other.
pub const DEPTH_MAX: usize = 8;

/// How a [`Host`] is set up.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Where compiled plugins are kept.
    pub cache: CacheLocation,
    /// How instances get their memory.
    pub allocation: Allocation,
    /// Threads that a large batch is split over. Verdicts do not depend on it.
    pub threads: NonZeroUsize,
    /// Where the lines of plugins go.
    pub log: LogSink,
    /// Who compiles a component that lies in no cache yet, and asks what it is.
    pub compilation: Compilation,
    /// Who answers what plugins ask of the models that they are granted; `None`: such a question is a fault.
    pub models: Option<Arc<dyn AnswerModels>>,
}

impl Default for HostSettings {
    /// The user's cache, a pool where possible, all cores, lines to `tracing`.
    fn default() -> Self {
        Self {
            cache: CacheLocation::default(),
            allocation: Allocation::default(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            log: LogSink::default(),
            compilation: Compilation::default(),
            models: None,
        }
    }
}

/// Loads plugins and runs them in sandboxes. Cheap to clone; one a process is enough.
#[derive(Clone)]
pub struct Host {
    inner: Arc<HostInner>,
}

/// What every plugin of a host shares.
struct HostInner {
    engines: Engines,
    cache: Option<Store>,
    compilation: Compilation,
    models: Option<Arc<dyn AnswerModels>>,
    surroundings: Arc<Surroundings>,
    /// By SHA-256 and engine: a thousand baselines of a batched program are one compiled component.
    compiled: Mutex<HashMap<(String, EngineKey), Arc<Compiled>>>,
    /// What another process said, by SHA-256 and limits.
    described: Mutex<HashMap<(String, Limits), Description>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("threads", &self.inner.surroundings.threads).finish_non_exhaustive()
    }
}

impl Host {
    /// Sets a host up. Engines are made when the first plugin needs them.
    pub fn new(settings: HostSettings) -> Result<Self, JudgeError> {
        let ticker =
            Ticker::start().map_err(|error| JudgeError::Engine(format!("no thread for deadlines: {error}")))?;
        let inner = HostInner {
            engines: Engines::new(settings.allocation),
            cache: cache::open(&settings.cache)?,
            compilation: settings.compilation,
            models: settings.models,
            surroundings: Arc::new(Surroundings {
                ticker: Arc::new(ticker),
                log: settings.log,
                threads: Threads::new(settings.threads),
            }),
            compiled: Mutex::default(),
            described: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks the component at `path`, called `name` in errors, what it is and which parameters it takes.
    pub fn describe(&self, name: &str, path: &Path, limits: &Limits) -> Result<Description, JudgeError> {
        let plan = PluginPlan {
            name: name.to_owned(),
            path: path.display().to_string(),
            sha256: String::new(),
            parameters: serde_json::Value::Null,
            limits: *limits,
            upstream: None,
            models: std::collections::BTreeMap::new(),
        };
        if let Some(description) = self.described_elsewhere(&plan, path)? {
            return Ok(description);
        }
        let sandbox = self.sandbox(&plan, path, None, None)?;
        let manifest = on_a_thread(sandbox.stack_bytes(), || Guest::describe(&sandbox))?;
        Ok(Description { inspection: sandbox.compiled.inspection.clone(), world: sandbox.compiled.world, manifest })
    }

    /// Loads a judge and the plugins it wraps.
    pub fn preference(&self, plan: &PluginPlan) -> Result<Preference, JudgeError> {
        Ok(Preference::new(self.load(plan, World::Preference, 1)?))
    }

    /// Loads a reward model and the plugins it wraps.
    pub fn reward(&self, plan: &PluginPlan) -> Result<Reward, JudgeError> {
        Ok(Reward::new(self.load(plan, World::Reward, 1)?))
    }

    /// Loads a control variate and starts it: its state is its own.
    pub fn baseline(&self, plan: &PluginPlan) -> Result<Baseline, JudgeError> {
        Baseline::new(self.load(plan, World::Baseline, 1)?)
    }

    /// Compiled plugins found in the cache folder and compiled anew, since this host was set up; `None` without a
    /// cache.
    pub fn cache_hits_and_misses(&self) -> Option<(usize, usize)> {
        self.inner.cache.as_ref().map(Store::hits_and_misses)
    }

    /// Whether instances come from a pool; `None` before the first judge or reward model was loaded.
    pub fn is_pooled(&self) -> Option<bool> {
        self.inner.engines.is_pooled()
    }

    fn load(&self, plan: &PluginPlan, wanted: World, depth: usize) -> Result<Arc<Plugin>, JudgeError> {
        let fault = |fault| JudgeError::Plan { plugin: unversioned(&plan.name), fault };
        // The plan is a tree, which holds no cycle; a cycle of names was unrolled by whoever made the plan, and is deep.
        if depth > DEPTH_MAX {
            return Err(fault(PlanFault::TooDeep { depth, limit: DEPTH_MAX }));
        }
        let path = Path::new(&plan.path);
        let described = self.described_elsewhere(plan, path)?;
        let sandbox = self.sandbox(plan, path, Some(wanted), Some(depth))?;
        check_grants(plan, &sandbox.compiled.inspection).map_err(fault)?;
        let manifest = described.map(|description| description.manifest);
        on_a_thread(sandbox.stack_bytes(), move || Plugin::accept(sandbox, manifest, &plan.parameters)).map(Arc::new)
    }

    /// What another process says of it, where another one is to ask: nothing of a component is parsed, compiled or run here
    /// before it passed there. Its code lies in the cache then.
    fn described_elsewhere(&self, plan: &PluginPlan, path: &Path) -> Result<Option<Description>, JudgeError> {
        let Compilation::Elsewhere(elsewhere) = &self.inner.compilation else { return Ok(None) };
        check_limits(&plan.limits).map_err(|fault| JudgeError::Plan { plugin: unversioned(&plan.name), fault })?;
        let content = read(&plan.name, path)?;
        let sha256 = slhf_files::sha256_hex(&content);
        check_hash(plan, path, &sha256)?;
        let key = (sha256.clone(), plan.limits);
        let known = || self.inner.described.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(description) = known().get(&key) {
            return Ok(Some(description.clone()));
        }
        let request = DescribeRequest {
            name: plan.name.clone(),
            path: path.to_owned(),
            sha256,
            limits: plan.limits,
            pool: self.inner.engines.pool(),
            cache: self.inner.cache.as_ref().map(|store| store.root().to_owned()),
        };
        let compiled = notice::Compiled { name: &plan.name, bytes: content.len() as u64 };
        let description = while_compiling(compiled, &self.inner.surroundings.log, || elsewhere.describe(&request))?;
        known().insert(key, description.clone());
        Ok(Some(description))
    }

    /// Everything up to the point where code of the plugin would run. `depth`: load its upstream, too.
    fn sandbox(
        &self,
        plan: &PluginPlan,
        path: &Path,
        wanted: Option<World>,
        depth: Option<usize>,
    ) -> Result<Sandbox, JudgeError> {
        let identity = unversioned(&plan.name);
        check_limits(&plan.limits).map_err(|fault| JudgeError::Plan { plugin: identity.clone(), fault })?;
        let compiled = self.compiled(plan, path, wanted)?;
        let upstream = match depth {
            Some(depth) => self.upstream(plan, &compiled.inspection, depth)?,
            None => None,
        };
        Ok(Sandbox {
            host: Arc::clone(&self.inner.surroundings),
            identity,
            path: path.to_owned(),
            compiled,
            limits: plan.limits,
            parameters: plan.parameters.to_string(),
            upstream,
            grants: Arc::new(Grants { models: plan.models.clone(), answers: self.inner.models.clone() }),
            counters: Counters::default(),
        })
    }

    fn compiled(&self, plan: &PluginPlan, path: &Path, wanted: Option<World>) -> Result<Arc<Compiled>, JudgeError> {
        let file_fault = |fault| JudgeError::File { path: path.to_owned(), fault };
        let bytes = read(&plan.name, path)?;
        let sha256 = slhf_files::sha256_hex(&bytes);
        check_hash(plan, path, &sha256)?;
        let keys = EngineKey::both(&plan.limits);
        let compiled = if let Some(compiled) = keys.iter().find_map(|key| self.known(&sha256, *key)) {
            compiled
        } else {
            let compiled = notice::Compiled { name: &plan.name, bytes: bytes.len() as u64 };
            while_compiling(compiled, &self.inner.surroundings.log, || self.compile(plan, path, &bytes, &sha256))?
        };
        match wanted.filter(|wanted| *wanted != compiled.world) {
            Some(wanted) => Err(file_fault(FileFault::WrongWorld { wanted, found: compiled.world })),
            None => Ok(compiled),
        }
    }

    fn known(&self, sha256: &str, key: EngineKey) -> Option<Arc<Compiled>> {
        let known = self.inner.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(sha256.to_owned(), key)).map(Arc::clone)
    }

    fn compile(&self, plan: &PluginPlan, path: &Path, bytes: &[u8], sha256: &str) -> Result<Arc<Compiled>, JudgeError> {
        // Whatever engine it was compiled for: it was checked then.
        let mut code = None;
        for key in EngineKey::both(&plan.limits) {
            if let (None, Some(store)) = (&code, &self.inner.cache) {
                code = store.find(&self.code_name(sha256, key)?).map(|folder| (key, folder));
            }
        }
        let file_fault = |fault| JudgeError::File { path: path.to_owned(), fault };
        let inspection = inspect(bytes).map_err(file_fault)?;
        let world = inspection.check().map_err(file_fault)?;
        let key = EngineKey::of(&plan.limits, world);
        let code = code.filter(|(known, _)| *known == key).map(|(_, folder)| folder);
        let was_there = code.is_some();
        // The lock is not held while compiling: at worst a component is compiled twice at once.
        let compiled = Arc::new(if let Some(store) = &self.inner.cache {
            self.out_of(store, (code, was_there), bytes, (inspection, world, key), path)?
        } else {
            structure::check(bytes).map_err(file_fault)?;
            let prepared = self.inner.engines.shared(key, &self.inner.surroundings.ticker)?;
            Compiled::new(&prepared, bytes, inspection, world).map_err(file_fault)?
        });
        let mut known = self.inner.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((sha256.to_owned(), key), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Out of the store's folder for it, which is made where it is not there.
    fn out_of(
        &self,
        store: &Store,
        (code, was_there): (Option<PathBuf>, bool),
        bytes: &[u8],
        (inspection, world, key): (Inspection, World, EngineKey),
        path: &Path,
    ) -> Result<Compiled, JudgeError> {
        let file_fault = |fault| JudgeError::File { path: path.to_owned(), fault };
        let (engines, ticker) = (&self.inner.engines, &self.inner.surroundings.ticker);
        let name = self.code_name(&inspection.sha256, key)?;
        let code = match code.or_else(|| store.find(&name)) {
            Some(code) => Some(code),
            None => compilation::into_store(store, &name, (key, engines.pooled(key)), bytes).map_err(file_fault)?,
        };
        let cache = code.and_then(|code| cache::cache_in(&code).ok());
        let own = cache.and_then(|cache| Some((engines.with_cache(key, cache.clone(), ticker).ok()?, cache)));
        let Some((prepared, cache)) = own else {
            // A full disk, or no room for another pool.
            return Compiled::new(&engines.shared(key, ticker)?, bytes, inspection, world).map_err(file_fault);
        };
        let compiled = Compiled::new(&prepared, bytes, inspection, world).map_err(file_fault)?;
        store.count(&cache, !was_there);
        Ok(compiled)
    }

    /// The store's name for compiled code of a component.
    fn code_name(&self, sha256: &str, key: EngineKey) -> Result<String, JudgeError> {
        let engines = &self.inner.engines;
        Ok(compilation::code_name(sha256, &engines.name(key, engines.pooled(key))?))
    }

    fn upstream(
        &self,
        plan: &PluginPlan,
        inspection: &Inspection,
        depth: usize,
    ) -> Result<Option<Arc<Plugin>>, JudgeError> {
        let fault = |fault| Err(JudgeError::Plan { plugin: unversioned(&plan.name), fault });
        match (inspection.upstream_worlds().as_slice(), &plan.upstream) {
            ([], None) => Ok(None),
            ([], Some(upstream)) => fault(PlanFault::NeedlessUpstream { upstream: upstream.name.clone() }),
            ([wanted], None) => fault(PlanFault::NoUpstream { wanted: *wanted }),
            ([wanted], Some(upstream)) => match self.load(upstream, *wanted, depth + 1) {
                Err(JudgeError::File { fault: FileFault::WrongWorld { wanted, found }, .. }) => {
                    fault(PlanFault::WrongUpstream { wanted, upstream: upstream.name.clone(), found })
                }
                loaded => loaded.map(Some),
            },
            _ => fault(PlanFault::TwoUpstreams),
        }
    }
}

impl Plugin {
    /// Describes the plugin where nobody did, checks the parameters against its schema, and configures it once.
    fn accept(
        mut sandbox: Sandbox,
        described: Option<Manifest>,
        parameters: &serde_json::Value,
    ) -> Result<Self, JudgeError> {
        let manifest = described.map_or_else(|| Guest::describe(&sandbox), Ok)?;
        sandbox.identity.version = Some(manifest.version.as_str().into());
        manifest.check_parameters(parameters).map_err(|sentence| JudgeError::Plan {
            plugin: sandbox.identity.clone(),
            fault: PlanFault::Parameter(sentence),
        })?;
        if let Some(name) = manifest.models().find(|name| !sandbox.grants.models.contains_key(*name)) {
            let fault = PlanFault::MissingModel { name: name.to_owned() };
            return Err(JudgeError::Plan { plugin: sandbox.identity.clone(), fault });
        }
        Guest::start(&sandbox, false)?.finish(&sandbox);
        Ok(Self { sandbox, manifest })
    }
}

fn unversioned(name: &str) -> PluginIdentity {
    PluginIdentity { name: name.into(), version: None }
}

fn check_hash(plan: &PluginPlan, path: &Path, found: &str) -> Result<(), JudgeError> {
    if plan.sha256.is_empty() || plan.sha256 == found {
        return Ok(());
    }
    let fault = FileFault::WrongHash { expected: plan.sha256.clone(), found: found.to_owned() };
    Err(JudgeError::File { path: path.to_owned(), fault })
}

/// Models are granted to whoever asks some, and to nobody else.
fn check_grants(plan: &PluginPlan, inspection: &Inspection) -> Result<(), PlanFault> {
    match (inspection.asks_models(), plan.models.keys().next()) {
        (true, None) => Err(PlanFault::NoModel),
        (false, Some(name)) => Err(PlanFault::NeedlessModel { name: name.clone() }),
        _ => Ok(()),
    }
}

/// A limit that cannot be enforced is refused.
fn check_limits(limits: &Limits) -> Result<(), PlanFault> {
    let wrong = |setting, value, expected| Err(PlanFault::Limit { setting, value, expected });
    match *limits {
        Limits { memory_mib, .. } if !(1..=4096).contains(&memory_mib) => {
            wrong("memory_mib", memory_mib.into(), "1 to 4096")
        }
        Limits { deadline_ms, .. } if !(1..=86_400_000).contains(&deadline_ms) => {
            wrong("deadline_ms", deadline_ms, "1 to 86400000 (a day)")
        }
        Limits { fuel_per_item: Some(fuel @ 0), .. } => wrong("fuel_per_item", fuel, "at least 1"),
        Limits { stack_kib, .. } if !(32..=65_536).contains(&stack_kib) => {
            wrong("stack_kib", stack_kib.into(), "32 to 65536")
        }
        Limits { output_mib, .. } if !(1..=1024).contains(&output_mib) => {
            wrong("output_mib", output_mib.into(), "1 to 1024")
        }
        Limits { run_output_mib: Some(mib), .. } if !(1..=65_536).contains(&mib) => {
            wrong("run_output_mib", mib.into(), "1 to 65536")
        }
        _ => Ok(()),
    }
}

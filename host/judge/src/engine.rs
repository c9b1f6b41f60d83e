//! wasmtime, set up so that the same bytes give the same bits on any machine and no guest gets further than its limits.

use std::{
    collections::HashMap,
    hash::{Hash as _, Hasher},
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use slhf_plan::Limits;
use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    component::{Component, Linker},
};

use crate::{
    cache::cache_in,
    error::{FileFault, JudgeError},
    imports,
    state::GuestState,
    ticker::Ticker,
    world::World,
};

/// How instances get their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool whose address space is reserved at once (the fastest); where the system refuses that much address
    /// space, as cluster nodes do, on demand.
    #[default]
    PooledWherePossible,
    /// On demand, with small reservations.
    OnDemand,
}

/// What distinguishes engines; everything else is the same for all plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EngineKey {
    pub(crate) stack_kib: u32,
    pub(crate) fuel: bool,
    /// Instances that live for a whole run (baselines) would use up the pool.
    pub(crate) long_lived: bool,
}

impl EngineKey {
    /// For a plugin of this world.
    pub(crate) fn of(limits: &Limits, world: World) -> Self {
        Self::new(limits.stack_kib, limits.fuel_per_item.is_some(), world)
    }

    pub(crate) fn new(stack_kib: u32, fuel: bool, world: World) -> Self {
        Self { stack_kib, fuel, long_lived: world == World::Baseline }
    }

    /// For a plugin whose world was not read yet.
    pub(crate) fn both(limits: &Limits) -> [Self; 2] {
        [World::Preference, World::Baseline].map(|world| Self::of(limits, world))
    }
}

/// An engine and what is linked into its guests.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<GuestState>,
}

/// Makes engines, and knows whether this machine has pools for them.
pub(crate) struct Engines {
    allocation: Allocation,
    /// Whether a pool can be had, once that was tried.
    pool: OnceLock<bool>,
    /// Those without a cache of compiled code, each for all plugins of its settings.
    shared: Mutex<HashMap<EngineKey, Prepared>>,
    names: Mutex<HashMap<(EngineKey, bool), String>>,
}

impl Engines {
    pub(crate) fn new(allocation: Allocation) -> Self {
        Self { allocation, pool: OnceLock::new(), shared: Mutex::default(), names: Mutex::default() }
    }

    /// Whether the engines of short-lived instances have a pool; `None` before that was tried.
    pub(crate) fn is_pooled(&self) -> Option<bool> {
        self.pool.get().copied()
    }

    /// Whether short-lived instances can have a pool on this machine.
    pub(crate) fn pool(&self) -> bool {
        *self.pool.get_or_init(|| {
            let key = EngineKey { stack_kib: 512, fuel: false, long_lived: false };
            let tried = || Engine::new(&config(key, Memory { pooled: true, reserved: true }, None));
            self.allocation == Allocation::PooledWherePossible
                && tried()
                    .inspect_err(|error| {
                        tracing::info!("no pool for plugin instances ({error:#}); they are allocated on demand");
                    })
                    .is_ok()
        })
    }

    /// Whether code for engines of these settings is made for a pool.
    pub(crate) fn pooled(&self, key: EngineKey) -> bool {
        !key.long_lived && self.pool()
    }

    /// The engine for these settings that has no cache, made on first use and raised by the ticker from then on.
    pub(crate) fn shared(&self, key: EngineKey, ticker: &Ticker) -> Result<Prepared, JudgeError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = shared.get(&key) {
            return Ok(prepared.clone());
        }
        // A pool that there is no more room for is none.
        let prepared = match self.pooled(key).then(|| prepare(key, true, None, ticker)) {
            Some(Ok(prepared)) => prepared,
            _ => prepare(key, false, None, ticker).map_err(fault)?,
        };
        shared.insert(key, prepared.clone());
        Ok(prepared)
    }

    /// An engine of one plugin, whose compiled code lies in this cache.
    pub(crate) fn with_cache(&self, key: EngineKey, cache: Cache, ticker: &Ticker) -> Result<Prepared, JudgeError> {
        prepare(key, self.pooled(key), Some(cache), ticker).map_err(fault)
    }

    /// Compiles for engines of these settings, into a folder for [`Engines::with_cache`].
    pub(crate) fn compile(key: EngineKey, pooled: bool, folder: &Path, bytes: &[u8]) -> Result<(), FileFault> {
        let refused = |error: wasmtime::Error| FileFault::Uncompilable(format!("{error:#}"));
        let cache = cache_in(folder).map_err(refused)?;
        let engine = Self::compiler(key, pooled, Some(cache)).map_err(refused)?;
        Component::from_binary(&engine, bytes).map(drop).map_err(refused)
    }

    /// An engine that compiles for those of these settings, and runs nothing.
    fn compiler(key: EngineKey, pooled: bool, cache: Option<Cache>) -> wasmtime::Result<Engine> {
        Engine::new(&config(key, Memory { pooled, reserved: false }, cache))
    }

    /// Names compiled code by all that it depends on besides the component: the engine's version, its settings, the
    /// processor.
    pub(crate) fn name(&self, key: EngineKey, pooled: bool) -> Result<String, JudgeError> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(&(key, pooled)) {
            return Ok(name.clone());
        }
        let engine = Self::compiler(key, pooled, None).map_err(fault)?;
        let mut hashed = HashedBytes::default();
        engine.precompile_compatibility_hash().hash(&mut hashed);
        let name = slhf_files::sha256_hex(&hashed.0)[..16].to_owned();
        names.insert((key, pooled), name.clone());
        Ok(name)
    }
}

fn prepare(key: EngineKey, pooled: bool, cache: Option<Cache>, ticker: &Ticker) -> wasmtime::Result<Prepared> {
    let engine = Engine::new(&config(key, Memory { pooled, reserved: true }, cache))?;
    let linker = imports::linker(&engine)?;
    ticker.watch(&engine);
    Ok(Prepared { engine, linker })
}

fn fault(error: wasmtime::Error) -> JudgeError {
    JudgeError::Engine(format!("{error:#}"))
}

/// What `Hash` hashes, for a hash of more than 64 bits.
#[derive(Default)]
struct HashedBytes(Vec<u8>);

impl Hasher for HashedBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        // Nobody asks: the bytes themselves are taken.
        0
    }
}

/// What code is compiled for, and whether its engine can run it.
#[derive(Clone, Copy)]
struct Memory {
    pooled: bool,
    reserved: bool,
}

fn config(key: EngineKey, memory: Memory, cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed);
    // The bits of a NaN are the one thing that WebAssembly leaves to the machine; relaxed SIMD the other.
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config.epoch_interruption(true);
    config.consume_fuel(key.fuel);
    let stack_bytes = key.stack_kib as usize * 1024;
    config.max_wasm_stack(stack_bytes);
    // No guest runs asynchronously, but the engine insists that it could.
    config.async_stack_size(stack_bytes + (1 << 20));
    config.cache(cache);
    if memory.pooled && memory.reserved {
        config.allocation_strategy(pool());
    } else {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    }
    if !memory.pooled {
        // Nodes that refuse the pool limit the address space: 4 GiB a memory, the default, would be refused next.
        config.memory_reservation(0);
        config.memory_reservation_for_growth(1 << 20);
        config.memory_guard_size(1 << 16);
    }
    config
}

/// Room for the instances of all threads and all depths at once; a plugin's own limits are far below these.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(256);
    pool.total_core_instances(4096);
    pool.total_memories(256);
    pool.total_tables(2048);
    // Pages that an instance dirtied are wiped instead of given back: the next one does not fault them in again.
    // Where the kernel can tell which they are (PAGEMAP_SCAN), only those are touched. An interpreter dirties several MiB and has
    // tables of thousands of functions.
    pool.linear_memory_keep_resident(1 << 24);
    pool.table_keep_resident(1 << 20);
    pool.pagemap_scan(Enabled::Auto);
    pool.table_elements(crate::limiter::TABLE_ELEMENTS_MAX);
    pool.max_memories_per_module(4);
    pool.max_tables_per_module(16);
    // The bookkeeping of one instance; interpreters that were made into components have thousands of functions.
    pool.max_core_instance_size(8 << 20);
    pool.max_component_instance_size(8 << 20);
    pool
}

//! wasmtime, set up so that the same bytes give the same bits on any machine and no guest gets further than its limits.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use wasmtime::{
    Cache, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, component::Linker,
};

use crate::{error::JudgeError, imports, state::GuestState, ticker::Ticker};

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

/// An engine and what is linked into its guests.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<GuestState>,
    pub(crate) pooled: bool,
}

/// The engines made so far.
pub(crate) struct Engines {
    allocation: Allocation,
    cache: Option<Cache>,
    made: Mutex<HashMap<EngineKey, Prepared>>,
}

impl Engines {
    pub(crate) fn new(allocation: Allocation, cache: Option<Cache>) -> Self {
        Self { allocation, cache, made: Mutex::default() }
    }

    /// Whether the engines of short-lived instances have a pool; `None` before there is one.
    pub(crate) fn is_pooled(&self) -> Option<bool> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().find(|(key, _)| !key.long_lived).map(|(_, prepared)| prepared.pooled)
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// The engine for these settings, made on first use and raised by the ticker from then on.
    pub(crate) fn get(&self, key: EngineKey, ticker: &Ticker) -> Result<Prepared, JudgeError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = made.get(&key) {
            return Ok(prepared.clone());
        }
        let prepared = self.make(key)?;
        ticker.watch(&prepared.engine);
        made.insert(key, prepared.clone());
        Ok(prepared)
    }

    fn make(&self, key: EngineKey) -> Result<Prepared, JudgeError> {
        let fault = |error: wasmtime::Error| JudgeError::Engine(format!("{error:#}"));
        let pooled = match self.allocation {
            Allocation::PooledWherePossible if !key.long_lived => match Engine::new(&self.config(key, true)) {
                Ok(engine) => Some(engine),
                Err(error) => {
                    tracing::info!("no pool for plugin instances ({error:#}); they are allocated on demand");
                    None
                }
            },
            _ => None,
        };
        let (engine, pooled) = match pooled {
            Some(engine) => (engine, true),
            None => (Engine::new(&self.config(key, false)).map_err(fault)?, false),
        };
        let linker = imports::linker(&engine).map_err(fault)?;
        Ok(Prepared { engine, linker, pooled })
    }

    fn config(&self, key: EngineKey, pooled: bool) -> Config {
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
        config.cache(self.cache.clone());
        if pooled {
            config.allocation_strategy(pool());
        } else {
            // Nodes that refuse the pool limit the address space: 4 GiB a memory, the default, would be refused next.
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            config.memory_reservation(0);
            config.memory_reservation_for_growth(1 << 20);
            config.memory_guard_size(1 << 16);
        }
        config
    }
}

/// Room for the instances of all threads and all depths at once; a plugin's own limits are far below these.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(256);
    pool.total_core_instances(4096);
    pool.total_memories(256);
    pool.total_tables(2048);
    // Pages that an instance dirtied are wiped instead of given back: the next one does not fault them in again.
    // Where the kernel can tell which they are (PAGEMAP_SCAN), only those are touched.
    pool.linear_memory_keep_resident(1 << 22);
    pool.pagemap_scan(Enabled::Auto);
    pool.table_elements(crate::limiter::TABLE_ELEMENTS_MAX);
    pool.max_memories_per_module(4);
    pool.max_tables_per_module(16);
    // The bookkeeping of one instance; interpreters that were made into components have thousands of functions.
    pool.max_core_instance_size(8 << 20);
    pool.max_component_instance_size(8 << 20);
    pool
}

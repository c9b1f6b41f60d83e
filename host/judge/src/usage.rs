//! What a plugin really used.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use slhf_plan::PluginUse;

use crate::plugin::Plugin;

/// Sums over the calls through one handle; several threads add to them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    items: AtomicU64,
    failed_items: AtomicU64,
    wall_ns: AtomicU64,
    fuel: AtomicU64,
    peak_memory_bytes: AtomicU64,
    output_bytes: AtomicU64,
    reasons_left_out: AtomicU64,
}

// Independent sums: no other memory is published through them, so that `Relaxed` is enough.
impl Counters {
    /// Time in the guest (instantiation and marshalling included, its upstream's time excluded), fuel, memory.
    pub(crate) fn add_effort(&self, wall: Duration, fuel: u64, peak_memory_bytes: usize) {
        self.wall_ns.fetch_add(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.fuel.fetch_add(fuel, Ordering::Relaxed);
        self.peak_memory_bytes.fetch_max(peak_memory_bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of attributes so far.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.output_bytes.load(Ordering::Relaxed)
    }

    /// The sum with these.
    pub(crate) fn add_output(&self, bytes: u64) -> u64 {
        self.output_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    /// Counts a reason that was left out; whether it is the first.
    pub(crate) fn leave_out(&self) -> bool {
        self.reasons_left_out.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(crate) fn add_call(&self, items: usize, failed_items: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.failed_items.fetch_add(failed_items as u64, Ordering::Relaxed);
    }
}

/// The use of a plugin and of those it wraps, under the roles `role`, `role/upstream`, `role/upstream/upstream`, ….
pub(crate) fn chain(plugin: &Plugin, role: &str, runs: &[i64]) -> Vec<PluginUse> {
    let mut uses = Vec::new();
    let (mut next, mut role) = (Some(plugin), role.to_owned());
    while let Some(plugin) = next {
        uses.push(of(plugin, &role, runs));
        next = plugin.sandbox.upstream.as_deref();
        role.push_str("/upstream");
    }
    uses
}

fn of(plugin: &Plugin, role: &str, runs: &[i64]) -> PluginUse {
    let (sandbox, counters) = (&plugin.sandbox, &plugin.sandbox.counters);
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    PluginUse {
        runs: runs.to_vec(),
        role: role.to_owned(),
        name: plugin.manifest.name.clone(),
        version: plugin.manifest.version.clone(),
        wit_version: sandbox.compiled.inspection.wit_version.clone().unwrap_or_default(),
        sha256: sandbox.compiled.inspection.sha256.clone(),
        calls: read(&counters.calls),
        items: read(&counters.items),
        failed_items: read(&counters.failed_items),
        wall_ns: read(&counters.wall_ns),
        fuel: sandbox.limits.fuel_per_item.map(|_| read(&counters.fuel)),
        peak_memory_bytes: read(&counters.peak_memory_bytes),
    }
}

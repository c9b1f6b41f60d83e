//! What a plugin really used.

use std::sync::atomic::{AtomicU64, Ordering};

use slhf_plan::PluginUse;

use crate::plugin::Plugin;

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

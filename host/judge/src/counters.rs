//! What is counted of a plugin at work.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Sums over the calls through one handle; several threads add to them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) items: AtomicU64,
    pub(crate) failed_items: AtomicU64,
    pub(crate) wall_ns: AtomicU64,
    pub(crate) fuel: AtomicU64,
    pub(crate) peak_memory_bytes: AtomicU64,
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

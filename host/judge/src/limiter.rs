//! Counts what a guest takes of memory, tables and instances.

use slhf_plan::Limits;
use wasmtime::ResourceLimiter;

use crate::error::Fault;

/// Entries of all tables of a guest together; functions that are called indirectly need one each.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 1 << 17;
/// Core instances of one component.
pub(crate) const INSTANCES_MAX: usize = 256;
/// Tables of one component.
pub(crate) const TABLES_MAX: usize = 256;
/// Linear memories of one component.
pub(crate) const MEMORIES_MAX: usize = 16;

/// The resource limits of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_mib: u32,
    memory_bytes: usize,
    table_elements: usize,
    /// The last thing that was refused: what a trap right after it is about.
    pub(crate) refused: Option<Fault>,
    /// Highest memory, all linear memories together.
    pub(crate) peak_memory_bytes: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_mib: limits.memory_mib, memory_bytes: 0, table_elements: 0, refused: None, peak_memory_bytes: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if total > self.memory_mib as usize * (1 << 20) {
            let asked_mib = (total as u64).div_ceil(1 << 20);
            self.refused = Some(Fault::Memory { asked_mib, memory_mib: self.memory_mib });
            return Ok(false);
        }
        // Its own maximum, not the host's.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory_bytes = total;
        self.peak_memory_bytes = self.peak_memory_bytes.max(total);
        Ok(true)
    }

    /// Within all limits, but this machine has no more: the guest must not see that, since its answer could depend on it.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("the machine has no memory left for the plugin"))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        if total > TABLE_ELEMENTS_MAX {
            self.refused = Some(Fault::Count { what: "table entries", limit: TABLE_ELEMENTS_MAX as u64 });
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error.context("the machine has no memory left for the plugin's tables"))
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_a_guest_count_together() {
        let mut limiter = Limiter::new(&Limits { memory_mib: 3, ..Limits::default() });
        let mib = 1 << 20;
        assert!(limiter.memory_growing(0, mib, None).expect("no error"));
        assert!(limiter.memory_growing(0, mib, None).expect("no error"), "a second memory");
        assert!(limiter.memory_growing(mib, 2 * mib, None).expect("no error"));
        assert!(!limiter.memory_growing(2 * mib, 2 * mib + 1, None).expect("no error"));
        assert_eq!(limiter.refused, Some(Fault::Memory { asked_mib: 4, memory_mib: 3 }));
        assert_eq!(limiter.peak_memory_bytes, 3 * mib);
    }

    #[test]
    fn a_memorys_own_maximum_is_no_limit_of_the_host() {
        let mut limiter = Limiter::new(&Limits::default());
        assert!(!limiter.memory_growing(0, 2 << 16, Some(1 << 16)).expect("no error"));
        assert_eq!(limiter.refused, None);
    }
}

//! What one rendering may cost.

use std::cell::Cell;

use crate::template::fault::{Fault, Outcome};

/// Steps of one rendering. A real template needs a few hundred a message.
pub(in crate::template) const FUEL: u64 = 4_000_000;
/// Macros, recursive loops and blocks in each other.
pub(in crate::template) const RECURSION_MAX: usize = 100;
/// What one conversation may become.
pub(in crate::template) const TEXT_BYTES_MAX: usize = 64 << 20;
/// As many bytes cost a step: what a template can make of texts is bounded by it.
const BYTES_A_STEP: usize = 32;
/// As many keys of a dict are compared for a step.
const KEYS_A_STEP: usize = 16;

/// Steps that are left, and how deep macros are in each other.
pub(in crate::template) struct Budget {
    fuel: Cell<u64>,
    depth: Cell<usize>,
}

impl Budget {
    pub(in crate::template) fn new() -> Self {
        Self { fuel: Cell::new(FUEL), depth: Cell::new(0) }
    }

    fn spend(&self, steps: usize) -> Outcome<()> {
        let left = self.fuel.get().checked_sub(steps as u64);
        self.fuel.set(left.unwrap_or(0));
        if left.is_some() {
            return Ok(());
        }
        Err(Fault::limit(format!(
            "ran out of fuel: one conversation may take {FUEL} steps, a limit that nothing raises; simplify it"
        )))
    }

    /// One node was evaluated.
    pub(in crate::template) fn step(&self) -> Outcome<()> {
        self.spend(1)
    }

    /// A text of so many bytes is read or made.
    pub(in crate::template) fn bytes(&self, bytes: usize) -> Outcome<()> {
        self.spend(bytes / BYTES_A_STEP)
    }

    /// So many values are copied.
    pub(in crate::template) fn values(&self, values: usize) -> Outcome<()> {
        self.spend(values)
    }

    /// A key is looked for in a dict of so many entries.
    pub(in crate::template) fn lookup(&self, entries: usize) -> Outcome<()> {
        self.spend(entries / KEYS_A_STEP)
    }

    /// Goes into a macro.
    pub(in crate::template) fn enter<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        if self.depth.get() >= RECURSION_MAX {
            return Err(Fault::limit(format!(
                "exceeds the recursion limit: {RECURSION_MAX} macros in each other, a limit that nothing raises"
            )));
        }
        self.depth.set(self.depth.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        result
    }

    /// Appends to what is rendered, up to its limit.
    #[expect(clippy::unused_self, reason = "a limit is asked of the budget")]
    pub(in crate::template) fn write(&self, out: &mut String, text: &str) -> Outcome<()> {
        if text.len() > TEXT_BYTES_MAX - out.len() {
            return Err(Fault::limit(format!(
                "wrote more than {TEXT_BYTES_MAX} bytes for one conversation, a limit that nothing raises"
            )));
        }
        out.push_str(text);
        Ok(())
    }
}

//! Tokens that may still be spent.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of a budget of tokens; shared by all requests to a model.
#[derive(Debug)]
pub struct Budget {
    limit: Option<u64>,
    spent: AtomicU64,
}

impl Budget {
    /// With so many tokens in all, of which some were spent before (by the same run, before it was interrupted).
    #[must_use]
    pub fn new(limit: Option<u64>, spent_before: u64) -> Self {
        Self { limit, spent: AtomicU64::new(spent_before) }
    }

    /// Tokens spent so far.
    pub fn spent(&self) -> u64 {
        self.spent.load(Ordering::Relaxed)
    }

    /// The limit, where it is reached: nothing more is asked then. Requests in flight may pass it by what they take.
    pub(crate) fn reached(&self) -> Option<u64> {
        self.limit.filter(|limit| self.spent() >= *limit)
    }

    pub(crate) fn spend(&self, tokens: u64) {
        self.spent.fetch_add(tokens, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_counts_what_was_spent_before() {
        let budget = Budget::new(Some(10), 4);
        budget.spend(5);
        assert_eq!((budget.spent(), budget.reached()), (9, None));
        budget.spend(5);
        assert_eq!(budget.reached(), Some(10));
        assert_eq!(Budget::new(None, u64::MAX / 2).reached(), None);
    }
}

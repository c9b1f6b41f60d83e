//! The order in which training data is passed: a new permutation every epoch.

use slhf_random::{Place, Purpose, uniforms};

/// The order in which prompts, or pairs, are trained on: a permutation an epoch, a function of (seed, epoch) alone. So the
/// position in the data is one number: how many have been taken.
#[derive(Debug)]
pub(crate) struct PromptOrder {
    seed: u64,
    count: usize,
    /// The permutation that was made last, with its epoch.
    epoch: Option<(u64, Vec<u32>)>,
}

impl PromptOrder {
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        Self { seed, count, epoch: None }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Indices of `many` prompts from `cursor` on. A prompt can occur twice only where an epoch ends within them.
    pub(crate) fn take(&mut self, cursor: u64, many: usize) -> Vec<usize> {
        let count = self.count.max(1) as u64;
        let index = |position: u64| {
            let epoch = position / count;
            if self.epoch.as_ref().is_none_or(|(known, _)| *known != epoch) {
                self.epoch = Some((epoch, permutation(self.seed, epoch, self.count)));
            }
            let order = self.epoch.as_ref().map_or(&[][..], |(_, order)| order);
            order.get((position % count) as usize).copied().unwrap_or(0) as usize
        };
        (cursor..cursor + many as u64).map(index).collect()
    }
}

/// Fisher and Yates's shuffle.
fn permutation(seed: u64, epoch: u64, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let place = Place { purpose: Purpose::PromptOrder, step: epoch, round: 0 };
    for last in (1..count).rev() {
        let [uniform, _] = uniforms(seed, place, last as u32);
        order.swap(last, ((uniform * (last + 1) as f64) as usize).min(last));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_every_prompt_once_in_an_order_of_its_own() {
        let mut order = PromptOrder::new(3, 7);
        let epochs: Vec<Vec<usize>> = (0..3).map(|epoch| order.take(7 * epoch, 7)).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..7).collect::<Vec<_>>());
        }
        assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
        assert_ne!(PromptOrder::new(4, 7).take(0, 7), epochs[0]);
    }

    #[test]
    fn the_cursor_is_all_there_is_to_know() {
        let whole = PromptOrder::new(1, 5).take(0, 23);
        for cut in 0..23 {
            assert_eq!(PromptOrder::new(1, 5).take(cut as u64, 23 - cut), whole[cut..]);
        }
    }
}

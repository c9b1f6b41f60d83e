//! Items that are asked side by side, as many as a server's settings allow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use slhf_plan::ModelFault;

use crate::client::Client;

/// Called with the place of an item and its answer.
pub type Heard<'a, A> = dyn Fn(usize, &A) + Sync + 'a;

/// One outcome an item, in their order. `heard` is called with each answer as it comes, from the thread that asked.
pub(crate) fn each<I: Sync, O: Send>(
    client: &Client,
    items: &[I],
    ask: impl Fn(&I) -> Result<O, ModelFault> + Sync,
    heard: &Heard<'_, O>,
) -> Vec<Result<O, ModelFault>> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Result<O, ModelFault>>>> = Mutex::new(items.iter().map(|_| None).collect());
    let work = || {
        while let Some((place, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|place| Some((place, items.get(place)?)))
        {
            let outcome = ask(item);
            if let Ok(answer) = &outcome {
                heard(place, answer);
            }
            outcomes.lock().unwrap_or_else(PoisonError::into_inner)[place] = Some(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 1..client.settings().concurrency.max(1).min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A thread that panicked left its item without an outcome.
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(client.malformed("it was not asked")))).collect()
}

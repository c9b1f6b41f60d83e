//! Guests run on threads of the host's own, whose stacks are deep enough for them.

use std::{
    collections::HashMap,
    fmt, io,
    num::NonZeroUsize,
    panic,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use crate::error::JudgeError;

/// Threads that wait for batches: to start one for each batch would cost as much as judging fifty pairs.
pub(crate) struct Threads {
    count: NonZeroUsize,
    /// By the size of their stacks. Started when the first batch needs them.
    pools: Mutex<HashMap<usize, Arc<ThreadPool>>>,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Threads {
    pub(crate) fn new(count: NonZeroUsize) -> Self {
        Self { count, pools: Mutex::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// Runs `work` as often as that, on as many threads as there are, and returns when all of them are done. Once, it
    /// runs on the caller's own: to wake another thread and to be woken costs as much as judging thirty pairs.
    pub(crate) fn run(&self, times: usize, stack_bytes: usize, work: &(impl Fn() + Sync)) -> Result<(), JudgeError> {
        if times == 1 {
            with_stack(stack_bytes, work);
            return Ok(());
        }
        let pool = self.pool(stack_bytes)?;
        pool.in_place_scope(|scope| {
            for _ in 0..times {
                scope.spawn(|_| work());
            }
        });
        Ok(())
    }

    fn pool(&self, stack_bytes: usize) -> Result<Arc<ThreadPool>, JudgeError> {
        // Plugins of almost the same depth share one; what is not touched of a stack takes no memory.
        let stack_bytes = stack_bytes.next_power_of_two();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&stack_bytes) {
            return Ok(Arc::clone(pool));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.count.get())
            .stack_size(stack_bytes)
            .thread_name(|_| NAME.to_owned())
            .build()
            .map_err(|error| refused(&error))?;
        let pool = Arc::new(pool);
        pools.insert(stack_bytes, Arc::clone(&pool));
        Ok(pool)
    }
}

const NAME: &str = "plugin";

/// Runs `work` on this thread, with at least so much stack left.
pub(crate) fn with_stack<R>(stack_bytes: usize, work: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(stack_bytes, stack_bytes, work)
}

/// Runs `work` on a thread that is there for it alone: whoever only looks at a plugin needs no pool.
pub(crate) fn on_a_thread<R: Send>(
    stack_bytes: usize,
    work: impl FnOnce() -> Result<R, JudgeError> + Send,
) -> Result<R, JudgeError> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name(NAME.to_owned()).stack_size(stack_bytes);
        let thread = builder.spawn_scoped(scope, work).map_err(|error: io::Error| refused(&error))?;
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

fn refused(error: &dyn std::error::Error) -> JudgeError {
    JudgeError::Engine(format!("no thread for plugins: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::atomic::AtomicUsize, sync::atomic::Ordering};

    use super::*;

    #[test]
    fn work_is_done_as_often_as_asked_on_threads_that_stay() {
        let threads = Threads::new(NonZeroUsize::MIN.saturating_add(1));
        let (times, seen) = (AtomicUsize::new(0), Mutex::new(HashSet::new()));
        for batch in 1..=10 {
            let work = || {
                times.fetch_add(1, Ordering::Relaxed);
                seen.lock().expect("not poisoned").insert(thread::current().id());
            };
            threads.run(3, 1 << 20, &work).expect("threads");
            assert_eq!(times.load(Ordering::Relaxed), 3 * batch, "all are done on return");
        }
        let seen = seen.into_inner().expect("not poisoned");
        assert!(seen.len() <= 2 && !seen.contains(&thread::current().id()), "{seen:?}");
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_threads_go_on() {
        let threads = Threads::new(NonZeroUsize::MIN);
        let broken = || panic::resume_unwind(Box::new("broken"));
        for times in [1, 2] {
            let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| threads.run(times, 1 << 20, &broken)));
            assert_eq!(caught.expect_err("it panics").downcast_ref::<&str>(), Some(&"broken"));
        }
        let done = AtomicUsize::new(0);
        let work = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        threads.run(2, 1 << 20, &work).expect("threads");
        assert_eq!(done.into_inner(), 2);
    }

    #[test]
    fn once_is_on_the_callers_thread_however_deep() {
        let (threads, seen) = (Threads::new(NonZeroUsize::MIN), Mutex::new(None));
        let work = || *seen.lock().expect("not poisoned") = Some((thread::current().id(), stacker::remaining_stack()));
        threads.run(1, 64 << 20, &work).expect("a stack");
        let (thread, left) = seen.into_inner().expect("not poisoned").expect("it ran");
        assert_eq!(thread, thread::current().id());
        assert!(left.is_none_or(|bytes| bytes > 60 << 20), "{left:?} bytes left");
    }
}

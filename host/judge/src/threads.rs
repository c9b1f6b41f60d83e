//! Guests run on threads of the host's own, whose stacks are deep enough for them.

use std::{io, panic, thread};

use crate::error::JudgeError;

/// Runs `work` on so many threads at once; the first error counts.
pub(crate) fn on_threads(
    count: usize,
    stack_bytes: usize,
    work: &(impl Fn() -> Result<(), JudgeError> + Sync),
) -> Result<(), JudgeError> {
    thread::scope(|scope| {
        let started: Vec<_> = (0..count).map(|_| builder(stack_bytes).spawn_scoped(scope, work)).collect();
        let join = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            thread.map_err(|error| refused(&error))?.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
        };
        // All are joined before the first error is told.
        let results: Vec<Result<(), JudgeError>> = started.into_iter().map(join).collect();
        results.into_iter().collect()
    })
}

/// Runs `work` on one thread.
pub(crate) fn on_a_thread<R: Send>(
    stack_bytes: usize,
    work: impl FnOnce() -> Result<R, JudgeError> + Send,
) -> Result<R, JudgeError> {
    thread::scope(|scope| {
        let thread = builder(stack_bytes).spawn_scoped(scope, work).map_err(|error| refused(&error))?;
        thread.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
    })
}

fn builder(stack_bytes: usize) -> thread::Builder {
    thread::Builder::new().name("plugin".to_owned()).stack_size(stack_bytes)
}

fn refused(error: &io::Error) -> JudgeError {
    JudgeError::Engine(format!("no thread for plugins: {error}"))
}

//! Whoever waits for a compiler is told that it works.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use slhf_plan::{LogLevel, LogLine};

use crate::log::LogSink;

/// Work that is over by then needs no words.
const PATIENCE: Duration = Duration::from_secs(1);

/// A component that is smaller takes so long only where the machine is busy.
const BYTES_MIN: u64 = 1 << 20;

/// What is compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiled<'a> {
    /// As the experiment names it.
    pub(crate) name: &'a str,
    /// The component's size.
    pub(crate) bytes: u64,
}

/// Compiles; where a component of some size takes longer than a second, the log gets a line while it goes on.
pub(crate) fn while_compiling<R>(compiled: Compiled<'_>, log: &LogSink, compile: impl FnOnce() -> R) -> R {
    if compiled.bytes < BYTES_MIN {
        return compile();
    }
    after(PATIENCE, || log.notice(line(compiled)), compile)
}

fn line(Compiled { name, bytes }: Compiled<'_>) -> LogLine {
    let mib = bytes as f64 / f64::from(1 << 20);
    // Shown without being asked for: somebody sits before a screen on which nothing happens.
    LogLine {
        level: LogLevel::Warn,
        source: name.to_owned(),
        text: format!(
            "a component of {mib:.1} MiB is compiled, which takes about a second a MiB, once: it is kept in the cache"
        ),
    }
}

/// Runs `work`, and `say` beside it where it takes longer than `patience`.
fn after<R>(patience: Duration, say: impl FnOnce() + Send, work: impl FnOnce() -> R) -> R {
    thread::scope(|scope| {
        let (done, waiting) = channel::<()>();
        let spoken = thread::Builder::new().spawn_scoped(scope, move || {
            if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        // Without a thread for it, nothing is said.
        drop(spoken);
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_long_work_is_spoken_of() {
        let said = AtomicUsize::new(0);
        let say = || {
            said.fetch_add(1, Ordering::SeqCst);
        };
        assert_eq!(after(Duration::from_mins(1), say, || 1), 1);
        assert_eq!(said.load(Ordering::SeqCst), 0);
        let wait = || {
            while said.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            2
        };
        assert_eq!(after(Duration::from_millis(1), say, wait), 2);
        assert_eq!(said.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_line_says_what_is_compiled_and_that_it_is_once() {
        let line = line(Compiled { name: "my-judge", bytes: 18 << 20 });
        assert_eq!(line.source, "my-judge");
        assert!(line.text.starts_with("a component of 18.0 MiB is compiled, which takes"), "{}", line.text);
    }
}

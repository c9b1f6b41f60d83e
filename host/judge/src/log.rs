//! What guests say: kept up to a limit, harmless to print.

use std::{fmt, fmt::Write as _, sync::Arc};

use slhf_plan::{LogLevel, LogLine};
use wasmtime::component::{ComponentType, Lift};

/// Longest line that is kept whole, in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// Where the lines of guests go. By default to `tracing`, under the target `slhf_judge::guest`.
#[derive(Clone)]
pub struct LogSink {
    write: Arc<dyn Fn(LogLine) + Send + Sync>,
    notices: bool,
}

impl LogSink {
    /// A sink that hands every line to `write`, which may be called from several threads.
    pub fn new(write: impl Fn(LogLine) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write), notices: true }
    }

    /// The same for a process in which nobody waits: it does not say that it compiles.
    pub(crate) fn without_notices(self) -> Self {
        Self { notices: false, ..self }
    }

    pub(crate) fn write(&self, line: LogLine) {
        (self.write)(line);
    }

    /// Says something of the host's own to whoever waits.
    pub(crate) fn notice(&self, line: LogLine) {
        if self.notices {
            self.write(line);
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

impl Default for LogSink {
    fn default() -> Self {
        Self::new(|line| {
            let LogLine { level, source, text } = line;
            match level {
                LogLevel::Debug => tracing::debug!(target: "slhf_judge::guest", "{source}: {text}"),
                LogLevel::Info => tracing::info!(target: "slhf_judge::guest", "{source}: {text}"),
                LogLevel::Warn => tracing::warn!(target: "slhf_judge::guest", "{source}: {text}"),
                LogLevel::Error => tracing::error!(target: "slhf_judge::guest", "{source}: {text}"),
            }
        })
    }
}

/// `log.level` of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only guests make these: `Lift` reads them out of their memory")]
pub(crate) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// The lines of one call, handed on when it is over.
#[derive(Debug, Default)]
pub(crate) struct LogBuffer {
    lines: Vec<(LogLevel, String)>,
    lines_max: u32,
    dropped: u64,
    /// The last error line, kept or not: a panic's message comes just before its trap.
    pub(crate) last_error: Option<String>,
}

impl LogBuffer {
    pub(crate) fn new(lines_max: u32) -> Self {
        Self { lines_max, ..Self::default() }
    }

    pub(crate) fn push(&mut self, level: LogLevel, text: &str) {
        let full = self.lines.len() >= self.lines_max as usize;
        if full {
            self.dropped += 1;
        }
        if full && level != LogLevel::Error {
            return;
        }
        let text = harmless(text);
        if level == LogLevel::Error {
            self.last_error = Some(text.clone());
        }
        if !full {
            self.lines.push((level, text));
        }
    }

    /// Hands the lines on and forgets them.
    pub(crate) fn flush(&mut self, source: &str, sink: &LogSink) {
        for (level, text) in self.lines.drain(..) {
            sink.write(LogLine { level, source: source.to_owned(), text });
        }
        if self.dropped > 0 {
            let text = format!(
                "{} more lines in this call were dropped (limit `log_lines` = {})",
                self.dropped, self.lines_max
            );
            sink.write(LogLine { level: LogLevel::Warn, source: source.to_owned(), text });
            self.dropped = 0;
        }
    }
}

/// Cuts a long line and escapes what could move a terminal's cursor, forge a line or reorder text.
pub(crate) fn harmless(text: &str) -> String {
    let mut kept = text.len().min(LINE_BYTES_MAX);
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    let mut out = String::with_capacity(kept);
    for character in text[..kept].chars() {
        let reorders = matches!(character, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || reorders {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    if kept < text.len() {
        // Writing to a string cannot fail.
        let _ = write!(out, "… ({} bytes)", text.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let check = |text: &str, expect: &str| assert_eq!(harmless(text), expect);
        check("plain – ü 猫", "plain – ü 猫");
        check("two\nlines\ttab\r", "two\\nlines\\ttab\\r");
        check("\x1b[2Jgone", "\\u{1b}[2Jgone");
        check("\u{9b}31m", "\\u{9b}31m");
        check("a\u{202e}b", "a\\u{202e}b");
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let text = "é".repeat(4000);
        let kept = harmless(&text);
        assert!(kept.starts_with('é') && kept.ends_with("… (8000 bytes)"), "{kept}");
        assert!(kept.len() < LINE_BYTES_MAX + 32);
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted() {
        let mut buffer = LogBuffer::new(2);
        for text in ["one", "two", "three", "four"] {
            buffer.push(LogLevel::Info, text);
        }
        buffer.push(LogLevel::Error, "five");
        assert_eq!(buffer.last_error.as_deref(), Some("five"), "the message of a panic is never lost");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&lines);
        buffer.flush("judge", &LogSink::new(move |line| own.lock().expect("not poisoned").push(line.text)));
        let expect = ["one", "two", "3 more lines in this call were dropped (limit `log_lines` = 2)"];
        assert_eq!(*lines.lock().expect("not poisoned"), expect);
    }
}

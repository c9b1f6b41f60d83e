//! How much a process that reads files of others may take.

use std::env;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Mebibytes of memory.
pub(crate) const MEMORY_VARIABLE: &str = "SLHF_LAB_FOREIGN_MEMORY_MIB";
/// Seconds a file.
pub(crate) const SECONDS_VARIABLE: &str = "SLHF_LAB_FOREIGN_SECONDS";

const MEMORY_MIB: u64 = 4096;
const SECONDS: f64 = 300.0;

/// The limits, with the environment's in their place where it names some.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ForeignLimits {
    /// Address space, in MiB.
    pub(crate) memory_mib: u64,
    /// Who set it.
    pub(crate) set_by: MemoryLimit,
    /// Seconds for one file.
    pub(crate) seconds: f64,
}

/// Who set the limit of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// The lab, or the environment's variable.
    Own,
    /// The shell, a lower one.
    Inherited,
}

impl MemoryLimit {
    /// What raises it.
    pub(crate) fn raised_by(self) -> &'static str {
        match self {
            Self::Own => MEMORY_VARIABLE,
            Self::Inherited => "`ulimit -v` (the shell's limit)",
        }
    }
}

impl ForeignLimits {
    pub(crate) fn of_process() -> Self {
        let limits = Self::read(|name| env::var(name).ok()).within(getrlimit(Resource::As).current);
        for name in [MEMORY_VARIABLE, SECONDS_VARIABLE] {
            if let Ok(value) = env::var(name)
                && !is_positive(&value)
            {
                tracing::warn!("{name} is \"{value}\"; expected a number above 0, so the usual limit holds");
            }
        }
        limits
    }

    /// To follow a sentence that is about memory.
    pub(crate) fn in_words(self) -> String {
        let Self { memory_mib, set_by, .. } = self;
        format!("; the process that reads it may take {memory_mib} MiB, which {} raises", set_by.raised_by())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let positive = |name: &str| variable(name).filter(|value| is_positive(value));
        let memory = positive(MEMORY_VARIABLE).and_then(|value| value.parse().ok());
        let seconds = positive(SECONDS_VARIABLE).and_then(|value| value.parse().ok());
        let memory_mib = memory.unwrap_or(MEMORY_MIB);
        Self { memory_mib, set_by: MemoryLimit::Own, seconds: seconds.unwrap_or(SECONDS) }
    }

    /// Under a limit in bytes that this process has already.
    fn within(self, inherited_bytes: Option<u64>) -> Self {
        match inherited_bytes.map(|bytes| bytes >> 20) {
            Some(memory_mib) if memory_mib < self.memory_mib => {
                Self { memory_mib, set_by: MemoryLimit::Inherited, ..self }
            }
            _ => self,
        }
    }
}

/// Whether words are about what the limit of memory takes away: memory, and threads, whose stacks are memory.
pub(crate) fn is_about_memory(words: &str) -> bool {
    const SAID: [&str; 6] =
        ["os error 11)", "os error 12)", "code: 11,", "code: 12,", "memory allocation", "memory allocator"];
    SAID.iter().any(|said| words.contains(said))
}

fn is_positive(value: &str) -> bool {
    value.parse::<f64>().is_ok_and(|value| value.is_finite() && value > 0.0)
}

/// Holds this process to so much address space, for good; a lower limit that it has already stays.
pub(crate) fn limit_memory(memory_mib: u64) -> std::io::Result<()> {
    let bytes = memory_mib.saturating_mul(1 << 20);
    for resource in [Resource::As, Resource::Core] {
        let wanted = if resource == Resource::Core { 0 } else { bytes };
        let known = getrlimit(resource);
        let least = |known: Option<u64>| Some(known.map_or(wanted, |known| known.min(wanted)));
        setrlimit(resource, Rlimit { current: least(known.current), maximum: least(known.maximum) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_raises_and_lowers_and_nonsense_is_ignored() {
        let check = |set: &[(&str, &str)], expect: (u64, f64)| {
            let of = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            let limits = ForeignLimits::read(of);
            assert_eq!(
                (limits.memory_mib, limits.seconds, limits.set_by),
                (expect.0, expect.1, MemoryLimit::Own),
                "{set:?}"
            );
            assert_eq!(limits.within(None), limits);
            assert_eq!(limits.within(Some(u64::MAX)), limits);
            let lower = limits.within(Some(100 << 20));
            assert_eq!((lower.memory_mib, lower.set_by), (100, MemoryLimit::Inherited));
        };
        check(&[], (4096, 300.0));
        check(&[(MEMORY_VARIABLE, "16384"), (SECONDS_VARIABLE, "1.5")], (16384, 1.5));
        for nonsense in ["", "0", "-1", "much", "inf", "NaN"] {
            check(&[(MEMORY_VARIABLE, nonsense), (SECONDS_VARIABLE, nonsense)], (4096, 300.0));
        }
    }
}

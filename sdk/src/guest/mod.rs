//! The side of the SDK that exists only inside a component: generated bindings, conversions, the panic hook.
//! Public because the export macros expand in the plugin's crate; not part of the interface.

use std::sync::Once;

use crate::level::Level;
use crate::{
    Attribute, Candidate, Comparison, Failure, Message, Outcomes, Response, Role, Sample, Score, UpstreamPreference,
    UpstreamReward, Verdict,
};
pub use bindings::preference::slhf::lab::types;
use bindings::preference::slhf::lab::{log as host_log, upstream_preference, upstream_reward};

pub mod bindings;

/// Sends a panic's message to the run's log: the host sees a bare trap otherwise.
pub fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string()))));
}

/// What [`reserve_memory`] asks for: room for a batch of 1,024 pairs of 2 × 1 KB.
const RESERVED_BYTES: usize = 3 << 20;

/// Takes at once the memory that a batch will need, and leaves it to the allocator, which would ask the host for it in
/// steps of 64 KiB: each is a system call, and an instance lives for one batch. Where the limit is tighter than that, the
/// allocator goes on in its own steps.
pub fn reserve_memory() {
    let mut room: Vec<u8> = Vec::new();
    if room.try_reserve_exact(RESERVED_BYTES).is_ok() {
        std::hint::black_box(room.as_mut_ptr());
    }
}

/// Writes a line into the run's log.
pub fn log(level: Level, text: &str) {
    let level = match level {
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::write(level, text);
}

/// The judge that the experiment put under this plugin.
#[derive(Debug)]
pub struct HostPreference;

impl UpstreamPreference for HostPreference {
    fn compare(&self, batch: Vec<Comparison>) -> Outcomes<Verdict> {
        let batch: Vec<types::Comparison> = batch.into_iter().map(Into::into).collect();
        from_outcomes(upstream_preference::compare(&batch))
    }
}

/// The reward model that the experiment put under this plugin.
#[derive(Debug)]
pub struct HostReward;

impl UpstreamReward for HostReward {
    fn score(&self, batch: Vec<Candidate>) -> Outcomes<Score> {
        let batch: Vec<types::Candidate> = batch.into_iter().map(Into::into).collect();
        from_outcomes(upstream_reward::score(&batch))
    }
}

/// A batch of the host's as the SDK's.
pub fn from_host<H, T: From<H>>(batch: Vec<H>) -> Vec<T> {
    batch.into_iter().map(Into::into).collect()
}

/// Outcomes of the SDK's as the host's.
pub fn outcomes<T, H: From<T>>(outcomes: Outcomes<T>) -> Result<Vec<Result<H, types::Failure>>, types::Failure> {
    let outcomes = outcomes?;
    Ok(outcomes.into_iter().map(|outcome| outcome.map(Into::into).map_err(Into::into)).collect())
}

/// Outcomes of the host's as the SDK's.
fn from_outcomes<H, T: From<H>>(outcomes: Result<Vec<Result<H, types::Failure>>, types::Failure>) -> Outcomes<T> {
    let outcomes = outcomes?;
    Ok(outcomes.into_iter().map(|outcome| outcome.map(Into::into).map_err(Into::into)).collect())
}

/// Field by field, both ways; nested fields convert themselves.
macro_rules! twins {
    ($($ours:ident = $theirs:path { $($field:ident),* })*) => {$(
        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                Self { $($field: Convert::convert(value.$field)),* }
            }
        }

        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                Self { $($field: Convert::convert(value.$field)),* }
            }
        }

        impl Convert<$ours> for $theirs {
            fn convert(self) -> $ours {
                self.into()
            }
        }

        impl Convert<$theirs> for $ours {
            fn convert(self) -> $theirs {
                self.into()
            }
        }
    )*};
}

/// `Into`, but also from lists to lists.
trait Convert<T> {
    fn convert(self) -> T;
}

impl<T, U: Convert<T>> Convert<Vec<T>> for Vec<U> {
    fn convert(self) -> Vec<T> {
        self.into_iter().map(Convert::convert).collect()
    }
}

macro_rules! convert_to_themselves {
    ($($kind:ty),*) => {$(
        impl Convert<$kind> for $kind {
            fn convert(self) -> $kind {
                self
            }
        }
    )*};
}

convert_to_themselves!(String, bool, u32, u64, f64);

twins! {
    Message = types::Message { role, content }
    Response = types::Response { text, finished, token_count, metadata }
    Comparison = types::Comparison { prompt, messages, metadata, first, second, draw }
    Candidate = types::Candidate { prompt, messages, metadata, response, draw }
    Attribute = types::Attribute { name, value, reason }
    Verdict = types::Verdict { probability, attributes }
    Score = types::Score { value, attributes }
    Failure = types::Failure { reason }
}

impl From<bindings::baseline::exports::slhf::lab::baseline::Sample> for Sample {
    fn from(sample: bindings::baseline::exports::slhf::lab::baseline::Sample) -> Self {
        use bindings::baseline::exports::slhf::lab::baseline::Role as HostRole;
        let role = match sample.role {
            HostRole::Leader => Role::Leader,
            HostRole::Follower => Role::Follower,
        };
        Self { prompt_id: sample.prompt_id, role, step: sample.step, reward: sample.reward }
    }
}

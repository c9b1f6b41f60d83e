//! The states of a run and the ways between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Planned, never started.
    Pending,
    /// A live process computes it.
    Running,
    /// All steps are done.
    Finished,
    /// It cannot go on; the reason says why.
    Failed,
    /// Stopped before its last step; `resume` goes on.
    Interrupted,
    /// Set aside by an explicit `--supersede`.
    Superseded,
}

impl RunStatus {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Finished, Self::Failed, Self::Interrupted, Self::Superseded];

    /// As the record and every verb write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Superseded => "superseded",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether a run may go from this state to `next`.
    ///
    /// A failed run may be started again by an explicit resume; a finished one never, it can only be superseded.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending | Self::Interrupted | Self::Failed, Self::Running | Self::Superseded)
                | (Self::Pending | Self::Interrupted, Self::Failed)
                | (Self::Running, Self::Finished | Self::Failed | Self::Interrupted)
                | (Self::Finished, Self::Superseded)
        )
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for status in RunStatus::ALL {
            assert_eq!(RunStatus::from_name(status.as_str()), Some(status));
        }
        assert_eq!(RunStatus::from_name("done"), None);
    }

    #[test]
    fn a_superseded_run_stays_so_and_nothing_becomes_pending_again() {
        for status in RunStatus::ALL {
            assert!(!RunStatus::Superseded.may_become(status));
            assert!(!status.may_become(RunStatus::Pending));
            assert!(!status.may_become(status));
        }
    }
}

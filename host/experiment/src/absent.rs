//! Inputs that are not here.

/// What becomes of models and data that an experiment names and that are not here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// The experiment is refused: it could not run.
    #[default]
    Refused,
    /// Where the experiment gives their shape it stands for them: the plan can be checked, but not run.
    Described,
    /// Likewise, and keys of servers may be missing: the plan is priced.
    Priced,
}

//! What can go wrong while a group is prepared or trained.

/// An error of another part that this crate does not name (a plugin host, a pipe).
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a group cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// A setting that this method cannot have; the lab refuses it when it plans.
    #[error("run {run}: {key}: {problem}")]
    Setting {
        /// The run.
        run: i64,
        /// The setting, as the experiment names it.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Runs of one group differ in something that must agree.
    #[error("run {run}: {key} differs from the group's first run; the lab must put it into a group of its own")]
    Disagreement {
        /// The run.
        run: i64,
        /// What differs.
        key: &'static str,
    },
    /// A run names a game that is not there.
    #[error("run {run} names game {game}, but the group has {games}")]
    NoSuchGame {
        /// The run.
        run: i64,
        /// The index it names.
        game: usize,
        /// How many games there are.
        games: usize,
    },
    /// A checkpoint or an estimator for a run that the group does not have.
    #[error("the group has no run {run}")]
    NoSuchRun {
        /// The run.
        run: i64,
    },
    /// A part of the game was refused.
    #[error("run {run}: the game is not valid")]
    Game {
        /// The run.
        run: i64,
        /// What was refused.
        #[source]
        source: slhf_game::GameError,
    },
    /// The state of a checkpoint does not fit the run.
    #[error("run {run}: its state in the checkpoint {problem}")]
    State {
        /// The run.
        run: i64,
        /// What is wrong.
        problem: String,
    },
    /// A state could not be turned into bytes or back.
    #[error("the state of a run could not be encoded or decoded")]
    Encoding(#[from] postcard::Error),
    /// libtorch failed.
    #[error("libtorch failed while it was {doing}")]
    Torch {
        /// What was being computed.
        doing: &'static str,
        /// libtorch's own words.
        #[source]
        source: tch::TchError,
    },
    /// The estimator of a control variate failed.
    #[error("the baseline of run {run} failed")]
    Baseline {
        /// The run.
        run: i64,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The policies of a language model failed outside of a step.
    #[error("run {run}: the policies failed while they were {doing}")]
    Policies {
        /// The run.
        run: i64,
        /// What they were doing.
        doing: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Whoever listens could not take what was told.
    #[error("what was learned could not be handed on")]
    Observer(#[source] Cause),
}

/// The first of what is wrong with a plan, if anything is.
pub(crate) fn refuse_problems(run: i64, problems: slhf_plan::settings::Problems) -> Result<(), LearnError> {
    match problems.into_iter().next() {
        Some(slhf_plan::settings::Problem { key, problem }) => Err(LearnError::Setting { run, key, problem }),
        None => Ok(()),
    }
}

/// Attaches to a libtorch error what was being done.
pub(crate) fn torch(doing: &'static str) -> impl Fn(tch::TchError) -> LearnError {
    move |source| LearnError::Torch { doing, source }
}

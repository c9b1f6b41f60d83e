//! An experiment as it will be run: cells × seeds, in batch groups.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use crate::shapes::Shapes;
use slhf_plan::{GameRunPlan, GroupPlan, LanguagePlan, RewardTrainingPlan, Work};

/// What kind of thing an experiment trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A finite game.
    Game,
    /// A language model.
    LanguageModel,
    /// A reward model.
    RewardModel,
}

impl Kind {
    /// As it is written in a TOML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Game => "game",
            Self::LanguageModel => "language-model",
            Self::RewardModel => "reward-model",
        }
    }

    /// The key that names its data.
    pub(crate) fn data_key(self) -> &'static str {
        match self {
            Self::Game => "game.file",
            Self::LanguageModel => "data.prompts",
            Self::RewardModel => "data.pairs",
        }
    }
}

/// A parameter's value as the record keeps it.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedValue {
    /// true, false
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Anything else; lists as JSON.
    Text(String),
}

impl fmt::Display for TypedValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(formatter, "{value}"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Real(value) => write!(formatter, "{value}"),
            Self::Text(value) => formatter.write_str(value),
        }
    }
}

/// One point of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Unique in the experiment, readable: `SLHF, schedule.kappa.value=5`; `base` without ablations.
    pub label: String,
    /// Axis → what it is in this cell, in the order of the axes.
    pub settings: Vec<(String, String)>,
    /// Every hyper-parameter with its resolved value, defaults included, by dotted key, sorted.
    pub parameters: Vec<(String, TypedValue)>,
}

/// One cell × one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// Index into [`Experiment::cells`].
    pub cell: usize,
    /// The seed.
    pub seed: u64,
    /// Index into [`Experiment::groups`].
    pub group: usize,
    /// SHA-256 over everything the plan knows that influences this run's numbers, plugin hashes included, paths and
    /// the run's number excluded. The versions of lab, worker and libtorch are the record's to compare.
    pub content_hash: String,
}

/// What a plan says nothing about: how long texts are on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextSizes {
    /// Tokens of a rendered prompt, or of a conversation with its response where a reward model is trained.
    pub text_tokens: f64,
    /// Pairs that a reward model, or a policy that learns from pairs, is evaluated on.
    pub held_out_pairs: f64,
    /// Tokens of a response of a file of pairs that a policy learns from; 0 where there is no such file.
    pub response_tokens: f64,
}

/// Runs computed together, because their shapes agree.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedGroup {
    /// Indices into [`Experiment::runs`], ascending; the template's runs in this order.
    pub runs: Vec<usize>,
    /// The plan, with the index into [`Experiment::runs`] in the place of the run's number in the record.
    pub template: Work,
    /// A guess by a fixed model (see `estimate`), for people only.
    pub estimated_seconds: f64,
    /// How long its texts are.
    pub sizes: TextSizes,
}

impl PlannedGroup {
    /// The plan with the record's run numbers: `number` maps an index into [`Experiment::runs`] to its number, or to
    /// `None` for a run that is left out (already answered). `None` when nothing is left.
    pub fn freeze(&self, number: impl Fn(usize) -> Option<i64>) -> Option<Work> {
        match &self.template {
            Work::Game(template) => self.freeze_game(template, number).map(Work::Game),
            Work::LanguageModel(template) => {
                let run = self.runs.first().copied().and_then(number)?;
                Some(Work::LanguageModel(Box::new(LanguagePlan { run, ..(**template).clone() })))
            }
            Work::RewardModel(template) => {
                let run = self.runs.first().copied().and_then(number)?;
                Some(Work::RewardModel(Box::new(RewardTrainingPlan { run, ..(**template).clone() })))
            }
        }
    }

    fn freeze_game(&self, template: &GroupPlan, number: impl Fn(usize) -> Option<i64>) -> Option<GroupPlan> {
        let mut games = Vec::new();
        let mut moved: HashMap<usize, usize> = HashMap::new();
        let mut runs = Vec::new();
        for (index, run) in self.runs.iter().zip(&template.runs) {
            let Some(number) = number(*index) else { continue };
            let game = *moved.entry(run.game).or_insert_with(|| {
                games.push(template.games[run.game].clone());
                games.len() - 1
            });
            runs.push(GameRunPlan { run: number, game, ..run.clone() });
        }
        (!runs.is_empty()).then(|| GroupPlan { games, runs, ..template.clone() })
    }
}

/// An experiment, planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The TOML, absolute.
    pub path: PathBuf,
    /// `name`, by default the file's stem.
    pub name: String,
    /// `question`; may be empty.
    pub question: String,
    /// `kind`.
    pub kind: Kind,
    /// The file as it was read.
    pub toml_text: String,
    /// SHA-256 of the resolved content: the cells' labels and the runs' content hashes.
    pub hash: String,
    /// The grid.
    pub cells: Vec<Cell>,
    /// The seeds of every cell.
    pub seeds: Vec<u64>,
    /// Cells × seeds, cell by cell.
    pub runs: Vec<PlannedRun>,
    /// The batch groups.
    pub groups: Vec<PlannedGroup>,
    /// What the reader should know: pairs that were never compared, and the like.
    pub notes: Vec<String>,
    /// Shapes of models that are not here.
    pub(crate) shapes: Shapes,
    /// Whether a model or a file of data is not here: the experiment can be looked at and priced, but not run.
    pub lacks_inputs: bool,
}

impl Experiment {
    /// Estimated seconds when groups run one after the other.
    pub fn estimated_seconds(&self) -> f64 {
        self.groups.iter().map(|group| group.estimated_seconds).sum()
    }
}

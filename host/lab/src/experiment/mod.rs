//! From TOML to a plan: read, override, expand the grid, fill in defaults, check the rules, group, hash.
//!
//! Only this module and the verbs know TOML; what leaves it is a [`slhf_plan::GroupPlan`] per batch group: typed,
//! valid, explicit.

mod config;
mod document;
mod error;
mod estimate;
mod game;
mod grid;
mod grouping;
mod judge;
mod keys;
mod language;
mod method_rules;
mod overriding;
mod parameters;
mod planned;
mod reading;
mod resolve;
mod rules;
pub(crate) mod shipped;
mod variants;

pub(crate) use config::{ExperimentConfig, GameConfig, JudgeConfig};
pub(crate) use error::ExperimentError;
pub(crate) use game::{GameInput, Place, from_data, read as read_game, read_data};
pub(crate) use judge::Plugins;
pub(crate) use language::LanguageExperimentConfig;
pub(crate) use overriding::SetOverride;
pub(crate) use planned::{Cell, Experiment, Kind, PlannedRun, TypedValue};
pub(crate) use reading::{Document, game_document};

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use slhf_plan::{CheckpointKeep, ControlVariate, GamePlan};

use crate::models::Found;
use config::{BaselineConfig, SeedRange, SeedsConfig};
use resolve::Resolved;

/// Runs of one experiment beyond which it is refused.
const RUNS_MAX: usize = 100_000;

/// What a plan needs to know besides the file.
pub(crate) struct LoadOptions<'a> {
    /// `--set key=value`, in order.
    pub(crate) overrides: &'a [SetOverride],
    /// What `[device] name = "auto"` is on this machine for so many threads (`cpu`, `cuda:0`); asked at most once for a
    /// number of threads, and only by an experiment that leaves it open. The answer is frozen into the plan.
    pub(crate) auto_device: &'a dyn Fn(u32) -> Result<String, String>,
}

/// Reads, checks and plans an experiment. Nothing is started and nothing is written.
pub(crate) fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Experiment, ExperimentError> {
    let document = Document::read(path, options.overrides)?;
    let points = document.points()?;
    let mut planner = Planner {
        document: &document,
        options,
        plugins: Plugins::new(path),
        auto: HashMap::new(),
        models: HashMap::new(),
        prompts: Vec::new(),
        notes: Vec::new(),
    };
    let mut cells = Vec::with_capacity(points.len());
    let mut heading: Option<Heading> = None;
    let resolved = match document.kind {
        Kind::Game => {
            let mut resolved = Vec::with_capacity(points.len());
            for point in points {
                let config: ExperimentConfig = document.config(&point)?;
                let cell = planner.resolve(&config, &point.label)?;
                let parameters = parameters::parameters(&cell);
                cells.push(Cell { label: point.label, settings: point.settings, parameters });
                resolved.push(cell);
                heading.get_or_insert((config.name, config.question, config.seeds));
            }
            Cells::Game(resolved)
        }
        Kind::LanguageModel => {
            let mut resolved = Vec::with_capacity(points.len());
            for point in points {
                let config: LanguageExperimentConfig = document.config(&point)?;
                let cell = planner.resolve_language(&config, &point.label)?;
                cells.push(cell.cell(point.label, point.settings));
                resolved.push(cell);
                heading.get_or_insert((config.name, config.question, config.seeds));
            }
            Cells::LanguageModel(resolved)
        }
    };
    let notes = planner.notes;
    let (name, question, seeds_config) =
        heading.ok_or_else(|| ExperimentError::invalid(path, "ablation", "the grid is empty"))?;
    let seeds = seeds(path, seeds_config.as_ref())?;
    if cells.len().saturating_mul(seeds.len()) > RUNS_MAX {
        let problem =
            format!("{} cells × {} seeds; at most {RUNS_MAX} runs are planned at once", cells.len(), seeds.len());
        return Err(ExperimentError::invalid(path, "seeds", problem));
    }
    let (runs, groups) = match &resolved {
        Cells::Game(cells) => grouping::plan(cells, &seeds),
        Cells::LanguageModel(cells) => language::plan(cells, &seeds),
    };
    let hash = experiment_hash(&cells, &runs);
    let stem = path.file_stem().map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned());
    Ok(Experiment {
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
        name: name.filter(|name| !name.trim().is_empty()).unwrap_or(stem),
        question: question.unwrap_or_default(),
        kind: document.kind,
        toml_text: document.text,
        hash,
        cells,
        seeds,
        runs,
        groups,
        notes,
    })
}

/// What an experiment says of itself: name, question, seeds.
type Heading = (Option<String>, Option<String>, Option<SeedsConfig>);

/// The grid's cells with nothing left open.
enum Cells {
    Game(Vec<Resolved>),
    LanguageModel(Vec<language::ResolvedLanguage>),
}

fn experiment_hash(cells: &[Cell], runs: &[PlannedRun]) -> String {
    let mut text = String::new();
    for run in runs {
        text.push_str(&cells[run.cell].label);
        text.push('\n');
        text.push_str(&run.content_hash);
        text.push('\n');
    }
    slhf_judge::sha256_hex(text.as_bytes())
}

fn seeds(path: &Path, config: Option<&SeedsConfig>) -> Result<Vec<u64>, ExperimentError> {
    let invalid = |problem: String| Err(ExperimentError::invalid(path, "seeds", problem));
    let seeds = match config {
        None => vec![1],
        Some(SeedsConfig::List(seeds)) => seeds.clone(),
        Some(SeedsConfig::Range(SeedRange { first, count })) => {
            // SQLite's integers end at 2^63 − 1, and so do seeds.
            if *count > RUNS_MAX as u64 || first.checked_add(*count).is_none_or(|end| i64::try_from(end).is_err()) {
                return invalid(format!("{count} seeds from {first} on; at most {RUNS_MAX}, all below 2^63"));
            }
            (*first..first + count).collect()
        }
    };
    if seeds.is_empty() {
        return invalid("none; expected at least one, like seeds = [1, 2, 3]".to_owned());
    }
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    if let Some([seed, _]) = sorted.windows(2).filter_map(|pair| pair.as_array()).find(|[a, b]| a == b) {
        return invalid(format!("{seed} stands there twice; the same seed would be the same run"));
    }
    Ok(seeds)
}

/// Resolves cells; what is asked of a machine is asked once.
struct Planner<'a> {
    document: &'a Document,
    options: &'a LoadOptions<'a>,
    plugins: Plugins<'a>,
    auto: HashMap<u32, String>,
    /// Models by the name that the experiment gives them.
    models: HashMap<String, Found>,
    /// Files of prompts that were read, and how.
    prompts: Vec<(slhf_data::prompts::Reading, slhf_data::prompts::Prompts)>,
    notes: Vec<String>,
}

impl Planner<'_> {
    fn path(&self) -> PathBuf {
        self.document.path.clone()
    }

    fn invalid(&self, label: &str, key: &str, problem: &str) -> ExperimentError {
        self.document.invalid_in(label, key, problem)
    }

    fn resolve(&mut self, config: &ExperimentConfig, label: &str) -> Result<Resolved, ExperimentError> {
        rules::check_settings(config).map_err(|(key, problem)| self.invalid(label, key, &problem))?;
        let Some(game_config) = &config.game else {
            return Err(self.invalid(label, "game", "missing; expected a [game] table"));
        };
        let file = self.path();
        let input = read_game(game_config, Place { file: &file, prefix: "game." })?;
        for note in &input.notes {
            let note = game_config.file.as_ref().map_or_else(|| note.clone(), |file| format!("{file}: {note}"));
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        let data = game_config.file.clone().zip(input.file_sha256.clone());
        let judge_is_implied = config.judge.is_none();
        let baseline = self.baseline(config)?;
        let method = resolve::method(&config.method, baseline);
        let temperatures = resolve::temperatures(game_config);
        let (evaluation_every, checkpoint_every) = resolve::cadences(config, method.training().steps);
        let resolved = Resolved {
            game: self.game(config, input, label)?,
            data,
            judge_is_implied,
            temperatures,
            schedule: resolve::schedule(&config.schedule, &method, temperatures),
            method,
            device: self.device(config, label)?,
            evaluation_every,
            checkpoint_every,
            checkpoint_keep: config.checkpoint.keep.map_or_else(CheckpointKeep::default, CheckpointKeep),
        };
        rules::check(&resolved).map_err(|(key, problem)| self.invalid(label, key, &problem))?;
        Ok(resolved)
    }

    fn game(&mut self, config: &ExperimentConfig, input: GameInput, label: &str) -> Result<GamePlan, ExperimentError> {
        let judge = match (&config.judge, &input.preferences) {
            (None, Some(_)) => self.plugins.table(&input)?,
            (Some(judge), None) => self.plugins.judge("judge", judge)?,
            (Some(_), Some(_)) => {
                let problem = "given beside the game's own matrix; remove one of the two (a combinator over a matrix wraps \
                               the plugin \"table\", which takes the matrix as its parameters)";
                return Err(self.invalid(label, "judge", problem));
            }
            (None, None) => {
                let problem = "missing; expected the game's matrix as preferences = [[...]], or a [judge]";
                return Err(self.invalid(label, "game.preferences", problem));
            }
        };
        Ok(GamePlan {
            prompt: input.prompt,
            metadata: serde_json::Value::Object(serde_json::Map::new()),
            actions: input.actions,
            judge,
            reference_leader: input.reference_leader,
            reference_follower: input.reference_follower,
            comparison_counts: input.comparison_counts,
        })
    }

    fn baseline(&mut self, config: &ExperimentConfig) -> Result<Option<ControlVariate>, ExperimentError> {
        match &config.method.score_baseline {
            Some(BaselineConfig::Plugin { plugin, parameters, limits }) => {
                let plugin = Box::new(self.plugins.baseline(plugin, parameters.as_ref(), *limits)?);
                Ok(Some(ControlVariate::Plugin { plugin }))
            }
            _ => Ok(None),
        }
    }

    fn device(&mut self, config: &ExperimentConfig, label: &str) -> Result<slhf_plan::DevicePlan, ExperimentError> {
        self.ask_device(|ask| resolve::device(&config.device, ask))
            .map_err(|problem| self.invalid(label, "device.name", &problem))
    }

    /// Resolves a device with something to ask what `auto` is, which is asked once for a number of threads.
    fn ask_device<T>(
        &mut self,
        resolve: impl FnOnce(&mut dyn FnMut(u32) -> Result<String, String>) -> Result<T, String>,
    ) -> Result<T, String> {
        let (auto, known) = (self.options.auto_device, &mut self.auto);
        let mut ask = |threads: u32| match known.get(&threads) {
            Some(name) => Ok(name.clone()),
            None => auto(threads).inspect(|name| {
                known.insert(threads, name.clone());
            }),
        };
        resolve(&mut ask)
    }

    /// Something that the reader should know, once.
    fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }
}

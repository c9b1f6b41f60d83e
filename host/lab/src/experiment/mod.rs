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
mod overriding;
mod parameters;
mod planned;
mod reading;
mod resolve;
mod rules;
pub(crate) mod shipped;

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

use slhf_plan::settings::{Placeholders, Problems};
use slhf_plan::{CheckpointKeep, GameCell, GamePlan, Method};

use crate::models::Found;
use config::{SeedRange, SeedsConfig};
use judge::MethodPlugins;
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
                let (config, problems) = document.config::<ExperimentConfig>(&point);
                let Some(config) = config else {
                    return Err(document.unreadable(&point, problems));
                };
                let cell = planner.resolve(&config, problems, &point.label)?;
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
                let (config, problems) = document.config::<LanguageExperimentConfig>(&point);
                let Some(config) = config else {
                    return Err(document.unreadable(&point, problems));
                };
                let cell = planner.resolve_language(&config, problems, &point.label)?;
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
    slhf_files::sha256_hex(text.as_bytes())
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

    fn resolve(
        &mut self,
        config: &ExperimentConfig,
        mut problems: Problems,
        label: &str,
    ) -> Result<Resolved, ExperimentError> {
        let (method, found) = config.method.read(&mut Placeholders);
        problems.extend(found);
        rules::check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(1), &mut problems);
        if method.as_ref().is_some_and(Method::has_follower) {
            rules::check_follower_rate(&config.schedule, &mut problems);
        }
        let Some(game_config) = &config.game else {
            problems.push("game", "missing; expected a [game] table");
            return Err(self.refused(label, problems));
        };
        let Some(method) = method else { return Err(self.refused(label, problems)) };
        let file = self.path();
        let input = match read_game(game_config, Place { file: &file, prefix: "game." }) {
            Err(error) if problems.is_empty() => return Err(error),
            Err(_) => return Err(self.refused(label, problems)),
            Ok(input) => input,
        };
        for note in &input.notes {
            let note = game_config.file.as_ref().map_or_else(|| note.clone(), |file| format!("{file}: {note}"));
            self.note(&note);
        }
        let temperatures = resolve::temperatures(game_config);
        let (evaluation_every, checkpoint_every) = resolve::cadences(config, method.training().steps);
        let schedule = resolve::schedule(&config.schedule, &method, temperatures);
        let device = self.device(config, label)?;
        let cell = GameCell {
            actions: &input.actions,
            is_counted: input.comparison_counts.is_some(),
            temperatures,
            method: &method,
            schedule: &schedule,
            device: &device,
        };
        rules::check_cadence("evaluation.every", evaluation_every, &mut problems);
        rules::check_cadence("checkpoint.every", checkpoint_every, &mut problems);
        problems.extend(slhf_plan::check_game(&cell));
        self.document.refuse(label, problems)?;
        Ok(Resolved {
            data: game_config.file.clone().zip(input.file_sha256.clone()),
            judge_is_implied: config.judge.is_none(),
            game: self.game(config, input, label)?,
            temperatures,
            schedule,
            method: self.with_plugins(|plugins| config.method.read(plugins), label)?,
            device,
            evaluation_every,
            checkpoint_every,
            checkpoint_keep: config.checkpoint.keep.map_or_else(CheckpointKeep::default, CheckpointKeep),
        })
    }

    /// Reads a method with the plugins that it names.
    fn with_plugins<T>(
        &mut self,
        read: impl FnOnce(&mut MethodPlugins<'_, '_>) -> (Option<T>, Problems),
        label: &str,
    ) -> Result<T, ExperimentError> {
        let mut plugins = MethodPlugins { plugins: &mut self.plugins, errors: Vec::new() };
        let (method, problems) = read(&mut plugins);
        ExperimentError::of(plugins.errors)?;
        method.ok_or_else(|| self.refused(label, problems))
    }

    /// The error that some problems make; there is at least one.
    fn refused(&self, label: &str, problems: Problems) -> ExperimentError {
        self.document.refuse(label, problems).err().unwrap_or_else(|| self.invalid(label, "method", "cannot be read"))
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

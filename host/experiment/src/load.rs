//! One experiment, from its file to its plan.

use std::path::Path;

use crate::config::{ExperimentConfig, SeedRange, SeedsConfig};
use crate::error::ExperimentError;
use crate::language::{self, LanguageExperimentConfig, ResolvedLanguage};
use crate::planned::{Cell, Experiment, Kind, PlannedRun};
use crate::planner::{LoadOptions, Planner};
use crate::reading::Document;
use crate::resolve::Resolved;
use crate::reward_model::{self, ResolvedReward, RewardExperimentConfig};
use crate::{grouping, parameters};

/// Runs of one experiment beyond which it is refused.
const RUNS_MAX: usize = 100_000;

/// Reads, checks and plans an experiment. Nothing is started and nothing is written.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Experiment, ExperimentError> {
    let mut document = Document::read(path, options.overrides)?;
    if let Some(data) = options.data {
        document.use_data(data)?;
    }
    let points = document.points()?;
    let mut planner = Planner {
        document: &document,
        options,
        plugins: crate::plugins::Plugins::new(path).with_runs(options.find_run),
        auto: std::collections::HashMap::new(),
        models: std::collections::HashMap::new(),
        prompts: Vec::new(),
        preferences: Vec::new(),
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
                let parameters = language::parameters(&cell);
                cells.push(Cell { label: point.label, settings: point.settings, parameters });
                resolved.push(cell);
                heading.get_or_insert((config.name, config.question, config.seeds));
            }
            Cells::LanguageModel(resolved)
        }
        Kind::RewardModel => {
            let mut resolved = Vec::with_capacity(points.len());
            for point in points {
                let (config, problems) = document.config::<RewardExperimentConfig>(&point);
                let Some(config) = config else {
                    return Err(document.unreadable(&point, problems));
                };
                let cell = planner.resolve_reward(&config, problems, &point.label)?;
                let parameters = reward_model::parameters(&cell);
                cells.push(Cell { label: point.label, settings: point.settings, parameters });
                resolved.push(cell);
                heading.get_or_insert((config.name, config.question, config.seeds));
            }
            Cells::RewardModel(resolved)
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
        Cells::RewardModel(cells) => reward_model::plan(cells, &seeds),
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
    LanguageModel(Vec<ResolvedLanguage>),
    RewardModel(Vec<ResolvedReward>),
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

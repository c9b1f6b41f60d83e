//! One experiment, from its file to its plan.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{ExperimentConfig, SeedRange, SeedsConfig};
use crate::error::ExperimentError;
use crate::grid::Point;
use crate::kinds::{Heading, OfAKind};
use crate::language::LanguageExperimentConfig;
use crate::planned::{Cell, Experiment, Kind, PlannedGroup, PlannedRun};
use crate::planner::{LoadOptions, Planner};
use crate::reading::Document;
use crate::reward_model::RewardExperimentConfig;
use crate::shapes::Shapes;

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
        plugins: crate::plugins::Plugins::new(path).with_runs(options.find_run).with_absent(options.absent),
        auto: std::collections::HashMap::new(),
        models: std::collections::HashMap::new(),
        prompts: Vec::new(),
        preferences: Vec::new(),
        shapes: Shapes::default(),
        absent_data: BTreeSet::new(),
        notes: Vec::new(),
    };
    let Grid { heading: (name, question, _), cells, seeds, runs, groups } = match document.kind {
        Kind::Game => grid_of::<ExperimentConfig>(&mut planner, points, path),
        Kind::LanguageModel => grid_of::<LanguageExperimentConfig>(&mut planner, points, path),
        Kind::RewardModel => grid_of::<RewardExperimentConfig>(&mut planner, points, path),
    }?;
    let Planner { plugins, mut shapes, mut notes, absent_data, .. } = planner;
    let (granted, of_granted) = plugins.into_described();
    shapes.extend(granted);
    notes.extend(of_granted);
    let lacks_inputs = !(shapes.is_empty() && absent_data.is_empty());
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
        shapes,
        lacks_inputs,
    })
}

/// Cells × seeds, planned.
struct Grid {
    heading: Heading,
    cells: Vec<Cell>,
    seeds: Vec<u64>,
    runs: Vec<PlannedRun>,
    groups: Vec<PlannedGroup>,
}

fn grid_of<C: OfAKind>(planner: &mut Planner<'_>, points: Vec<Point>, path: &Path) -> Result<Grid, ExperimentError> {
    let document = planner.document;
    let mut cells = Vec::with_capacity(points.len());
    let mut resolved = Vec::with_capacity(points.len());
    let mut heading: Option<Heading> = None;
    for point in points {
        let (config, problems) = document.config::<C>(&point);
        let Some(config) = config else {
            return Err(document.unreadable(&point, problems));
        };
        let cell = config.resolve(planner, problems, &point.label)?;
        cells.push(Cell { label: point.label, settings: point.settings, parameters: C::parameters(&cell) });
        resolved.push(cell);
        heading.get_or_insert(config.heading());
    }
    let heading = heading.ok_or_else(|| ExperimentError::invalid(path, "ablation", "the grid is empty"))?;
    let seeds = seeds(path, heading.2.as_ref())?;
    if cells.len().saturating_mul(seeds.len()) > RUNS_MAX {
        let problem =
            format!("{} cells × {} seeds; at most {RUNS_MAX} runs are planned at once", cells.len(), seeds.len());
        return Err(ExperimentError::invalid(path, "seeds", problem));
    }
    let (runs, groups) = C::plan(&resolved, &seeds);
    Ok(Grid { heading, cells, seeds, runs, groups })
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

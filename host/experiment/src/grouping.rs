//! Cells × seeds, hashed, and put into batch groups where shapes agree.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use slhf_files::sha256_hex;
use slhf_plan::{GameRunPlan, GroupPlan, Work};

use crate::estimate;
use crate::planned::{PlannedGroup, PlannedRun, TextSizes};
use crate::resolve::Resolved;

/// Raised when what the hash covers changes, or what it computes: docs/what-changed.md says what.
const HASH_VERSION: u32 = 2;
/// Of games whose plugins ask a model on the run's device: its replies are numbers of the run.
const HASH_VERSION_OF_ASKING: u32 = 4;
/// Runs in one group: its checkpoint is one file, its failure is theirs together.
const RUNS_MAX: usize = 1024;
/// Numbers in one tensor `[runs, n, n]`: 128 MiB in f64, of which training holds a handful.
const NUMBERS_MAX: usize = 1 << 24;

/// SHA-256 over everything that influences the numbers of this cell under this seed.
///
/// Paths are left out (the plugins' hashes are in), and so is the checkpoints' cadence: resuming does not change bits.
pub(crate) fn content_hash(cell: &Resolved, seed: u64) -> String {
    let mut content = json!({
        "version": HASH_VERSION,
        "game": cell.game,
        "temperatures": cell.temperatures,
        "method": cell.method,
        "schedule": cell.schedule,
        "device": cell.device,
        "evaluation_every": cell.evaluation_every,
        "seed": seed,
    });
    if let Some(distance) = cell.target_distance {
        content["target_distance"] = distance.into();
    }
    if asks_the_device(&content) {
        content["version"] = HASH_VERSION_OF_ASKING.into();
    }
    forget_paths(&mut content);
    sha256_hex(content.to_string().as_bytes())
}

/// Whether a plugin anywhere in a plan was granted a model on the run's device.
fn asks_the_device(value: &Json) -> bool {
    match value {
        Json::Object(fields) => fields.iter().any(|(key, value)| {
            let models = if key == "models" { value.as_object() } else { None };
            models.is_some_and(|models| models.values().any(|model| model.get("device").is_some()))
                || asks_the_device(value)
        }),
        Json::Array(values) => values.iter().any(asks_the_device),
        _ => false,
    }
}

/// Removes `path` wherever a plugin's plan stands (beside `sha256`); `device.path` is no path of a file and stays.
pub(super) fn forget_paths(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            if fields.contains_key("sha256") {
                fields.remove("path");
            }
            if let Some(models) = fields.get_mut("models").and_then(Json::as_object_mut) {
                models.values_mut().for_each(forget_how_models_are_reached);
            }
            fields.values_mut().for_each(forget_paths);
        }
        Json::Array(values) => values.iter_mut().for_each(forget_paths),
        _ => {}
    }
}

/// Leaves of a granted model who it is: a model's bytes, or a server's address and the name that it has there. What it is called
/// here, how often and how patiently it is asked, and who pays, change no answer.
fn forget_how_models_are_reached(model: &mut Json) {
    let of = |kind: &str| match kind {
        "device" => &["name", "path"][..],
        _ => &["responds_as", "key_env", "concurrency", "timeout_ms", "retries", "budget_tokens"][..],
    };
    for (kind, fields) in model.as_object_mut().into_iter().flatten() {
        if let Some(fields) = fields.as_object_mut() {
            for key in of(kind) {
                fields.remove(*key);
            }
        }
    }
}

/// A group that is being filled.
struct Filling {
    runs: Vec<usize>,
    template: GroupPlan,
}

/// What must agree in a group, as one text.
fn shape(cell: &Resolved) -> String {
    let training = cell.method.training();
    json!([
        cell.game.actions.len(),
        cell.method.name().as_str(),
        training.gradient,
        training.preconditioner,
        training.optimizer,
        training.steps,
        training.num_generations,
        cell.schedule.realisation,
        cell.evaluation_every,
        cell.target_distance,
        cell.checkpoint_every,
        cell.checkpoint_keep,
        cell.device,
    ])
    .to_string()
}

/// The runs, cell by cell, and their groups.
pub(crate) fn plan(cells: &[Resolved], seeds: &[u64]) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    let mut runs = Vec::with_capacity(cells.len() * seeds.len());
    let mut groups: Vec<Filling> = Vec::new();
    let mut open: HashMap<String, usize> = HashMap::new();
    for (index, cell) in cells.iter().enumerate() {
        let shape = shape(cell);
        for &seed in seeds {
            let group = match open.get(&shape) {
                Some(group) if has_room(&groups[*group]) => *group,
                _ => {
                    groups.push(empty(cell));
                    open.insert(shape.clone(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            join(&mut groups[group], cell, runs.len(), seed);
            runs.push(PlannedRun { cell: index, seed, group, content_hash: content_hash(cell, seed) });
        }
    }
    let groups = groups.into_iter().map(|Filling { runs, template }| PlannedGroup {
        estimated_seconds: estimate::seconds(&template),
        runs,
        template: Work::Game(template),
        sizes: TextSizes::default(),
    });
    (runs, groups.collect())
}

fn empty(cell: &Resolved) -> Filling {
    let template = GroupPlan {
        device: cell.device.clone(),
        evaluation_every: cell.evaluation_every,
        target_distance: cell.target_distance,
        checkpoint_every: cell.checkpoint_every,
        checkpoint_keep: cell.checkpoint_keep,
        games: Vec::new(),
        runs: Vec::new(),
    };
    Filling { runs: Vec::new(), template }
}

fn has_room(group: &Filling) -> bool {
    let n = group.template.games.first().map_or(1, |game| game.actions.len());
    let next = group.runs.len() + 1;
    next <= RUNS_MAX && next * n * n <= NUMBERS_MAX
}

fn join(group: &mut Filling, cell: &Resolved, index: usize, seed: u64) {
    let template = &mut group.template;
    // Runs come cell by cell, so an equal game is most often the last one.
    let known = template.games.iter().rposition(|game| *game == cell.game);
    let game = known.unwrap_or_else(|| {
        template.games.push(cell.game.clone());
        template.games.len() - 1
    });
    group.runs.push(index);
    template.runs.push(GameRunPlan {
        run: i64::try_from(index).unwrap_or(i64::MAX),
        game,
        seed,
        temperatures: cell.temperatures,
        method: cell.method.clone(),
        schedule: cell.schedule,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_on_the_device_is_found_wherever_a_plugin_stands() {
        let check = |content: Json, expected| assert_eq!(asks_the_device(&content), expected, "{content}");
        check(json!({ "game": { "actions": ["models", "device"] }, "device": { "name": "cpu" } }), false);
        check(json!({ "game": { "plugin": { "sha256": "a", "models": {} } } }), false);
        check(json!({ "game": { "plugin": { "models": { "judge": { "served": { "model": "m" } } } } } }), false);
        check(json!({ "game": { "plugin": { "models": { "judge": { "device": { "name": "m" } } } } } }), true);
        let upstream = json!({ "upstream": [{ "models": { "judge": { "device": { "name": "m" } } } }] });
        check(json!({ "game": { "plugin": upstream } }), true);
    }
}

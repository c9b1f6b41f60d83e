//! From a planned experiment to an execution in the record.

use std::collections::HashMap;

use slhf_plan::{ControlVariate, FrozenWork, JudgePlan, PluginPlan, Work};
use slhf_record::{
    CellSetting, CreatedRun, FreezeError, NewCell, NewExecution, NewRun, ParameterValue, PluginGrant, Provenance,
};

use slhf_experiment::{Cell, Experiment, TypedValue};

/// What is written before anything starts: cells, runs, parameters, plugins, provenance.
///
/// `answered` names the finished runs that are taken instead (`--needed`), by content hash.
pub(crate) fn new_execution(
    experiment: &Experiment,
    provenance: Provenance,
    answered: &HashMap<String, i64>,
) -> NewExecution {
    let planned = planned_runs(experiment);
    let cells = experiment.cells.iter().enumerate().map(|(index, cell)| {
        let runs: Vec<usize> = (0..experiment.runs.len()).filter(|run| experiment.runs[*run].cell == index).collect();
        NewCell {
            label: cell.label.clone(),
            settings: settings(cell),
            parameters: cell.parameters.iter().map(|(key, value)| (key.clone(), parameter(value))).collect(),
            plugins: runs.first().and_then(|run| planned.get(run)).map(Planned::grants).unwrap_or_default(),
            runs: runs
                .iter()
                .map(|run| NewRun {
                    seed: experiment.runs[*run].seed,
                    content_hash: experiment.runs[*run].content_hash.clone(),
                    steps: planned.get(run).map_or(0, |planned| planned.steps),
                    answered_by: answered.get(&experiment.runs[*run].content_hash).copied(),
                })
                .collect(),
        }
    });
    NewExecution {
        experiment: experiment.name.clone(),
        kind: experiment.kind.as_str().to_owned(),
        question: (!experiment.question.is_empty()).then(|| experiment.question.clone()),
        toml: experiment.toml_text.clone(),
        toml_path: Some(experiment.path.display().to_string()),
        content_hash: experiment.hash.clone(),
        provenance,
        cells: cells.collect(),
    }
}

/// The batch groups with the numbers that the record gave to their runs.
pub(crate) fn freeze(experiment: &Experiment, created: &[CreatedRun]) -> Result<Vec<FrozenWork>, FreezeError> {
    let numbers: HashMap<(usize, u64), i64> = created.iter().map(|run| ((run.cell, run.seed), run.run)).collect();
    let number = |run: usize| {
        let run = &experiment.runs[run];
        numbers.get(&(run.cell, run.seed)).copied()
    };
    experiment
        .groups
        .iter()
        .filter_map(|group| group.freeze(number))
        .map(|plan| Ok(FrozenWork::freeze(plan)?))
        .collect()
}

/// What the record is told of a planned run.
struct Planned<'a> {
    steps: u64,
    /// `None`: nobody judges.
    judge: Option<&'a JudgePlan>,
    baseline: Option<&'a ControlVariate>,
    reward: Option<&'a PluginPlan>,
}

/// By index into the experiment's runs.
fn planned_runs(experiment: &Experiment) -> HashMap<usize, Planned<'_>> {
    let mut planned = HashMap::with_capacity(experiment.runs.len());
    for group in &experiment.groups {
        match &group.template {
            Work::Game(template) => {
                planned.extend(group.runs.iter().zip(&template.runs).map(|(index, run)| {
                    let training = run.method.training();
                    let judge = Some(&template.games[run.game].judge);
                    let baseline = Some(&training.score_baseline);
                    (*index, Planned { steps: training.steps, judge, baseline, reward: None })
                }));
            }
            Work::LanguageModel(plan) => {
                let training = plan.method.training();
                let reward = plan.method.reward();
                planned.extend(group.runs.iter().map(|index| {
                    let baseline = Some(&training.score_baseline);
                    (*index, Planned { steps: training.steps, judge: plan.judge.as_ref(), baseline, reward })
                }));
            }
            Work::RewardModel(plan) => {
                let steps = plan.training.steps;
                planned.extend(
                    group
                        .runs
                        .iter()
                        .map(|index| (*index, Planned { steps, judge: None, baseline: None, reward: None })),
                );
            }
        }
    }
    planned
}

/// What the plugins of the first run of a piece of work are granted.
pub(crate) fn grants(work: &Work) -> Vec<PluginGrant> {
    let planned = match work {
        Work::Game(group) => group.runs.first().map(|run| {
            let training = run.method.training();
            let judge = group.games.get(run.game).map(|game| &game.judge);
            Planned { steps: training.steps, judge, baseline: Some(&training.score_baseline), reward: None }
        }),
        Work::LanguageModel(plan) => {
            let training = plan.method.training();
            let (judge, baseline) = (plan.judge.as_ref(), Some(&training.score_baseline));
            Some(Planned { steps: training.steps, judge, baseline, reward: plan.method.reward() })
        }
        Work::RewardModel(_) => None,
    };
    planned.as_ref().map(Planned::grants).unwrap_or_default()
}

impl Planned<'_> {
    fn grants(&self) -> Vec<PluginGrant> {
        let judged = self.judge.map(|judge| PluginGrant::chain("judge", &judge.plugin, Some(judge.on_failure)));
        let mut grants = judged.unwrap_or_default();
        if let Some(ControlVariate::Plugin { plugin }) = self.baseline {
            grants.extend(PluginGrant::chain("baseline", plugin, None));
        }
        if let Some(plugin) = self.reward {
            grants.extend(PluginGrant::chain("reward", plugin, None));
        }
        grants
    }
}

/// An axis that varies one key is named by that key; one that varies several by its own name.
fn settings(cell: &Cell) -> Vec<CellSetting> {
    let resolved: HashMap<&str, &TypedValue> =
        cell.parameters.iter().map(|(key, value)| (key.as_str(), value)).collect();
    cell.settings
        .iter()
        .enumerate()
        .map(|(axis, (name, shown))| CellSetting {
            axis: axis as u32,
            axis_name: name.clone(),
            key: name.clone(),
            value: resolved
                .get(name.as_str())
                .map_or_else(|| ParameterValue::Text(shown.clone()), |value| parameter(value)),
        })
        .collect()
}

fn parameter(value: &TypedValue) -> ParameterValue {
    match value {
        TypedValue::Boolean(value) => ParameterValue::Boolean(*value),
        TypedValue::Integer(value) => ParameterValue::Integer(*value),
        TypedValue::Real(value) => ParameterValue::Float(*value),
        TypedValue::Text(value) => ParameterValue::Text(value.clone()),
    }
}

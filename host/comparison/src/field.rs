//! Who is compared: the answers of an experiment's policies to its held-out prompts, as the record has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use slhf_data::prompts::Prompts;
use slhf_data::responses::Asked;
use slhf_judge::Response;
use slhf_plan::{
    ComparisonFamily, EvaluationJudgePlan, FamilyError, LanguagePlan, Message, PluginPlan, StopAtPlan, Work,
};
use slhf_record::{ComparedCell, Comparison, ParameterValue, Record, RunStatus, RunSummary};
use slhf_report::escape::line;

use crate::error::ComparisonError;
use crate::plugins::is_same;
use crate::policy::{HeldOutResponse, Policy, merged};
use crate::prompts::{HeldOut, PromptFiles, PromptKey};
use crate::say::Say;

const REFERENCE: &str = "reference";

/// Who is compared, on what.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub experiment: String,
    /// Which execution of it.
    pub execution: i64,
    /// Of the runs.
    pub seeds: Vec<i64>,
    /// The held-out prompts.
    pub prompts: Vec<HeldOut>,
    /// In the order of the cells.
    pub policies: Vec<Policy>,
    /// As the execution declares it, whichever execution computed its runs.
    pub family: ComparisonFamily,
    /// When enough is known of a pair, as the execution declares it; nothing: when all prompts were asked.
    pub stop_at: Option<StopAtPlan>,
    /// Policies were left out on the command line.
    pub is_selection: bool,
    /// That of the first cell that has one; `None`: nobody judged, the runs learned from a file of preferences.
    pub training_judge: Option<PluginPlan>,
    /// Those of the TOML's `[evaluation]`.
    pub evaluation_judges: Vec<EvaluationJudgePlan>,
    /// How the first cell's runs sampled answers, and on what.
    pub plan: LanguagePlan,
}

/// Samples a run's responses to the held-out prompts.
pub type Sample<'a, E> = dyn FnMut(&mut Record, &RunSummary) -> Result<Vec<HeldOutResponse>, E> + 'a;

/// Where the responses of an experiment's policies come from.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub enum ResponsesFrom<'a, E> {
    /// The runs recorded them at their ends.
    Record,
    /// Sampled now.
    Sampled {
        /// In the place of the held-out prompts.
        prompts: Option<&'a Prompts>,
        /// Who samples.
        sample: &'a mut Sample<'a, E>,
    },
}

/// By seed and place of the prompt.
pub(crate) type AnswersByPlace = BTreeMap<(i64, usize), Response>;

/// What was found in an experiment's runs.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) files: PromptFiles,
    seeds: BTreeSet<i64>,
    /// The prompts in the order in which they were met, with their last messages.
    pub(crate) prompts: Vec<(PromptKey, String)>,
    /// Places among `prompts`.
    places: HashMap<PromptKey, usize>,
    /// By policy.
    pub(crate) answers: Vec<(String, AnswersByPlace)>,
}

impl Gathered {
    pub(crate) fn add(&mut self, cell: &str, seed: i64, keys: Vec<PromptKey>, answers: Vec<HeldOutResponse>) {
        for (key, answer) in keys.into_iter().zip(answers) {
            self.seeds.insert(seed);
            let prompt = *self.places.entry(key).or_insert_with_key(|key| {
                self.prompts.push((key.clone(), answer.prompt));
                self.prompts.len() - 1
            });
            let policy = format!("{cell}/{}", answer.who);
            let place = self.answers.iter().position(|(known, _)| *known == policy).unwrap_or_else(|| {
                self.answers.push((policy, BTreeMap::new()));
                self.answers.len() - 1
            });
            self.answers[place].1.insert((seed, prompt), answer.response);
        }
    }

    fn policies(answers: Vec<(String, AnswersByPlace)>, seeds: &[i64], prompts: usize) -> Vec<Policy> {
        let of = |(name, mut answers): (String, AnswersByPlace)| Policy {
            name,
            answers: seeds
                .iter()
                .map(|seed| (0..prompts).map(|prompt| answers.remove(&(*seed, prompt))).collect())
                .collect(),
        };
        answers.into_iter().map(of).collect()
    }
}

/// All policies of the finished runs of an execution.
///
/// `subject` is a name, or name#3 for its third execution. What the user should know of it is told to `say`.
pub fn gather<E: From<ComparisonError>>(
    record: &mut Record,
    subject: &str,
    from: &mut ResponsesFrom<'_, E>,
    say: Say<'_>,
) -> Result<Field, E> {
    let (name, execution) = split_execution(subject);
    let comparison = record.comparison(name, execution).map_err(ComparisonError::from)?;
    let mut gathered = Gathered::default();
    let mut plan: Option<LanguagePlan> = None;
    let mut training_judge: Option<PluginPlan> = None;
    let mut others = Vec::new();
    for cell in &comparison.cells {
        let Some(found) = of_cell(record, cell, from, &mut gathered, say)? else { continue };
        match (&training_judge, &found.judge) {
            (None, Some(judge)) => training_judge = Some(judge.plugin.clone()),
            (Some(first), Some(judge)) if !is_same(&judge.plugin, first) => {
                others.push(line(&cell.label).into_owned());
            }
            _ => {}
        }
        plan.get_or_insert(found);
    }
    let Some(plan) = plan else {
        return Err(ComparisonError::NoResponses { experiment: subject.to_owned() }.into());
    };
    if !others.is_empty() {
        let others = others.join("', '");
        say(format!("note: `training` is the first cell's judge; '{others}' learnt from another"));
    }
    let Gathered { files, seeds, prompts, answers, .. } = gathered;
    if prompts.is_empty() {
        return Err(ComparisonError::NoResponses { experiment: subject.to_owned() }.into());
    }
    let seeds: Vec<i64> = seeds.into_iter().collect();
    let everyones = std::iter::once(REFERENCE).chain(plan.evaluation.transfer.iter().map(|other| other.name.as_str()));
    let policies = everyones.fold(Gathered::policies(answers, &seeds, prompts.len()), merged);
    Ok(Field {
        family: declared_family(&comparison)?,
        stop_at: declared_stop(&comparison)?,
        is_selection: false,
        experiment: comparison.experiment,
        execution: comparison.execution,
        prompts: files.told(prompts, say),
        seeds,
        policies,
        training_judge,
        evaluation_judges: plan.evaluation.judges.clone(),
        plan,
    })
}

/// Of the first cell. A run that answers for a later execution keeps the plan it was computed by, which may ask about others.
fn declared_family(comparison: &Comparison) -> Result<ComparisonFamily, ComparisonError> {
    let declared = comparison.cells.first().and_then(|cell| cell.parameters.get("evaluation.family"));
    match declared {
        Some(ParameterValue::Text(family)) => family.parse().map_err(|cause: FamilyError| {
            ComparisonError::RecordedFamily { experiment: comparison.experiment.clone(), cause }
        }),
        _ => Ok(ComparisonFamily::All),
    }
}

/// Of the first cell, as the family is.
fn declared_stop(comparison: &Comparison) -> Result<Option<StopAtPlan>, ComparisonError> {
    let Some(first) = comparison.cells.first() else { return Ok(None) };
    for key in ["width", "difference_from"] {
        let Some(value) = first.parameters.get(&format!("evaluation.stop_at.{key}")) else { continue };
        let number = match value {
            ParameterValue::Float(number) => *number,
            ParameterValue::None => continue,
            other => return Err(recorded_stop(comparison, format!("{other:?}"))),
        };
        let rule = StopAtPlan::new(key, number);
        return rule.map(Some).ok_or_else(|| recorded_stop(comparison, number.to_string()));
    }
    Ok(None)
}

fn recorded_stop(comparison: &Comparison, value: String) -> ComparisonError {
    ComparisonError::RecordedStop { experiment: comparison.experiment.clone(), value }
}

/// The answers of one cell's finished runs, which differ in their seeds alone; its plan, where there is one.
fn of_cell<E: From<ComparisonError>>(
    record: &mut Record,
    cell: &ComparedCell,
    from: &mut ResponsesFrom<'_, E>,
    gathered: &mut Gathered,
    say: Say<'_>,
) -> Result<Option<LanguagePlan>, E> {
    let mut plan: Option<LanguagePlan> = None;
    for run in cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished) {
        let run = &run.summary;
        if plan.is_none() {
            plan = language_plan(record, run.run)?;
        }
        let Some(plan) = &plan else { continue };
        let (given, answers) = match from {
            ResponsesFrom::Record => (None, last_held_out(record, run.run)?),
            ResponsesFrom::Sampled { prompts, sample } => (*prompts, sample(record, run)?),
        };
        gathered.files.add(&plan.data, given, say);
        let keys = gathered.files.keys(&plan.data, &answers);
        gathered.add(&cell.label, run.seed, keys, answers);
    }
    Ok(plan)
}

pub(crate) fn last_held_out(record: &mut Record, run: i64) -> Result<Vec<HeldOutResponse>, ComparisonError> {
    let steps = record.completion_steps(run)?;
    for step in steps.into_iter().rev() {
        let found = record.completions(run, step)?;
        let answers: Vec<HeldOutResponse> = found.into_iter().filter_map(HeldOutResponse::recorded).collect();
        if !answers.is_empty() {
            return Ok(answers);
        }
    }
    Ok(Vec::new())
}

pub(crate) fn language_plan(record: &mut Record, run: i64) -> Result<Option<LanguagePlan>, ComparisonError> {
    let frozen = record.frozen_plan(run)?;
    let work = frozen.as_deref().map(Work::from_json).transpose();
    Ok(match work.map_err(|cause| ComparisonError::AnotherVersion { run, cause })? {
        Some(Work::LanguageModel(plan)) => Some(*plan),
        Some(Work::Game(_) | Work::RewardModel(_)) | None => None,
    })
}

impl Field {
    /// A policy from a file of responses (NAME=FILE), the same under every seed.
    pub fn add_responses(&mut self, given: &str) -> Result<(), ComparisonError> {
        let Some((name, file)) = given.split_once('=') else {
            return Err(ComparisonError::NoNameOfResponses { given: given.to_owned() });
        };
        self.check_new(&format!("--responses {given}"), name)?;
        let answers = slhf_foreign::responses(Path::new(file))?;
        let conversations: Vec<Vec<Message>> = self.prompts.iter().map(HeldOut::conversation).collect();
        let asked = self.prompts.iter().zip(&conversations);
        let asked: Vec<Asked<'_>> = asked.map(|(prompt, messages)| Asked { id: prompt.id, messages }).collect();
        let row = answers.to(&asked)?;
        let row: Vec<Option<Response>> = row.into_iter().map(|answer| answer.map(Response::from_text)).collect();
        if row.iter().all(Option::is_none) {
            let (file, prompts, experiment) = (file.to_owned(), self.prompts.len(), self.experiment.clone());
            return Err(ComparisonError::OtherPrompts { file, prompts, experiment });
        }
        self.policies.push(Policy { name: name.to_owned(), answers: vec![row; self.seeds.len()] });
        Ok(())
    }

    /// A name that no policy has yet; `option` says who wants it.
    pub fn check_new(&self, option: &str, name: &str) -> Result<(), ComparisonError> {
        if self.policies.iter().all(|policy| policy.name != name) {
            return Ok(());
        }
        let (option, experiment, name) = (option.to_owned(), self.experiment.clone(), name.to_owned());
        Err(ComparisonError::NameTaken { option, experiment, name })
    }

    /// Only policies whose names contain one of `parts`, all without any; at least so many.
    pub fn keep(&mut self, parts: &[String], least: usize) -> Result<(), ComparisonError> {
        let names: Vec<String> = self.policies.iter().map(|policy| policy.name.clone()).collect();
        self.policies.retain(|policy| parts.is_empty() || parts.iter().any(|part| policy.name.contains(part.as_str())));
        self.is_selection = self.policies.len() < names.len();
        if self.policies.len() < least {
            return Err(ComparisonError::TooFew { left: self.policies.len(), names });
        }
        Ok(())
    }
}

/// An experiment and the number of its execution, as they are named together: `quickstart#3`.
pub fn split_execution(subject: &str) -> (&str, Option<i64>) {
    match subject.rsplit_once('#').map(|(name, number)| (name, number.parse())) {
        Some((name, Ok(number))) => (name, Some(number)),
        _ => (subject, None),
    }
}

//! Who is compared: the answers of an experiment's policies to its held-out prompts, as the record has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use slhf_data::responses::Asked;
use slhf_judge::{NO_METADATA, Response};
use slhf_plan::{
    ComparisonFamily, EvaluationJudgePlan, FamilyError, LanguagePlan, Message, PluginPlan, PromptId, Role, Work,
};
use slhf_record::{ComparedCell, Comparison, Completion, ParameterValue, Record, RunStatus};

use super::judges::is_same;
use super::prompts::{HeldOut, PromptFiles, PromptKey};
use super::sampling::Resampling;
use crate::failure::Failure;
use crate::output;

const REFERENCE: &str = "reference";

/// A policy's answers: one a seed and prompt, where there is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Policy {
    pub(super) name: String,
    /// `[seed][prompt]`
    pub(super) answers: Vec<Vec<Option<Response>>>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) experiment: String,
    pub(super) execution: i64,
    pub(super) seeds: Vec<i64>,
    pub(super) prompts: Vec<HeldOut>,
    pub(super) policies: Vec<Policy>,
    /// As the execution declares it, whichever execution computed its runs.
    pub(super) family: ComparisonFamily,
    /// Policies were left out on the command line.
    pub(super) is_selection: bool,
    pub(super) training_judge: PluginPlan,
    /// Those of the TOML's `[evaluation]`.
    pub(super) evaluation_judges: Vec<EvaluationJudgePlan>,
    /// How the first cell's runs sampled answers, and on what.
    pub(super) plan: LanguagePlan,
}

/// An answer to a held-out prompt.
pub(super) struct HeldOutAnswer {
    /// `None`: an earlier version recorded it.
    pub(super) prompt_id: Option<PromptId>,
    /// The prompt's last message.
    pub(super) prompt: String,
    /// `leader`, `follower(reference)`, …
    pub(super) who: String,
    pub(super) response: Response,
}

/// Where the answers of an experiment's policies come from.
pub(super) enum AnswersFrom<'a> {
    /// The runs recorded them at their ends.
    Record,
    /// Sampled now, from the runs' checkpoints.
    Checkpoints(&'a Resampling<'a>),
}

/// By seed and place of the prompt.
type AnswersByPlace = BTreeMap<(i64, usize), Response>;

/// What was found in an experiment's runs.
#[derive(Default)]
struct Gathered {
    files: PromptFiles,
    seeds: BTreeSet<i64>,
    /// The prompts in the order in which they were met, with their last messages.
    prompts: Vec<(PromptKey, String)>,
    /// Places among `prompts`.
    places: HashMap<PromptKey, usize>,
    /// By policy.
    answers: Vec<(String, AnswersByPlace)>,
}

impl Gathered {
    fn add(&mut self, cell: &str, seed: i64, keys: Vec<PromptKey>, answers: Vec<HeldOutAnswer>) {
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
pub(super) fn gather(record: &mut Record, subject: &str, from: &AnswersFrom<'_>) -> Result<Field, Failure> {
    let (name, execution) = crate::verb::compare::split_execution(subject);
    let comparison = record.comparison(name, execution).map_err(Failure::of_record)?;
    let mut gathered = Gathered::default();
    let mut plan: Option<LanguagePlan> = None;
    let mut others = Vec::new();
    for cell in &comparison.cells {
        let Some(found) = of_cell(record, cell, from, &mut gathered)? else { continue };
        match &plan {
            None => plan = Some(found),
            Some(first) if !is_same(&found.judge.plugin, &first.judge.plugin) => {
                others.push(output::visible(&cell.label));
            }
            Some(_) => {}
        }
    }
    let Some(plan) = plan else {
        return Err(Failure::bad_input(format!(
            "'{}' has no finished run of a language model with responses to held-out prompts: `slhf-lab run` its TOML, with \
             data.held_out above 0",
            output::visible(subject)
        )));
    };
    if !others.is_empty() {
        let others = others.join("', '");
        output::say(format!("note: `training` is the first cell's judge; '{others}' learnt from another"));
    }
    let Gathered { files, seeds, prompts, answers, .. } = gathered;
    let seeds: Vec<i64> = seeds.into_iter().collect();
    let everyones = std::iter::once(REFERENCE).chain(plan.evaluation.transfer.iter().map(|other| other.name.as_str()));
    let policies = everyones.fold(Gathered::policies(answers, &seeds, prompts.len()), merged);
    Ok(Field {
        family: declared_family(&comparison)?,
        is_selection: false,
        experiment: comparison.experiment,
        execution: comparison.execution,
        prompts: files.told(prompts),
        seeds,
        policies,
        training_judge: plan.judge.plugin.clone(),
        evaluation_judges: plan.evaluation.judges.clone(),
        plan,
    })
}

/// Of the first cell. A run that answers for a later execution keeps the plan it was computed by, which may ask about others.
fn declared_family(comparison: &Comparison) -> Result<ComparisonFamily, Failure> {
    let declared = comparison.cells.first().and_then(|cell| cell.parameters.get("evaluation.family"));
    match declared {
        Some(ParameterValue::Text(family)) => family.parse().map_err(|error: FamilyError| {
            Failure::failed(format!(
                "the record's evaluation.family of '{}' is {error}",
                output::visible(&comparison.experiment)
            ))
        }),
        _ => Ok(ComparisonFamily::All),
    }
}

/// The answers of one cell's finished runs, which differ in their seeds alone; its plan, where there is one.
fn of_cell(
    record: &mut Record,
    cell: &ComparedCell,
    from: &AnswersFrom<'_>,
    gathered: &mut Gathered,
) -> Result<Option<LanguagePlan>, Failure> {
    let mut plan: Option<LanguagePlan> = None;
    for run in cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished) {
        let run = &run.summary;
        if plan.is_none() {
            plan = language_plan(record, run.run)?;
        }
        let Some(plan) = &plan else { continue };
        let (given, answers) = match from {
            AnswersFrom::Record => (None, last_held_out(record, run.run)?),
            AnswersFrom::Checkpoints(again) => (again.prompts.as_ref(), again.answers(record, run)?),
        };
        gathered.files.add(&plan.data, given);
        let keys = gathered.files.keys(&plan.data, &answers);
        gathered.add(&cell.label, run.seed, keys, answers);
    }
    Ok(plan)
}

fn last_held_out(record: &mut Record, run: i64) -> Result<Vec<HeldOutAnswer>, Failure> {
    let steps = record.completion_steps(run).map_err(Failure::failed)?;
    for step in steps.into_iter().rev() {
        let found = record.completions(run, step).map_err(Failure::failed)?;
        let answers: Vec<HeldOutAnswer> = found.into_iter().filter_map(HeldOutAnswer::recorded).collect();
        if !answers.is_empty() {
            return Ok(answers);
        }
    }
    Ok(Vec::new())
}

impl HeldOutAnswer {
    /// `None`: an answer of training.
    fn recorded(completion: Completion) -> Option<Self> {
        let tokens = u32::try_from(completion.tokens).unwrap_or(u32::MAX);
        let response = response(&completion.text, completion.finished, tokens);
        Self::of((completion.prompt_id, completion.prompt), &completion.role, response)
    }

    /// By the role that the record gives it; `None`: an answer of training.
    pub(super) fn of((prompt_id, prompt): (Option<PromptId>, String), role: &Role, response: Response) -> Option<Self> {
        Some(Self { prompt_id, prompt, who: held_out(role)?, response })
    }
}

/// Who gave a completion of a held-out prompt, as the record names it.
fn held_out(role: &Role) -> Option<String> {
    role.is_held_out.then(|| role.who.to_string())
}

pub(super) fn response(text: &str, finished: bool, token_count: u32) -> Response {
    Response { text: text.into(), finished, token_count, metadata: NO_METADATA.into() }
}

fn language_plan(record: &mut Record, run: i64) -> Result<Option<LanguagePlan>, Failure> {
    let frozen = record.frozen_plan(run).map_err(Failure::failed)?;
    let work = frozen.as_deref().map(Work::from_json).transpose().map_err(|error| {
        Failure::failed(format!("the frozen plan of run {run} was written by another version of slhf-lab ({error})"))
    })?;
    Ok(match work {
        Some(Work::LanguageModel(plan)) => Some(*plan),
        Some(Work::Game(_)) | None => None,
    })
}

/// Cells of one model have one reference, with the same answers wherever both have one: it is one policy; and so are others
/// whose answers every cell was given.
fn merged(policies: Vec<Policy>, name: &str) -> Vec<Policy> {
    let suffix = format!("/{name}");
    let is_theirs = |policy: &Policy| policy.name.ends_with(&suffix);
    let mut kept: Vec<Policy> = Vec::new();
    for policy in policies {
        let same = kept.iter_mut().find(|known| is_theirs(known) && is_theirs(&policy) && known.agrees(&policy));
        match same {
            Some(known) => known.take_missing(policy),
            None => kept.push(policy),
        }
    }
    if kept.iter().filter(|policy| is_theirs(policy)).count() == 1 {
        for policy in kept.iter_mut().filter(|policy| is_theirs(policy)) {
            name.clone_into(&mut policy.name);
        }
    }
    kept
}

impl Policy {
    fn agrees(&self, other: &Self) -> bool {
        let pairs = self.answers.iter().flatten().zip(other.answers.iter().flatten());
        pairs.into_iter().all(|(one, other)| one.is_none() || other.is_none() || one == other)
    }

    fn take_missing(&mut self, other: Self) {
        for (own, other) in self.answers.iter_mut().flatten().zip(other.answers.into_iter().flatten()) {
            if own.is_none() {
                *own = other;
            }
        }
    }
}

impl Field {
    /// A policy from a file of responses, the same under every seed.
    pub(super) fn add_responses(&mut self, given: &str) -> Result<(), Failure> {
        let Some((name, file)) = given.split_once('=') else {
            return Err(Failure::bad_input(format!(
                "--responses {}: expected NAME=FILE, as in --responses gpt=responses.jsonl",
                output::visible(given)
            )));
        };
        self.check_new(&format!("--responses {given}"), name)?;
        let answers = crate::foreign::responses(Path::new(file)).map_err(Failure::bad_input)?;
        let conversations: Vec<Vec<Message>> = self.prompts.iter().map(HeldOut::conversation).collect();
        let asked = self.prompts.iter().zip(&conversations);
        let asked: Vec<Asked<'_>> = asked.map(|(prompt, messages)| Asked { id: prompt.id, messages }).collect();
        let row = answers.to(&asked).map_err(Failure::bad_input)?;
        let row: Vec<Option<Response>> = row.into_iter().map(|answer| answer.map(Response::from_text)).collect();
        if row.iter().all(Option::is_none) {
            return Err(Failure::bad_input(format!(
                "{} has a response to none of the {} held-out prompts of '{}'; `slhf-lab samples` shows them",
                output::visible(file),
                self.prompts.len(),
                output::visible(&self.experiment)
            )));
        }
        self.policies.push(Policy { name: name.to_owned(), answers: vec![row; self.seeds.len()] });
        Ok(())
    }

    /// A name that no policy has yet; `option` says who wants it.
    pub(super) fn check_new(&self, option: &str, name: &str) -> Result<(), Failure> {
        if self.policies.iter().all(|policy| policy.name != name) {
            return Ok(());
        }
        Err(Failure::bad_input(format!(
            "{}: '{}' already has a policy '{}'; give this one another name",
            output::visible(option),
            output::visible(&self.experiment),
            output::visible(name)
        )))
    }

    /// Only policies whose names contain one of `parts`, all without any; at least so many.
    pub(super) fn keep(&mut self, parts: &[String], least: usize) -> Result<(), Failure> {
        let names: Vec<String> = self.policies.iter().map(|policy| policy.name.clone()).collect();
        self.policies.retain(|policy| parts.is_empty() || parts.iter().any(|part| policy.name.contains(part.as_str())));
        self.is_selection = self.policies.len() < names.len();
        if self.policies.len() < least {
            return Err(Failure::bad_input(format!(
                "a comparison needs two policies or more, a metric one; {} of these are left: {}",
                self.policies.len(),
                output::visible(&names.join(", "))
            )));
        }
        Ok(())
    }
}

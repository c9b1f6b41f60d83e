//! Who is compared: the answers of an experiment's policies to its held-out prompts, as the record has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use slhf_data::prompts::read_prompts;
use slhf_judge::{Message, NO_METADATA, Response};
use slhf_plan::{EvaluationJudgePlan, LanguagePlan, PluginPlan, Work};
use slhf_record::{ComparedCell, Completion, Record, RunStatus};

use super::judges::is_same;
use crate::failure::Failure;
use crate::output;

/// Prefix of the role of an answer to a held-out prompt.
const HELD_OUT: &str = "held-out/";
const REFERENCE: &str = "reference";

/// One prompt, as judges are told of it.
#[derive(Clone, Debug)]
pub(super) struct HeldOut {
    pub(super) text: Arc<str>,
    pub(super) messages: Arc<[Message]>,
    pub(super) metadata: Arc<str>,
}

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
    pub(super) training_judge: PluginPlan,
    /// Those of the TOML's `[evaluation]`.
    pub(super) evaluation_judges: Vec<EvaluationJudgePlan>,
}

/// Answers by policy, then (seed, prompt).
type Gathered = Vec<(String, BTreeMap<(i64, String), Response>)>;

/// All policies of the finished runs of an execution.
pub(super) fn gather(record: &mut Record, subject: &str) -> Result<Field, Failure> {
    let (name, execution) = crate::verb::compare::split_execution(subject);
    let comparison = record.comparison(name, execution).map_err(Failure::bad_input)?;
    let mut gathered: Gathered = Vec::new();
    let mut seeds = BTreeSet::new();
    let mut texts: Vec<String> = Vec::new();
    let mut plan: Option<LanguagePlan> = None;
    let mut others = Vec::new();
    for cell in &comparison.cells {
        let mut of_cell = None;
        for run in cell.runs.iter().filter(|run| run.summary.status == RunStatus::Finished) {
            let run = &run.summary;
            for answer in last_held_out(record, run.run)? {
                if !texts.contains(&answer.prompt) {
                    texts.push(answer.prompt.clone());
                }
                seeds.insert(run.seed);
                let policy = policy_name(cell, &answer);
                let place = gathered.iter().position(|(known, _)| *known == policy).unwrap_or_else(|| {
                    gathered.push((policy, BTreeMap::new()));
                    gathered.len() - 1
                });
                gathered[place].1.insert((run.seed, answer.prompt.clone()), response(&answer));
            }
            if of_cell.is_none() {
                of_cell = language_plan(record, run.run)?;
            }
        }
        match (&plan, of_cell) {
            (None, found) => plan = found,
            (Some(first), Some(found)) if !is_same(&found.judge.plugin, &first.judge.plugin) => {
                others.push(output::visible(&cell.label));
            }
            _ => {}
        }
    }
    let Some(plan) = plan else {
        return Err(Failure::bad_input(format!(
            "'{}' has no finished run of a language model with answers to held-out prompts: `slhf-lab run` its TOML, with \
             data.held_out above 0",
            output::visible(subject)
        )));
    };
    if !others.is_empty() {
        let others = others.join("', '");
        output::say(format!("note: `training` is the first cell's judge; '{others}' learnt from another"));
    }
    let seeds: Vec<i64> = seeds.into_iter().collect();
    let policies = merged(policies(gathered, &seeds, &texts));
    Ok(Field {
        experiment: comparison.experiment,
        execution: comparison.execution,
        prompts: prompts(texts, &plan),
        seeds,
        policies,
        training_judge: plan.judge.plugin.clone(),
        evaluation_judges: plan.evaluation.judges.clone(),
    })
}

fn last_held_out(record: &mut Record, run: i64) -> Result<Vec<Completion>, Failure> {
    let steps = record.completion_steps(run).map_err(Failure::failed)?;
    for step in steps.into_iter().rev() {
        let mut found = record.completions(run, step).map_err(Failure::failed)?;
        found.retain(|completion| completion.role.starts_with(HELD_OUT));
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn policy_name(cell: &ComparedCell, answer: &Completion) -> String {
    format!("{}/{}", cell.label, answer.role.trim_start_matches(HELD_OUT))
}

fn response(answer: &Completion) -> Response {
    Response {
        text: answer.text.as_str().into(),
        finished: answer.finished,
        token_count: u32::try_from(answer.tokens).unwrap_or(u32::MAX),
        metadata: NO_METADATA.into(),
    }
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

fn policies(gathered: Gathered, seeds: &[i64], texts: &[String]) -> Vec<Policy> {
    let of = |(name, mut answers): (String, BTreeMap<(i64, String), Response>)| Policy {
        name,
        answers: seeds
            .iter()
            .map(|seed| texts.iter().map(|text| answers.remove(&(*seed, text.clone()))).collect())
            .collect(),
    };
    gathered.into_iter().map(of).collect()
}

/// Cells of one model have one reference, with the same answers wherever both have one: it is one policy.
fn merged(policies: Vec<Policy>) -> Vec<Policy> {
    let is_reference = |policy: &Policy| policy.name.ends_with("/reference");
    let mut kept: Vec<Policy> = Vec::new();
    for policy in policies {
        let same = kept.iter_mut().find(|known| is_reference(known) && is_reference(&policy) && known.agrees(&policy));
        match same {
            Some(known) => known.take_missing(policy),
            None => kept.push(policy),
        }
    }
    if kept.iter().filter(|policy| is_reference(policy)).count() == 1 {
        for policy in kept.iter_mut().filter(|policy| is_reference(policy)) {
            REFERENCE.clone_into(&mut policy.name);
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

/// With the system message and metadata of the data's file, where it is still as it was.
fn prompts(texts: Vec<String>, plan: &LanguagePlan) -> Vec<HeldOut> {
    let rows = read_prompts(Path::new(&plan.data.path), Some(plan.data.layout));
    if let Err(error) = &rows {
        output::say(format!(
            "note: judges are told of no metadata of the prompts: {}",
            output::visible(&error.to_string())
        ));
    }
    let rows = rows.map(|prompts| prompts.rows).unwrap_or_default();
    let known: HashMap<String, slhf_data::prompts::PromptRow> = rows
        .into_iter()
        .map(|row| row.with_system(&plan.data.system))
        .filter_map(|row| Some((row.messages.last()?.content.clone(), row)))
        .collect();
    let of = |text: String| {
        let row = known.get(&text);
        let messages = match row {
            Some(row) => row.messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect(),
            None => vec![("user", text.as_str())],
        };
        let messages = messages
            .into_iter()
            .map(|(role, content)| Message { role: role.into(), content: content.into() })
            .collect();
        let metadata = row.map_or_else(|| NO_METADATA.to_owned(), |row| row.metadata.clone());
        HeldOut { text: text.into(), messages, metadata: metadata.into() }
    };
    texts.into_iter().map(of).collect()
}

impl Field {
    /// A policy from a file of responses, the same under every seed.
    pub(super) fn add_responses(&mut self, given: &str) -> Result<(), Failure> {
        let Some((name, file)) = given.split_once('=') else {
            return Err(Failure::bad_input(format!(
                "--responses {}: expected NAME=FILE, as in --responses gpt=answers.jsonl",
                output::visible(given)
            )));
        };
        if self.policies.iter().any(|policy| policy.name == name) {
            return Err(Failure::bad_input(format!(
                "--responses {}: '{}' already has a policy '{}'; give these responses another name",
                output::visible(given),
                output::visible(&self.experiment),
                output::visible(name)
            )));
        }
        let answers = responses(file)?;
        let row: Vec<Option<Response>> =
            self.prompts.iter().map(|prompt| answers.get(&*prompt.text).cloned()).collect();
        if row.iter().all(Option::is_none) {
            return Err(Failure::bad_input(format!(
                "{} answers none of the {} held-out prompts of '{}'; `slhf-lab samples` shows them",
                output::visible(file),
                self.prompts.len(),
                output::visible(&self.experiment)
            )));
        }
        self.policies.push(Policy { name: name.to_owned(), answers: vec![row; self.seeds.len()] });
        Ok(())
    }

    /// Only policies whose names contain one of `parts`; all without any.
    pub(super) fn keep(&mut self, parts: &[String]) -> Result<(), Failure> {
        let names: Vec<String> = self.policies.iter().map(|policy| policy.name.clone()).collect();
        self.policies.retain(|policy| parts.is_empty() || parts.iter().any(|part| policy.name.contains(part.as_str())));
        if self.policies.len() < 2 {
            return Err(Failure::bad_input(format!(
                "a comparison needs two policies or more; {} of these are left: {}",
                self.policies.len(),
                output::visible(&names.join(", "))
            )));
        }
        Ok(())
    }
}

/// Responses by their prompts, from JSON lines.
fn responses(file: &str) -> Result<HashMap<String, Response>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::bad_input(format!("{} cannot be read: {error}", output::visible(file))))?;
    let mut answers = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad =
            |problem: &str| Failure::bad_input(format!("{}: line {}: {problem}", output::visible(file), number + 1));
        let (prompt, response) = one_response(line).map_err(|problem| bad(&problem))?;
        if answers.insert(prompt, Response::from_text(response)).is_some() {
            return Err(bad("this prompt was answered by an earlier line; keep one answer to each"));
        }
    }
    Ok(answers)
}

fn one_response(line: &str) -> Result<(String, String), String> {
    let row: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("this is no JSON ({error})"))?;
    let text = |key: &str| {
        let found = row.get(key).and_then(serde_json::Value::as_str);
        found.map(str::to_owned).ok_or_else(|| format!("there is no text under \"{key}\""))
    };
    Ok((text("prompt")?, text("response")?))
}

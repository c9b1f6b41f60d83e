//! What is asked in evaluations alone: judges, measures, and others' answers.

use std::path::Path;

use slhf_data::PlannedReading;
use slhf_data::responses::{Asked, Responses};
use slhf_plan::{
    ComparisonFamily, DataPlan, EvaluationJudgePlan, FamilyError, MeasurePlan, TransferPlan, TransferSource, Who,
};

use super::config::{LanguageEvaluationConfig, NamedPluginConfig, TransferConfig};
use crate::error::ExperimentError;
use crate::planner::Planner;

/// Judges of one evaluation, measures, others: so many each.
const EACH_MAX: usize = 8;

/// What `[evaluation]` names besides settings.
#[derive(Clone, Debug, Default)]
pub(super) struct EvaluatedBy {
    pub(super) family: ComparisonFamily,
    pub(super) judges: Vec<EvaluationJudgePlan>,
    pub(super) measures: Vec<MeasurePlan>,
    pub(super) transfer: Vec<TransferPlan>,
}

impl Planner<'_> {
    pub(super) fn evaluated_by(
        &mut self,
        config: &LanguageEvaluationConfig,
        data: &DataPlan,
        label: &str,
    ) -> Result<EvaluatedBy, ExperimentError> {
        let mut asked = EvaluatedBy::default();
        if let Some(family) = &config.family {
            asked.family = family
                .parse()
                .map_err(|error: FamilyError| self.invalid(label, "evaluation.family", &error.to_string()))?;
        }
        let judges = config.judges.as_deref().unwrap_or_default();
        for (index, (key, name)) in self.named("judges", judges, label)?.into_iter().enumerate() {
            let judge = self.plugins.judge(&key, &judges[index].judge())?;
            asked.judges.push(EvaluationJudgePlan { name, judge });
        }
        let measures = config.measures.as_deref().unwrap_or_default();
        for (index, (key, name)) in self.named("measures", measures, label)?.into_iter().enumerate() {
            let plugin = self.plugins.measure(&key, &measures[index].judge())?;
            asked.measures.push(MeasurePlan {
                name,
                plugin,
                on_failure: measures[index].on_failure.unwrap_or_default(),
            });
        }
        let others = config.transfer.as_deref().unwrap_or_default();
        for (index, other) in others.iter().enumerate() {
            let key = format!("evaluation.transfer[{index}]");
            if let Some(problem) = refused(index, &other.name, others[..index].iter().map(|earlier| &earlier.name)) {
                return Err(self.invalid(label, &format!("{key}.name"), &problem));
            }
            let source = self.transfer_source(&key, other, data, label)?;
            asked.transfer.push(TransferPlan { name: other.name.clone(), source });
        }
        Ok(asked)
    }

    /// The key and the name of each plugin of a list.
    fn named(
        &self,
        list: &str,
        configs: &[NamedPluginConfig],
        label: &str,
    ) -> Result<Vec<(String, String)>, ExperimentError> {
        let mut named: Vec<(String, String)> = Vec::with_capacity(configs.len());
        for (index, config) in configs.iter().enumerate() {
            let key = format!("evaluation.{list}[{index}]");
            let name = config.name.as_ref().unwrap_or(&config.plugin).clone();
            let problem = if index >= EACH_MAX {
                Some(format!("more than {EACH_MAX} {list}"))
            } else if name.trim().is_empty() {
                Some("the name is empty".to_owned())
            } else if named.iter().any(|(_, earlier)| *earlier == name) {
                Some(format!("\"{name}\" a second time; give it another name"))
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(self.invalid(label, &format!("{key}.name"), &problem));
            }
            named.push((key, name));
        }
        Ok(named)
    }

    fn transfer_source(
        &mut self,
        key: &str,
        config: &TransferConfig,
        data: &DataPlan,
        label: &str,
    ) -> Result<TransferSource, ExperimentError> {
        match (&config.responses, &config.model) {
            (Some(named), None) => {
                let of_model =
                    [("chat_template", config.chat_template.is_some()), ("thinking", config.thinking.is_some())];
                if let Some((setting, _)) = of_model.into_iter().find(|(_, given)| *given) {
                    let problem = "given beside responses, which are there already: it is a setting of model";
                    return Err(self.invalid(label, &format!("{key}.{setting}"), problem));
                }
                let (responses, path) = self.responses(&format!("{key}.responses"), named)?;
                self.check_responses(&format!("{key}.responses"), &responses, data, label)?;
                Ok(TransferSource::Responses { path, sha256: responses.sha256 })
            }
            (None, Some(named)) => {
                let found = self.found(named, None, &format!("{key}.model"), label)?;
                let chat_template =
                    self.chat_template(config.chat_template.as_deref(), &format!("{key}.chat_template"))?;
                Ok(TransferSource::Model {
                    name: named.clone(),
                    path: found.path.display().to_string(),
                    sha256: found.sha256,
                    thinking: config.thinking.unwrap_or(false),
                    chat_template,
                })
            }
            (given, _) => {
                let found = if given.is_some() { "both" } else { "neither" };
                let problem =
                    format!("{found} of responses and model; name a file of responses, or a model that gives them");
                Err(self.invalid(label, key, &problem))
            }
        }
    }

    fn responses(&self, key: &str, named: &str) -> Result<(Responses, String), ExperimentError> {
        let file = self.path();
        let path = file.parent().unwrap_or(Path::new("")).join(named);
        let unreadable = |cause| ExperimentError::Unreadable {
            file: file.clone(),
            key: key.to_owned(),
            named: named.to_owned(),
            cause,
        };
        let path = path.canonicalize().map_err(unreadable)?;
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        Ok((slhf_foreign::responses(&path).map_err(bad)?, path.display().to_string()))
    }

    /// Better known now than at the end of a run.
    fn check_responses(
        &mut self,
        key: &str,
        responses: &Responses,
        data: &DataPlan,
        label: &str,
    ) -> Result<(), ExperimentError> {
        if self.lacks(&data.path) {
            return Ok(());
        }
        let file = self.path();
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        let prompts = self.prompts(Path::new(&data.path), PlannedReading::of(data)).map_err(bad)?;
        let held_out = prompts.held_out(data).map_err(bad)?;
        let asked: Vec<Asked<'_>> =
            held_out.iter().map(|(id, row)| Asked { id: Some(*id), messages: &row.messages }).collect();
        let answers = responses.to(&asked).map_err(bad)?;
        let missing: Vec<&str> = held_out
            .iter()
            .zip(answers)
            .filter(|(_, answer)| answer.is_none())
            .map(|((_, row), _)| row.last_message())
            .collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let problem = format!(
            "the file has no response to {} of the {} held-out prompts, the first: \"{first}\"; add a line for each",
            missing.len(),
            held_out.len()
        );
        Err(self.invalid(label, key, &problem))
    }
}

/// What is wrong with a name of others; it becomes part of the names of evaluations.
fn refused<'a>(index: usize, name: &str, mut earlier: impl Iterator<Item = &'a String>) -> Option<String> {
    if index >= EACH_MAX {
        return Some(format!("more than {EACH_MAX} others"));
    }
    if name.trim().is_empty() {
        return Some("the name is empty".to_owned());
    }
    if Who::OWN_NAMES.contains(&name) || name.contains(['/', '(', ')', ',']) {
        return Some(format!(
            "\"{name}\"; expected a name without /, ( ) or a comma, and none of {}",
            Who::OWN_NAMES.join(", ")
        ));
    }
    earlier.any(|earlier| earlier == name).then(|| format!("\"{name}\" a second time; give them another name"))
}

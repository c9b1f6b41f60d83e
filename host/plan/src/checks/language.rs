//! Language models.

use super::answer_sets::check_answer_sets;
use super::sampler::{SampledBy, check_sampler};
use super::schedule::{FollowerLimits, check_schedule};
use crate::language::{AdapterPlan, LINEAR_LAYERS, LanguageEvaluationPlan, LanguagePlan};
use crate::methods::{LanguageMethod, ROWS_MAX, Responses};
use crate::model_settings::{ModelOptimizer, Parameters, Sampling, TrainedOn};
use crate::settings::Problems;
use crate::{AnswerSetsPlan, Realisation, SamplerPlan, Schedule};

/// Follower updates of one step that a random stream can tell apart.
const UPDATES_MAX: u32 = 255;

/// One cell of a grid on a language model.
#[derive(Clone, Copy, Debug)]
pub struct LanguageCell<'a> {
    /// Which parameters are trained.
    pub adapter: &'a AdapterPlan,
    /// The method.
    pub method: &'a LanguageMethod,
    /// The schedule.
    pub schedule: &'a Schedule,
    /// When and how it is measured.
    pub evaluation: &'a LanguageEvaluationPlan,
    /// The closed sets of answers, where there are any.
    pub answers: Option<&'a AnswerSetsPlan>,
    /// What the data is for: prompts, to which responses are sampled, or pairs of responses.
    pub data: Responses,
    /// Whether there is a judge.
    pub is_judged: bool,
    /// The server that samples, where there is one.
    pub sampler: Option<&'a SamplerPlan>,
    /// Processes that compute it together.
    pub processes: u32,
}

impl<'a> From<&'a LanguagePlan> for LanguageCell<'a> {
    fn from(plan: &'a LanguagePlan) -> Self {
        Self {
            adapter: &plan.model.adapter,
            method: &plan.method,
            schedule: &plan.schedule,
            evaluation: &plan.evaluation,
            answers: plan.answers.as_ref(),
            data: match plan.data.layout.preferences() {
                None => Responses::Sampled,
                Some(_) => Responses::OfAFile,
            },
            is_judged: plan.judge.is_some(),
            sampler: plan.device.sampler.as_ref(),
            processes: plan.device.processes,
        }
    }
}

/// Everything that is wrong with a cell.
#[must_use]
pub fn check_language(cell: &LanguageCell<'_>) -> Problems {
    let mut problems = Problems::default();
    check_adapter(cell.adapter, &mut problems);
    cell.method.check(&mut problems);
    check_responses(cell, &mut problems);
    check_players(cell, &mut problems);
    check_cut_sampling(cell, &mut problems);
    if let Some(sampler) = cell.sampler {
        let (is_closed, processes) = (cell.answers.is_some(), cell.processes);
        let sampled = SampledBy { sampler, adapter: cell.adapter, method: cell.method, is_closed, processes };
        check_sampler(sampled, &mut problems);
    }
    let follower = cell.method.has_two_speeds().then_some(FollowerLimits { updates_max: UPDATES_MAX });
    check_schedule(cell.schedule, cell.method.training().steps, follower, &mut problems);
    let keys = ["evaluation.temperature", "evaluation.top_p", "evaluation.max_new_tokens"];
    cell.evaluation.sampling.check(keys, &mut problems);
    problems.whole("evaluation.batch_size", u64::from(cell.evaluation.batch_size), 1, ROWS_MAX);
    problems.whole("evaluation.rounds", u64::from(cell.evaluation.rounds), 1, 16);
    if let Some(answers) = cell.answers {
        check_answer_sets(answers, (cell.method, cell.evaluation), &mut problems);
    }
    if let Some(rule) = cell.evaluation.stop_at {
        rule.check(&mut problems);
    }
    if let Some(certificate) = cell.evaluation.certificate {
        certificate.check(cell.method, &mut problems);
    }
    problems
}

pub(super) fn check_adapter(adapter: &AdapterPlan, problems: &mut Problems) {
    let AdapterPlan::Lora { lora_r, lora_alpha, lora_dropout, lora_target_modules } = adapter else { return };
    problems.whole("model.adapter.lora_r", u64::from(*lora_r), 1, 4096);
    problems.above_zero("model.adapter.lora_alpha", *lora_alpha);
    problems.require((0.0..1.0).contains(lora_dropout), "model.adapter.lora_dropout", || {
        format!("{lora_dropout}; expected a probability in [0, 1)")
    });
    let key = "model.adapter.lora_target_modules";
    problems.require(!lora_target_modules.is_empty(), key, || {
        "an empty list; expected at least one linear layer".to_owned()
    });
    for (index, name) in lora_target_modules.iter().enumerate() {
        problems.require(LINEAR_LAYERS.contains(&name.as_str()), key, || {
            format!("\"{name}\" is no linear layer; expected of {}", LINEAR_LAYERS.join(", "))
        });
        problems
            .require(!lora_target_modules[..index].contains(name), key, || format!("\"{name}\" stands there twice"));
    }
}

/// The data must be what the method learns from, and whoever samples needs a judge.
fn check_responses(cell: &LanguageCell<'_>, problems: &mut Problems) {
    let name = cell.method.name();
    let uses = cell.method.uses().responses;
    match (uses, cell.data) {
        (Responses::OfAFile, Responses::Sampled) => {
            let sampling = match cell.method {
                LanguageMethod::Dpo(_) => "online-dpo",
                LanguageMethod::Ipo(_) => "online-ipo",
                _ => "sft",
            };
            let problem = format!(
                "given with {name}, which learns from a file of preferences: name that file at data.pairs instead, or use {sampling}, \
                 which samples responses to prompts and has a judge label them"
            );
            problems.push("data.prompts", problem);
        }
        (Responses::Sampled | Responses::OfClosedSets, Responses::OfAFile) => problems.push(
            "data.pairs",
            format!(
                "given with {name}, which has no use for the responses of a file: use dpo, ipo or sft-chosen, or name a file of prompts at \
                 data.prompts"
            ),
        ),
        _ => {}
    }
    problems.require(cell.is_judged || uses == Responses::OfAFile, "judge", || {
        format!(
            "missing; {name} needs a [judge] table, such as plugin = \"brevity\" (dpo, ipo and sft-chosen need none)"
        )
    });
    let is_open = uses == Responses::OfClosedSets && cell.answers.is_none();
    problems.require(!is_open, "data.answers", || {
        format!(
            "missing; {name} needs closed sets of responses, since its step takes what every response wins against the whole policy, which is \
             not known of free text: give data.answers, or use online-ipo, inpo or nash-md, whose target is the same"
        )
    });
    let is_both = uses == Responses::OfAFile && cell.answers.is_some();
    problems.require(!is_both, "data.answers", || {
        format!(
            "given with {name}, which learns from the responses of a file: remove closed sets, or use a method that samples responses"
        )
    });
    let stops = uses == Responses::OfAFile && !cell.is_judged && cell.evaluation.stop_at.is_some();
    problems.require(!stops, "evaluation.stop_at", || {
        "given without a judge, whose verdicts it counts: remove it, or add a [judge] table".to_owned()
    });
}

/// What is trained on the tokens that it was sampled from must be the policy that sampled it.
fn check_cut_sampling(cell: &LanguageCell<'_>, problems: &mut Problems) {
    let training = cell.method.training();
    if training.trained_on == TrainedOn::Vocabulary {
        return;
    }
    let Sampling { top_k, top_p, .. } = training.sampling;
    let (key, given, all) = match top_k {
        0 => ("method.top_p", top_p.to_string(), "top_p = 1"),
        _ => ("method.top_k", top_k.to_string(), "top_k = 0"),
    };
    let mut refuse = |why: &str| problems.push(key, format!("{given}: {why}; use {all}"));
    if matches!(cell.method, LanguageMethod::Sft(_)) {
        refuse(
            "sft learns responses that the reference samples, and those from a part of the vocabulary are not the policy's part",
        );
    }
    if cell.method.num_iterations() > 1 {
        refuse(
            "with num_iterations above 1 the tokens that are left would be others in every update, and ratios of no one distribution",
        );
    }
    if !cell.method.past_policies().is_empty() {
        refuse(
            "the tokens that are left would be others under every policy of method.opponents, and their ratios of no one distribution",
        );
    }
    if matches!(cell.adapter, AdapterPlan::Lora { lora_dropout, .. } if *lora_dropout > 0.0) {
        refuse("with model.adapter.lora_dropout above 0 the tokens that are left would be others under every mask");
    }
    if cell.answers.is_some() {
        refuse("a closed set of responses is sampled as a whole");
    }
}

/// What the players' weights allow of model and schedule.
fn check_players(cell: &LanguageCell<'_>, problems: &mut Problems) {
    let LanguageMethod::StackelbergGda(game) = cell.method else { return };
    let adam = matches!(game.training.optimizer, ModelOptimizer::Adamw { .. });
    match (game.players.parameters, cell.schedule.realisation) {
        (Parameters::Separate, _) if *cell.adapter == AdapterPlan::Full => problems.push(
            "method.parameters",
            "\"separate\" with model.adapter.kind = \"full\": separate players are two adapters over one frozen model; \
             use kind = \"lora\"",
        ),
        (Parameters::Separate, Realisation::LossWeight) if adam => problems.push(
            "schedule.realisation",
            "\"loss_weight\" under optimizer = \"adamw\" with parameters = \"separate\" does nothing: Adam divides every \
             gradient by its own size, so a weight on the Follower's loss cancels; use \"learning_rate_ratio\" or \
             \"updates_per_leader_update\", or optimizer = \"sgd\"",
        ),
        (Parameters::Shared, Realisation::LearningRateRatio) => problems.push(
            "schedule.realisation",
            "\"learning_rate_ratio\" does not exist with parameters = \"shared\": one optimizer moves the weights of both \
             players at one learning rate; use \"loss_weight\" or \"updates_per_leader_update\", or \
             method.parameters = \"separate\"",
        ),
        _ => {}
    }
}

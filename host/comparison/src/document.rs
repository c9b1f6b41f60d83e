//! What was found, for the record and for programs.

use serde_json::{Value as Json, json};
use slhf_record::PolicyEvaluation;
use slhf_statistics::{Cycle, STATISTICS_VERSION};

use crate::error::ComparisonError;
use crate::judges::Named;
use crate::judging::Evaluation;
use crate::stopping::{Stopped, StoppedPair};

/// For the record.
pub fn row(judge: &Named, found: &Evaluation) -> Result<PolicyEvaluation, ComparisonError> {
    Ok(PolicyEvaluation {
        judge: judge.name.clone(),
        parameters: parameters(&judge.plan).to_string(),
        sha256: judge.plan.sha256.clone(),
        is_training_judge: judge.is_training_judge,
        document: serde_json::to_string(&document(judge, found)).map_err(ComparisonError::Document)?,
    })
}

/// What tells two judges of one name apart: their parameters alone, unless there is more.
pub fn parameters(plan: &slhf_plan::PluginPlan) -> Json {
    if plan.upstream.is_none() && plan.models.is_empty() {
        return plan.parameters.clone();
    }
    let mut all = json!({ "parameters": plan.parameters });
    if let Some(inner) = &plan.upstream {
        all["upstream"] = parameters(inner);
    }
    if !plan.models.is_empty() {
        all["models"] = plan.models.iter().map(|(name, model)| (name.clone(), Json::from(model.identity()))).collect();
    }
    all
}

/// One judge's evaluation as JSON.
pub fn document(judge: &Named, found: &Evaluation) -> Json {
    let policies = found.policies.iter().zip(&found.standings.scale.scores).map(|(policy, score)| {
        json!({
            "name": policy.name,
            "also": policy.also,
            "elo": score.elo,
            "low": score.interval.low,
            "high": score.interval.high,
            "mean_tokens": policy.mean_tokens,
            "eos_rate": policy.eos_rate,
        })
    });
    let matchups = found.standings.matchups.iter().enumerate().map(|(at, matchup)| {
        let mut row = json!({
            "first": found.policies[matchup.first].name,
            "second": found.policies[matchup.second].name,
            "win_rate": matchup.win_rate,
            "low": matchup.interval.low,
            "high": matchup.interval.high,
            "over": matchup.over.name(),
            "p_value": matchup.p_value,
            "p_holm": matchup.p_holm,
            "p_other_prompts": matchup.p_other_prompts,
            "seeds": matchup.seeds,
            "prompts": matchup.prompts,
            "left_out": matchup.left_out,
            "n": matchup.n,
            "is_significant": matchup.is_significant(),
        });
        if let Some(pair) = found.stopped.as_ref().and_then(|stopped| stopped.pairs.get(at)) {
            row["these_policies"] = these_policies(pair);
        }
        row
    });
    let answers = &found.answer_triples;
    let mut whole = json!({
        "statistics": STATISTICS_VERSION,
        "judge": judge.name,
        "parameters": parameters(&judge.plan),
        "is_training_judge": judge.is_training_judge,
        "seeds": found.seeds,
        "prompts": found.prompts,
        "over": found.over().name(),
        "family": found.family,
        "policies": policies.collect::<Vec<_>>(),
        "matchups": matchups.collect::<Vec<_>>(),
        "scale": { "converged": found.standings.scale.converged, "misfit_p_value": found.standings.scale_misfit },
        "cycles": cycles_document(found),
        "answer_triples": {
            "total": answers.total,
            "intransitive": answers.intransitive,
            "share": answers.share,
            "low": answers.interval.map(|interval| interval.low),
            "high": answers.interval.map(|interval| interval.high),
            "over": answers.over.name(),
            "prompts": answers.prompts,
            "prompts_with_circle": answers.prompts_with_circle,
        },
        "length_correlation": found.length_correlation,
        "order_bias": found.order_bias,
        "failed_verdicts": found.failed,
    });
    if let Some(stopped) = &found.stopped {
        whole["stopped"] = stopped_document(stopped);
    }
    whole
}

/// What is known of these trained policies on these prompts. An e-value that is no number, since the rate is known to differ, is absent.
fn these_policies(pair: &StoppedPair) -> Json {
    json!({
        "low": pair.interval.low,
        "high": pair.interval.high,
        "asked": pair.asked,
        "prompts": pair.prompts,
        "failed": pair.failed,
        "e_value": pair.e_value.is_finite().then_some(pair.e_value),
        "differs": pair.differs,
    })
}

/// What ended the asking, and what that saved: a share of all verdicts.
fn stopped_document(stopped: &Stopped) -> Json {
    let (asked, all) = stopped.verdicts();
    json!({
        "rule": stopped.rule,
        "differs_from": stopped.differs_from(),
        "verdicts": asked,
        "all_verdicts": all,
        "saved": stopped.saved(),
    })
}

fn cycles_document(found: &Evaluation) -> Json {
    let cycles = &found.standings.cycles;
    let one = |cycle: &Cycle| json!({ "policies": cycle.policies.map(|at| &found.policies[at].name), "p_holm": cycle.p_holm, "over": cycle.over.name() });
    json!({
        "triples": cycles.triples,
        "found": cycles.found.iter().map(one).collect::<Vec<_>>(),
        "strongest": cycles.strongest.as_ref().map(one),
    })
}

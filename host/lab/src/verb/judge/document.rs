//! What was found, as one JSON document.

use serde_json::{Value as Json, json};
use slhf_plan::FaultKind;
use slhf_statistics::{Agreement, CyclicPart, Estimate, LengthBias, Noise, Repeats, Triples};

use super::tables::{CHARACTERS, scaled};
use super::trial::Trial;

/// All of it.
pub(super) fn of(trial: &Trial) -> Json {
    let Trial { judge, subject, seed, asked, audit, models: _ } = trial;
    let failed: usize = asked.failures.iter().map(|(_, many)| many).sum();
    json!({
        "judge": judge,
        "subject": subject.name,
        "sha256": subject.sha256,
        "prompts": audit.prompts,
        "pairs": audit.pairs,
        "pairs_asked": asked.pairs,
        "without_two_responses": subject.without_two,
        "draws": asked.draws,
        "changes_with_draw": match asked.repeats {
            Repeats::Steady => Some(false),
            Repeats::Drawn => audit.noise.map(|noise| noise.standard_deviation.value > 0.0),
        },
        "seed": seed,
        "position": audit.position.map(estimate),
        "length": audit.length.as_ref().map(length),
        "noise": audit.noise.map(noise),
        "triples": audit.triples.map(triples),
        "cyclic_part": audit.cyclic_part.map(cyclic_part),
        "labels": audit.agreement.as_ref().map(agreement),
        "verdicts": asked.verdicts,
        "failed": failed,
        "failures": asked.failures.iter().map(|(kind, many)| json!({ "kind": kind, "n": many })).collect::<Vec<Json>>(),
        "cost_per_1000_verdicts": cost(trial),
        "models": models(trial),
    })
}

pub(super) fn estimate(estimate: Estimate) -> Json {
    json!({
        "value": estimate.value,
        "low": estimate.interval.map(|interval| interval.low),
        "high": estimate.interval.map(|interval| interval.high),
    })
}

fn length(length: &LengthBias) -> Json {
    let groups = length.groups.iter().map(|group| {
        json!({
            "characters_low": group.low,
            "characters_high": group.high,
            "pairs": group.pairs,
            "longer_wins": estimate(group.longer_wins),
        })
    });
    json!({
        "win_per_100_characters": estimate(scaled(length.gain, CHARACTERS)),
        "by_difference": groups.collect::<Vec<Json>>(),
    })
}

fn noise(noise: Noise) -> Json {
    json!({ "standard_deviation": estimate(noise.standard_deviation), "flips": estimate(noise.flips) })
}

fn triples(triples: Triples) -> Json {
    json!({
        "n": triples.total,
        "intransitive": triples.intransitive,
        "share": estimate(triples.share),
        "share_of_noise": triples.of_noise,
        "share_of_coin": triples.of_a_coin(),
        "is_cyclic": triples.is_cyclic(),
    })
}

fn cyclic_part(part: CyclicPart) -> Json {
    json!({
        "share": part.share,
        "share_of_noise": part.of_noise,
        "share_of_coin": part.of_a_coin,
        "without_noise": part.without_noise.map(estimate),
        "prompts": part.prompts,
        "is_cyclic": part.is_cyclic(),
    })
}

fn agreement(agreement: &Agreement) -> Json {
    let bins = agreement.calibration.bins.iter().map(|bin| {
        json!({
            "confidence_low": bin.low,
            "confidence_high": bin.high,
            "pairs": bin.pairs,
            "confidence": bin.confidence,
            "accuracy": bin.accuracy,
        })
    });
    json!({
        "n": agreement.labeled,
        "tied_labels": agreement.tied_labels,
        "accuracy": agreement.accuracy.map(estimate),
        "kappa": agreement.kappa.map(estimate),
        "calibration_error": agreement.calibration.error,
        "calibration_error_if_calibrated": agreement.calibration.error_if_calibrated,
        "calibration_error_if_calibrated_95": agreement.calibration.error_if_calibrated_95,
        "is_miscalibrated": agreement.calibration.is_miscalibrated(),
        "reliability": bins.collect::<Vec<Json>>(),
    })
}

fn cost(trial: &Trial) -> Vec<Json> {
    let per_thousand = |many: f64| many * 1000.0 / trial.asked.verdicts as f64;
    let cost = |one: &slhf_plan::PluginUse| {
        json!({
            "plugin": one.name,
            "items": per_thousand(one.items as f64),
            "failed_items": per_thousand(one.failed_items as f64),
            "guest_ms": per_thousand(one.wall_ns as f64 / 1e6),
        })
    };
    trial.asked.uses.iter().map(cost).collect()
}

/// What models were asked, in all.
fn models(trial: &Trial) -> Vec<Json> {
    let used = trial.models.iter().map(|((model, server), usage)| {
        let faults = FaultKind::ALL.iter().zip(usage.faults).filter(|(_, many)| *many > 0);
        json!({
            "model": model,
            "server": Some(server).filter(|server| !server.is_empty()),
            "calls": usage.calls,
            "items": usage.items,
            "cache_hits": usage.cache_hits,
            "requests": usage.requests,
            "retries": usage.retries,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "milliseconds": usage.milliseconds,
            "faults": faults.map(|(kind, many)| (kind.to_string(), Json::from(many))).collect::<serde_json::Map<_, _>>(),
        })
    });
    used.collect()
}

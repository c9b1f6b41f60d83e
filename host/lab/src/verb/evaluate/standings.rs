//! What was found, for people and for the record.

use serde_json::{Value as Json, json};
use slhf_record::PolicyEvaluation;
use slhf_statistics::{AnswerTriples, Cycle, Cycles, Matchup, Over, STATISTICS_VERSION};

use super::judges::{Evaluation, Named};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// What a reader of the numbers must know.
pub(super) fn remarks(judge: &Named, found: &Evaluation) -> Vec<String> {
    let mut sentences = Vec::new();
    if over(found) == Over::Prompts {
        sentences.push(
            "this training: one seed says nothing about another, so that no difference is significant, and intervals and p are over prompts"
                .to_owned(),
        );
    }
    for policy in found.policies.iter().filter(|policy| !policy.also.is_empty()) {
        sentences.push(format!(
            "{} gave the same responses as {}: they are one policy",
            policy.also.join(", "),
            policy.name
        ));
    }
    let standings = &found.standings;
    let names: Vec<&str> = found.policies.iter().map(|policy| policy.name.as_str()).collect();
    sentences.extend(cycles(&names, &standings.cycles));
    sentences.extend(misfit(standings.scale_misfit));
    if !standings.scale.converged {
        sentences.push("the fit of a scale did not converge: do not use the Elo points".to_owned());
    }
    sentences.extend(circles(&found.answer_triples));
    sentences.push(significance(found));
    let left_out: usize = standings.matchups.iter().map(|matchup| matchup.left_out).max().unwrap_or(0);
    if left_out > 0 {
        sentences.push(format!(
            "up to {left_out} of {} prompts are left out of a pair, for want of a verdict under one of its seeds",
            found.prompts
        ));
    }
    if let Some(first) = &found.first_failure {
        sentences.push(format!("{} verdicts failed; the first: {first}", found.failed));
    }
    sentences.into_iter().map(|sentence| format!("{}: {sentence}", judge.name)).collect()
}

/// Whom the intervals speak about: seeds, too, where any pair has two.
fn over(found: &Evaluation) -> Over {
    found.standings.scale.over
}

/// Which policies beat each other in turn; nothing where no triple is said to.
pub(crate) fn cycles(names: &[&str], cycles: &Cycles) -> Option<String> {
    let list: Vec<String> = cycles
        .found
        .iter()
        .map(|cycle| {
            let [a, b, c] = cycle.policies.map(|at| names.get(at).copied().unwrap_or("?"));
            format!("{a} over {b} over {c} over {a} (p {}, other {})", output::number(cycle.p_holm), cycle.over.name())
        })
        .collect();
    (!list.is_empty()).then(|| {
        format!(
            "{} of {} triples of policies are intransitive: {}; their Elo points are no ranking",
            list.len(),
            cycles.triples,
            list.join("; ")
        )
    })
}

/// Whether one scale can explain the win rates; nothing where it can.
pub(crate) fn misfit(p_value: f64) -> Option<String> {
    (p_value < 0.05).then(|| {
        format!(
            "a scale misfits: no Elo points explain all win rates (p {}), which is no cycle yet; read the pairs",
            output::number(p_value)
        )
    })
}

/// How many of the differences that were asked about are significant.
fn significance(found: &Evaluation) -> String {
    let matchups = &found.standings.matchups;
    let significant = matchups.iter().filter(|matchup| matchup.is_significant()).count();
    let asked = matchups.iter().filter(|matchup| matchup.p_holm.is_some()).count();
    let selected = if found.is_selection { ", of the policies selected by --only" } else { "" };
    format!(
        "{significant} of {asked} differences are significant (family \"{}\"{selected}: p < 0.05 after Holm's correction over \
         them, about other {})",
        found.family,
        over(found).name()
    )
}

/// How often answers to one prompt go round in a circle; nothing where there is no triple of them.
pub(crate) fn circles(triples: &AnswerTriples) -> Option<String> {
    let (share, interval) = (triples.share?, triples.interval?);
    let range =
        format!(", 95 % over {} [{:.2}, {:.2}]", triples.over.name(), 100.0 * interval.low, 100.0 * interval.high);
    Some(format!(
        "of {} triples of different responses to one prompt {} form a cycle ({:.2} %{range}), on {} of {} prompts × seeds",
        triples.total,
        triples.intransitive,
        100.0 * share,
        triples.prompts_with_circle,
        triples.prompts,
    ))
}

/// For the record.
pub(super) fn row(judge: &Named, found: &Evaluation) -> Result<PolicyEvaluation, Failure> {
    Ok(PolicyEvaluation {
        judge: judge.name.clone(),
        parameters: parameters(&judge.plan).to_string(),
        sha256: judge.plan.sha256.clone(),
        is_training_judge: judge.is_training_judge,
        document: serde_json::to_string(&document(judge, found)).map_err(Failure::failed)?,
    })
}

fn parameters(plan: &slhf_plan::PluginPlan) -> Json {
    match &plan.upstream {
        Some(inner) => json!({ "parameters": plan.parameters, "upstream": parameters(inner) }),
        None => plan.parameters.clone(),
    }
}

fn document(judge: &Named, found: &Evaluation) -> Json {
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
    let matchups = found.standings.matchups.iter().map(|matchup| {
        json!({
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
        })
    });
    let answers = &found.answer_triples;
    json!({
        "statistics": STATISTICS_VERSION,
        "judge": judge.name,
        "parameters": parameters(&judge.plan),
        "is_training_judge": judge.is_training_judge,
        "seeds": found.seeds,
        "prompts": found.prompts,
        "over": over(found).name(),
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

/// Prints all judges' findings: a row a policy, or a row a pair.
pub(super) fn print(judges: &[Named], found: &[Evaluation], pairs: bool, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let documents: Vec<Json> = judges.iter().zip(found).map(|(judge, found)| document(judge, found)).collect();
        return output::print_json(&documents);
    }
    let table = if pairs { pairs_table(judges, found) } else { policies_table(judges, found) };
    output::print_table(&table, format)
}

fn policies_table(judges: &[Named], found: &[Evaluation]) -> Table {
    let mut table = Table::new(vec![
        Column::text("judge"),
        Column::text("policy"),
        Column::number("elo"),
        Column::number("low"),
        Column::number("high"),
        Column::text("over"),
        Column::number("win_rate_over_reference"),
        Column::number("p_holm"),
        Column::number("mean_tokens"),
        Column::number("eos_rate"),
    ]);
    for (judge, found) in judges.iter().zip(found) {
        let scores = &found.standings.scale.scores;
        let mut order: Vec<usize> = (0..found.policies.len()).collect();
        order.sort_by(|&a, &b| scores[b].elo.total_cmp(&scores[a].elo));
        for at in order {
            let (policy, score) = (&found.policies[at], &scores[at]);
            let against = over_reference(found, at);
            let number = |value: Option<f64>| value.map_or(Cell::Empty, Cell::Number);
            table.push(vec![
                Cell::text(&judge.name),
                Cell::text(policy.label()),
                Cell::Number(score.elo),
                finite(score.interval.low),
                finite(score.interval.high),
                Cell::text(over(found).name()),
                number(against.map(|(rate, _)| rate)),
                number(against.and_then(|(_, matchup)| matchup.p_holm)),
                number(policy.mean_tokens),
                Cell::Number(policy.eos_rate),
            ]);
        }
    }
    table
}

/// Nothing where nothing is known: one prompt and one seed.
fn finite(end: f64) -> Cell {
    if end.is_finite() { Cell::Number(end) } else { Cell::Empty }
}

/// A policy's win rate over the one reference, if there is one.
fn over_reference(found: &Evaluation, at: usize) -> Option<(f64, &Matchup)> {
    let reference = found.policies.iter().position(|policy| policy.names().any(|name| name == "reference"))?;
    let pair = (at.min(reference), at.max(reference));
    let matchup = found.standings.matchups.iter().find(|matchup| (matchup.first, matchup.second) == pair)?;
    let rate = if matchup.first == at { matchup.win_rate } else { 1.0 - matchup.win_rate };
    Some((rate, matchup))
}

fn pairs_table(judges: &[Named], found: &[Evaluation]) -> Table {
    let mut table = Table::new(vec![
        Column::text("judge"),
        Column::text("first"),
        Column::text("second"),
        Column::number("win_rate"),
        Column::number("low"),
        Column::number("high"),
        Column::text("over"),
        Column::number("p_holm"),
        Column::text("is_significant"),
        Column::number("p_other_prompts"),
        Column::number("n"),
    ]);
    for (judge, found) in judges.iter().zip(found) {
        for matchup in &found.standings.matchups {
            table.push(vec![
                Cell::text(&judge.name),
                Cell::text(found.policies[matchup.first].label()),
                Cell::text(found.policies[matchup.second].label()),
                Cell::Number(matchup.win_rate),
                Cell::Number(matchup.interval.low),
                Cell::Number(matchup.interval.high),
                Cell::text(matchup.over.name()),
                matchup.p_holm.map_or(Cell::Empty, Cell::Number),
                if matchup.p_holm.is_some() { Cell::Boolean(matchup.is_significant()) } else { Cell::Empty },
                Cell::Number(matchup.p_other_prompts),
                Cell::count(matchup.n),
            ]);
        }
    }
    table
}

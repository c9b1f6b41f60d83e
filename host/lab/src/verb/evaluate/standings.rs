//! What was found, for people and for the record.

use serde_json::{Value as Json, json};
use slhf_record::PolicyEvaluation;
use slhf_statistics::{AnswerTriples, Matchup};

use super::judges::{Evaluation, Named};
use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// What a reader of the numbers must know.
pub(super) fn remarks(judge: &Named, found: &Evaluation) -> Vec<String> {
    let mut sentences = Vec::new();
    let triples = &found.standings.triples;
    if triples.intransitive > 0 {
        let verdict = if triples.p_value < 0.05 {
            "more than noise makes: no single scale holds these policies, do not read the Elo points as a ranking"
        } else {
            "not more than noise makes"
        };
        sentences.push(format!(
            "{}: {} of {} triples of policies are intransitive (p = {:.3}), {verdict}",
            judge.name, triples.intransitive, triples.total, triples.p_value
        ));
    }
    sentences.extend(circles(&found.answer_triples).map(|sentence| format!("{}: {sentence}", judge.name)));
    let significant = found.standings.matchups.iter().filter(|matchup| matchup.is_significant()).count();
    sentences.push(format!(
        "{}: {significant} of {} differences are significant (p < 0.05 after Holm's correction, and the interval over seeds and \
         prompts leaves out ½)",
        judge.name,
        found.standings.matchups.len()
    ));
    if let Some(first) = &found.first_failure {
        sentences
            .push(format!("{}: {} verdicts failed and are left out; the first: {first}", judge.name, found.failed));
    }
    if found.seeds.len() < 2 {
        sentences.push(format!("{}: one seed: the intervals are over prompts alone", judge.name));
    }
    sentences
}

/// How often answers to one prompt go round in a circle; nothing where there is no triple of them.
pub(crate) fn circles(triples: &AnswerTriples) -> Option<String> {
    let (share, interval) = (triples.share()?, triples.interval?);
    // A resample of nothing but circles, or of none, says nothing about other prompts.
    let range = if interval.low < interval.high {
        format!(", 95 % [{:.2}, {:.2}]", 100.0 * interval.low, 100.0 * interval.high)
    } else {
        String::new()
    };
    Some(format!(
        "of {} triples of different answers to one prompt {} go round in a circle ({:.2} %{range}), on {} of {} prompts × seeds",
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
    let policies = found.policies.iter().zip(&found.standings.scores).map(|(policy, score)| {
        json!({
            "name": policy.name,
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
            "p_value": matchup.p_value,
            "p_holm": matchup.p_holm,
            "n": matchup.n,
            "is_significant": matchup.is_significant(),
        })
    });
    let triples = &found.standings.triples;
    let answers = &found.answer_triples;
    json!({
        "judge": judge.name,
        "parameters": parameters(&judge.plan),
        "is_training_judge": judge.is_training_judge,
        "seeds": found.seeds,
        "prompts": found.prompts,
        "policies": policies.collect::<Vec<_>>(),
        "matchups": matchups.collect::<Vec<_>>(),
        "triples": {
            "total": triples.total,
            "intransitive": triples.intransitive,
            "share": triples.share(),
            "p_value": triples.p_value,
        },
        "answer_triples": {
            "total": answers.total,
            "intransitive": answers.intransitive,
            "share": answers.share(),
            "low": answers.interval.map(|interval| interval.low),
            "high": answers.interval.map(|interval| interval.high),
            "prompts": answers.prompts,
            "prompts_with_circle": answers.prompts_with_circle,
        },
        "length_correlation": found.length_correlation,
        "order_bias": found.order_bias,
        "failed_verdicts": found.failed,
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
        Column::number("win_rate_over_reference"),
        Column::number("p_holm"),
        Column::number("mean_tokens"),
        Column::number("eos_rate"),
    ]);
    for (judge, found) in judges.iter().zip(found) {
        let mut order: Vec<usize> = (0..found.policies.len()).collect();
        order.sort_by(|&a, &b| found.standings.scores[b].elo.total_cmp(&found.standings.scores[a].elo));
        for at in order {
            let (policy, score) = (&found.policies[at], &found.standings.scores[at]);
            let over = over_reference(found, at);
            let number = |value: Option<f64>| value.map_or(Cell::Empty, Cell::Number);
            table.push(vec![
                Cell::text(&judge.name),
                Cell::text(&policy.name),
                Cell::Number(score.elo),
                Cell::Number(score.interval.low),
                Cell::Number(score.interval.high),
                number(over.map(|(rate, _)| rate)),
                number(over.map(|(_, matchup)| matchup.p_holm)),
                number(policy.mean_tokens),
                Cell::Number(policy.eos_rate),
            ]);
        }
    }
    table
}

/// A policy's win rate over the one reference, if there is one.
fn over_reference(found: &Evaluation, at: usize) -> Option<(f64, &Matchup)> {
    let reference = found.policies.iter().position(|policy| policy.name == "reference")?;
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
        Column::number("p_holm"),
        Column::text("is_significant"),
        Column::number("n"),
    ]);
    for (judge, found) in judges.iter().zip(found) {
        for matchup in &found.standings.matchups {
            table.push(vec![
                Cell::text(&judge.name),
                Cell::text(&found.policies[matchup.first].name),
                Cell::text(&found.policies[matchup.second].name),
                Cell::Number(matchup.win_rate),
                Cell::Number(matchup.interval.low),
                Cell::Number(matchup.interval.high),
                Cell::Number(matchup.p_holm),
                Cell::Boolean(matchup.is_significant()),
                Cell::count(matchup.n),
            ]);
        }
    }
    table
}

//! What a reader of the numbers must know, in sentences.

use slhf_statistics::{AnswerTriples, Cycles, Matchup, Over};
use slhf_words::number;

use crate::judges::Named;
use crate::judging::Evaluation;
use crate::stopping_said::stopping_sentences;

/// What a reader of the numbers must know.
pub fn remarks(judge: &Named, found: &Evaluation) -> Vec<String> {
    let mut sentences = Vec::new();
    if found.over() == Over::Prompts {
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
    sentences.extend(answer_cycles(&found.answer_triples));
    sentences.push(significance(found));
    sentences.extend(found.stopped.iter().flat_map(|stopped| stopping_sentences(&stopped.said())));
    let not_asked =
        |at: usize| found.stopped.as_ref().map_or(0, |stopped| stopped.pairs[at].prompts - stopped.pairs[at].asked);
    let of_pair = |(at, matchup): (usize, &Matchup)| matchup.left_out - not_asked(at);
    let left_out: usize = standings.matchups.iter().enumerate().map(of_pair).max().unwrap_or(0);
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

/// Which policies beat each other in turn; nothing where no triple is said to.
pub fn cycles(names: &[&str], cycles: &Cycles) -> Option<String> {
    let list: Vec<String> = cycles
        .found
        .iter()
        .map(|cycle| {
            let [a, b, c] = cycle.policies.map(|at| names.get(at).copied().unwrap_or("?"));
            format!("{a} over {b} over {c} over {a} (p {}, other {})", number(cycle.p_holm), cycle.over.name())
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
pub fn misfit(p_value: f64) -> Option<String> {
    (p_value < 0.05).then(|| {
        format!(
            "a scale misfits: no Elo points explain all win rates (p {}), which is no cycle yet; read the pairs",
            number(p_value)
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
        found.over().name()
    )
}

/// How often answers to one prompt form a cycle; nothing where there is no triple of them.
pub fn answer_cycles(triples: &AnswerTriples) -> Option<String> {
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

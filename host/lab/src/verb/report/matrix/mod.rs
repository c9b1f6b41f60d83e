//! Policies against each other, as `slhf-lab evaluate` found.

mod document;
mod stopping;

use slhf_record::{Comparison, Record};
use slhf_report::{Block, Figure, Matrix, MatrixCell, Table, escape};
use slhf_statistics::STATISTICS_VERSION;

use self::document::{Against, Cycle, Cycles, Document, Over, Policy};
use super::text::{inline, seeds};
use crate::failure::Failure;
use crate::output::number;
use slhf_comparison::{answer_cycles, misfit};

/// A heat map, the scale, and what is not significant, judge by judge; then all judges side by side.
pub(super) fn blocks(record: &mut Record, comparison: &Comparison, stem: &str) -> Result<Vec<Block>, Failure> {
    let documents = documents(record, comparison)?;
    let mut blocks = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        if document.is_outdated() {
            blocks.extend(outdated(document, &comparison.experiment));
        } else {
            blocks.extend(one(document, &format!("{stem}-matrix-{}", number + 1)));
        }
    }
    let current: Vec<&Document> = documents.iter().filter(|document| !document.is_outdated()).collect();
    if current.len() > 1 {
        blocks.extend(judges(&current));
    }
    Ok(blocks)
}

/// What was found under the training judge (or the first one that was asked), and how sure that is: two sentences.
pub(super) fn found(record: &mut Record, comparison: &Comparison) -> Result<Option<(String, String)>, Failure> {
    let documents = documents(record, comparison)?;
    let mut current: Vec<&Document> = documents.iter().filter(|document| !document.is_outdated()).collect();
    current.sort_by_key(|document| !document.is_training_judge);
    let Some(first) = current.first() else { return Ok(None) };
    let found = current.iter().map(|document| {
        let first = first_of(document).unwrap_or_else(|| "no policy is compared with the reference".to_owned());
        format!("by {}, {first}", document.short_label())
    });
    let found = found.collect::<Vec<_>>().join("; ") + ".";
    let sure = current.iter().map(|document| format!("by {} {}", document.short_label(), told_apart(document)));
    let sure = format!(
        "{}, {} prompts, both orders; {}.",
        seeds(comparison),
        first.prompts,
        sure.collect::<Vec<_>>().join("; ")
    );
    Ok(Some((found, sure)))
}

fn documents(record: &mut Record, comparison: &Comparison) -> Result<Vec<Document>, Failure> {
    let found = record.policy_evaluations(&comparison.experiment, comparison.execution).map_err(Failure::failed)?;
    found
        .iter()
        .map(|row| serde_json::from_str(&row.document))
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::failed(format!("an evaluation of policies in the record cannot be read: {error}")))
}

/// How many judges' conclusions are of other statistics.
pub(super) fn outdated_judges(record: &mut Record, comparison: &Comparison) -> Result<usize, Failure> {
    Ok(documents(record, comparison)?.iter().filter(|document| document.is_outdated()).count())
}

/// What was concluded by other statistics is said to be so, and is not shown beside what is concluded now.
fn outdated(document: &Document, experiment: &str) -> Vec<Block> {
    let judge = document.judge_argument().map_or_else(String::new, |judge| format!(" --judge '{judge}'"));
    vec![
        Block::Heading(format!("Policies against each other, by {}", document.short_label())),
        Block::Text(format!(
            "What the record has of this judge was concluded by version {} of the statistics, and is not shown: version \
             {STATISTICS_VERSION} gives other intervals and p-values. This makes it anew from the recorded responses:",
            document.statistics,
        )),
        Block::Verbatim(format!("slhf-lab evaluate {experiment}{judge}")),
    ]
}

fn one(document: &Document, figure: &str) -> Vec<Block> {
    let mut order: Vec<&Policy> = document.policies.iter().collect();
    order.sort_by(|a, b| b.elo.total_cmp(&a.elo));
    let cell = |row: &&Policy, column: &&Policy| {
        let found = document.over(&row.name, &column.name)?;
        Some(MatrixCell { value: found.rate, is_significant: found.is_significant })
    };
    let cells = order.iter().map(|row| order.iter().map(|column| cell(row, column)).collect()).collect();
    let rows = order.iter().enumerate().map(|(place, policy)| {
        let over = document.over_reference(&policy.name);
        let elo = match policy.low.zip(policy.high) {
            Some((low, high)) => format!("{} [{}, {}]", points(policy.elo), points(low), points(high)),
            None => points(policy.elo),
        };
        vec![
            format!("{} {}", place + 1, policy.label()),
            elo,
            over.map_or_else(String::new, Against::text),
            over.and_then(|over| over.p_holm).map_or_else(String::new, number),
            policy.mean_tokens.map_or_else(String::new, number),
        ]
    });
    let columns = ["policy", "Elo", "win rate over the reference", "p (Holm)", "tokens"].map(str::to_owned).to_vec();
    let title = format!("How often the row is preferred to the column, by {}", document.judge);
    let names = order.iter().map(|policy| policy.label()).collect();
    let mut blocks = vec![
        Block::Heading(format!("Policies against each other, by {}", document.short_label())),
        Block::Text(asked(document)),
        Block::Text(sentences(document)),
        Block::Table(Table { columns, rows: rows.collect() }),
        Block::Figure {
            name: figure.to_owned(),
            caption: "Significant differences are in bold.".to_owned(),
            figure: Figure::Matrix(Matrix { title, names, cells }),
        },
    ];
    blocks.extend(not_significant(document, &order));
    blocks.extend(stopping::blocks(document));
    blocks.extend(settings(document));
    blocks
}

/// The judge's parameters, which may be long.
fn settings(document: &Document) -> Option<Block> {
    let label = document.plain_label();
    let inner = vec![Block::Verbatim(label.clone())];
    (label != document.judge)
        .then(|| Block::Folded { summary: "The judge with its parameters".to_owned(), blocks: inner })
}

/// Whole Elo points, and no minus zero.
fn points(elo: f64) -> String {
    format!("{:.0}", elo.round() + 0.0)
}

/// Who was compared by whom, and what the intervals speak about.
fn asked(document: &Document) -> String {
    let role = if document.is_training_judge { "the training judge" } else { "a held-out judge" };
    let speaks = match document.over {
        Over::Prompts => {
            "**This training**: one seed, so that intervals and p are over prompts alone, and no difference is called significant."
        }
        Over::SeedsAndPrompts => {
            "Intervals and p are over seeds and prompts: Student's t by the variance of the crossed design. A difference is called \
             significant where p < 0.05."
        }
    };
    format!(
        "By `{}`, {role}: {} policies, {} prompts × {} seeds, both orders. {speaks} Family `{}`: p is corrected over {} pairs (Holm).",
        escape::code(&document.judge),
        document.policies.len(),
        document.prompts,
        document.seeds.len(),
        escape::code(&document.family.to_string()),
        pairs_asked(document),
    )
}

/// How many differences are significant.
fn told_apart(document: &Document) -> String {
    let significant = document.matchups.iter().filter(|matchup| matchup.is_significant).count();
    match document.over {
        Over::Prompts => "no difference is significant, as one seed says nothing about another training".to_owned(),
        Over::SeedsAndPrompts => format!("{significant} of {} differences are significant", pairs_asked(document)),
    }
}

/// Pairs whose p is corrected together.
fn pairs_asked(document: &Document) -> usize {
    document.matchups.iter().filter(|matchup| matchup.p_holm.is_some()).count()
}

/// Who is first on the scale, and how sure that is.
fn first_of(document: &Document) -> Option<String> {
    let first = document.policies.iter().max_by(|a, b| a.elo.total_cmp(&b.elo))?;
    if first.is_called("reference") {
        return Some("no policy is ahead of the reference".to_owned());
    }
    let over = document.over_reference(&first.name)?;
    let sure = match over.p_holm {
        _ if matches!(document.over, Over::Prompts) => "one seed".to_owned(),
        None => "not asked about".to_owned(),
        Some(p) => {
            let verdict = if over.is_significant { "significant" } else { "not significant" };
            format!("{verdict} after correction over {} pairs, p {}", pairs_asked(document), number(p))
        }
    };
    Some(format!(
        "{} is first, preferred to the reference at a rate of {} (95 % over {}; {sure})",
        inline(&first.label()),
        over.text(),
        document.about(),
    ))
}

/// What was found.
fn sentences(document: &Document) -> String {
    let mut said = vec![format!("**{}.**", capitalized(&told_apart(document)))];
    said.extend(first_of(document).map(|first| format!("{}.", capitalized(&first))));
    said.extend(document.cycles.as_ref().and_then(of_cycles));
    if let Some(scale) = &document.scale {
        said.extend(misfit(scale.misfit_p_value).map(|sentence| format!("**{}.**", capitalized(&sentence))));
        if !scale.converged {
            said.push("**The fit of a scale did not converge: do not use the Elo points.**".to_owned());
        }
    }
    if let Some(sentence) = document.answer_triples.and_then(|found| answer_cycles(&found.into())) {
        said.push(format!("Under this judge, {sentence}."));
    }
    if let Some(correlation) = document.length_correlation {
        said.push(format!("A win correlates with the difference in length (characters) by {correlation:.2}."));
    }
    said.push(format!("The judge's mean bias towards a place is {}.", number(document.order_bias)));
    if document.failed_verdicts > 0 {
        said.push(format!(
            "{} verdicts failed: their prompts are left out of the pair, under all seeds.",
            document.failed_verdicts
        ));
    }
    said.join(" ")
}

fn of_cycles(cycles: &Cycles) -> Option<String> {
    if cycles.triples == 0 {
        return None;
    }
    let names: Vec<&str> = cycles.found.iter().flat_map(|cycle| cycle.policies.iter().map(String::as_str)).collect();
    let of = |(at, cycle): (usize, &Cycle)| slhf_statistics::Cycle {
        policies: [3 * at, 3 * at + 1, 3 * at + 2],
        p_holm: cycle.p_holm,
        over: cycle.over.into(),
    };
    let found = slhf_statistics::Cycles {
        triples: cycles.triples,
        found: cycles.found.iter().enumerate().map(of).collect(),
        strongest: None,
    };
    Some(slhf_comparison::cycles(&names, &found).map_or_else(
        || {
            let least = cycles.strongest.as_ref().map_or(1.0, |cycle| cycle.p_holm);
            format!(
                "No triple of policies is shown to be intransitive (of {}, least p {}).",
                cycles.triples,
                number(least)
            )
        },
        |sentence| format!("**{}.**", capitalized(&sentence)),
    ))
}

fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What was asked and not told apart.
fn not_significant(document: &Document, order: &[&Policy]) -> Vec<Block> {
    let mut rows = Vec::new();
    for (place, first) in order.iter().enumerate() {
        for second in &order[place + 1..] {
            let Some(found) = document.over(&first.name, &second.name) else { continue };
            if let Some(p) = found.p_holm.filter(|_| !found.is_significant) {
                rows.push(vec![first.label(), second.label(), found.text(), number(p)]);
            }
        }
    }
    if rows.is_empty() {
        return vec![Block::Text("Every difference is significant.".to_owned())];
    }
    let summary = format!("Not significant: {} of {} differences", rows.len(), pairs_asked(document));
    let columns = ["policy", "over", "rate", "p (Holm)"].map(str::to_owned).to_vec();
    vec![Block::Folded { summary, blocks: vec![Block::Table(Table { columns, rows })] }]
}

/// The gain under the training judge beside the gain under the others.
fn judges(documents: &[&Document]) -> Vec<Block> {
    let columns = std::iter::once("win rate over the reference".to_owned())
        .chain(documents.iter().map(|document: &&Document| {
            format!("{}{}", document.judge, if document.is_training_judge { " (trained on)" } else { "" })
        }))
        .collect();
    let Some(first) = documents.first() else { return Vec::new() };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for policy in first.policies.iter().filter(|policy| !policy.is_called("reference")) {
        let by = |document: &&Document| {
            document.over_reference(&policy.name).map_or_else(String::new, |over| {
                let mark = match over.p_holm {
                    None => " (not asked)",
                    Some(_) if over.is_significant => "",
                    Some(_) => " (n. s.)",
                };
                format!("{}{mark}", over.text())
            })
        };
        rows.push(std::iter::once(policy.label()).chain(documents.iter().map(by)).collect());
    }
    let correlation =
        |document: &&Document| document.length_correlation.map_or_else(String::new, |r| format!("{r:.2}"));
    rows.push(std::iter::once("correlation with length".to_owned()).chain(documents.iter().map(correlation)).collect());
    vec![
        Block::Heading("Judges compared".to_owned()),
        Block::Text(
            "A gain under the training judge that the held-out judges do not confirm is over-optimization. (n. s.): not \
             significant."
                .to_owned(),
        ),
        Block::Table(Table { columns, rows }),
    ]
}

//! What a rule to stop at left unasked, and what is known of these policies on these prompts.

use slhf_report::{Block, Table};

use slhf_comparison::StoppingSaid;

use super::super::text::inline;
use super::document::{Document, Matchup, Stopped};

/// Nothing where all prompts were asked about.
pub(super) fn blocks(document: &Document) -> Vec<Block> {
    let Some(stopped) = &document.stopped else { return Vec::new() };
    let rows: Vec<Vec<String>> = document.matchups.iter().filter_map(row).collect();
    let columns = ["policy", "over", "win rate of these policies on these prompts", "differs (e-BH)", "prompts asked"];
    let table = Table { columns: columns.map(str::to_owned).to_vec(), rows };
    let summary = "These trained policies on these prompts".to_owned();
    vec![Block::Text(sentences(document, stopped)), Block::Folded { summary, blocks: vec![Block::Table(table)] }]
}

fn sentences(document: &Document, stopped: &Stopped) -> String {
    let of_family = |wanted: fn(bool) -> bool| {
        let claims = document.matchups.iter().filter_map(|matchup| matchup.these_policies.as_ref()?.differs);
        claims.filter(|differs| wanted(*differs)).count()
    };
    let said = slhf_comparison::stopping_sentences(&StoppingSaid {
        rule: stopped.rule,
        verdicts: (stopped.verdicts, stopped.all_verdicts),
        differ: (of_family(|differs| differs), of_family(|_| true)),
        differs_from: stopped.differs_from,
    });
    said.iter().map(|sentence| format!("{}.", upper(&inline(sentence)))).collect::<Vec<_>>().join(" ")
}

/// With a capital.
fn upper(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn row(matchup: &Matchup) -> Option<Vec<String>> {
    let these = matchup.these_policies.as_ref()?;
    let differs = these.differs.map_or("not asked", |differs| if differs { "yes" } else { "not shown" });
    Some(vec![
        matchup.first.clone(),
        matchup.second.clone(),
        // No number stands before it: the mean of what was asked is not one of these prompts.
        format!("[{:.3}, {:.3}]", these.low, these.high),
        differs.to_owned(),
        format!("{} of {}", these.asked, these.prompts),
    ])
}

//! What a rule to stop at left unasked, and what is known of these policies on these prompts.

use slhf_report::{Block, Table};

use super::document::{Document, Matchup, Stopped};
use crate::output::number;

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
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let differ = |wanted: fn(bool) -> bool| {
        let claims = document.matchups.iter().filter_map(|matchup| matchup.these_policies.as_ref()?.differs);
        claims.filter(|differs| wanted(*differs)).count()
    };
    let fixed = stopped.saved_of_fixed_size.map_or_else(String::new, |saved| {
        format!(
            ", and {} of what a plan with a fixed number of prompts takes which knows rates and deviations",
            percent(saved)
        )
    });
    format!(
        "A pair was asked about until enough was known (`{}`): {} of {} verdicts, which saves {} of all{fixed}. Of **these trained \
         policies on these prompts**, {} of {} win rates differ from {} (e-BH: 5 % of such claims may be wrong), with intervals that hold at \
         every moment. What is said of other trainings is made for a fixed number of prompts, and is a little too sure.",
        stopped.rule,
        stopped.verdicts,
        stopped.all_verdicts,
        percent(stopped.saved),
        differ(|differs| differs),
        differ(|_| true),
        number(stopped.differs_from),
    )
}

fn row(matchup: &Matchup) -> Option<Vec<String>> {
    let these = matchup.these_policies.as_ref()?;
    let differs = these.differs.map_or("not asked", |differs| if differs { "yes" } else { "not shown" });
    Some(vec![
        matchup.first.clone(),
        matchup.second.clone(),
        format!("{:.3} [{:.3}, {:.3}]", matchup.win_rate, these.low, these.high),
        differs.to_owned(),
        format!("{} of {}", these.asked, these.prompts),
    ])
}

//! What a page says of policies that learned from the pairs of a file: how they tell the better response of held-out pairs.

use slhf_plan::{EvaluationName, MetricKey};
use slhf_record::{ComparedCell, Comparison};
use slhf_report::{Block, Table};

use super::measured::Evaluations;
use super::text::inline;

/// Whom figures of pairs are of.
const SUBJECT: &str = "held-out pairs";
/// Whom the divergence is of.
const LEADER: &str = "leader";

/// Figures as columns, with whom they are of.
const COLUMNS: [(MetricKey, &str, &str); 7] = [
    (MetricKey::RewardsAccuracies, SUBJECT, "better one preferred"),
    (MetricKey::LossLeader, SUBJECT, "loss"),
    (MetricKey::RewardsMargins, SUBJECT, "margin"),
    (MetricKey::RewardsChosen, SUBJECT, "reward, better"),
    (MetricKey::LogpsChosen, SUBJECT, "log π, better"),
    (MetricKey::LogpsRejected, SUBJECT, "log π, other"),
    (MetricKey::ObjectiveKlLeader, LEADER, "KL"),
];

/// A table of the cells; nothing where none learned from pairs.
pub(super) fn blocks(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let name = |key: MetricKey| EvaluationName::Other(key.name().to_owned());
    let value = |cell: &ComparedCell, key: MetricKey, subject: &str| evaluations.over_seeds(cell, &name(key), subject);
    let row = |cell: &ComparedCell| {
        value(cell, MetricKey::RewardsAccuracies, SUBJECT)?;
        let shown = COLUMNS.map(|(key, subject, _)| {
            value(cell, key, subject).map_or_else(|| "–".to_owned(), |found| found.value_text())
        });
        Some(std::iter::once(inline(&cell.label)).chain(shown).collect())
    };
    let rows: Vec<Vec<String>> = comparison.cells.iter().filter_map(row).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let columns = std::iter::once("cell").chain(COLUMNS.map(|(.., title)| title)).map(str::to_owned).collect();
    vec![
        Block::Heading("On held-out pairs".to_owned()),
        Block::Text(
            "Of the pairs of the file that no policy learned from, at the end of training: `better one preferred` is the share of pairs whose better \
             response has the higher reward β (log π − log π_ref), ½ is chance; losses of different methods are no comparison; `KL` is the divergence \
             from the reference, in nats a response, estimated on the policy's own responses."
                .to_owned(),
        ),
        Block::Table(Table { columns, rows }),
    ]
}

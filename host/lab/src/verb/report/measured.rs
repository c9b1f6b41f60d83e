//! Tables of what the runs measured at their ends: one row a policy, one column a number.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, MetricKey, RewardModelFigure, Who};
use slhf_record::{ComparedCell, Comparison, EvaluationValue, Record};
use slhf_report::{Block, Table, escape};

use super::text::finished;
use crate::failure::Failure;
use crate::over_seeds::{OverSeeds, Quantity, latest};

/// Rows beyond which a table is closed until somebody opens it.
const OPEN_ROWS_MAX: usize = 24;
/// Columns of numbers that stand side by side.
const NUMBERS_MAX: usize = 5;

/// The evaluations of every finished run, by run.
pub(super) struct Evaluations {
    by_run: BTreeMap<i64, Vec<EvaluationValue>>,
}

impl Evaluations {
    pub(super) fn read(record: &mut Record, comparison: &Comparison) -> Result<Self, Failure> {
        let mut by_run = BTreeMap::new();
        for run in comparison.cells.iter().flat_map(finished) {
            by_run.insert(run.summary.run, record.evaluations(run.summary.run).map_err(Failure::failed)?);
        }
        Ok(Self { by_run })
    }

    /// Those of a run, by step.
    pub(super) fn of(&self, run: i64) -> &[EvaluationValue] {
        self.by_run.get(&run).map_or(&[], Vec::as_slice)
    }

    /// The last value of a quantity in a run.
    pub(super) fn last(&self, run: i64, name: &EvaluationName, subject: &str) -> Option<f64> {
        let rows = self.of(run);
        rows.iter().rev().find(|row| row.name == *name && row.subject == subject).map(|row| row.value)
    }

    /// On how many prompts the last values of a cell's runs rest, the least of them.
    fn prompts(&self, cell: &ComparedCell, name: &EvaluationName, subject: &str) -> Option<usize> {
        let of = |run: i64| self.of(run).iter().rev().find(|row| row.name == *name && row.subject == subject);
        let counts = finished(cell).filter_map(|run| of(run.summary.run)).map(|row| row.n);
        counts.min().and_then(|n| usize::try_from(n).ok())
    }

    /// The last value of a quantity over a cell's trainings. Probabilities of games are exact.
    pub(super) fn over_seeds(&self, cell: &ComparedCell, name: &EvaluationName, subject: &str) -> Option<OverSeeds> {
        let values: Vec<f64> = finished(cell).filter_map(|run| self.last(run.summary.run, name, subject)).collect();
        let quantity = match name {
            EvaluationName::Probability => Quantity::Probability,
            name => Quantity::of(&name.to_string(), &values, self.prompts(cell, name, subject)),
        };
        OverSeeds::new(&values, quantity)
    }

    /// What plugins measured of single responses, in the order of the alphabet.
    fn measures(&self) -> Vec<EvaluationName> {
        let rows = self.by_run.values().flatten();
        let measured = rows.filter(|row| matches!(row.name, EvaluationName::Measure { .. }));
        let by_text: BTreeMap<String, EvaluationName> =
            measured.map(|row| (row.name.to_string(), row.name.clone())).collect();
        by_text.into_values().collect()
    }

    /// Whose values of a quantity there are, the Leader's first.
    pub(super) fn subjects(&self, name: &EvaluationName) -> Vec<String> {
        let mut subjects: Vec<String> = Vec::new();
        for row in self.by_run.values().flatten().filter(|row| row.name == *name) {
            if !subjects.contains(&row.subject) {
                subjects.push(row.subject.clone());
            }
        }
        subjects.sort_by_key(|subject| (!subject.starts_with("leader"), subject.clone()));
        subjects
    }
}

/// How far each cell ended from its own target, and which target that is.
pub(super) fn gaps(comparison: &Comparison) -> Vec<Block> {
    let committed = MetricKey::ValueCommitted.name();
    let row = |cell: &ComparedCell| {
        let own = own_target(cell);
        let target = own.as_ref().map_or_else(String::new, |(key, _)| (*key).to_owned());
        let shown = |found: Option<OverSeeds>| found.map_or_else(String::new, |found| found.value_text());
        let runs = finished(cell).count().to_string();
        vec![cell.label.clone(), target, shown(own.map(|(_, found)| found)), shown(latest(cell, committed)), runs]
    };
    let columns = ["cell", "distance to its target", "value", committed, "n"].map(str::to_owned).to_vec();
    let table = Table { columns, rows: comparison.cells.iter().map(row).collect() };
    let mut blocks = vec![Block::Heading("At the end".to_owned())];
    blocks.extend(opened(table, "All cells"));
    blocks
}

/// The distance that a cell's method is to close, over its seeds.
pub(super) fn own_target(cell: &ComparedCell) -> Option<(&'static str, OverSeeds)> {
    MetricKey::TO_OWN_TARGET.into_iter().find_map(|key| latest(cell, key.name()).map(|found| (key.name(), found)))
}

/// What is equal everywhere, and the table of the rest; closed where it is long.
pub(super) fn opened(table: Table, summary: &str) -> Vec<Block> {
    let (table, constants) = table.without_constants();
    let mut blocks = said_once(&constants);
    let is_long = table.rows.len() > OPEN_ROWS_MAX;
    let summary = format!("{summary} ({} rows)", table.rows.len());
    let table = Block::Table(table);
    blocks.push(if is_long { Block::Folded { summary, blocks: vec![table] } } else { table });
    blocks
}

/// The columns that a table need not have.
pub(super) fn said_once(constants: &[(String, String)]) -> Vec<Block> {
    if constants.is_empty() {
        return Vec::new();
    }
    let said: Vec<String> = constants
        .iter()
        .map(|(column, value)| format!("{} {}", escape::markdown(column), escape::markdown(value)))
        .collect();
    vec![Block::Text(format!("The same in every row: {}.", said.join("; ")))]
}

/// Win rates on held-out prompts, lengths, and how many responses ended by themselves.
pub(super) fn held_out(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let mut opponents: Vec<String> = Vec::new();
    for subject in evaluations.subjects(&EvaluationName::WIN_RATE) {
        if let Some((_, opponent)) = subject.rsplit_once('/')
            && !opponents.iter().any(|known| known == opponent)
        {
            opponents.push(opponent.to_owned());
        }
    }
    // The reference first: everybody is compared with it.
    opponents.sort_by_key(|opponent| opponent != &Who::Reference.to_string());
    let mut numbers: Vec<Column> = opponents.iter().map(|opponent| Column::over(opponent)).collect();
    numbers.push(Column::of(EvaluationName::MeanLength, "length (tokens)"));
    numbers.push(Column::of(EvaluationName::EosRate, "ended by itself"));
    let judged = if opponents.is_empty() {
        "No judge compared policies in the runs' own evaluations. "
    } else {
        "`over …` is how often a policy's response is preferred by the training judge, both orders of presentation averaged. \
         An interval that contains ½ does not say who is better. "
    };
    let mut blocks = vec![
        Block::Heading("On held-out prompts".to_owned()),
        Block::Text(format!("{judged}`ended by itself` is a share of responses.")),
    ];
    blocks.extend(by_policy(comparison, evaluations, &numbers));
    blocks
}

/// What `evaluation.measures` said of every policy's answers; nothing where there are none.
pub(super) fn measures(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let names = evaluations.measures();
    if names.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading("Metrics of single responses".to_owned()),
        Block::Text(
            "Means over the responses to held-out prompts, of held-out plugins (no policy was trained on them); an attribute's over all of its \
             occurrences."
                .to_owned(),
        ),
    ];
    let numbers: Vec<Column> = names.into_iter().map(|name| Column::of(name.clone(), &name.to_string())).collect();
    for numbers in numbers.chunks(NUMBERS_MAX) {
        blocks.extend(by_policy(comparison, evaluations, numbers));
    }
    blocks
}

/// How well the reward models that were fit before the first step predict the judge; nothing where none was fit.
pub(super) fn reward_models(comparison: &Comparison, evaluations: &Evaluations) -> Vec<Block> {
    let numbers = [
        (RewardModelFigure::Accuracy, "accuracy"),
        (RewardModelFigure::LogLoss, "log loss (nats)"),
        (RewardModelFigure::Penalty, "penalty"),
    ];
    let numbers = numbers.map(|(figure, title)| Column::of(EvaluationName::RewardModel(figure), title));
    if numbers.iter().all(|column| evaluations.subjects(&column.name).is_empty()) {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading("Fitted rewards".to_owned()),
        Block::Text(
            "Of the Bradley–Terry models that were fit to the judge's verdicts before the first step, on pairs that they were not fit \
             to (five folds): the share of pairs whose preferred side they name, and the mean log loss in nats (0.693 says nothing)."
                .to_owned(),
        ),
    ];
    blocks.extend(by_policy(comparison, evaluations, &numbers));
    blocks
}

/// A column of numbers: a quantity, and whom it is about.
struct Column {
    name: EvaluationName,
    title: String,
    /// Of a quantity of two policies, the second.
    opponent: Option<String>,
}

impl Column {
    fn of(name: EvaluationName, title: &str) -> Self {
        Self { name, title: title.to_owned(), opponent: None }
    }

    fn over(opponent: &str) -> Self {
        Self { name: EvaluationName::WIN_RATE, title: format!("over {opponent}"), opponent: Some(opponent.to_owned()) }
    }

    /// The policy that a subject is about, where the column has the subject.
    fn policy<'a>(&self, subject: &'a str) -> Option<&'a str> {
        match &self.opponent {
            None => Some(subject),
            Some(opponent) => subject.strip_suffix(opponent.as_str())?.strip_suffix('/'),
        }
    }

    fn subject(&self, policy: &str) -> String {
        self.opponent.as_ref().map_or_else(|| policy.to_owned(), |opponent| format!("{policy}/{opponent}"))
    }
}

/// One row a policy of a cell. The reference is one row where all cells say the same of it.
fn by_policy(comparison: &Comparison, evaluations: &Evaluations, numbers: &[Column]) -> Vec<Block> {
    let mut policies: Vec<String> = Vec::new();
    for column in numbers {
        for subject in evaluations.subjects(&column.name) {
            if let Some(policy) = column.policy(&subject)
                && !policies.iter().any(|known| known == policy)
            {
                policies.push(policy.to_owned());
            }
        }
    }
    let reference = Who::Reference.to_string();
    let row = |cell: &ComparedCell, policy: &str| {
        let found = |column: &Column| evaluations.over_seeds(cell, &column.name, &column.subject(policy));
        let found: Vec<Option<OverSeeds>> = numbers.iter().map(found).collect();
        let n = found.iter().flatten().map(|found| found.trainings).min()?;
        let shown = |found: &Option<OverSeeds>| found.as_ref().map_or_else(|| "–".to_owned(), OverSeeds::value_text);
        Some(found.iter().map(shown).chain([n.to_string()]).collect::<Vec<_>>())
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for cell in &comparison.cells {
        for policy in policies.iter().filter(|policy| **policy != reference) {
            let name = if comparison.cells.len() > 1 { format!("{}/{policy}", cell.label) } else { policy.clone() };
            rows.extend(row(cell, policy).map(|values| [vec![name], values].concat()));
        }
    }
    let references: Vec<(&ComparedCell, Vec<String>)> =
        comparison.cells.iter().filter_map(|cell| Some((cell, row(cell, &reference)?))).collect();
    let is_one = references.windows(2).all(|pair| pair[0].1 == pair[1].1);
    for (cell, values) in references.into_iter().take(if is_one { 1 } else { usize::MAX }) {
        let name = if is_one { reference.clone() } else { format!("{}/{reference}", cell.label) };
        rows.push([vec![name], values].concat());
    }
    let columns = std::iter::once("policy".to_owned())
        .chain(numbers.iter().map(|column| column.title.clone()))
        .chain(["n".to_owned()]);
    opened(Table { columns: columns.collect(), rows }, "All policies")
}

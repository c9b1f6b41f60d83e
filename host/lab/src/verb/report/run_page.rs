//! One run with everything that the record has of it.

use slhf_plan::{MetricKey, Unit};
use slhf_record::{CurveQuery, Record, RunSummary, ScheduleValue};
use slhf_report::{Axis, Block, Curves, Drawing, Figure, Page, Point, Series, Spread, Table};

use super::super::curve_points::{READ_MAX, over_seeds, thinned};
use super::plan;
use super::profile::file_part;
use super::text::{inline, reading};
use crate::failure::Failure;
use crate::output::number;
use crate::running::gap_metrics;
use crate::verb::curves::most_telling;
use crate::verb::show::page_sections;

/// Responses that a page shows of a step.
const RESPONSES_MAX: usize = 24;
/// Sections that are open: the others are closed until somebody opens them.
const OPEN: [&str; 3] = ["run", "evaluations", "costs"];

/// The page of a run.
pub(in crate::verb) fn page(record: &mut Record, run: &RunSummary) -> Result<Page, Failure> {
    let execution = record.execution_of(run.run).map_err(Failure::failed)?;
    let question =
        execution.question.as_deref().map_or_else(|| "the experiment states no `question`.".to_owned(), inline);
    let mut blocks = vec![
        Block::Text(format!("**Asked:** {question}")),
        Block::Text(format!("**Found:** {}", found(record, run)?)),
        Block::Text(
            "**How sure:** this is one run of one seed, which says nothing about another training; a report of the experiment compares \
             cells over seeds."
                .to_owned(),
        ),
    ];
    blocks.extend(curves(record, run)?);
    for section in page_sections(record, run).map_err(Failure::failed)? {
        let table = Block::Table(section.table);
        if OPEN.contains(&section.key) {
            blocks.extend([Block::Heading(section.title.to_owned()), table]);
        } else {
            blocks.push(Block::Folded { summary: section.title.to_owned(), blocks: vec![table] });
        }
    }
    blocks.extend(responses(record, run)?);
    blocks.push(Block::Heading("How this was made".to_owned()));
    blocks.push(Block::Text(reading(&run.run.to_string())));
    let toml = vec![Block::Verbatim(execution.toml.trim_end().to_owned())];
    blocks.push(Block::Folded { summary: "The experiment as it was given".to_owned(), blocks: toml });
    blocks.extend(plan::of_run(record, run.run)?);
    Ok(Page { title: format!("Run {}: {}", run.run, run.name()), blocks })
}

/// How the run ended, and the last values of what matters.
fn found(record: &mut Record, run: &RunSummary) -> Result<String, Failure> {
    let mut said = vec![format!("the run is {}", run.status)];
    if let Some(reason) = &run.reason {
        said.push(format!("({})", inline(reason)));
    }
    let latest = record.latest_metrics(run.run).map_err(Failure::failed)?;
    let matter = gap_metrics().chain([MetricKey::ValueCommitted.name()]);
    let mut values: Vec<String> = matter
        .filter_map(|key| latest.iter().find(|metric| metric.key == key))
        .map(|metric| format!("`{}` {}", metric.key, number(metric.value)))
        .collect();
    let evaluated = record.latest_evaluations(run.run).map_err(Failure::failed)?;
    values.extend(evaluated.iter().filter(|row| row.name.is_share() && row.subject.contains('/')).take(4).map(|row| {
        let interval = row.low.zip(row.high).map_or_else(String::new, |(low, high)| format!(" [{low:.3}, {high:.3}]"));
        format!("{} {} {:.3}{interval}", row.name, inline(&row.subject), row.value)
    }));
    let values = if values.is_empty() { String::new() } else { format!("; at the end {}", values.join(", ")) };
    Ok(format!("{}{values}.", said.join(" ")))
}

/// Every metric over the steps; what never changes is said in one sentence.
fn curves(record: &mut Record, run: &RunSummary) -> Result<Vec<Block>, Failure> {
    let latest = record.latest_metrics(run.run).map_err(Failure::failed)?;
    let keys: Vec<&str> = latest.iter().map(|metric| metric.key.as_str()).collect();
    let (mut drawn, mut said) = (Vec::new(), Vec::new());
    for ((_, key), curve) in record.curves(&[run.run], &CurveQuery::new(&keys, READ_MAX)).map_err(Failure::failed)? {
        let series = vec![Series { name: String::new(), points: thinned(over_seeds([&curve].into_iter())) }];
        let (x, y) = (Axis::linear("step"), axis(&key));
        let figure = Figure::Curves(Curves { title: key.clone(), x, y, level: None, spread: Spread::Band, series });
        if let Drawing::Sentence(sentence) = figure.draw() {
            said.push(format!("- {}", inline(&sentence)));
            continue;
        }
        let caption = MetricKey::parse(&key).map_or("", MetricKey::meaning).to_owned();
        drawn.push(Block::Figure { name: name_of(run, &key), caption, figure });
    }
    let realized = schedule(record, run)?;
    let mut blocks = Vec::new();
    if !drawn.is_empty() || !realized.is_empty() {
        blocks.push(Block::Heading("Curves".to_owned()));
    }
    let first = most_telling(&keys).and_then(|first| drawn.iter().position(|block| is_of(block, run, first)));
    blocks.extend(first.map(|first| drawn.remove(first)));
    if !drawn.is_empty() {
        let summary = format!("{} more metrics over the steps", drawn.len());
        blocks.push(Block::Folded { summary, blocks: drawn });
    }
    blocks.extend(realized);
    if !said.is_empty() {
        let summary = format!("{} metrics that never change", said.len());
        blocks.push(Block::Folded { summary, blocks: vec![Block::Text(said.join("\n"))] });
    }
    Ok(blocks)
}

fn name_of(run: &RunSummary, key: &str) -> String {
    format!("run-{}-{}", run.run, file_part(key))
}

fn is_of(block: &Block, run: &RunSummary, key: &str) -> bool {
    matches!(block, Block::Figure { name, .. } if *name == name_of(run, key))
}

/// What κ and the learning rates were, where they changed; what never did is in the table of the schedule.
fn schedule(record: &mut Record, run: &RunSummary) -> Result<Vec<Block>, Failure> {
    let rows = record.schedule(run.run).map_err(Failure::failed)?;
    let series = |name: &str, of: fn(&ScheduleValue) -> Option<f64>| {
        let point = |row: &ScheduleValue| of(row).map(|y| Point { x: row.step as f64, y, range: None });
        Series { name: name.to_owned(), points: thinned(rows.iter().filter_map(point).collect()) }
    };
    let rates =
        vec![series("Leader", |row| row.leader_learning_rate), series("Follower", |row| row.follower_learning_rate)];
    let figures = [
        ("kappa", "κ as realized", vec![series("", |row| row.kappa)]),
        ("learning-rate", "learning rates as realized", rates),
    ];
    let mut blocks = Vec::new();
    for (name, title, series) in figures {
        let varies = |series: &Series| series.points.windows(2).any(|pair| pair[0].y != pair[1].y);
        if !series.iter().any(varies) {
            continue;
        }
        let (x, y) = (Axis::linear("step"), Axis::linear(title));
        let figure =
            Figure::Curves(Curves { title: title.to_owned(), x, y, level: None, spread: Spread::Band, series });
        if matches!(figure.draw(), Drawing::Svg(_)) {
            blocks.push(Block::Figure { name: name_of(run, name), caption: String::new(), figure });
        }
    }
    Ok(blocks)
}

fn axis(key: &str) -> Axis {
    if gap_metrics().any(|gap| gap == key) {
        return Axis::logarithm(key);
    }
    match MetricKey::parse(key).map(MetricKey::unit) {
        Some(Unit::Share) => Axis::share(key),
        _ => Axis::linear(key),
    }
}

/// Held-out responses of the last step that has some.
fn responses(record: &mut Record, run: &RunSummary) -> Result<Vec<Block>, Failure> {
    let steps = record.completion_steps(run.run).map_err(Failure::failed)?;
    let Some(step) = steps.last() else { return Ok(Vec::new()) };
    let all = record.completions(run.run, *step).map_err(Failure::failed)?;
    let many = all.len();
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .take(RESPONSES_MAX)
        .map(|said| vec![said.prompt, said.role.who.to_string(), said.text])
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let summary = format!("The first {} of {many} responses of step {step}", rows.len());
    let columns = ["prompt", "policy", "response"].map(str::to_owned).to_vec();
    let table = Block::Table(Table { columns, rows });
    Ok(vec![Block::Heading("Responses".to_owned()), Block::Folded { summary, blocks: vec![table] }])
}

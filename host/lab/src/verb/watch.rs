//! `slhf-lab watch`: a run that another process computes, in the terminal.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Gauge, Paragraph, Wrap};
use slhf_record::{CurveQuery, OpenMode, Record, RunFilter, RunStatus, RunSummary};
use slhf_report::{Axis, Curves, Scale, Series, Spread};

use super::common::RecordArgument;
use super::curve_points::{READ_MAX, over_seeds, thinned};
use super::curves::{YScale, most_telling};
use super::samples::shown_pairs;
use crate::failure::Failure;
use crate::output::{self, number, visible};
use crate::terminal_chart::Lines;

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Metrics that are listed.
const METRICS_MAX: usize = 12;

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A number, `latest`, experiment/cell/seed, or a unique beginning of it [default: the newest run that is computed,
    /// else the latest]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// The metric that is drawn [default: a distance to a solution or a reward]
    #[arg(long, value_name = "METRIC")]
    key: Option<String>,
    /// Print what there is once, and end; so it is where the output is no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    record: RecordArgument,
}

/// What is shown of a run at one moment.
struct Seen {
    run: RunSummary,
    /// Steps that metrics are known of, beyond what the last checkpoint counts.
    steps_done: i64,
    key: String,
    curves: Curves,
    metrics: Vec<(String, f64)>,
    sample: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut record = arguments.record.open(OpenMode::Read)?;
    let seen = look(&mut record, arguments)?;
    if arguments.once || !std::io::stdout().is_terminal() {
        return output::print_text(&told(&seen));
    }
    let mut terminal = ratatui::init();
    let result = follow(&mut terminal, arguments, seen);
    ratatui::restore();
    result
}

/// Until somebody presses q or Ctrl-C.
fn follow(terminal: &mut ratatui::DefaultTerminal, arguments: &Arguments, mut seen: Seen) -> Result<(), Failure> {
    let started = (Instant::now(), seen.steps_done);
    loop {
        let _ = terminal.draw(|frame| draw(frame, &seen, started)).map_err(Failure::failed)?;
        if event::poll(LOOK_EVERY).map_err(Failure::failed)?
            && let Event::Key(KeyEvent { code, modifiers, .. }) = event::read().map_err(Failure::failed)?
            && (matches!(code, KeyCode::Char('q') | KeyCode::Esc)
                || (code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL)))
        {
            return Ok(());
        }
        // Another process writes: what it wrote is seen by opening anew.
        let mut record = Record::open(&arguments.record.db, OpenMode::Read).map_err(Failure::of_record)?;
        seen = look(&mut record, arguments)?;
    }
}

/// The run that is named, else the newest that is computed, else the latest.
fn watched(record: &mut Record, named: Option<&str>) -> Result<RunSummary, Failure> {
    if let Some(name) = named {
        return record.resolve_run(name).map_err(Failure::of_record);
    }
    let statuses = vec![RunStatus::Running];
    let running = record.runs(&RunFilter { statuses, ..RunFilter::default() }).map_err(Failure::failed)?;
    match running.into_iter().max_by_key(|run| run.run) {
        Some(run) => Ok(run),
        None => record.resolve_run("latest").map_err(Failure::of_record),
    }
}

fn look(record: &mut Record, arguments: &Arguments) -> Result<Seen, Failure> {
    let run = watched(record, arguments.run.as_deref())?;
    let metrics: Vec<(String, i64, f64)> = record
        .latest_metrics(run.run)
        .map_err(Failure::failed)?
        .into_iter()
        .map(|metric| (metric.key, metric.step, metric.value))
        .collect();
    let known: Vec<&str> = metrics.iter().map(|(key, ..)| key.as_str()).collect();
    let key = match &arguments.key {
        Some(key) if known.contains(&key.as_str()) || known.is_empty() => key.clone(),
        Some(key) => {
            let nearest = slhf_words::nearest(key, known.iter().copied());
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(Failure::bad_input(format!("run {} has recorded no metric `{key}`{hint}", run.run)));
        }
        None => most_telling(&known).unwrap_or_default().to_owned(),
    };
    let read = record.curves(&[run.run], &CurveQuery::new(&[key.as_str()], READ_MAX)).map_err(Failure::failed)?;
    let points = over_seeds(read.values());
    let y = match YScale::usual(&key) {
        YScale::Logarithm => Axis { title: key.clone(), scale: Scale::Logarithm },
        YScale::Linear => Axis::linear(&key),
    };
    let series = vec![Series { name: String::new(), points: thinned(points) }];
    let curves = Curves { title: key.clone(), x: Axis::linear("step"), y, level: None, spread: Spread::Band, series };
    let steps_done = metrics.iter().map(|(_, step, _)| *step).max().unwrap_or(0).max(run.steps_done);
    let sample = sample(record, run.run)?;
    let metrics = metrics.into_iter().map(|(key, _, value)| (key, value)).collect();
    Ok(Seen { run, steps_done, key, curves, metrics, sample })
}

/// The first pair of the last step that has some.
fn sample(record: &mut Record, run: i64) -> Result<Vec<String>, Failure> {
    let steps = record.completion_steps(run).map_err(Failure::failed)?;
    let Some(step) = steps.last() else { return Ok(Vec::new()) };
    let pairs = shown_pairs(record, run, *step).map_err(Failure::failed)?;
    let Some(pair) = pairs.first() else { return Ok(Vec::new()) };
    let mut lines = vec![format!("step {step}, prompt: {}", visible(&pair.prompt))];
    lines.extend(pair.sides.iter().map(|side| format!("{} ({}): {}", side.name, side.role, visible(&side.text))));
    lines.push(visible(&pair.verdict));
    Ok(lines)
}

fn heading(seen: &Seen) -> String {
    format!("run {} {}: {}", seen.run.run, visible(&seen.run.name()), seen.run.status)
}

/// Metrics, those that matter first.
fn listed(seen: &Seen) -> Vec<String> {
    let first = |key: &str| key == seen.key || key.contains("tokens_per_second");
    let mut metrics: Vec<&(String, f64)> = seen.metrics.iter().collect();
    metrics.sort_by_key(|(key, _)| !first(key));
    metrics.into_iter().take(METRICS_MAX).map(|(key, value)| format!("{key} {}", number(*value))).collect()
}

/// For a pipe.
fn told(seen: &Seen) -> String {
    let mut lines = vec![heading(seen), format!("step {} of {}", seen.steps_done, seen.run.steps)];
    lines.extend(listed(seen));
    lines.extend(seen.sample.iter().cloned());
    format!("{}\n{}", lines.join("\n"), crate::terminal_chart::drawn(&seen.curves, None))
}

fn draw(frame: &mut Frame<'_>, seen: &Seen, (started, first): (Instant, i64)) {
    let [top, bar, middle, bottom, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(8),
        Constraint::Length(if seen.sample.is_empty() { 0 } else { 7 }),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(seen)), top);
    let share = if seen.run.steps > 0 { seen.steps_done as f64 / seen.run.steps as f64 } else { 0.0 };
    let label = format!("step {} of {}{}", seen.steps_done, seen.run.steps, left(seen, started, first));
    frame.render_widget(Gauge::default().ratio(share.clamp(0.0, 1.0)).label(label), bar);
    let [chart, list] = Layout::horizontal([Constraint::Min(30), Constraint::Length(38)]).areas(middle);
    match Lines::of(&seen.curves) {
        Some(lines) => frame.render_widget(lines.chart().block(Block::bordered().title(visible(&seen.key))), chart),
        None => frame.render_widget(Paragraph::new("no two values yet").block(Block::bordered()), chart),
    }
    let lines: Vec<Line<'_>> = listed(seen).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("latest")), list);
    let sample = Text::from(seen.sample.iter().map(|line| Line::from(line.as_str())).collect::<Vec<_>>());
    let sample = Paragraph::new(sample).wrap(Wrap { trim: false }).block(Block::bordered().title("sample"));
    frame.render_widget(sample, bottom);
    frame.render_widget(Paragraph::new("q ends watching; the run goes on"), help);
}

/// By the steps that were done while somebody watched.
fn left(seen: &Seen, started: Instant, first: i64) -> String {
    let done = seen.steps_done - first;
    if seen.run.status != RunStatus::Running || done < 1 {
        return String::new();
    }
    let seconds = started.elapsed().as_secs_f64() / done as f64 * (seen.run.steps - seen.steps_done).max(0) as f64;
    format!(", about {} left", slhf_words::duration(Duration::from_secs_f64(seconds)))
}

//! `slhf-lab plugin bench`: how fast a plugin answers here.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::Args;
use slhf_judge::{Candidate, Comparison, Host, ItemFailure, JudgeError, NO_METADATA, Response, World, inspect};
use slhf_plan::PluginPlan;
use thiserror::Error;

use super::asked::PluginArguments;
use crate::failure::Failure;
use crate::granted::{JudgeHost, Settings};
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `plugin bench`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    plugin: PluginArguments,
    /// Pairs (for a reward model: responses) in all
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Pairs in a batch
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Bytes of each response
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    response_bytes: u32,
    /// Text that each response begins with: the action's name, for a judge that looks actions up (then with
    /// --response-bytes 0)
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    text: String,
    /// Metadata of each response, a JSON object
    #[arg(long, value_name = "JSON", default_value = NO_METADATA)]
    response_metadata: String,
    /// Threads; figures are per core at 1
    #[arg(long, default_value = "1")]
    threads: NonZeroUsize,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error)]
enum BenchError {
    #[error("'{plugin}' is a control variate: its cost is part of a training run's, see `slhf-lab show RUN`")]
    Baseline { plugin: String },
    #[error("'{plugin}' returned no result for any of {items} items; the first failure: {reason}")]
    NoAnswers { plugin: String, items: usize, reason: String },
    #[error("cannot read {path}")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// What was measured.
struct Figures {
    ready: Duration,
    ready_again: Duration,
    single: Duration,
    batches: Vec<Duration>,
    items: usize,
    failed_items: usize,
    in_plugin: Duration,
}

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut plan = arguments.plugin.plan()?;
    arguments.plugin.models.granted.grants()?.give(&mut [&mut plan]).map_err(Failure::bad_input)?;
    let bytes = slhf_files::read(plan.path.as_ref(), slhf_judge::FILE_BYTES_MAX)
        .map_err(|source| Failure::bad_input(BenchError::Unreadable { path: plan.path.clone(), source }))?;
    let figures = match inspect(&bytes).ok().and_then(|inspection| inspection.world) {
        Some(World::Baseline) => {
            return Err(Failure::bad_input(BenchError::Baseline { plugin: arguments.plugin.plugin.clone() }));
        }
        Some(World::Reward) => {
            let item = arguments.candidate();
            measure(arguments, &plan, Host::reward, &item, |reward, batch| {
                Ok(outcomes(&reward.score(batch)?, || reward.usage("reward", &[])))
            })?
        }
        Some(World::Preference) | None => {
            let item = arguments.comparison();
            measure(arguments, &plan, Host::preference, &item, |judge, batch| {
                Ok(outcomes(&judge.compare(batch)?, || judge.usage("judge", &[])))
            })?
        }
    };
    print(arguments, &figures)
}

/// Of one batch: items that failed, the first one's reason, and the time spent in plugins since they were loaded.
struct Judged {
    failed: usize,
    reason: Option<String>,
    in_plugin: Duration,
}

fn outcomes<T>(outcomes: &[Result<T, ItemFailure>], usage: impl Fn() -> Vec<slhf_plan::PluginUse>) -> Judged {
    let failures = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    Judged {
        failed: failures().count(),
        reason: failures().next().map(|failure| failure.reason.clone()),
        in_plugin: Duration::from_nanos(usage().iter().map(|one| one.wall_ns).sum()),
    }
}

fn measure<P, T: Clone>(
    arguments: &Arguments,
    plan: &PluginPlan,
    load: impl Fn(&Host, &PluginPlan) -> Result<P, JudgeError>,
    item: &T,
    ask: impl Fn(&P, &[T]) -> Result<Judged, JudgeError>,
) -> Result<Figures, Failure> {
    // The first host may compile; the second finds the component in the cache, as every later run does.
    let (_, ready) = load_timed(arguments, plan, &load)?;
    let (plugin, ready_again) = load_timed(arguments, plan, &load)?;
    let timed = |items: &[T]| {
        let start = Instant::now();
        let judged = ask(&plugin, items).map_err(Failure::failed)?;
        Ok::<_, Failure>((start.elapsed(), judged))
    };
    let one = [item.clone()];
    let (_, before) = timed(&one)?;
    if let Some(reason) = before.reason {
        let plugin = arguments.plugin.plugin.clone();
        return Err(Failure::failed(BenchError::NoAnswers { plugin, items: 1, reason: output::visible(&reason) }));
    }
    let mut singles = Vec::with_capacity(SINGLES);
    for _ in 0..SINGLES {
        singles.push(timed(&one)?.0);
    }
    let batch = vec![item.clone(); arguments.batch as usize];
    let in_plugin_before = timed(&batch)?.1.in_plugin;
    let mut figures = Figures {
        ready,
        ready_again,
        single: median(&mut singles),
        batches: Vec::new(),
        items: 0,
        failed_items: 0,
        in_plugin: Duration::ZERO,
    };
    while figures.items < arguments.pairs as usize {
        let (time, judged) = timed(&batch)?;
        figures.batches.push(time);
        figures.items += batch.len();
        figures.failed_items += judged.failed;
        figures.in_plugin = judged.in_plugin.saturating_sub(in_plugin_before);
    }
    Ok(figures)
}

/// Calls of one item, for the cost of a call.
const SINGLES: usize = 101;

fn load_timed<P>(
    arguments: &Arguments,
    plan: &PluginPlan,
    load: impl Fn(&Host, &PluginPlan) -> Result<P, JudgeError>,
) -> Result<(P, Duration), Failure> {
    let start = Instant::now();
    let settings = Settings { place: arguments.plugin.models.place()?, threads: Some(arguments.threads), record: None };
    let host = JudgeHost::granted(settings, &[plan])?;
    let plugin = load(host.host(), plan).map_err(Failure::bad_input)?;
    Ok((plugin, start.elapsed()))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl Arguments {
    /// Text of the asked length, in words, so that a plugin which reads words has some.
    fn response(&self) -> Response {
        const WORDS: &str = "the quick brown fox jumps over the lazy dog ";
        let length = self.text.len().max(self.response_bytes as usize);
        let mut text = self.text.clone();
        text.extend(WORDS.chars().cycle().take(length - self.text.len()));
        let metadata = self.response_metadata.as_str().into();
        Response { metadata, ..Response::from_text(text) }
    }

    fn comparison(&self) -> Comparison {
        let response = self.response();
        Comparison { first: response.clone(), second: response, ..Comparison::from_texts(PROMPT, "", "") }
    }

    fn candidate(&self) -> Candidate {
        Candidate { response: self.response(), ..Candidate::from_text(PROMPT, "") }
    }
}

const PROMPT: &str = "Which animal jumps over the lazy dog?";

fn print(arguments: &Arguments, figures: &Figures) -> Result<(), Failure> {
    let total: Duration = figures.batches.iter().sum();
    let per_item = |time: Duration| time.as_secs_f64() * 1e6 / figures.items as f64;
    let per_second = figures.items as f64 / total.as_secs_f64();
    let rows = [
        ("ready_first_ms", figures.ready.as_secs_f64() * 1e3, "loading; compiles, unless the cache has it"),
        (
            "ready_cached_ms",
            figures.ready_again.as_secs_f64() * 1e3,
            "loading out of the cache, as every later run does",
        ),
        ("call_of_one_us", figures.single.as_secs_f64() * 1e6, "one item: a fresh instance, parameters, one result"),
        ("items_per_second", per_second, "in batches of --batch"),
        ("item_us", per_item(total), "of which:"),
        ("item_in_plugin_us", per_item(figures.in_plugin), "instance, parameters, marshaling, the plugin's own work"),
        (
            "item_outside_us",
            per_item(total.saturating_sub(figures.in_plugin)),
            "the host: threads, checks (at --threads 1)",
        ),
        ("items", figures.items as f64, "asked"),
        ("failed_items", figures.failed_items as f64, "that the plugin said it could not judge"),
    ];
    let mut table = Table::new(vec![Column::text("figure"), Column::number("value"), Column::text("meaning")]);
    for (figure, value, meaning) in rows {
        table.push(vec![Cell::text(figure), Cell::Number(value), Cell::text(meaning)]);
    }
    output::print_table(&table, arguments.format)
}

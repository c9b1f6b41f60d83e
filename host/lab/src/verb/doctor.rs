//! `slhf-lab doctor`.

use clap::Args;
use slhf_record::{OpenMode, Record, RecordError, Sizes};
use slhf_toolchain::{Bf16Products, Bytes, Environment, Finding, Standing, bf16_products, has_nvidia_driver};

use super::common::{FormatArgument, RecordArgument};
use slhf_experiment::shipped_plugins;
use slhf_words::chain;

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Table};
use crate::running::WorkerProgram;

/// The command that builds the lab, its worker and the shipped plugins.
const BUILD: &str = "cargo xtask lab --version";

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    record: RecordArgument,
    #[command(flatten)]
    format: FormatArgument,
}

/// Prints every finding; fails when something that is needed is missing.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut findings = worker_and_device();
    findings.push(bf16(bf16_products()));
    findings.push(plugins());
    findings.push(record(&arguments.record));
    findings.extend(slhf_toolchain::findings(&Environment::of_process()));
    output::print_table(&table(&findings), arguments.format.format)?;
    match findings.iter().filter(|finding| finding.standing == Standing::Missing).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("1 thing that is needed is missing: the table says what mends it")),
        missing => Err(Failure::failed(format!(
            "{missing} things that are needed are missing: the table says what mends them"
        ))),
    }
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(["subject", "state", "found", "mend"].map(Column::text).to_vec());
    for finding in findings {
        let state = match finding.standing {
            Standing::Ready => "ready",
            Standing::NotNeeded => "not needed",
            Standing::Missing => "missing",
        };
        table.push(vec![
            Cell::text(finding.subject),
            Cell::State(state.to_owned()),
            Cell::text(finding.detail.clone()),
            Cell::from(finding.mend.clone()),
        ]);
    }
    table
}

/// Starts the worker as a run would, and lets it say what it runs on.
fn worker_and_device() -> Vec<Finding> {
    let found = WorkerProgram::find().and_then(|program| {
        let environment = program.probe("auto", 1)?;
        Ok((program.path().display().to_string(), environment))
    });
    match found {
        Ok((path, found)) => vec![
            ready("worker", format!("{path} with libtorch {}", found.libtorch_version)),
            ready("device", format!("{}: {}, {}", found.device, found.device_description, found.cpu_capability)),
        ]
        .into_iter()
        .chain(unused_devices(&found.device))
        .collect(),
        Err(error) => vec![missing("worker", chain(&error))],
    }
}

/// What `device.precision = "bf16"` would be on the CPU. f32 stays the default: its numbers do not depend on such instructions.
fn bf16(found: Bf16Products) -> Finding {
    const SUBJECT: &str = "bf16 on the CPU";
    let instructions = match found {
        Bf16Products::Amx => "AMX",
        Bf16Products::Avx512 => "AVX512-BF16",
        Bf16Products::None => {
            return Finding {
                subject: SUBJECT,
                standing: Standing::NotNeeded,
                detail: "neither AMX nor AVX512-BF16: 40 to 200 times slower than f32".to_owned(),
                mend: Some("leave device.precision at \"f32\"".to_owned()),
            };
        }
    };
    ready(
        SUBJECT,
        format!(
            "{instructions}: device.precision = \"bf16\" is possible (measured in docs/benchmarks.md); f32 stays the default"
        ),
    )
}

/// A driver, and a worker that sees no device.
fn unused_devices(device: &str) -> Option<Finding> {
    (device == "cpu" && has_nvidia_driver()).then(|| Finding {
        subject: "CUDA",
        standing: Standing::NotNeeded,
        detail: "NVIDIA's driver is here, but the worker sees no device of it".to_owned(),
        mend: Some("run `cargo xtask setup --cuda` in a clone of the project (docs/cuda.md)".to_owned()),
    })
}

/// The shipped plugins, which an experiment names without a path.
fn plugins() -> Finding {
    const SUBJECT: &str = "plugins";
    let folder = shipped_plugins();
    let shown = folder.display();
    let components = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let count = components.filter(|entry| entry.path().extension().is_some_and(|end| end == "wasm")).count();
    match count {
        0 => missing(SUBJECT, format!("no shipped plugin lies in {shown}")),
        count => ready(SUBJECT, format!("{count} shipped in {shown}")),
    }
}

/// A record that is not there yet is no fault: the first run makes it.
fn record(argument: &RecordArgument) -> Finding {
    const SUBJECT: &str = "record";
    let path = argument.db.display();
    match Record::open(&argument.db, OpenMode::Read) {
        Ok(mut record) => {
            let access = if record.is_writable() { "" } else { ", which can be read but not written to" };
            // What cannot be measured is not worth a finding of its own.
            let sizes = record.sizes().map(|sizes| sized(&sizes)).unwrap_or_default();
            ready(SUBJECT, format!("{path}{access}{sizes}"))
        }
        Err(RecordError::Absent { .. }) => Finding {
            subject: SUBJECT,
            standing: Standing::NotNeeded,
            detail: format!("{path} is not there yet"),
            mend: Some("the first `slhf-lab run` makes it".to_owned()),
        },
        Err(error) => {
            Finding { mend: Some("name another file with --db".to_owned()), ..missing(SUBJECT, chain(&error)) }
        }
    }
}

/// How much room it takes.
fn sized(sizes: &Sizes) -> String {
    let part = |what: &str, bytes: u64| if bytes == 0 { String::new() } else { format!(", {what} {}", Bytes(bytes)) };
    let free = if sizes.free == 0 { String::new() } else { format!(" (free in it: {})", Bytes(sizes.free)) };
    format!(": {}{free}{}{}", Bytes(sizes.record), part("files of runs", sizes.files), part("trash", sizes.trash))
}

fn ready(subject: &'static str, detail: String) -> Finding {
    Finding { subject, standing: Standing::Ready, detail, mend: None }
}

fn missing(subject: &'static str, detail: String) -> Finding {
    Finding {
        subject,
        standing: Standing::Missing,
        detail,
        mend: Some(format!("run `{BUILD}` in a clone of the project")),
    }
}

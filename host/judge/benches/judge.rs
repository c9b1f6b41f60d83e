//! `cargo bench -p slhf-judge --profile dev` after `cargo xtask guests`.
//!
//! | bench | what is measured |
//! | --- | --- |
//! | `reader/…` | pairs of 2 × 1 KB through a Rust plugin that reads both texts once, on one thread |
//! | `overhead/…` | pairs of 2 × 1 KB through a plugin that reads nothing: everything but the guest's own work |
//! | `ready/…` | from a new host to the first verdict, compiled code in the cache folder |
//!
//! Throughput is in pairs.

#![expect(clippy::print_stderr, reason = "whoever runs a bench sees what was left out")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, num::NonZeroUsize, path::PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slhf_judge::{CacheLocation, Comparison, Host, HostSettings, Preference};
use slhf_plan::{Limits, PluginPlan};
use support::Wat;

const TEXT_BYTES: usize = 1024;

fn one_thread(cache: CacheLocation) -> Host {
    let threads = NonZeroUsize::MIN;
    Host::new(HostSettings { cache, threads, ..HostSettings::default() }).expect("a host")
}

fn pairs(count: usize) -> Vec<Comparison> {
    let text = |seed: usize| {
        let letters = (0..TEXT_BYTES).map(|i| char::from(b'a' + ((i * 7 + seed * 13) % 26) as u8));
        letters.collect::<String>()
    };
    (0..count).map(|i| Comparison::from_texts("Which is better?", text(i), text(i + 1))).collect()
}

/// The guest `reader`, built by `cargo xtask guests` into the folder that cargo builds into.
fn reader() -> Option<PluginPlan> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = target.join("test-guests").join("reader.wasm");
    path.is_file().then(|| PluginPlan {
        name: "reader".to_owned(),
        path: path.display().to_string(),
        sha256: String::new(),
        parameters: serde_json::json!({}),
        limits: Limits::default(),
        upstream: None,
        models: std::collections::BTreeMap::new(),
    })
}

fn batches(criterion: &mut Criterion, name: &str, preference: &Preference) {
    let mut group = criterion.benchmark_group(name);
    for count in [64, 256, 1024] {
        let items = pairs(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), &items, |bencher, items| {
            bencher.iter(|| preference.compare(black_box(items)).expect("verdicts"));
        });
    }
    group.finish();
}

fn through_reader(criterion: &mut Criterion) {
    let Some(plan) = reader() else {
        eprintln!("reader: left out, since target/test-guests/reader.wasm is not there: run `cargo xtask guests`");
        return;
    };
    batches(criterion, "reader", &one_thread(CacheLocation::Off).preference(&plan).expect("it loads"));
}

fn overhead(criterion: &mut Criterion) {
    let file = Wat::answering("(f64.const 0.5)").file();
    let plan = PluginPlan { limits: Limits::default(), ..file.plan() };
    batches(criterion, "overhead", &one_thread(CacheLocation::Off).preference(&plan).expect("it loads"));
}

fn ready(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = || CacheLocation::Folder(folder.path().join("compiled-plugins"));
    let file = Wat::preference().file();
    let small = PluginPlan { limits: Limits::default(), ..file.plan() };
    let mut group = criterion.benchmark_group("ready");
    for (name, plan) in [("small", Some(small)), ("reader", reader())] {
        let Some(plan) = plan else { continue };
        let pair = pairs(1);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let preference = one_thread(cache()).preference(&plan).expect("it loads");
                preference.compare(&pair).expect("a verdict")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, through_reader, overhead, ready);
criterion_main!(benches);

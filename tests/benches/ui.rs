//! How fast the pages of `slhf-lab ui` are in Chromium on a large record, beside other servers of the same values.
//!
//! `cargo run --example fill -- big.db 1000 1000 20`, then `cargo xtask bench ui -- big.db [NAME URL SELECTOR]...`: each further server
//! is named with the page that lists its runs and a selector that matches once it does. `tests/bench/ui_peers.py` fills two of them and
//! says what to write here. Medians of several loads by a browser that has nothing cached, and the memory of the server.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::error::Error;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use slhf_tests::{Lab, PageServer, browser_packages, chromium};

const REPEATS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((record, peers)) = arguments.split_first().filter(|(first, _)| *first != "--test") else {
        println!(
            "`cargo xtask bench ui -- RECORD [NAME URL SELECTOR]...`, RECORD being one that the example `fill` made"
        );
        return Ok(());
    };
    let record = std::fs::canonicalize(record)?;
    let lab = Lab::new();
    let server = PageServer::start(&lab, &["--port", "0", "--db", &record.display().to_string()]);
    let mut pages = own_pages(&server.url);
    for peer in peers.chunks_exact(3) {
        pages
            .push(json!({ "name": format!("{}: first paint of its runs", peer[0]), "url": peer[1], "ready": peer[2] }));
    }
    let list = browser_packages().join("speed.json");
    std::fs::write(&list, Value::from(pages).to_string())?;
    let before = memory_mb(server.process(), "VmRSS")?;
    let status = Command::new("node")
        .current_dir(browser_packages())
        .args(["speed.mjs", &chromium(), &REPEATS.to_string()])
        .arg(Path::new(&list))
        .status()?;
    println!(
        "memory of slhf-lab ui: {before:.0} MB at the start, {:.0} MB at most",
        memory_mb(server.process(), "VmHWM")?
    );
    if status.success() { Ok(()) } else { Err("the browser did not get to its end".into()) }
}

fn own_pages(url: &str) -> Vec<Value> {
    let rows = "tbody tr[data-row]";
    let page =
        |name: &str, path: &str, ready: &str| json!({ "name": name, "url": format!("{url}{path}"), "ready": ready });
    let act = |name: &str, path: &str, ready: &str, act: Value| json!({ "name": name, "url": format!("{url}{path}"), "ready": ready, "act": act });
    // The last of fifty cells of twenty seeds: no other label holds its number.
    let twenty = "curves?experiment=filled&key=metric_00&cell=kappa%3D49";
    vec![
        page("a page with nothing on it", "style.css", "body"),
        page("runs: first paint", "runs", rows),
        page("cells: first paint", "cells/filled", rows),
        page("experiment: first paint", "experiment/filled", "main h2"),
        page("curves of 20 runs", twenty, "figure svg"),
        page("curves of 1,000 runs", "curves?experiment=filled&key=metric_00", "figure svg"),
        page("run: first paint", "run/500", "main h2"),
        act(
            "runs: sort by seed",
            "runs",
            rows,
            json!({ "on": "thead th:nth-child(4) a", "selector": "th[aria-sort=ascending]", "text": "seed" }),
        ),
        act(
            "runs: filter by text",
            "runs",
            rows,
            json!({ "on": "#q", "value": "kappa=7", "selector": "tbody tr:first-child td:nth-child(3)", "text": "kappa=7" }),
        ),
        act(
            "cells: sort by a metric",
            "cells/filled",
            rows,
            json!({ "on": "thead th:nth-child(4) a", "selector": "th[aria-sort=ascending]", "text": "metric_01" }),
        ),
        act(
            "curves: another metric",
            twenty,
            "figure svg",
            json!({ "on": "#key", "value": "metric_01", "selector": "figure svg title", "text": "metric_01" }),
        ),
        act(
            "curves: a part of the steps",
            twenty,
            "figure svg",
            json!({ "on": "#from", "value": "5000", "selector": "#from[value='5000']", "text": "" }),
        ),
    ]
}

/// Of a process, as Linux counts it.
fn memory_mb(process: u32, field: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("Linux says no memory")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("Linux says no memory")?.parse()?;
    Ok(kib / 1024.0)
}

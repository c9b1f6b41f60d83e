//! A judge behind a server: how much of the server's own throughput comes through, and what a known reply costs.
//!
//! `cargo xtask bench served`. The server answers every request after a fixed time, on as many connections as there are. Side by side in
//! one run, medians of several: a bare client that keeps 64 requests in flight, and `slhf-lab judge audit llm-judge` at the same
//! concurrency, which checks, counts and durably keeps every reply. Then the same audit again, whose replies are all known. What a
//! command takes to start is measured with a single pair and taken off.

#![expect(clippy::print_stdout, reason = "a benchmark says what it measured")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use slhf_tests::{ChoosingServer, lab_binary, plugins_folder};

const IN_FLIGHT: usize = 64;
const ANSWER_TIME: Duration = Duration::from_millis(50);
/// Two requests a pair: an audit asks in both orders.
const PAIRS: usize = 4096;
const REPEATS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let server = ChoosingServer::start(|_| {
        thread::sleep(ANSWER_TIME);
        Some(0.6)
    });
    let folder = tempfile::tempdir()?;
    let file = |name: &str, pairs: usize| -> Outcome<String> {
        let row = |index: usize| {
            format!(
                "{{\"prompt\": \"Question {index}?\", \"chosen\": \"An answer to {index}.\", \"rejected\": \"Another, {index}.\"}}\n"
            )
        };
        let path = folder.path().join(name);
        std::fs::write(&path, (0..pairs).map(row).collect::<String>())?;
        Ok(path.display().to_string())
    };
    let (whole, single) = (file("whole.jsonl", PAIRS)?, file("single.jsonl", 1)?);
    let (mut bare, mut started, mut asked, mut known) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut calls = Vec::new();
    for repeat in 0..REPEATS {
        let record = folder.path().join(format!("{repeat}.db")).display().to_string();
        bare.push(time(|| bare_client(server.origin(), 2 * PAIRS))?);
        let audit = |pairs: &str| time(|| audit(server.origin(), pairs, &record));
        // Once to compile the plugin and to make the record.
        let _ = audit(&single)?;
        started.push(audit(&single)?);
        let before = server.calls().len();
        asked.push(audit(&whole)?);
        calls.push((server.calls().len() - before) as f64);
        known.push(audit(&whole)?);
    }
    let requests = (2 * PAIRS) as f64;
    let [bare, started, asked, known, calls] = [bare, started, asked, known, calls].map(median);
    let rate = |seconds: f64| requests / seconds;
    println!("{requests} requests of {} ms, {IN_FLIGHT} in flight, medians of {REPEATS}", ANSWER_TIME.as_millis());
    println!("possible                   {:8.0} requests a second", IN_FLIGHT as f64 / ANSWER_TIME.as_secs_f64());
    println!("a bare client              {:8.0}", rate(bare));
    println!(
        "judge audit, the server    {:8.0}  ({:.3} of the bare client)",
        calls / (asked - started),
        calls / (asked - started) / rate(bare)
    );
    println!("requests of one audit      {calls:8.0}");
    println!("a known reply              {:8.1} us", (known - started) / requests * 1e6);
    println!("start of the command       {:8.0} ms", started * 1e3);
    Ok(())
}

fn time(run: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let clock = Instant::now();
    run()?;
    Ok(clock.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn audit(origin: &str, pairs: &str, record: &str) -> Outcome<()> {
    let grant = format!(
        "critic={{\"server\": \"{origin}\", \"model\": \"chooser\", \"concurrency\": {IN_FLIGHT}, \"timeout_s\": 10}}"
    );
    let judge = "llm-judge={\"orders\": \"as_given\"}";
    let output = Command::new(lab_binary())
        .args(["judge", "audit", judge, "--pairs", pairs, "--grant", &grant, "--db", record])
        .args(["--format", "json", "--quiet"])
        .env("SLHF_LAB_PLUGINS", plugins_folder())
        .output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Keeps requests in flight, one a connection, and reads nothing but their ends.
fn bare_client(origin: &str, requests: usize) -> Outcome<()> {
    let address = origin.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let body = "{\"model\": \"chooser\", \"messages\": [{\"role\": \"user\", \"content\": \"Which is better?\"}]}";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..IN_FLIGHT {
            scope.spawn(|| {
                if connection(&address, &request, &next, requests).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    if failed.into_inner() == 0 { Ok(()) } else { Err("a connection of the bare client failed".into()) }
}

fn connection(address: &str, request: &str, next: &AtomicUsize, requests: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut body = Vec::new();
    while next.fetch_add(1, Ordering::Relaxed) < requests {
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    Ok(())
}

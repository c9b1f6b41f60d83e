//! llama.cpp's decoding beside ours: `tests/bench/llama_decoding.py`, with the same file, threads, batches and lengths, and an adapter of
//! the same rank, right after ours.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::decode::{NEW_TOKENS, Rate};
use crate::{Options, script};

pub(crate) fn compare(python: &Path, options: &Options, rates: &[Rate]) -> Result<(), Box<dyn Error>> {
    println!("\nbeside llama.cpp (as many sequences in parallel, tokens drawn by its own sampler)");
    let found = run(python, options, rates)?;
    for rate in rates {
        let batch = &found["decode"][rate.batch.to_string()];
        let number = |name: &str| batch[name].as_f64().ok_or_else(|| format!("the script gave no `{name}`"));
        let theirs = number("tokens_per_second")?;
        println!(
            "  batch {:3}: {:8.1} tokens/s, llama.cpp {theirs:8.1} ({:.1} without drawing), {:.2} x",
            rate.batch,
            rate.tokens_per_second,
            number("without_drawing")?,
            rate.tokens_per_second / theirs,
        );
    }
    println!("  versions: {}", found["versions"]);
    Ok(())
}

fn run(python: &Path, options: &Options, rates: &[Rate]) -> Result<Value, Box<dyn Error>> {
    let mut command = script::command(
        python,
        "llama_decoding.py",
        &options.model,
        &[
            ("--threads", options.threads),
            ("--prompt-tokens", options.prompt_tokens),
            ("--new-tokens", NEW_TOKENS),
            ("--repeats", u32::try_from(options.repeats)?),
        ],
    );
    command.arg("--batches").args(rates.iter().map(|rate| rate.batch.to_string()));
    script::run(command)
}

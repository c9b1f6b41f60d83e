//! The Python reference stack beside ours: `tests/bench/reference_stack.py`, with the same model, threads, batch and
//! lengths, right after ours.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use crate::decode::Rate;
use crate::step::Step;
use crate::{Options, script};

pub(crate) fn compare(python: &Path, options: &Options, steps: &[Step], rates: &[Rate]) -> Result<(), Box<dyn Error>> {
    println!("\nbeside the reference stack (transformers and PEFT; `generate`, two forward and backward passes)");
    for (index, step) in steps.iter().enumerate() {
        // Decoding is measured once.
        let batches: &[Rate] = if index == 0 { rates } else { &[] };
        let found = run(python, options, step.new_tokens, batches)?;
        let seconds = |name: &str| number(&found["step"][name], name);
        let peak_name = if options.device == "cuda" { "peak_bytes_device_step" } else { "peak_bytes_step" };
        println!("  answers of {} tokens", step.new_tokens);
        line("generate", "s", step.generate, seconds("generate_s")?, Better::Lower);
        line("train", "s", step.train, seconds("train_s")?, Better::Lower);
        line("step", "s", step.whole, seconds("step_s")?, Better::Lower);
        let reference_peak = number(&found[peak_name], peak_name)? / 1e6;
        line("peak memory", "MB", step.peak_bytes as f64 / 1e6, reference_peak, Better::Lower);
        for rate in batches {
            let rates = &found["decode_tokens_per_second"][rate.batch.to_string()];
            let name = format!("decode, batch {}", rate.batch);
            line(&name, "tokens/s", rate.tokens_per_second, number(rates, &name)?, Better::Higher);
        }
        if index == 0 {
            println!("    versions: {}", found["versions"]);
        }
    }
    Ok(())
}

enum Better {
    Lower,
    Higher,
}

fn line(what: &str, unit: &str, ours: f64, reference: f64, better: Better) {
    let ratio = match better {
        Better::Lower => reference / ours,
        Better::Higher => ours / reference,
    };
    println!("    {what:18} {ours:10.3} {unit:8} reference {reference:10.3}   {ratio:5.2} x");
}

fn number(value: &Value, name: &str) -> Result<f64, Box<dyn Error>> {
    value.as_f64().ok_or_else(|| format!("the reference script gave no number for `{name}`").into())
}

fn run(python: &Path, options: &Options, new_tokens: u32, batches: &[Rate]) -> Result<Value, Box<dyn Error>> {
    let mut command = script::command(
        python,
        "reference_stack.py",
        &options.model,
        &[
            ("--threads", options.threads),
            ("--batch", options.batch),
            ("--prompt-tokens", options.prompt_tokens),
            ("--new-tokens", new_tokens),
            ("--steps", u32::try_from(options.repeats)?),
        ],
    );
    command.args(["--device", &options.device]);
    if options.device == "cuda" {
        command.args(["--precision", "bfloat16"]);
    }
    command.arg("--decode-batches").args(batches.iter().map(|rate| rate.batch.to_string()));
    script::run(command)
}

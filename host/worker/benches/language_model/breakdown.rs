//! Where the time of a training pass goes: libtorch's operators and ours by name, each without those inside of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use slhf_torch_shim::time_operators;

use crate::step::Bench;
use crate::{Options, median};

/// Names of this many operators; the rest is one line.
const NAMED: usize = 16;

pub(crate) fn measure(bench: &mut Bench, options: &Options, new_tokens: u32) -> Result<(), Box<dyn Error>> {
    let pairs = bench.sampled(options, new_tokens)?;
    bench.train(&pairs)?;
    let (mut wholes, mut by_name) = (Vec::new(), BTreeMap::<String, (u64, Vec<f64>)>::new());
    let mut operations = 0.0;
    for _ in 0..options.repeats {
        let start = Instant::now();
        let (passed, times) = time_operators(|| bench.train(&pairs))?;
        wholes.push(start.elapsed().as_secs_f64());
        operations = passed?.operations;
        for time in times {
            let of = by_name.entry(time.name).or_default();
            of.0 = time.calls;
            of.1.push(time.seconds);
        }
    }
    let whole = median(wholes);
    let mut rows: Vec<(String, u64, f64)> =
        by_name.into_iter().map(|(name, (calls, seconds))| (name, calls, median(seconds))).collect();
    rows.sort_by(|one, other| other.2.total_cmp(&one.2));
    println!(
        "\na training pass of {} pairs with answers of {new_tokens} tokens: {whole:.3} s, {:.1} GFLOP/s",
        options.batch,
        operations / whole / 1e9
    );
    let line = |name: &str, calls: String, seconds: f64| {
        println!("  {name:40} {calls:>6} {seconds:8.3} s {:5.1} %", 100.0 * seconds / whole);
    };
    for (name, calls, seconds) in rows.iter().take(NAMED) {
        line(name, calls.to_string(), *seconds);
    }
    let named: f64 = rows.iter().take(NAMED).map(|row| row.2).sum();
    let rest: f64 = rows.iter().skip(NAMED).map(|row| row.2).sum();
    line("other operators", rows.iter().skip(NAMED).map(|row| row.1).sum::<u64>().to_string(), rest);
    line("outside of operators", String::new(), whole - named - rest);
    Ok(())
}

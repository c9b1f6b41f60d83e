//! Decoding: tokens a second, beside what reading the weights from memory alone would take.

use std::error::Error;
use std::time::Instant;

use slhf_plan::Sampling;
use slhf_policy::{Engine, GenerateRow, Player};
use slhf_random::{Purpose, Row};
use slhf_torch_shim::count_operators;
use tch::{Device, Kind, Tensor, no_grad};

use crate::{Options, median, synchronise};

/// Tokens of a row.
pub(crate) const NEW_TOKENS: u32 = 32;

/// Tokens a second at one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) batch: u32,
    pub(crate) tokens_per_second: f64,
}

pub(crate) fn rows(count: u32, prompt_tokens: u32, purpose: Purpose) -> Vec<GenerateRow> {
    (0..count)
        .map(|prompt| GenerateRow {
            context: (0..prompt_tokens).map(|at| 5 + (prompt * 37 + at * 11) % 5000).collect(),
            row: Row { purpose, prompt, step: 0, stream: slhf_random::Stream::Leader, round: 0, sample: 0 },
        })
        .collect()
}

pub(crate) fn sampling(max_new_tokens: u32) -> Sampling {
    Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens }
}

pub(crate) fn measure(engine: &mut Engine, options: &Options) -> Result<Vec<Rate>, Box<dyn Error>> {
    let bytes = engine.bytes_of_a_step() as f64;
    println!("\ndecoding ({:.0} MB of weights a step)", bytes / 1e6);
    options.decode.iter().map(|&batch| one_batch(engine, options, batch, bytes)).collect()
}

/// Memory's speed is measured around every repetition, not once: on a shared machine it moves.
fn one_batch(engine: &mut Engine, options: &Options, batch: u32, bytes: f64) -> Result<Rate, Box<dyn Error>> {
    let rows = rows(batch, options.prompt_tokens, Purpose::RequestedTokens);
    let other = self::rows(1, options.prompt_tokens + 1, Purpose::RequestedTokens);
    let stream = Stream::new(engine.device())?;
    let (mut prefills, mut steps, mut bandwidths) = (Vec::new(), Vec::new(), Vec::new());
    let mut operators = [0; 2];
    for _ in 0..options.repeats {
        bandwidths.push(stream.bytes_per_second()?);
        let mut seconds = [0.0; 2];
        for (which, new) in [1, 1 + NEW_TOKENS].into_iter().enumerate() {
            // Adapters are merged outside of what is measured; one context of another length leaves nothing to continue.
            engine.generate(Player::Leader, &other, 1, &sampling(1))?;
            let start = Instant::now();
            let (answers, counted) = count_operators(|| engine.generate(Player::Leader, &rows, 1, &sampling(new)))?;
            answers?;
            synchronise(engine.device());
            seconds[which] = start.elapsed().as_secs_f64();
            operators[which] = counted;
        }
        prefills.push(seconds[0]);
        steps.push((seconds[1] - seconds[0]) / f64::from(NEW_TOKENS));
        bandwidths.push(stream.bytes_per_second()?);
    }
    let (prefill, step, bandwidth) = (median(prefills), median(steps), median(bandwidths));
    println!(
        "  batch {batch:3}: {:8.1} tokens/s, {:7.2} ms and {} operators a step; {:.2} x the {:.2} ms of reading the \
         weights at {:.1} GB/s; prefill of {} tokens {:.0} ms",
        f64::from(batch) / step,
        step * 1e3,
        (operators[1] - operators[0]) / u64::from(NEW_TOKENS),
        step / (bytes / bandwidth),
        bytes / bandwidth * 1e3,
        bandwidth / 1e9,
        batch * options.prompt_tokens,
        prefill * 1e3,
    );
    Ok(Rate { batch, tokens_per_second: f64::from(batch) / step })
}

/// A tensor much larger than any cache.
struct Stream(Tensor);

impl Stream {
    const NUMBERS: i64 = 1 << 27;

    fn new(device: Device) -> Result<Self, tch::TchError> {
        Ok(Self(Tensor::f_ones([Self::NUMBERS], (Kind::Float, device))?))
    }

    /// How fast its sum is read, in the best of three.
    fn bytes_per_second(&self) -> Result<f64, tch::TchError> {
        let mut best = 0.0_f64;
        for _ in 0..3 {
            let start = Instant::now();
            let _ = no_grad(|| self.0.f_sum(Kind::Float))?.f_double_value(&[])?;
            best = best.max(Self::NUMBERS as f64 * 4.0 / start.elapsed().as_secs_f64());
        }
        Ok(best)
    }
}

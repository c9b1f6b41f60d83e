//! What a judge asks: two continuations after two contexts that begin alike, each in a pass of its own, and with what they share
//! read once.

use std::error::Error;
use std::time::Instant;

use slhf_policy::{Engine, Player, ReadBlocks};

use crate::{Options, median, synchronise};

/// Tokens that both orders begin with: template, criteria, prompt.
const SHARED_TOKENS: u32 = 256;
/// Tokens of both responses together.
const RESPONSES_TOKENS: u32 = 64;
/// Keys and values of one measurement fit.
const BLOCKS_BYTES_MAX: u64 = 1 << 32;

/// Prints the medians and their ratio.
pub(crate) fn measure(engine: &mut Engine, options: &Options) -> Result<(), Box<dyn Error>> {
    let vocabulary = u32::try_from(engine.config().vocabulary_size)?;
    let text = |from: u32, many: u32| (0..many).map(move |at| (from + at * 7919) % vocabulary);
    let half = RESPONSES_TOKENS / 2;
    let order = |first: u32, second: u32| -> Vec<u32> {
        text(11, SHARED_TOKENS).chain(text(first, half)).chain(text(second, half)).collect()
    };
    let contexts = [order(101, 202), order(202, 101)];
    let continuations: [&[u32]; 2] = [&[5], &[6]];
    let (mut whole, mut shared) = (Vec::new(), Vec::new());
    let mut farthest: f64 = 0.0;
    // The first round of each warms up.
    for round in 0..=options.repeats {
        let started = Instant::now();
        let mut expected = Vec::new();
        for context in &contexts {
            for tokens in continuations {
                expected.extend(engine.log_probabilities(Player::Reference, &[(context, tokens)])?.concat());
            }
        }
        synchronise(options.device());
        let whole_s = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let mut blocks = ReadBlocks::new(BLOCKS_BYTES_MAX);
        let mut found = Vec::new();
        for context in &contexts {
            found.extend(engine.continuations(&mut blocks, context, &continuations)?.0.concat());
        }
        synchronise(options.device());
        let shared_s = started.elapsed().as_secs_f64();
        farthest = expected.iter().zip(&found).map(|(one, other)| (one - other).abs()).fold(farthest, f64::max);
        if round > 0 {
            whole.push(whole_s);
            shared.push(shared_s);
        }
    }
    let (whole, shared) = (median(whole), median(shared));
    println!(
        "choose, 2 continuations x 2 orders, {SHARED_TOKENS} shared tokens and {RESPONSES_TOKENS} of both responses: four passes \
         {whole:.3} s, read in blocks {shared:.3} s: {:.2} x; farthest log-probability {farthest:.1e}",
        whole / shared
    );
    Ok(())
}

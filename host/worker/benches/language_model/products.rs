//! Products and the sampler alone: packed weights beside libtorch's f32 product of the same shape, and what a token's draw takes.

use std::error::Error;
use std::time::Instant;

use slhf_torch_shim::{PackedLinear, PackedMatrix, PackedPart, PackedSource, draw_tokens, packed_linear};
use tch::{Device, Kind, Tensor, no_grad};

use crate::{Options, median};

/// Hidden states by gate and up of SmolLM2-135M.
const SHAPE: [usize; 2] = [3072, 576];
const VOCABULARY: i64 = 49_152;
/// Matrices in turn, so that none stays in a cache that a model's would not stay in.
const MATRICES: usize = 16;

/// Random codes as `Q4_1` has them.
fn packed(seed: usize) -> Result<PackedMatrix, Box<dyn Error>> {
    let [outputs, inputs] = SHAPE;
    let codes: Vec<u8> = (0..outputs * inputs).map(|at| ((at * 7 + seed) % 16) as u8).collect();
    let scales = vec![0.0625; outputs * inputs / 32];
    let minima = vec![-0.5; scales.len()];
    let source = PackedSource::Codes { bits: 4, group: 32, offset: 0, codes: &codes, scales: &scales, minima: &minima };
    Ok(PackedMatrix::pack(source, outputs, inputs)?.ok_or("this processor has no products with packed weights")?)
}

/// Median seconds of one call.
fn timed(repeats: usize, mut call: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    call()?;
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        let start = Instant::now();
        call()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let [outputs, inputs] = SHAPE;
    let matrices = (0..MATRICES).map(packed).collect::<Result<Vec<_>, _>>()?;
    let plain = matrices.iter().map(PackedMatrix::unpacked).collect::<Result<Vec<_>, _>>()?;
    println!(
        "\nproducts {inputs} -> {outputs}, {MATRICES} matrices in turn, and the draw of a token from {VOCABULARY}"
    );
    // Both in turn at every number of rows: a shared machine's speed moves.
    for rows in [1, 8, 32, 64, 128, 512, 1216_i64] {
        let place = (Kind::Float, Device::Cpu);
        let input = Tensor::f_rand([rows, inputs as i64], place)?;
        let ours = timed(options.repeats.max(5), || {
            for weight in &matrices {
                let parts = [PackedPart { weight, raise: None }];
                let _ =
                    packed_linear(&PackedLinear { input: &input, parts: &parts, bias: None, add: None, lower: None })?;
            }
            Ok(())
        })?;
        let theirs = timed(options.repeats.max(5), || {
            for weight in &plain {
                let _ = no_grad(|| input.f_linear::<&Tensor>(weight, None))?;
            }
            Ok(())
        })?;
        let operations = 2.0 * (rows as f64) * (outputs * inputs * MATRICES) as f64;
        let speed = |seconds: f64| operations / seconds / 1e9;
        let logits = Tensor::f_randn([rows.min(128), VOCABULARY], place)?;
        let uniforms: Vec<f64> = (0..logits.size()[0]).map(|row| (row as f64 + 0.5) / 128.0).collect();
        let drawn = timed(options.repeats.max(5), || Ok(draw_tokens(&logits, &uniforms, 1.0).map(|_| ())?))?;
        println!(
            "  {rows:4} rows: packed {:6.1} GFLOP/s, libtorch's f32 {:6.1} GFLOP/s, {:.2} x; drawing {} tokens {:.2} ms",
            speed(ours),
            speed(theirs),
            theirs / ours,
            uniforms.len(),
            drawn * 1e3,
        );
    }
    Ok(())
}

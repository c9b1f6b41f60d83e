//! A whole layer in one call beside the same layer in operators of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use slhf_torch_shim::{
    CachedAttention, DecodeLayer, Lanes, Lower, PackedLinear, PackedMatrices, PackedMatrix, PackedPart, PackedSource,
    Raise, ShimError, attend_one, decode_layer, gate, has_one_token_operators, packed_linear, rms_norm, set_lanes,
};
use tch::{Device, Kind, Tensor};

const HIDDEN: usize = 64;
const HALF: usize = 128;
const HEADS: i64 = 6;
const PAIRS: i64 = 2;
const SIZE: i64 = 16;
const RANK: usize = 4;
const CAPACITY: i64 = 12;
const CURSOR: i64 = 7;

/// Numbers between −1 and 1 that look random.
fn wave(shape: &[i64], seed: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    let numbers: Vec<f32> =
        (0..count).map(|at| ((at as f64 * 0.731 + seed * 17.3).sin() * 43.7).sin() as f32).collect();
    Tensor::from_slice(&numbers).view(shape)
}

/// Codes of 4 bits with scales and minima.
fn matrix(outputs: usize, inputs: usize, seed: usize) -> PackedMatrix {
    let codes: Vec<u8> = (0..outputs * inputs).map(|at| ((at * 7 + at / 13 + seed) % 16) as u8).collect();
    let scales: Vec<f32> = (0..codes.len() / 32).map(|at| 0.03125 * (1 + (at + seed) % 3) as f32).collect();
    let minima = vec![-0.25; scales.len()];
    let source = PackedSource::Codes { bits: 4, group: 32, offset: 0, codes: &codes, scales: &scales, minima: &minima };
    PackedMatrix::pack(source, outputs, inputs).unwrap().expect("a product")
}

/// Matrices side by side with their adapters and their bias.
struct Joined {
    weights: Vec<PackedMatrix>,
    adapter: Option<(Lower, Vec<Raise>)>,
    bias: Option<Tensor>,
}

impl Joined {
    fn new(outputs: &[usize], inputs: usize, what: What) -> Self {
        let weights = outputs.iter().enumerate().map(|(at, &outputs)| matrix(outputs, inputs, at + inputs)).collect();
        let raise = |(at, &outputs): (usize, &usize)| {
            let b = wave(&[outputs as i64, RANK as i64], at as f64) * 0.3;
            Raise::new(&b, (at * RANK) as i64).unwrap()
        };
        let adapter = what.has_adapters.then(|| {
            let a = wave(&[(RANK * outputs.len()) as i64, inputs as i64], 0.4);
            (Lower::new(&a).unwrap().expect("a product"), outputs.iter().enumerate().map(raise).collect())
        });
        let width: usize = outputs.iter().sum();
        Self { weights, adapter, bias: what.has_biases.then(|| wave(&[width as i64], 0.9)) }
    }

    fn parts(&self) -> Vec<PackedPart<'_>> {
        let raise = |at: usize| self.adapter.as_ref().map(|(_, raises)| &raises[at]);
        self.weights.iter().enumerate().map(|(at, weight)| PackedPart { weight, raise: raise(at) }).collect()
    }

    fn matrices<'a>(&'a self, parts: &'a [PackedPart<'a>]) -> PackedMatrices<'a> {
        let lower = self.adapter.as_ref().map(|(lower, _)| lower);
        PackedMatrices { parts, bias: self.bias.as_ref(), lower }
    }

    fn apply(&self, input: &Tensor, add: Option<&Tensor>) -> Tensor {
        let parts = self.parts();
        let PackedMatrices { parts, bias, lower } = self.matrices(&parts);
        packed_linear(&PackedLinear { input, parts, bias, add, lower }).unwrap()
    }
}

/// What a family's layer has.
#[derive(Clone, Copy, Debug)]
struct What {
    has_adapters: bool,
    has_biases: bool,
    has_query_key_norms: bool,
}

/// A layer of random weights, and a cache of its own.
struct Case {
    hidden: Tensor,
    norms: [Tensor; 4],
    turns: [Tensor; 2],
    store: [Tensor; 3],
    joined: [Joined; 4],
    what: What,
}

impl Case {
    fn new(rows: i64, what: What) -> Self {
        let (queries, pairs) = ((HEADS * SIZE) as usize, (PAIRS * SIZE) as usize);
        let cached = [rows + 1, PAIRS, CAPACITY, SIZE];
        let mask = Tensor::zeros([rows + 1, 1, 1, CAPACITY], (Kind::Float, Device::Cpu));
        // The second row sees less.
        let _ = mask.narrow(0, 1, 1).narrow(3, 2, 3).fill_(f64::NEG_INFINITY);
        let weight = |length: usize, seed| wave(&[length as i64], seed) * 0.2 + 1.0;
        let turn = |seed| wave(&[rows, 1, 1, SIZE], seed);
        Self {
            hidden: wave(&[rows, HIDDEN as i64], 0.3),
            norms: [weight(HIDDEN, 0.1), weight(HIDDEN, 0.2), weight(SIZE as usize, 0.5), weight(SIZE as usize, 0.6)],
            turns: [turn(0.7), turn(0.8)],
            store: [wave(&cached, 0.15), wave(&cached, 0.25), mask],
            joined: [
                Joined::new(&[queries, pairs, pairs], HIDDEN, what),
                Joined::new(&[HIDDEN], queries, what),
                Joined::new(&[HALF, HALF], HIDDEN, what),
                Joined::new(&[HIDDEN], HALF, what),
            ],
            what,
        }
    }

    fn attention(&self) -> CachedAttention<'_> {
        let [keys, values, mask] = &self.store;
        let norms = self.what.has_query_key_norms.then_some((&self.norms[2], &self.norms[3]));
        let [cosines, sines] = &self.turns;
        CachedAttention { cosines, sines, norms, norm_epsilon: 1e-5, keys, values, mask, cursor: CURSOR }
    }

    fn whole(&self) -> Result<Tensor, ShimError> {
        let parts = self.joined.each_ref().map(Joined::parts);
        let matrices = |at: usize| self.joined[at].matrices(&parts[at]);
        decode_layer(&DecodeLayer {
            hidden: &self.hidden,
            attention_norm: &self.norms[0],
            query_key_value: matrices(0),
            attention: self.attention(),
            output: matrices(1),
            feed_forward_norm: &self.norms[1],
            gate_up: matrices(2),
            down: matrices(3),
            norm_epsilon: 1e-5,
        })
    }

    fn apart(&self) -> Tensor {
        let [query_key_value, output, gate_up, down] = &self.joined;
        let joined = query_key_value.apply(&rms_norm(&self.hidden, &self.norms[0], 1e-5).unwrap(), None);
        let attended = attend_one(&joined, &self.attention()).unwrap();
        let middle = output.apply(&attended, Some(&self.hidden));
        let gates = gate_up.apply(&rms_norm(&middle, &self.norms[1], 1e-5).unwrap(), None);
        down.apply(&gate(&gates).unwrap(), Some(&middle))
    }
}

#[test]
fn a_whole_layer_is_its_operators_to_the_bit() {
    if !has_one_token_operators() {
        return;
    }
    for lanes in [Lanes::Widest, Lanes::Narrow] {
        set_lanes(lanes);
        // One thread, several that each norm all rows, and several that share them.
        for (threads, rows) in [(1, 2), (2, 1), (2, 2), (2, 4), (2, 5), (2, 33), (3, 70)] {
            tch::set_num_threads(threads);
            for flags in 0..8 {
                let [has_adapters, has_biases, has_query_key_norms] = [1, 2, 4].map(|flag| flags & flag != 0);
                let what = What { has_adapters, has_biases, has_query_key_norms };
                let (whole, apart) = (Case::new(rows, what), Case::new(rows, what));
                let (found, expected) = (whole.whole().unwrap(), apart.apart());
                let said = format!("{rows} rows, {threads} threads, {what:?}");
                assert!(found.isfinite().all().int64_value(&[]) == 1, "{said}");
                assert_eq!(found, expected, "{said}");
                assert_eq!(whole.store, apart.store, "what the cache holds: {said}");
            }
        }
    }
}

#[test]
fn a_layer_whose_parts_do_not_go_together_is_refused() {
    if !has_one_token_operators() {
        return;
    }
    let plain = What { has_adapters: false, has_biases: false, has_query_key_norms: false };
    let check = |change: &dyn Fn(&mut Case), expected: &str| {
        let mut case = Case::new(2, plain);
        change(&mut case);
        let error = case.whole().expect_err("refused").to_string();
        assert!(error.starts_with("cannot decode through a layer: ") && error.contains(expected), "{error}");
    };
    check(&|case| case.joined[1] = Joined::new(&[32], 96, plain), "a layer that gives 32 columns, expected 64");
    check(&|case| case.joined[1] = Joined::new(&[64], 64, plain), "met as rows of 96 columns, expected 64 columns");
    check(&|case| case.joined[2] = Joined::new(&[128, 64], 64, plain), "expected gate and up of equal size");
    check(&|case| case.joined[2] = Joined::new(&[256], 64, plain), "expected gate and up of equal size");
    check(&|case| case.joined[3] = Joined::new(&[64], 64, plain), "met as rows of 128 columns, expected 64 columns");
    check(&|case| case.joined[0] = Joined::new(&[96, 32, 16], 64, plain), "met as rows of 80 columns");
    check(&|case| case.norms[1] = wave(&[32], 0.1), "tensor 2 of the operands is of shape [32], expected shape [64]");
    check(&|case| case.joined[0].bias = Some(wave(&[32], 0.1)), "tensor 3 of the operands is of shape [32]");
    check(
        &|case| case.turns[0] = wave(&[1, 1, 1, SIZE], 0.1),
        "is of shape [1, 1, 1, 16], expected shape [2, 1, 1, 16]",
    );
    check(&|case| case.hidden = wave(&[4, HIDDEN as i64], 0.1), "expected shape [4, 1, 1, 16]");
}

//! Operators in training against libtorch's own, their gradients included.

use std::sync::{Mutex, MutexGuard, PoisonError};

use slhf_torch_shim::{
    CausalAttention, Lanes, Logits, Lower, PackedLinear, PackedMatrix, PackedPart, PackedSource, Raise, SeenKeys,
    SplitHeads, TrainedLinear, TreeAttention, causal_attention, draw_tokens, has_one_token_operators, score_rows,
    set_lanes, split_heads, trained_gate, trained_linear, trained_norm, tree_attention,
};
use tch::{Device, Kind, Tensor};

fn wave(shape: &[i64], step: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * step).sin().to_kind(Kind::Float).view(shape).contiguous()
}

/// A leaf with these values.
fn leaf(values: &Tensor) -> Tensor {
    values.copy().set_requires_grad(true)
}

/// ∂⟨output, slopes⟩/∂leaf of each leaf.
fn gradients(output: &Tensor, leaves: &[&Tensor]) -> Vec<Tensor> {
    (output * wave(&output.size(), 0.31)).sum(Kind::Float).backward();
    leaves.iter().map(|leaf| leaf.grad()).collect()
}

fn assert_alike(what: &str, found: &Tensor, expected: &Tensor) {
    let off = (found - expected).abs().max().double_value(&[]);
    let largest = expected.abs().max().double_value(&[]);
    assert!(off <= (2e-5 * largest).max(1e-6), "{what}: {off} of {largest}");
}

#[test]
fn a_layer_s_linear_parts() {
    if !has_one_token_operators() {
        return;
    }
    let weights = [wave(&[64, 96], 0.7), wave(&[40, 96], 0.9)];
    let pack = |weight: &Tensor| {
        let values = Vec::<f32>::try_from(weight.view(-1)).unwrap();
        PackedMatrix::pack(PackedSource::Floats(&values), weight.size()[0] as usize, 96).unwrap().expect("a product")
    };
    let packed = weights.each_ref().map(pack);
    let joined = Tensor::cat(&weights, 0);
    let bias = wave(&[104], 0.4);
    for rows in [3, 70] {
        // Adapters of other ranks, or on one part alone.
        for ranks in [[8, 4], [8, 0], [0, 0]] {
            let values =
                |index: usize| (wave(&[ranks[index], 96], 0.17), wave(&[weights[index].size()[0], ranks[index]], 0.23));
            let (input, add) = (leaf(&wave(&[rows, 96], 1.1)), leaf(&wave(&[rows, 104], 1.3)));
            let adapters: Vec<Option<(Tensor, Tensor)>> = (0..2)
                .map(|index| (ranks[index] > 0).then(|| (leaf(&values(index).0), leaf(&values(index).1))))
                .collect();
            let pairs: Vec<Option<(&Tensor, &Tensor)>> =
                adapters.iter().map(|one| one.as_ref().map(|(a, b)| (a, b))).collect();
            let a: Vec<Tensor> = pairs.iter().flatten().map(|(a, _)| a.detach()).collect();
            let lower = (!a.is_empty()).then(|| Lower::new(&Tensor::cat(&a, 0)).unwrap().expect("a product"));
            let firsts = [0, ranks[0]];
            let raise =
                |index: usize| pairs[index].map(|(_, b)| Raise::new(&(b.detach() * 0.5), firsts[index]).unwrap());
            let raises = [raise(0), raise(1)];
            let part = |index: usize| PackedPart { weight: &packed[index], raise: raises[index].as_ref() };
            let parts = [part(0), part(1)];
            let product = PackedLinear {
                input: &input,
                parts: &parts,
                bias: Some(&bias),
                add: Some(&add),
                lower: lower.as_ref(),
            };
            let product = TrainedLinear { product, adapters: &pairs, scale: 0.5 };
            let found = trained_linear(&product).unwrap();
            let mut leaves = vec![&input, &add];
            leaves.extend(adapters.iter().flatten().flat_map(|(a, b)| [a, b]));
            let found_gradients = gradients(&found, &leaves);
            let again: Vec<Tensor> = leaves.iter().map(|tensor| leaf(&tensor.detach())).collect();
            let mut rest = again[2..].iter();
            let mut beside = Vec::new();
            for (weight, adapter) in weights.iter().zip(&adapters) {
                beside.push(if adapter.is_none() {
                    Tensor::zeros([rows, weight.size()[0]], (Kind::Float, Device::Cpu))
                } else {
                    let (a, b) = (rest.next().unwrap(), rest.next().unwrap());
                    again[0].matmul(&a.tr()).matmul(&b.tr()) * 0.5
                });
            }
            let expected = again[0].matmul(&joined.tr()) + Tensor::cat(&beside, 1) + &bias + &again[1];
            assert_alike("output", &found, &expected);
            let expected = gradients(&expected, &again.iter().collect::<Vec<_>>());
            for (index, (found, expected)) in found_gradients.iter().zip(&expected).enumerate() {
                assert_alike(&format!("gradient {index} of {rows} rows, ranks {ranks:?}"), found, expected);
            }
        }
    }
}

#[test]
fn heads_gate_and_norm() {
    if !has_one_token_operators() {
        return;
    }
    let (rows, places, heads, pairs, size) = (12, 4, 6, 2, 10);
    let (cosines, sines) = (wave(&[places, size], 0.3), wave(&[places, size], 0.7));
    let joined = leaf(&wave(&[rows, (heads + 2 * pairs) * size], 1.7));
    let split = SplitHeads { joined: &joined, cosines: &cosines, sines: &sines, heads, pairs, size };
    let [queries, keys, values] = split_heads(&split).unwrap();
    let found = Tensor::cat(&[queries, keys, values], 1);
    let again = leaf(&joined.detach());
    let by_head = again.view([rows, heads + 2 * pairs, size]);
    let table = |table: &Tensor| table.repeat([rows / places, 1]).unsqueeze(1);
    let turned = |part: Tensor| &part * table(&cosines) + part.roll([size / 2], [-1]) * table(&sines);
    let expected = Tensor::cat(
        &[
            turned(by_head.narrow(1, 0, heads)),
            turned(by_head.narrow(1, heads, pairs)),
            by_head.narrow(1, heads + pairs, pairs),
        ],
        1,
    );
    assert_alike("heads", &found, &expected);
    assert_alike("gradient of heads", &gradients(&found, &[&joined])[0], &gradients(&expected, &[&again])[0]);

    let (input, again) = (leaf(&(wave(&[9, 74], 1.9) * 4.0)), leaf(&(wave(&[9, 74], 1.9) * 4.0)));
    let gated = trained_gate(&input).unwrap();
    let expected = again.narrow(1, 0, 37).silu() * again.narrow(1, 37, 37);
    assert_alike("gate", &gated, &expected);
    assert_alike("gradient of the gate", &gradients(&gated, &[&input])[0], &gradients(&expected, &[&again])[0]);

    let weight = wave(&[74], 0.2) + 1.5;
    let (input, again) = (leaf(&wave(&[9, 74], 2.3)), leaf(&wave(&[9, 74], 2.3)));
    let normed = trained_norm(&input, &weight, 1e-5).unwrap();
    let expected = again.rms_norm([74], Some(&weight), 1e-5);
    assert_alike("norm", &normed, &expected);
    assert_alike("gradient of the norm", &gradients(&normed, &[&input])[0], &gradients(&expected, &[&again])[0]);
}

/// The definition, in f64: keys repeated, scores masked by whether a token sees another, `[sequences or 1, 1, length, length]`.
fn attention_in_f64([queries, keys, values]: [&Tensor; 3], lengths: &[usize], seen: &Tensor) -> Tensor {
    let length = seen.size()[3];
    let (heads, pairs, size) = (queries.size()[1], keys.size()[1], queries.size()[2]);
    let by_head =
        |tensor: &Tensor, count: i64| tensor.to_kind(Kind::Double).view([-1, length, count, size]).transpose(1, 2);
    let repeated = |tensor: &Tensor| by_head(tensor, pairs).repeat_interleave_self_int(heads / pairs, 1, None);
    let scores = by_head(queries, heads).matmul(&repeated(keys).transpose(2, 3)) / (size as f64).sqrt();
    let shares = scores.masked_fill(&seen.logical_not(), f64::NEG_INFINITY).softmax(-1, Kind::Double);
    let whole = shares.matmul(&repeated(values)).transpose(1, 2).reshape([-1, heads * size]);
    let rows = |tokens: &usize| (0..length).map(|at| f32::from(u8::from(at < *tokens as i64))).collect::<Vec<_>>();
    let counts = lengths.iter().flat_map(rows).collect::<Vec<f32>>();
    whole * Tensor::from_slice(&counts).unsqueeze(1)
}

fn seen_before(length: i64, window: Option<i64>) -> Tensor {
    let ones = Tensor::ones([1, 1, length, length], (Kind::Bool, Device::Cpu));
    ones.tril(0).triu(window.map_or(-length, |window| 1 - window))
}

/// Attention of ours and of f64, their results and gradients, on the same numbers.
fn assert_attention(
    name: &str,
    [tokens, heads, pairs, size]: [i64; 4],
    ours: &dyn Fn([&Tensor; 3]) -> Tensor,
    expected: &dyn Fn([&Tensor; 3]) -> Tensor,
) {
    let of = |count, seed: f64| wave(&[tokens, count, size], seed) * 2.0;
    let given = [of(heads, 0.3), of(pairs, 0.5), of(pairs, 0.7)];
    let [found, expected] = [ours, expected].map(|attend| {
        let leaves = given.each_ref().map(leaf);
        let output = attend(leaves.each_ref());
        let slopes = gradients(&output, &leaves.each_ref());
        (output, slopes)
    });
    assert_alike(name, &found.0, &expected.0.to_kind(Kind::Float));
    for ((found, expected), what) in found.1.iter().zip(&expected.1).zip(["queries", "keys", "values"]) {
        assert_alike(&format!("gradient of {what}: {name}"), found, expected);
    }
}

/// Registers are set for the whole process, and sums depend on their width.
static LANES: Mutex<()> = Mutex::new(());

fn hold_lanes() -> MutexGuard<'static, ()> {
    LANES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lengths, heads of queries and of keys, size, window.
type Shape = (&'static [usize], i64, i64, i64, Option<i64>);

#[test]
fn attention_and_its_gradients_are_those_of_f64() {
    if !has_one_token_operators() {
        return;
    }
    let shapes: [Shape; 7] = [
        (&[1], 1, 1, 8, None),
        (&[7, 3], 6, 2, 8, None),
        (&[53, 49, 1], 3, 3, 64, None),
        (&[130], 9, 3, 64, None),
        (&[150, 149], 4, 1, 80, Some(70)),
        (&[64, 0, 20], 2, 2, 20, Some(1)),
        (&[100], 4, 2, 32, Some(48)),
    ];
    let _held = hold_lanes();
    for lanes in [Lanes::Narrow, Lanes::Widest] {
        set_lanes(lanes);
        for (lengths, heads, pairs, size, window) in shapes {
            let length = lengths.iter().max().copied().unwrap() as i64 + 2;
            let tokens = length * lengths.len() as i64;
            let ours = |[queries, keys, values]: [&Tensor; 3]| {
                causal_attention(&CausalAttention { queries, keys, values, lengths, length, window }).unwrap()
            };
            let expected = |parts: [&Tensor; 3]| attention_in_f64(parts, lengths, &seen_before(length, window));
            let name = format!("{lengths:?}, {heads} on {pairs} of {size}, window {window:?}");
            assert_attention(&name, [tokens, heads, pairs, size], &ours, &expected);
        }
    }
}

/// What each token sees of a tree in which token t follows one before it, drawn by `step`; the last `window` of its path.
fn paths(tokens: usize, step: usize, window: usize) -> Vec<Vec<usize>> {
    let mut paths: Vec<Vec<usize>> = Vec::new();
    for token in 0..tokens {
        // Mostly the token before, so that runs are of different lengths.
        let parent = if token % step == 0 { token * 7 / 11 } else { token.saturating_sub(1) };
        let mut path = if token == 0 { vec![] } else { paths[parent].clone() };
        path.push(token);
        paths.push(path);
    }
    paths.into_iter().map(|path| path[path.len().saturating_sub(window)..].to_vec()).collect()
}

/// Neighbours joined.
fn runs(path: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for &place in path {
        match runs.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

#[test]
fn attention_in_trees_and_its_gradients_are_those_of_f64() {
    if !has_one_token_operators() {
        return;
    }
    let shapes: [(&[usize], i64, i64, i64, usize); 4] = [
        (&[1, 20], 6, 2, 8, usize::MAX),
        (&[130, 97], 9, 3, 64, usize::MAX),
        (&[150, 0, 149], 4, 1, 80, 11),
        (&[100], 2, 2, 20, 1),
    ];
    let _held = hold_lanes();
    for lanes in [Lanes::Narrow, Lanes::Widest] {
        set_lanes(lanes);
        for (lengths, heads, pairs, size, window) in shapes {
            let length = lengths.iter().max().copied().unwrap() + 2;
            let mut seen = SeenKeys::default();
            let mut mask = vec![false; lengths.len() * length * length];
            for (sequence, &tokens) in lengths.iter().enumerate() {
                let mut paths = paths(tokens, 5 + sequence, window);
                paths.resize(length, vec![]);
                for (token, path) in paths.iter().enumerate() {
                    seen.push(&runs(path));
                    let row = (sequence * length + token) * length;
                    // A softmax over nothing is not a number.
                    path.iter().chain([&token]).for_each(|place| mask[row + place] = true);
                }
            }
            let (count, length) = (lengths.len() as i64, length as i64);
            let mask = Tensor::from_slice(&mask).view([count, 1, length, length]);
            let ours = |[queries, keys, values]: [&Tensor; 3]| {
                tree_attention(&TreeAttention { queries, keys, values, lengths, length, seen: &seen }).unwrap()
            };
            let expected = |parts: [&Tensor; 3]| attention_in_f64(parts, lengths, &mask);
            let name = format!("{lengths:?}, {heads} on {pairs} of {size}, window {window}");
            assert_attention(&name, [count * length, heads, pairs, size], &ours, &expected);
        }
    }
}

#[test]
fn a_text_alone_is_a_tree() {
    if !has_one_token_operators() {
        return;
    }
    let _held = hold_lanes();
    let (lengths, length): (&[usize], i64) = (&[61, 40], 61);
    let of = |count, seed: f64| wave(&[2 * length, count, 16], seed);
    let (queries, keys, values) = (&of(4, 0.2), &of(2, 0.4), &of(2, 0.6));
    for window in [None, Some(37)] {
        let mut seen = SeenKeys::default();
        for &tokens in lengths {
            let first = |token: i64| window.map_or(0, |window: i64| (token + 1 - window).max(0)) as usize;
            for token in 0..length {
                let run = first(token)..token as usize + 1;
                seen.push(if token < tokens as i64 { std::slice::from_ref(&run) } else { &[] });
            }
        }
        let tree = TreeAttention { queries, keys, values, lengths, length, seen: &seen };
        let text = CausalAttention { queries, keys, values, lengths, length, window };
        assert_eq!(tree_attention(&tree).unwrap(), causal_attention(&text).unwrap());
    }
}

#[test]
fn trees_that_would_be_read_out_of_bounds_are_refused() {
    if !has_one_token_operators() {
        return;
    }
    let refused = |paths: &[&[std::ops::Range<usize>]]| {
        let part = wave(&[3, 1, 8], 0.1);
        let mut seen = SeenKeys::default();
        for path in paths {
            seen.push(path);
        }
        let (queries, keys, values) = (&part, &part, &part);
        let tree = TreeAttention { queries, keys, values, lengths: &[2], length: 3, seen: &seen };
        tree_attention(&tree).map(|_| ()).map_err(|error| error.to_string())
    };
    let (one, two) = (0..1, 0..2);
    let [one, two] = [&one, &two].map(std::slice::from_ref);
    assert_eq!(refused(&[one, two, &[]]), Ok(()));
    let message = refused(&[one, two]).expect_err("one is missing");
    assert!(message.contains("of 3 tokens, of which 2 are said what they see"), "{message}");
    let (beyond, nothing, back) = (0..3, 1..1, [1..2, 0..1]);
    let [beyond, nothing] = [&beyond, &nothing].map(std::slice::from_ref);
    for wrong in [[one, beyond, &[]], [one, nothing, &[]], [one, &back, &[]], [one, &[], &[]], [one, two, one]] {
        let message = refused(&wrong).expect_err("refused");
        assert!(message.contains("expected ascending runs within its sequence, none for padding"), "{message}");
    }
    let far = 0..usize::MAX;
    assert!(refused(&[one, std::slice::from_ref(&far), &[]]).is_err());
}

#[test]
fn what_is_attended_to_depends_on_nothing_beside_it_or_behind_it() {
    if !has_one_token_operators() {
        return;
    }
    let _held = hold_lanes();
    let (heads, pairs, size, length) = (6, 2, 16, 120_i64);
    let of = |count, seed: f64| wave(&[2 * length, count, size], seed) * 2.0;
    let (queries, keys, values) = (of(heads, 0.2), of(pairs, 0.4), of(pairs, 0.6));
    let attend = |sequences: i64, lengths: &[usize], threads: i32, window: Option<i64>| {
        tch::set_num_threads(threads);
        let part = |tensor: &Tensor| tensor.narrow(0, 0, sequences * length);
        let (queries, keys, values) = (part(&queries), part(&keys), part(&values));
        let attention = CausalAttention { queries: &queries, keys: &keys, values: &values, lengths, length, window };
        causal_attention(&attention).unwrap().narrow(0, 0, 61)
    };
    for window in [None, Some(37)] {
        let whole = attend(2, &[120, 90], 2, window);
        assert_eq!(attend(1, &[61], 1, window), whole);
        assert_eq!(attend(1, &[64], 2, window), whole);
    }
}

#[test]
fn attention_that_would_be_read_out_of_bounds_is_refused() {
    if !has_one_token_operators() {
        return;
    }
    let refused = |heads: i64, pairs: i64, lengths: &[usize], window: Option<i64>| {
        let (queries, keys) = (wave(&[20, heads, 8], 0.1), wave(&[20, pairs, 8], 0.2));
        let attention = CausalAttention { queries: &queries, keys: &keys, values: &keys, lengths, length: 10, window };
        causal_attention(&attention).expect_err("refused").to_string()
    };
    assert!(refused(3, 2, &[10, 10], None).contains("expected whole heads"));
    assert!(refused(2, 2, &[10, 11], None).contains("expected room for 11"));
    assert!(refused(2, 2, &[10], None).contains("is of shape [20, 2, 8], expected shape [10, -1, -1]"));
    assert!(refused(2, 2, &[10, usize::MAX], None).contains("expected room for"));
    assert!(refused(2, 2, &[10, 10], Some(0)).contains("expected a window of 1 or more"));
}

#[test]
fn rows_of_logits_are_scored_as_a_log_softmax_in_f64_scores_them() {
    if !has_one_token_operators() {
        return;
    }
    let _held = hold_lanes();
    for (vocabulary, temperature) in [(11, 1.0), (3000, 0.7), (4099, 1.6)] {
        let logits = wave(&[7, vocabulary], 0.77) * 9.0;
        let targets = (Tensor::arange(7, (Kind::Int64, Device::Cpu)) * 5).remainder(vocabulary);
        let log = (logits.to_kind(Kind::Double) / temperature).log_softmax(-1, None);
        let entropy = -(log.exp() * &log).sum_dim_intlist([-1_i64].as_slice(), false, None);
        let chosen = log.gather(1, &targets.unsqueeze(1), false).view(-1);
        let mut kept = logits.copy();
        let found = score_rows(&mut kept, &targets, temperature, Logits::Stay).unwrap();
        assert!(kept.equal(&logits));
        let mut probabilities = logits.copy();
        let again = score_rows(&mut probabilities, &targets, temperature, Logits::BecomeProbabilities).unwrap();
        assert_eq!(found, again);
        let close =
            |found: &[f64], expected: &Tensor| (Tensor::from_slice(found) - expected).abs().max().double_value(&[]);
        assert!(close(&found.log_probabilities, &chosen) < 3e-6);
        assert!(close(&found.entropies, &entropy) < 3e-6);
        let off = (probabilities.to_kind(Kind::Double) - log.exp()).abs().max().double_value(&[]);
        assert!(off < 3e-7, "off by {off}");
    }
    let mut logits = wave(&[1, 5], 1.0);
    let beyond = score_rows(&mut logits, &Tensor::from_slice(&[5_i64]), 1.0, Logits::Stay).unwrap_err().to_string();
    assert!(beyond.contains("token 5 is not one of 5"), "{beyond}");
}

#[test]
fn a_uniform_number_meets_the_distribution_function_where_f64_says() {
    if !has_one_token_operators() {
        return;
    }
    for (vocabulary, temperature) in [(3, 1.0), (700, 0.8), (5000, 1.3)] {
        let row = wave(&[1, vocabulary], 0.57) * 6.0;
        let values: Vec<f64> = Vec::try_from(row.to_kind(Kind::Double).view(-1)).unwrap();
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = values.iter().map(|value| ((value - largest) / temperature).exp()).collect();
        let total: f64 = shares.iter().sum();
        let uniforms: Vec<f64> = (0..400).map(|at| (f64::from(at) + 0.37) / 400.0).collect();
        let rows = row.repeat([400, 1]);
        let found = draw_tokens(&rows, &uniforms, temperature).unwrap();
        for (uniform, (token, log)) in uniforms.iter().zip(found.tokens.into_iter().zip(found.log_probabilities)) {
            assert!((log - (shares[token as usize] / total).ln()).abs() < 1e-12, "{log} of {token}");
            let mut sum = 0.0;
            let expected = shares.iter().position(|share| {
                sum += share;
                sum > uniform * total
            });
            assert_eq!(Some(token as usize), expected, "{uniform} of {vocabulary}");
        }
    }
    // A token that cannot come never does, at either end.
    let logits = Tensor::from_slice(&[f32::NEG_INFINITY, 0.0, 0.0, f32::NEG_INFINITY]).view([1, 4]).repeat([2, 1]);
    assert_eq!(draw_tokens(&logits, &[0.0, 1.0 - f64::EPSILON / 2.0], 1.0).unwrap().tokens, [1, 2]);
}

//! The fused step against Adam's own recurrences, products of few rows against libtorch's, and the device calls.

use slhf_torch_shim::{
    AdamwLists, AdamwStep, CachedAttention, Float32Matmul, ShimError, attend_one, count_operators, device_memory,
    few_rows_linear, fused_adamw, gate, has_one_token_operators, norms, rms_norm, scale, seed_generator,
    set_float32_matmul, time_operators,
};
use tch::{Device, Kind, Tensor};

/// The CPU, and the first CUDA device where one is there.
fn devices() -> Vec<Device> {
    if tch::Cuda::is_available() { vec![Device::Cpu, Device::Cuda(0)] } else { vec![Device::Cpu] }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.to_kind(Kind::Double).to_device(Device::Cpu).view(-1)).expect("a list of numbers")
}

fn step(step: u64) -> AdamwStep {
    AdamwStep { step, learning_rate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 }
}

/// Adam in f64, one number at a time; `state` is (θ, m, v).
fn scalar_adamw(state: &mut (f64, f64, f64), gradient: f64, step: &AdamwStep) {
    let (theta, mean, square) = state;
    *theta -= step.learning_rate * step.weight_decay * *theta;
    *mean = step.beta1 * *mean + (1.0 - step.beta1) * gradient;
    *square = step.beta2 * *square + (1.0 - step.beta2) * gradient * gradient;
    let t = i32::try_from(step.step).expect("few steps");
    let unbiased_mean = *mean / (1.0 - step.beta1.powi(t));
    let unbiased_square = *square / (1.0 - step.beta2.powi(t));
    *theta -= step.learning_rate * unbiased_mean / (unbiased_square.sqrt() + step.epsilon);
}

#[test]
fn the_fused_step_is_adam_with_decoupled_decay() {
    for device in devices() {
        let shapes: [&[i64]; 3] = [&[3, 5], &[7], &[2, 2, 2]];
        let options = (Kind::Float, device);
        let parameters: Vec<Tensor> = shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| {
                let count: i64 = shape.iter().product();
                (Tensor::arange(count, options) * 0.1 - 0.3 * index as f64).reshape(*shape)
            })
            .collect();
        let means: Vec<Tensor> = parameters.iter().map(Tensor::zeros_like).collect();
        let squares: Vec<Tensor> = parameters.iter().map(Tensor::zeros_like).collect();
        let mut expected: Vec<Vec<(f64, f64, f64)>> =
            parameters.iter().map(|one| values(one).into_iter().map(|theta| (theta, 0.0, 0.0)).collect()).collect();
        for t in 1..=20_u64 {
            let gradients: Vec<Tensor> = parameters.iter().map(|one| (one * 3.0 + t as f64 * 0.37).sin()).collect();
            for (list, gradient) in expected.iter_mut().zip(&gradients) {
                for (state, gradient) in list.iter_mut().zip(values(gradient)) {
                    scalar_adamw(state, gradient, &step(t));
                }
            }
            let (parameters, gradients): (Vec<_>, Vec<_>) = (parameters.iter().collect(), gradients.iter().collect());
            let (means, squares): (Vec<_>, Vec<_>) = (means.iter().collect(), squares.iter().collect());
            let lists =
                AdamwLists { parameters: &parameters, gradients: &gradients, exp_avg: &means, exp_avg_sq: &squares };
            fused_adamw(&lists, &step(t)).expect("a step");
        }
        for (tensor, list) in parameters.iter().zip(&expected) {
            for (found, (expected, ..)) in values(tensor).iter().zip(list) {
                assert!((found - expected).abs() < 1e-6, "{device:?}: {found} instead of {expected}");
            }
        }
    }
}

#[test]
fn weight_decay_is_not_part_of_the_gradient() {
    let parameter = Tensor::from_slice(&[2.0_f32, -4.0]);
    let (gradient, mean, square) = (parameter.zeros_like(), parameter.zeros_like(), parameter.zeros_like());
    let lists =
        AdamwLists { parameters: &[&parameter], gradients: &[&gradient], exp_avg: &[&mean], exp_avg_sq: &[&square] };
    fused_adamw(&lists, &step(1)).expect("a step");
    // 1 − η λ = 0.999 of each, and no moment has heard of it.
    let found = values(&parameter);
    assert!((found[0] - 1.998).abs() < 1e-6 && (found[1] + 3.996).abs() < 1e-6, "{found:?}");
    assert_eq!(values(&mean), [0.0, 0.0]);
    assert_eq!(values(&square), [0.0, 0.0]);
}

#[test]
fn lists_that_do_not_go_together_are_refused_before_the_kernel_reads_them() {
    let (two, three) = (Tensor::from_slice(&[1.0_f32, 2.0]), Tensor::from_slice(&[1.0_f32, 2.0, 3.0]));
    let refused = |parameters: &[&Tensor], gradients: &[&Tensor], means: &[&Tensor]| {
        let lists = AdamwLists { parameters, gradients, exp_avg: means, exp_avg_sq: parameters };
        fused_adamw(&lists, &step(1)).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(&[&three], &[&two], &[&three]),
        "cannot take a step of AdamW: tensor 0 of the gradients is of shape [2] on Cpu, expected shape [3] on Cpu"
    );
    assert_eq!(
        refused(&[&three], &[&three], &[]),
        "cannot take a step of AdamW: there are 0 first moments, expected 1"
    );
    assert_eq!(
        refused(&[&two.to_kind(Kind::Double)], &[&two], &[&two]),
        "cannot take a step of AdamW: tensor 0 of the parameters is of type Double, expected f32"
    );
    assert_eq!(
        refused(&[&two], &[&Tensor::new()], &[&two]),
        "cannot take a step of AdamW: tensor 0 of the gradients is undefined, expected a tensor with values"
    );
    let transposed = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).transpose(0, 1);
    assert!(refused(&[&transposed], &[&transposed], &[&transposed]).contains("not contiguous"));
    assert_eq!(values(&two), [1.0, 2.0], "a refused step changes nothing");
}

#[test]
fn norms_and_scaling_take_a_list_at_once() {
    for device in devices() {
        let first = Tensor::from_slice(&[3.0_f32, 4.0]).to_device(device);
        let second = Tensor::from_slice(&[-2.0_f32]).to_device(device);
        assert_eq!(values(&norms(&[&first, &second]).expect("norms")), [5.0, 2.0]);
        scale(&[&first, &second], 0.5).expect("scaled");
        assert_eq!((values(&first), values(&second)), (vec![1.5, 2.0], vec![-1.0]));
    }
    assert_eq!(norms(&[]).expect("no norms").size(), [0]);
}

#[test]
fn few_rows_multiply_as_libtorch_multiplies_them() {
    if !has_one_token_operators() {
        let one = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
        assert!(few_rows_linear(&one, &one, None).is_err());
        return;
    }
    let place = (Kind::Float, Device::Cpu);
    let check = |rows: i64, inputs: i64, outputs: i64| {
        let number = |count: i64, factor: f64| (Tensor::arange(count, place) * factor).sin();
        let input = number(rows * inputs, 0.7).reshape([rows, inputs]);
        let weight = number(outputs * inputs, 1.3).reshape([outputs, inputs]);
        let found = few_rows_linear(&input, &weight, None).expect("a product");
        let expected = input.to_kind(Kind::Double).matmul(&weight.to_kind(Kind::Double).tr());
        let worst = (found.to_kind(Kind::Double) - &expected).abs().max().double_value(&[]);
        assert!(worst < 1e-6 * inputs as f64, "{rows} × {inputs} → {outputs}: off by {worst}");
        let more = few_rows_linear(&input, &weight, Some(&found)).expect("a product and a sum");
        let worst = (more.to_kind(Kind::Double) - expected * 2.0).abs().max().double_value(&[]);
        assert!(worst < 2e-6 * inputs as f64, "{rows} × {inputs} → {outputs}, added: off by {worst}");
    };
    // Every remainder of every loop: lanes of 8 and 16, tiles of 3, 4 and 6, streams of 1, 2 and 3 rows.
    for rows in [1, 2, 3, 4, 5, 6, 7, 8, 11] {
        for inputs in [1, 7, 16, 31, 64, 67, 130] {
            for outputs in [1, 2, 5, 6, 7, 13] {
                check(rows, inputs, outputs);
            }
        }
    }
    // Large enough for a team of threads, and not a multiple of it.
    for rows in [1, 2, 5, 32] {
        check(rows, 576, 1001);
    }
}

fn wave(shape: &[i64], factor: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * factor).sin().reshape(shape)
}

fn off_by(found: &Tensor, expected: &Tensor) -> f64 {
    (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[])
}

#[test]
fn rows_are_normed_and_gated_as_libtorch_does_it() {
    if !has_one_token_operators() {
        return;
    }
    for (rows, width) in [(1, 1), (2, 6), (3, 16), (1, 34), (5, 576), (40, 1536)] {
        let (input, weight) = (wave(&[rows, width], 0.9) * 3.0, wave(&[width], 0.4));
        let double = input.to_kind(Kind::Double);
        let mean = double.square().mean_dim([-1_i64].as_slice(), true, Kind::Double);
        let expected = &double * (mean + 1e-5).rsqrt() * weight.to_kind(Kind::Double);
        assert!(off_by(&rms_norm(&input, &weight, 1e-5).expect("a norm"), &expected) < 2e-6, "{rows} × {width}");

        // From where eˣ is nothing to where it is everything.
        let joined = Tensor::cat(&[input * 40.0, wave(&[rows, width], 0.3)], 1);
        let (first, second) = (joined.narrow(1, 0, width), joined.narrow(1, width, width));
        let expected = first.to_kind(Kind::Double).silu() * second.to_kind(Kind::Double);
        let found = gate(&joined).expect("a gate");
        let allowed = 1e-6 * expected.abs().max().double_value(&[]).max(1.0);
        assert!(off_by(&found, &expected) < allowed, "{rows} × {width}");
    }
    assert!(gate(&wave(&[2, 3], 1.0)).is_err_and(|error| error.to_string().contains("an even number of columns")));
}

/// Keys, values and mask of three cached rows with room for 40 slots; the second row has holes.
fn cache(pairs: i64, size: i64, cursor: i64) -> (Tensor, Tensor, Tensor) {
    let shape = [3, pairs, 40, size];
    let mask = Tensor::full([3, 1, 1, 40], f64::NEG_INFINITY, (Kind::Float, Device::Cpu));
    let _ = mask.narrow(3, 0, cursor + 1).zero_();
    let _ = mask.narrow(0, 1, 1).narrow(3, 0, cursor / 2).fill_(f64::NEG_INFINITY);
    (wave(&shape, 0.37), wave(&shape, 0.53), mask)
}

#[test]
fn one_token_attends_as_libtorch_attends() {
    if !has_one_token_operators() {
        return;
    }
    // (rows, heads, pairs, size, cursor, norms)
    for (rows, heads, pairs, size, cursor, normed) in
        [(1, 1, 1, 2, 0, false), (2, 4, 2, 8, 5, true), (3, 9, 3, 64, 39, false), (2, 2, 2, 34, 17, true)]
    {
        let (keys, values, mask) = cache(pairs, size, cursor);
        let (old_keys, old_values) = (keys.copy(), values.copy());
        let joined = wave(&[rows, (heads + 2 * pairs) * size], 0.71) * 2.0;
        let (cosines, sines) = (wave(&[rows, 1, 1, size], 0.2), wave(&[rows, 1, 1, size], 0.6));
        let (query_norm, key_norm) = (wave(&[size], 0.8) + 1.5, wave(&[size], 0.5) + 1.5);
        let norms = normed.then_some((&query_norm, &key_norm));
        let asked = CachedAttention {
            cosines: &cosines,
            sines: &sines,
            norms,
            norm_epsilon: 1e-6,
            keys: &keys,
            values: &values,
            mask: &mask,
            cursor,
        };
        let found = attend_one(&joined, &asked).expect("attention");

        let headed = joined.view([rows, 1, heads + 2 * pairs, size]);
        let turned = |from: i64, count: i64, weight: &Tensor| {
            let mut part = headed.narrow(2, from, count);
            if normed {
                part = part.rms_norm([size], Some(weight), 1e-6);
            }
            (&part * &cosines + part.roll([size / 2], [-1]) * &sines).transpose(1, 2)
        };
        let queries = turned(0, heads, &query_norm);
        let new_keys = turned(heads, pairs, &key_norm);
        old_keys.narrow(0, 0, rows).narrow(2, cursor, 1).copy_(&new_keys);
        let new_values = headed.narrow(2, heads + pairs, pairs).transpose(1, 2);
        old_values.narrow(0, 0, rows).narrow(2, cursor, 1).copy_(&new_values);
        let seen = |cached: &Tensor| {
            let seen = cached.narrow(0, 0, rows).narrow(2, 0, cursor + 1);
            seen.repeat_interleave_self_int(heads / pairs, 1, None::<i64>)
        };
        let scores = queries.matmul(&seen(&old_keys).transpose(2, 3)) / (size as f64).sqrt();
        let shares = (scores + mask.narrow(0, 0, rows).narrow(3, 0, cursor + 1)).softmax(-1, Kind::Float);
        let expected = shares.matmul(&seen(&old_values)).transpose(1, 2).reshape([rows, heads * size]);
        assert!(off_by(&found, &expected) < 5e-6, "{heads} heads of {size}: off by {}", off_by(&found, &expected));
        assert!(off_by(&keys, &old_keys) < 1e-6 && off_by(&values, &old_values) < 1e-6, "what the cache holds");
    }
}

#[test]
fn attention_that_would_write_out_of_bounds_is_refused() {
    if !has_one_token_operators() {
        return;
    }
    let refused = |joined: &Tensor, cursor: i64| {
        let (keys, values, mask) = cache(2, 8, 3);
        let rows = joined.size()[0];
        let turn = wave(&[rows, 1, 1, 8], 0.2);
        let asked = CachedAttention {
            cosines: &turn,
            sines: &turn,
            norms: None,
            norm_epsilon: 1e-6,
            keys: &keys,
            values: &values,
            mask: &mask,
            cursor,
        };
        attend_one(joined, &asked).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(refused(&wave(&[2, 64], 0.1), 3), Ok(()));
    let room = "tensor 0 of the operands is of shape [3, 2, 40, 8], expected room for";
    assert!(refused(&wave(&[2, 64], 0.1), 40).is_err_and(|error| error.contains(room)));
    assert!(refused(&wave(&[4, 64], 0.1), 3).is_err_and(|error| error.contains(room)));
    for columns in [32, 60, 56] {
        let error = refused(&wave(&[2, columns], 0.1), 3).expect_err("not whole heads");
        assert!(error.contains("expected whole heads"), "{error}");
    }
}

#[test]
fn products_that_would_be_read_out_of_bounds_are_refused() {
    let matrix = |rows, columns| Tensor::ones([rows, columns], (Kind::Float, Device::Cpu));
    let refused =
        |input: &Tensor, weight: &Tensor| few_rows_linear(input, weight, None).expect_err("refused").to_string();
    assert_eq!(
        refused(&matrix(2, 3), &matrix(4, 2)),
        "cannot multiply few rows: tensor 1 of the operands is of shape [4, 2], expected shape [-1, 3] (-1: any)"
    );
    assert_eq!(
        refused(&matrix(2, 3).view(-1), &matrix(4, 3)),
        "cannot multiply few rows: tensor 0 of the operands is of shape [6], expected shape [-1, -1] (-1: any)"
    );
    assert!(refused(&matrix(2, 3).tr(), &matrix(4, 2)).contains("not contiguous"));
    assert!(refused(&matrix(2, 3).to_kind(Kind::Double), &matrix(4, 3)).contains("expected f32"));
}

#[test]
fn operators_are_timed_by_name_and_without_those_inside() {
    let one = Tensor::ones([64, 64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let ((), times) = time_operators(|| {
        let product = one.matmul(&one);
        product.sum(Kind::Float).backward();
    })
    .expect("times");
    let calls = |name: &str| times.iter().find(|time| time.name == name).map_or(0, |time| time.calls);
    assert_eq!(calls("aten::matmul"), 1, "{times:?}");
    // Forth, and for each side of the product back.
    assert_eq!(calls("aten::mm"), 3, "{times:?}");
    assert_eq!(calls("MmBackward0"), 1, "{times:?}");
    assert!(times.iter().all(|time| time.seconds >= 0.0), "{times:?}");
    assert!(times.is_sorted_by(|one, other| one.seconds >= other.seconds), "{times:?}");
    let ((), none) = time_operators(|| ()).expect("times");
    assert_eq!(none, []);
}

#[test]
fn operators_are_counted_while_they_are_asked_to_be() {
    let one = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    let (sum, counted) = count_operators(|| one.shallow_clone().f_add(&one).expect("a sum")).expect("a count");
    assert_eq!((values(&sum)[0], counted), (2.0, 1));
    let (_, counted) = count_operators(|| few_rows_linear(&one, &one, None).is_ok()).expect("a count");
    assert_eq!(counted, if has_one_token_operators() { 2 } else { 0 }, "the product and the memory for its result");
    let ((), counted) = count_operators(|| ()).expect("a count");
    assert_eq!(counted, 0);
}

#[test]
fn a_seeded_generator_repeats_itself() {
    for device in devices() {
        let draw = || values(&Tensor::rand([8], (Kind::Float, device)));
        seed_generator(device, 7).expect("seeded");
        let first = draw();
        seed_generator(device, 8).expect("seeded");
        let other = draw();
        seed_generator(device, 7).expect("seeded");
        assert_eq!(draw(), first);
        assert_ne!(other, first);
    }
}

#[test]
fn memory_is_counted_where_libtorch_counts_it() {
    assert_eq!(device_memory(Device::Cpu), Ok(None));
    if tch::Cuda::is_available() {
        let held = Tensor::zeros([1 << 20], (Kind::Float, Device::Cuda(0)));
        let memory = device_memory(Device::Cuda(0)).expect("memory").expect("a CUDA device");
        assert!(memory.allocated_bytes >= 4 << 20 && memory.peak_allocated_bytes >= memory.allocated_bytes);
        assert_eq!(held.size(), [1 << 20]);
    } else {
        let error = device_memory(Device::Cuda(0)).expect_err("no CUDA here");
        assert!(matches!(error, ShimError::Torch { .. }), "a C++ exception is an error, not an abort: {error}");
        assert!(seed_generator(Device::Cuda(0), 1).is_err());
    }
    assert!(matches!(device_memory(Device::Mps), Err(ShimError::Device { .. })));
    assert!(matches!(seed_generator(Device::Cuda(256), 1), Err(ShimError::Device { .. })));
}

#[test]
fn every_precision_of_matrices_is_known_to_libtorch() {
    for precision in [Float32Matmul::Medium, Float32Matmul::High, Float32Matmul::Highest] {
        set_float32_matmul(precision).expect("a known precision");
    }
}

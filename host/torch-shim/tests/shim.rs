//! The fused step against Adam's own recurrences, products of few rows against libtorch's, and the device calls.

use slhf_torch_shim::{
    AdamwLists, AdamwStep, Float32Matmul, ShimError, count_operators, device_memory, few_rows_linear, fused_adamw,
    has_few_rows_linear, norms, scale, seed_generator, set_float32_matmul,
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
    if !has_few_rows_linear() {
        let one = Tensor::ones([1, 1], (Kind::Float, Device::Cpu));
        assert!(few_rows_linear(&one, &one).is_err());
        return;
    }
    let place = (Kind::Float, Device::Cpu);
    let check = |rows: i64, inputs: i64, outputs: i64| {
        let number = |count: i64, factor: f64| (Tensor::arange(count, place) * factor).sin();
        let input = number(rows * inputs, 0.7).reshape([rows, inputs]);
        let weight = number(outputs * inputs, 1.3).reshape([outputs, inputs]);
        let found = few_rows_linear(&input, &weight).expect("a product");
        let expected = input.to_kind(Kind::Double).matmul(&weight.to_kind(Kind::Double).tr());
        let worst = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
        assert!(worst < 1e-6 * inputs as f64, "{rows} × {inputs} → {outputs}: off by {worst}");
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

#[test]
fn products_that_would_be_read_out_of_bounds_are_refused() {
    let matrix = |rows, columns| Tensor::ones([rows, columns], (Kind::Float, Device::Cpu));
    let refused = |input: &Tensor, weight: &Tensor| few_rows_linear(input, weight).expect_err("refused").to_string();
    assert_eq!(
        refused(&matrix(2, 3), &matrix(4, 2)),
        "cannot multiply few rows: tensor 1 of the operands is of shape [4, 2], expected one of 3 columns"
    );
    assert_eq!(
        refused(&matrix(2, 3).view(-1), &matrix(4, 3)),
        "cannot multiply few rows: tensor 0 of the operands is of shape [6], expected a matrix"
    );
    assert!(refused(&matrix(2, 3).tr(), &matrix(4, 2)).contains("not contiguous"));
    assert!(refused(&matrix(2, 3).to_kind(Kind::Double), &matrix(4, 3)).contains("expected f32"));
}

#[test]
fn operators_are_counted_while_they_are_asked_to_be() {
    let one = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    let (sum, counted) = count_operators(|| one.shallow_clone().f_add(&one).expect("a sum")).expect("a count");
    assert_eq!((values(&sum)[0], counted), (2.0, 1));
    let (_, counted) = count_operators(|| few_rows_linear(&one, &one).is_ok()).expect("a count");
    assert_eq!(counted, if has_few_rows_linear() { 2 } else { 0 }, "the product and the memory for its result");
    let (_, counted) = count_operators(|| ()).expect("a count");
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

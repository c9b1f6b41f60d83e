//! Products with packed weights beside the same products in f64 over what the codes mean.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use half::{bf16, f16};
use slhf_torch_shim::{
    Lanes, Lower, PackedLinear, PackedMatrix, PackedPart, PackedSource, Raise, has_one_token_operators, packed_linear,
    set_lanes, transposed_linear,
};
use tch::{Device, Kind, Tensor};

/// Numbers that look random, in [−1, 1).
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / ((1_u64 << 23) as f32) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn matrix(values: &[f32], rows: usize) -> Tensor {
    Tensor::from_slice(values).view([rows as i64, -1])
}

/// A packed matrix and what it means.
struct Case {
    name: &'static str,
    packed: PackedMatrix,
    values: Vec<f32>,
}

/// Codes of a format, scales that are halves or not.
fn coded(
    name: &'static str,
    (bits, group, offset): (u32, usize, i32),
    minima: bool,
    halves: bool,
    shape: [usize; 2],
) -> Case {
    let [outputs, inputs] = shape;
    let count = outputs * inputs;
    let codes: Vec<u8> = numbers(count, 7).iter().map(|x| (((x + 1.0) * 128.0) as u8) >> (8 - bits)).collect();
    let rounded = |values: Vec<f32>| -> Vec<f32> {
        values.into_iter().map(|x| if halves { f16::from_f32(x * 0.1).to_f32() } else { x * 0.1 }).collect()
    };
    let scales = rounded(numbers(count / group, 11));
    let minima = if minima { rounded(numbers(count / group, 13)) } else { vec![] };
    let mean = |(at, &code): (usize, &u8)| {
        let number = if bits == 8 { f32::from(code.cast_signed()) } else { (i32::from(code) - offset) as f32 };
        let product = scales[at / group] * number;
        minima.get(at / group).map_or(product, |minimum| product + minimum)
    };
    let values = codes.iter().enumerate().map(mean).collect();
    let source = PackedSource::Codes { bits, group, offset, codes: &codes, scales: &scales, minima: &minima };
    Case { name, packed: PackedMatrix::pack(source, outputs, inputs).unwrap().expect("a product"), values }
}

fn cases(shape: [usize; 2]) -> Vec<Case> {
    let [outputs, inputs] = shape;
    let plain = numbers(outputs * inputs, 3);
    let halves: Vec<u16> = plain.iter().map(|x| f16::from_f32(*x).to_bits()).collect();
    let bfloats: Vec<u16> = plain.iter().map(|x| bf16::from_f32(*x).to_bits()).collect();
    let pack = |source| PackedMatrix::pack(source, outputs, inputs).unwrap().expect("a product");
    vec![
        coded("Q4_0", (4, 32, 8), false, true, shape),
        coded("Q4_0 with f32 scales", (4, 32, 8), false, false, shape),
        coded("Q4_1", (4, 32, 0), true, true, shape),
        coded("Q4_K", (4, 32, 0), true, false, shape),
        coded("Q5_0", (5, 32, 16), false, true, shape),
        coded("Q5_0 with f32 scales", (5, 32, 16), false, false, shape),
        coded("Q5_1", (5, 32, 0), true, true, shape),
        coded("Q5_K", (5, 32, 0), true, false, shape),
        coded("Q6_K", (6, 16, 32), false, false, shape),
        coded("Q8_0", (8, 32, 0), false, true, shape),
        coded("Q8_0 with f32 scales", (8, 32, 0), false, false, shape),
        Case {
            name: "F16",
            packed: pack(PackedSource::Halves(&halves)),
            values: halves.iter().map(|bits| f16::from_bits(*bits).to_f32()).collect(),
        },
        Case {
            name: "BF16",
            packed: pack(PackedSource::Bfloats(&bfloats)),
            values: bfloats.iter().map(|bits| bf16::from_bits(*bits).to_f32()).collect(),
        },
        Case { name: "F32", packed: pack(PackedSource::Floats(&plain)), values: plain },
    ]
}

fn alone(input: &Tensor, weight: &PackedMatrix) -> Tensor {
    let parts = [PackedPart { weight, raise: None }];
    packed_linear(&PackedLinear { input, parts: &parts, bias: None, add: None, lower: None }).unwrap()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    Vec::<f32>::try_from(tensor.contiguous().view([-1])).unwrap().into_iter().map(f32::to_bits).collect()
}

/// Relative to the largest value.
fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    let off = (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
    off / expected.abs().max().double_value(&[])
}

#[test]
fn a_packed_weight_is_what_its_codes_mean_to_the_bit() {
    if !has_one_token_operators() {
        return;
    }
    // 70 outputs: the last panel is not whole.
    for lanes in [Lanes::Widest, Lanes::Narrow] {
        set_lanes(lanes);
        for case in cases([70, 96]) {
            let expected: Vec<u32> = case.values.iter().map(|value| value.to_bits()).collect();
            assert_eq!(bits(&case.packed.unpacked().unwrap()), expected, "{} with {lanes:?}", case.name);
        }
    }
}

#[test]
fn a_product_is_that_of_the_numbers_and_a_row_of_it_depends_on_that_row_alone() {
    if !has_one_token_operators() {
        return;
    }
    for case in cases([70, 416]) {
        let input = matrix(&numbers(416 * 430, 5), 430);
        let expected = input.to_kind(Kind::Double).matmul(&matrix(&case.values, 70).to_kind(Kind::Double).tr());
        set_lanes(Lanes::Widest);
        let all = alone(&input, &case.packed);
        let off = distance(&all, &expected);
        assert!(off < 3e-6, "{}: off by {off}", case.name);
        for rows in [1, 2, 3, 5, 8, 12, 13, 24, 25, 31, 193] {
            for lanes in [Lanes::Widest, Lanes::Narrow] {
                set_lanes(lanes);
                let few = alone(&input.narrow(0, 7, rows), &case.packed);
                assert_eq!(bits(&few), bits(&all.narrow(0, 7, rows)), "{}: {rows} rows with {lanes:?}", case.name);
            }
        }
    }
}

#[test]
fn matrices_side_by_side_with_adapters_and_sums() {
    if !has_one_token_operators() {
        return;
    }
    // The second part begins in the middle of what would be a panel.
    let (first, second) = (&cases([70, 64])[2], &cases([40, 64])[9]);
    let a = matrix(&numbers(24 * 64, 17), 24);
    let b = matrix(&numbers(40 * 8, 19), 40);
    let lower = Lower::new(&a).unwrap().expect("a product");
    let raise = Raise::new(&b, 16).unwrap();
    let parts =
        [PackedPart { weight: &first.packed, raise: None }, PackedPart { weight: &second.packed, raise: Some(&raise) }];
    for rows in [1, 4, 5, 60] {
        let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
        let input = matrix(&numbers(64 * rows, 23), rows);
        let (bias, add) = (Tensor::from_slice(&numbers(110, 29)), matrix(&numbers(110 * rows, 31), rows));
        let product =
            PackedLinear { input: &input, parts: &parts, bias: Some(&bias), add: Some(&add), lower: Some(&lower) };
        let found = packed_linear(&product).unwrap();
        let weight = Tensor::cat(&[matrix(&first.values, 70), matrix(&second.values, 40)], 0);
        let low = double(&input).matmul(&double(&a.narrow(0, 16, 8)).tr()).matmul(&double(&b).tr());
        let beside = Tensor::cat(&[Tensor::zeros([rows as i64, 70], (Kind::Double, Device::Cpu)), low], 1);
        let expected = double(&input).matmul(&double(&weight).tr()) + beside + double(&bias) + double(&add);
        let off = distance(&found, &expected);
        assert!(off < 3e-6, "{rows} rows: off by {off}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    if !has_one_token_operators() {
        return;
    }
    let pack = |inputs| PackedMatrix::pack(PackedSource::Floats(&vec![0.0; 4 * inputs]), 4, inputs);
    let codes = PackedSource::Codes { bits: 4, group: 32, offset: 8, codes: &[0; 160], scales: &[0.0; 5], minima: &[] };
    assert!(
        PackedMatrix::pack(codes, 4, 40).unwrap().is_none(),
        "codes in rows that are no whole blocks have no product"
    );
    let short = PackedMatrix::pack(PackedSource::Floats(&[0.0; 100]), 4, 32).unwrap_err().to_string();
    assert_eq!(short, "cannot pack a weight: there are 100 numbers, expected 128");
    let packed = pack(32).unwrap().expect("a product");
    let parts = [PackedPart { weight: &packed, raise: None }];
    let input = Tensor::zeros([2, 64], (Kind::Float, Device::Cpu));
    let refused = packed_linear(&PackedLinear { input: &input, parts: &parts, bias: None, add: None, lower: None });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("rows of 64 columns") && refused.contains("expected 32 columns"), "{refused}");
}

/// Rows that are no whole blocks, both ways.
#[test]
fn numbers_in_rows_of_any_length() {
    if !has_one_token_operators() {
        return;
    }
    for (outputs, inputs) in [(48, 16), (33, 48), (7, 45)] {
        let values = numbers(outputs * inputs, 3);
        let packed = PackedMatrix::pack(PackedSource::Floats(&values), outputs, inputs).unwrap().expect("a product");
        let weight = matrix(&values, outputs).to_kind(Kind::Double);
        assert_eq!(bits(&packed.unpacked().unwrap()), bits(&matrix(&values, outputs)));
        for rows in [1, 30] {
            let input = matrix(&numbers(rows * inputs, 5), rows);
            let off = distance(&alone(&input, &packed), &input.to_kind(Kind::Double).matmul(&weight.tr()));
            assert!(off < 3e-6, "{outputs} x {inputs}, {rows} rows: off by {off}");
            let slopes = matrix(&numbers(rows * outputs, 7), rows);
            let back = transposed_linear(&slopes, &packed).unwrap();
            let off = distance(&back, &slopes.to_kind(Kind::Double).matmul(&weight));
            assert!(off < 3e-6, "back through {outputs} x {inputs}, {rows} rows: off by {off}");
        }
    }
}

#[test]
fn the_way_back_is_the_same_with_any_registers_and_any_number_of_rows() {
    if !has_one_token_operators() {
        return;
    }
    for case in cases([70, 96]) {
        let slopes = matrix(&numbers(70 * 210, 41), 210);
        let weight = matrix(&case.values, 70).to_kind(Kind::Double);
        set_lanes(Lanes::Widest);
        let all = transposed_linear(&slopes, &case.packed).unwrap();
        let off = distance(&all, &slopes.to_kind(Kind::Double).matmul(&weight));
        assert!(off < 3e-6, "{}: off by {off}", case.name);
        for rows in [1, 13, 200] {
            set_lanes(Lanes::Narrow);
            let few = transposed_linear(&slopes.narrow(0, 3, rows), &case.packed).unwrap();
            assert_eq!(bits(&few), bits(&all.narrow(0, 3, rows)), "{}: {rows} rows", case.name);
        }
    }
}

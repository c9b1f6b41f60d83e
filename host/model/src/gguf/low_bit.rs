//! The packed types of two and three bits that files of larger models fall back on, and the four-bit ones with a table. Formulas and their
//! order are those of llama.cpp's reference, as in [`super::quantisation`].

use half::f16;

/// Of `IQ4_NL` and `IQ4_XS`.
const NON_LINEAR: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];
/// Twice the numbers of MXFP4's four bits (E2M1).
const DOUBLED_E2M1: [f32; 16] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0];

/// Where the 16 elements of a group lie in 64 bytes of two bits each: the first byte, and the shift. Halves of 128 elements take 32
/// bytes; within one, pairs of groups share their bytes and take the next two bits.
fn two_bits(group: usize) -> (usize, usize) {
    (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2)
}

/// `scales[16], q[64], d, dmin`: value = (d · scale) · q − dmin · least, in groups of 16.
pub(super) fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scale, least) = (half_at(block, 80), half_at(block, 82));
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let factor = scale * f32::from(block[group] & 15);
        let minimum = least * f32::from(block[group] >> 4);
        let (start, shift) = two_bits(group);
        for (value, quant) in values.iter_mut().zip(&block[16 + start..]) {
            *value = factor * f32::from(quant >> shift & 3) - minimum;
        }
    }
}

/// `high bits[32], q[64], scales[12], d`: value = (d · (scale − 32)) · (q − 4 where the high bit is not set), in groups of 16.
pub(super) fn q3_k(block: &[u8], values: &mut [f32]) {
    let (high_bits, quants, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let scale = half_at(block, 108);
    for (group, values) in values.chunks_exact_mut(16).enumerate() {
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let factor = scale * (f32::from(low | high << 4) - 32.0);
        let (start, shift) = two_bits(group);
        let bit = group / 2;
        let highs = &high_bits[group % 2 * 16..];
        for ((value, quant), high) in values.iter_mut().zip(&quants[start..]).zip(highs) {
            let less = if high >> bit & 1 == 1 { 0.0 } else { 4.0 };
            *value = factor * (f32::from(quant >> shift & 3) - less);
        }
    }
}

/// Low halves of 16 bytes, then the high ones, through a table.
fn by_table(table: &[f32; 16], factor: f32, quants: &[u8], values: &mut [f32]) {
    let (low, high) = values.split_at_mut(16);
    for ((low, high), quant) in low.iter_mut().zip(high).zip(quants) {
        *low = factor * table[usize::from(quant & 15)];
        *high = factor * table[usize::from(quant >> 4)];
    }
}

/// `d, q[16]`: value = d · table[q].
pub(super) fn iq4_nl(block: &[u8], values: &mut [f32]) {
    by_table(&NON_LINEAR, half_at(block, 0), &block[2..], values);
}

/// `d, high scales[2], low scales[4], q[128]`: value = (d · (scale − 32)) · table[q], in groups of 32.
pub(super) fn iq4_xs(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    let highs = u16::from_le_bytes([block[2], block[3]]);
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let high = (highs >> (group * 2) & 3) as u8;
        let factor = scale * (f32::from(low | high << 4) - 32.0);
        by_table(&NON_LINEAR, factor, &block[8 + group * 16..], values);
    }
}

/// `exponent, q[16]`: value = 2^(exponent − 127) · table[q] / 2.
pub(super) fn mxfp4(block: &[u8], values: &mut [f32]) {
    let exponent = u32::from(block[0]);
    // Half of 2^(exponent − 127): below 2^-126 it has no leading one.
    let bits = if exponent < 2 { 0x0020_0000 << exponent } else { (exponent - 1) << 23 };
    by_table(&DOUBLED_E2M1, f32::from_bits(bits), &block[1..], values);
}

pub(super) fn half_at(block: &[u8], place: usize) -> f32 {
    f16::from_le_bytes([block[place], block[place + 1]]).to_f32()
}

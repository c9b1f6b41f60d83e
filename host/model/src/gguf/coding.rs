//! The packed types whose values are `scale · (code − offset) + minimum`, taken apart. Formulas and their order are those of llama.cpp's
//! reference, as in [`super::quantisation`].

use super::low_bit::half_at;
use super::quantisation::Quantisation;

/// Codes of the largest block.
const CODES_MAX: usize = 256;
/// Groups of the largest block.
const GROUPS_MAX: usize = 16;

/// How the codes of one type are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    /// Of a code.
    pub(crate) bits: u32,
    /// Codes that share a scale.
    pub(crate) group: usize,
    pub(crate) has_minima: bool,
    /// What is taken from a code; codes of 8 bits are signed.
    pub(crate) offset: i32,
    take_apart: fn(&[u8], &mut Parts<'_>),
}

/// Where a block's parts go: one code an element, one scale and one minimum a group.
pub(crate) struct Parts<'a> {
    pub(crate) codes: &'a mut [u8],
    pub(crate) scales: &'a mut [f32],
    /// Left alone by types that have none.
    pub(crate) minima: &'a mut [f32],
}

impl Quantisation {
    /// `None` for a type with a table, of two or three bits, or of plain numbers.
    pub(crate) fn coding(self) -> Option<Coding> {
        let (bits, group, has_minima, offset, take_apart): (_, _, _, _, fn(&[u8], &mut Parts<'_>)) = match self {
            Self::Q4_0 => (4, 32, false, 8, q4_0),
            Self::Q4_1 => (4, 32, true, 0, q4_1),
            Self::Q5_0 => (5, 32, false, 16, q5_0),
            Self::Q5_1 => (5, 32, true, 0, q5_1),
            Self::Q8_0 => (8, 32, false, 0, q8_0),
            Self::Q4K => (4, 32, true, 0, q4_k),
            Self::Q5K => (5, 32, true, 0, q5_k),
            Self::Q6K => (6, 16, false, 32, q6_k),
            _ => return None,
        };
        Some(Coding { bits, group, has_minima, offset, take_apart })
    }
}

impl Coding {
    /// Takes one block apart.
    pub(crate) fn parts(&self, block: &[u8], parts: &mut Parts<'_>) {
        (self.take_apart)(block, parts);
    }

    /// One block's values.
    pub(crate) fn values(&self, block: &[u8], values: &mut [f32]) {
        let (mut codes, mut scales, mut minima) = ([0; CODES_MAX], [0.0; GROUPS_MAX], [0.0; GROUPS_MAX]);
        self.parts(block, &mut Parts { codes: &mut codes, scales: &mut scales, minima: &mut minima });
        let groups =
            values.chunks_exact_mut(self.group).zip(codes.chunks_exact(self.group)).zip(scales.iter().zip(&minima));
        for ((values, codes), (scale, minimum)) in groups {
            for (value, &code) in values.iter_mut().zip(codes) {
                let product = scale * self.number(code);
                *value = if self.has_minima { product + minimum } else { product };
            }
        }
    }

    /// `code − offset`
    fn number(&self, code: u8) -> f32 {
        if self.bits == 8 { f32::from(code.cast_signed()) } else { (i32::from(code) - self.offset) as f32 }
    }
}

/// `d, q[32]: i8`: value = d · q.
fn q8_0(block: &[u8], parts: &mut Parts<'_>) {
    parts.scales[0] = half_at(block, 0);
    parts.codes[..32].copy_from_slice(&block[2..34]);
}

/// The low four bits of 16 bytes, then the high ones.
fn halves(quants: &[u8], codes: &mut [u8]) {
    for (place, quant) in quants[..16].iter().enumerate() {
        codes[place] = quant & 15;
        codes[place + 16] = quant >> 4;
    }
}

/// `d, q[16]`: value = d · (q − 8).
fn q4_0(block: &[u8], parts: &mut Parts<'_>) {
    parts.scales[0] = half_at(block, 0);
    halves(&block[2..], parts.codes);
}

/// `d, m, q[16]`: value = d · q + m.
fn q4_1(block: &[u8], parts: &mut Parts<'_>) {
    (parts.scales[0], parts.minima[0]) = (half_at(block, 0), half_at(block, 2));
    halves(&block[4..], parts.codes);
}

/// A fifth bit each in 32.
fn fifth_bits(high_bits: &[u8], codes: &mut [u8]) {
    let bits = u32::from_le_bytes([high_bits[0], high_bits[1], high_bits[2], high_bits[3]]);
    for (place, code) in codes[..32].iter_mut().enumerate() {
        *code |= ((bits >> place & 1) as u8) << 4;
    }
}

/// `d, high bits[4], q[16]`: value = d · (q − 16).
fn q5_0(block: &[u8], parts: &mut Parts<'_>) {
    parts.scales[0] = half_at(block, 0);
    halves(&block[6..], parts.codes);
    fifth_bits(&block[2..6], parts.codes);
}

/// `d, m, high bits[4], q[16]`: value = d · q + m.
fn q5_1(block: &[u8], parts: &mut Parts<'_>) {
    (parts.scales[0], parts.minima[0]) = (half_at(block, 0), half_at(block, 2));
    halves(&block[8..], parts.codes);
    fifth_bits(&block[4..8], parts.codes);
}

/// The i-th of eight 6-bit scales and minima in 12 bytes.
fn scale_and_least(packed: &[u8], index: usize) -> (f32, f32) {
    let (scale, least) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        let both = packed[index + 4];
        ((both & 15) | ((packed[index - 4] >> 2) & 0x30), (both >> 4) | ((packed[index] >> 2) & 0x30))
    };
    (f32::from(scale), f32::from(least))
}

/// `d, dmin, scales[12]`: of eight groups d · scale and −(dmin · least).
fn eight_scales(block: &[u8], parts: &mut Parts<'_>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for group in 0..8 {
        let (factor, minimum) = scale_and_least(&block[4..16], group);
        parts.scales[group] = scale * factor;
        parts.minima[group] = -(least * minimum);
    }
}

/// Groups of 32 by twos in the low and the high halves of 32 bytes.
fn low_and_high(quants: &[u8], codes: &mut [u8]) {
    for (group, codes) in codes[..256].chunks_exact_mut(32).enumerate() {
        for (code, quant) in codes.iter_mut().zip(&quants[group / 2 * 32..]) {
            *code = (quant >> (group % 2 * 4)) & 15;
        }
    }
}

/// `d, dmin, scales[12], q[128]`: value = (d · scale) · q − dmin · least, in groups of 32.
fn q4_k(block: &[u8], parts: &mut Parts<'_>) {
    eight_scales(block, parts);
    low_and_high(&block[16..144], parts.codes);
}

/// As `Q4_K` with a fifth bit: `d, dmin, scales[12], high[32], q[128]`.
fn q5_k(block: &[u8], parts: &mut Parts<'_>) {
    eight_scales(block, parts);
    low_and_high(&block[48..176], parts.codes);
    for (group, codes) in parts.codes[..256].chunks_exact_mut(32).enumerate() {
        for (code, high) in codes.iter_mut().zip(&block[16..48]) {
            *code |= ((high >> group) & 1) << 4;
        }
    }
}

/// `low[128], high[64], scales[16]: i8, d`: value = (d · scale) · (q − 32), in groups of 16.
fn q6_k(block: &[u8], parts: &mut Parts<'_>) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    for (factor, of_group) in parts.scales.iter_mut().zip(scales) {
        *factor = scale * f32::from(of_group.cast_signed());
    }
    for (group, codes) in parts.codes[..256].chunks_exact_mut(32).enumerate() {
        // Groups of 32 share 64 low bytes by twos (low and high half) and 32 high bytes by fours.
        let (side, quarter) = (group / 4, group % 4);
        let low = &low[side * 64 + quarter % 2 * 32..];
        let high = &high[side * 32..];
        for (index, code) in codes.iter_mut().enumerate() {
            *code = ((low[index] >> (quarter / 2 * 4)) & 15) | (((high[index] >> (quarter * 2)) & 3) << 4);
        }
    }
}

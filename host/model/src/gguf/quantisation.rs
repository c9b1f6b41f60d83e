//! How GGUF files pack weights, and back to f32. The formulas are those of llama.cpp's reference; each value is computed in
//! f32 in the same order, so that it is the same to the bit.

use half::bf16;

use super::low_bit::{self, half_at};

/// A storage type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantisation {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
    Mxfp4,
}

/// Elements and bytes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) elements: usize,
    pub(crate) bytes: usize,
}

/// Elements of a block of the K types.
const SUPER: usize = 256;

impl Quantisation {
    pub(crate) const KNOWN: &'static str =
        "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS and MXFP4";

    /// From ggml's number.
    pub(crate) fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2K,
            11 => Self::Q3K,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            20 => Self::Iq4Nl,
            23 => Self::Iq4Xs,
            30 => Self::Bf16,
            39 => Self::Mxfp4,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Iq4Nl => "IQ4_NL",
            Self::Iq4Xs => "IQ4_XS",
            Self::Mxfp4 => "MXFP4",
        }
    }

    pub(crate) fn block(self) -> Block {
        let (elements, bytes) = match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 | Self::Iq4Nl => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q2K => (SUPER, 84),
            Self::Q3K => (SUPER, 110),
            Self::Q4K => (SUPER, 144),
            Self::Q5K => (SUPER, 176),
            Self::Q6K => (SUPER, 210),
            Self::Iq4Xs => (SUPER, 136),
            Self::Mxfp4 => (32, 17),
        };
        Block { elements, bytes }
    }

    /// Whole blocks to f32; `values` has as many elements as `bytes` has blocks of them.
    pub(crate) fn unpack(self, bytes: &[u8], values: &mut [f32]) {
        let Block { elements, bytes: size } = self.block();
        let blocks = bytes.chunks_exact(size).zip(values.chunks_exact_mut(elements));
        match self {
            Self::F32 => blocks
                .for_each(|(block, value)| value[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
            Self::F16 => blocks.for_each(|(block, value)| value[0] = half_at(block, 0)),
            Self::Bf16 => {
                blocks.for_each(|(block, value)| value[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32());
            }
            Self::Q8_0 => blocks.for_each(|(block, values)| q8_0(block, values)),
            Self::Q4_0 => blocks.for_each(|(block, values)| q4_0(block, values)),
            Self::Q4_1 => blocks.for_each(|(block, values)| q4_1(block, values)),
            Self::Q5_0 => blocks.for_each(|(block, values)| low_bit::q5_0(block, values)),
            Self::Q5_1 => blocks.for_each(|(block, values)| low_bit::q5_1(block, values)),
            Self::Q2K => blocks.for_each(|(block, values)| low_bit::q2_k(block, values)),
            Self::Q3K => blocks.for_each(|(block, values)| low_bit::q3_k(block, values)),
            Self::Q4K => blocks.for_each(|(block, values)| q4_k(block, values)),
            Self::Q5K => blocks.for_each(|(block, values)| q5_k(block, values)),
            Self::Q6K => blocks.for_each(|(block, values)| q6_k(block, values)),
            Self::Iq4Nl => blocks.for_each(|(block, values)| low_bit::iq4_nl(block, values)),
            Self::Iq4Xs => blocks.for_each(|(block, values)| low_bit::iq4_xs(block, values)),
            Self::Mxfp4 => blocks.for_each(|(block, values)| low_bit::mxfp4(block, values)),
        }
    }
}

/// `d, q[32]: i8`: value = d · q.
fn q8_0(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    for (value, quant) in values.iter_mut().zip(&block[2..]) {
        *value = f32::from(quant.cast_signed()) * scale;
    }
}

/// `d, q[16]`: value = d · (q − 8); low halves of the bytes first, then the high ones.
fn q4_0(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 0);
    let (low, high) = values.split_at_mut(16);
    for ((low, high), quant) in low.iter_mut().zip(high).zip(&block[2..]) {
        *low = scale * (f32::from(quant & 15) - 8.0);
        *high = scale * (f32::from(quant >> 4) - 8.0);
    }
}

/// `d, m, q[16]`: value = d · q + m.
fn q4_1(block: &[u8], values: &mut [f32]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let (low, high) = values.split_at_mut(16);
    for ((low, high), quant) in low.iter_mut().zip(high).zip(&block[4..]) {
        *low = scale * f32::from(quant & 15) + least;
        *high = scale * f32::from(quant >> 4) + least;
    }
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

/// `d, dmin, scales[12], q[128]`: value = (d · scale) · q − dmin · least, in groups of 32.
fn q4_k(block: &[u8], values: &mut [f32]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let (packed, quants) = (&block[4..16], &block[16..144]);
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let (factor, minimum) = scale_and_least(packed, group);
        let (factor, minimum, shift) = (scale * factor, least * minimum, group % 2 * 4);
        for (value, quant) in values.iter_mut().zip(&quants[group / 2 * 32..]) {
            *value = factor * f32::from((quant >> shift) & 15) - minimum;
        }
    }
}

/// As `Q4_K` with a fifth bit: `d, dmin, scales[12], high[32], q[128]`.
fn q5_k(block: &[u8], values: &mut [f32]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let (packed, high, quants) = (&block[4..16], &block[16..48], &block[48..176]);
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        let (factor, minimum) = scale_and_least(packed, group);
        let (factor, minimum, shift) = (scale * factor, least * minimum, group % 2 * 4);
        for ((value, quant), high) in values.iter_mut().zip(&quants[group / 2 * 32..]).zip(high) {
            let quant = ((quant >> shift) & 15) | (((high >> group) & 1) << 4);
            *value = factor * f32::from(quant) - minimum;
        }
    }
}

/// `low[128], high[64], scales[16]: i8, d`: value = (d · scale) · (q − 32), in groups of 16.
fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low, high, scales, scale) = (&block[..128], &block[128..192], &block[192..208], half_at(block, 208));
    for (group, values) in values.chunks_exact_mut(32).enumerate() {
        // Groups of 32 share 64 low bytes by twos (low and high half) and 32 high bytes by fours.
        let (side, quarter) = (group / 4, group % 4);
        let low = &low[side * 64 + quarter % 2 * 32..];
        let high = &high[side * 32..];
        for (index, value) in values.iter_mut().enumerate() {
            let factor = scale * f32::from(scales[group * 2 + index / 16].cast_signed());
            let quant = ((low[index] >> (quarter / 2 * 4)) & 15) | (((high[index] >> (quarter * 2)) & 3) << 4);
            *value = factor * (f32::from(quant) - 32.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random blocks and what the gguf package for Python makes of them.
    #[derive(serde::Deserialize)]
    struct Expected {
        bytes: String,
        elements: usize,
        first: Vec<f32>,
        last: Vec<f32>,
        sha256: String,
    }

    #[test]
    fn every_packed_type_unpacks_to_the_same_bits_as_the_reference() {
        let text = include_str!("../../../policy/tests/fixtures/packed-types.json");
        let cases: std::collections::BTreeMap<String, Expected> = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 13);
        for (name, case) in cases {
            let kind = (0..=39).filter_map(Quantisation::of).find(|kind| kind.name() == name).unwrap();
            let bytes = hex::decode(&case.bytes).unwrap();
            let mut values = vec![0.0; case.elements];
            kind.unpack(&bytes, &mut values);
            assert_eq!(values[..8], case.first, "{name}");
            assert_eq!(values[case.elements - 8..], case.last, "{name}");
            let little: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(slhf_files::sha256_hex(&little), case.sha256, "{name}");
        }
    }
}

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
        if let Some(coding) = self.coding() {
            return blocks.for_each(|(block, values)| coding.values(block, values));
        }
        match self {
            Self::F32 => blocks
                .for_each(|(block, value)| value[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
            Self::F16 => blocks.for_each(|(block, value)| value[0] = half_at(block, 0)),
            Self::Bf16 => {
                blocks.for_each(|(block, value)| value[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32());
            }
            Self::Q2K => blocks.for_each(|(block, values)| low_bit::q2_k(block, values)),
            Self::Q3K => blocks.for_each(|(block, values)| low_bit::q3_k(block, values)),
            Self::Iq4Nl => blocks.for_each(|(block, values)| low_bit::iq4_nl(block, values)),
            Self::Iq4Xs => blocks.for_each(|(block, values)| low_bit::iq4_xs(block, values)),
            Self::Mxfp4 => blocks.for_each(|(block, values)| low_bit::mxfp4(block, values)),
            // Those with a code were unpacked above.
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q4K | Self::Q5K | Self::Q6K => {}
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

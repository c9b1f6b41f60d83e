//! Matrices as a file packs them, row by row in Hugging Face's order.

use super::coding::{Coding, Parts};
use super::quantisation::{Block, Quantisation};
use crate::tensor::{Codes, PackedNumbers, PackedTensor};

/// Which row of the file is a row of Hugging Face's.
pub(super) struct RowOrder {
    rows: usize,
    rotated_heads: Option<usize>,
}

impl RowOrder {
    pub(super) fn new(rows: usize, rotated_heads: Option<usize>) -> Self {
        Self { rows, rotated_heads }
    }

    /// (side, pair) of each head is (pair, side) in the file.
    fn of(&self, row: usize) -> usize {
        let Some(size) = self.rotated_heads.map(|heads| self.rows / heads.max(1)).filter(|size| *size >= 2) else {
            return row;
        };
        let (head, within) = (row / size, row % size);
        let (side, pair) = (within / (size / 2), within % (size / 2));
        head * size + pair * 2 + side
    }
}

/// `bytes` are whole blocks, those of each row side by side.
pub(super) fn tensor(kind: Quantisation, bytes: &[u8], [rows, inputs]: [usize; 2], order: &RowOrder) -> PackedTensor {
    let block = kind.block();
    let row_bytes = inputs / block.elements * block.bytes;
    let stored = |row: usize| &bytes[order.of(row) * row_bytes..][..row_bytes];
    let numbers = match (kind, kind.coding()) {
        (Quantisation::F16, _) => PackedNumbers::Halves(words((0..rows).map(stored))),
        (Quantisation::Bf16, _) => PackedNumbers::Bfloats(words((0..rows).map(stored))),
        (_, Some(coding)) => PackedNumbers::Codes(codes(coding, kind.block(), (0..rows).map(stored), rows * inputs)),
        (_, None) => {
            let mut values = vec![0.0; rows * inputs];
            for (row, values) in values.chunks_exact_mut(inputs.max(1)).enumerate() {
                kind.unpack(stored(row), values);
            }
            PackedNumbers::Floats(values)
        }
    };
    PackedTensor { numbers, rows, inputs }
}

/// `count` codes of rows that are whole blocks.
fn codes<'a>(coding: Coding, block: Block, rows: impl Iterator<Item = &'a [u8]>, count: usize) -> Codes {
    let groups = count / coding.group;
    let mut codes = vec![0; count];
    let mut scales = vec![0.0; groups];
    let mut minima = vec![0.0; if coding.has_minima { groups } else { 0 }];
    let per_block = block.elements / coding.group;
    for (place, packed) in rows.flat_map(|row| row.chunks_exact(block.bytes)).enumerate() {
        let (element, group) = (place * block.elements, place * per_block);
        let minima = if coding.has_minima { &mut minima[group..group + per_block] } else { &mut [][..] };
        let codes = &mut codes[element..element + block.elements];
        let scales = &mut scales[group..group + per_block];
        coding.parts(packed, &mut Parts { codes, scales, minima });
    }
    Codes { bits: coding.bits, group: coding.group, offset: coding.offset, codes, scales, minima }
}

fn words<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<u16> {
    rows.flat_map(|row| row.chunks_exact(2)).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

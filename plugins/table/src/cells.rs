//! The matrix, as rows of numbers or as base64 that is decoded one cell at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use slhf_sdk::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use slhf_sdk::{Failure, short};

/// A matrix as a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Preferences {
    /// n rows of n numbers.
    Rows(Vec<Vec<f64>>),
    /// The base64 of n² little-endian f64, row by row.
    Packed(String),
}

impl<'de> Deserialize<'de> for Preferences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Preferences;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("rows of numbers or base64 text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Preferences, E> {
                Ok(Preferences::Packed(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Preferences, E> {
                Ok(Preferences::Packed(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Preferences, A::Error> {
                let mut matrix = Vec::new();
                while let Some(row) = rows.next_element()? {
                    matrix.push(row);
                }
                Ok(Preferences::Rows(matrix))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Preferences {
    fn schema_name() -> Cow<'static, str> {
        "Preferences".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let row = json_schema!({ "type": "array", "items": { "type": "number", "minimum": 0, "maximum": 1 } });
        json_schema!({
            "anyOf": [{ "type": "array", "items": row }, { "type": "string", "contentEncoding": "base64" }]
        })
    }
}

/// The matrix, ready to be asked.
#[derive(Debug)]
pub(crate) struct Cells {
    n: usize,
    /// What messages call it.
    parameter: String,
    store: Store,
}

#[derive(Debug)]
enum Store {
    Numbers(Vec<f64>),
    /// ASCII, unpadded, of exactly the right length.
    Base64(Vec<u8>),
}

impl Cells {
    pub(crate) fn new(preferences: Preferences, parameter: &str, actions: &[String]) -> Result<Self, Failure> {
        let n = actions.len();
        let store = match preferences {
            Preferences::Rows(rows) => Store::Numbers(numbers(&rows, parameter, actions)?),
            Preferences::Packed(text) => Store::Base64(base64(text, parameter, n)?),
        };
        Ok(Self { n, parameter: parameter.to_owned(), store })
    }

    /// p(row ≻ column).
    pub(crate) fn get(&self, row: usize, column: usize) -> Result<f64, Failure> {
        let index = row * self.n + column;
        let text = match &self.store {
            Store::Numbers(numbers) => return Ok(numbers[index]),
            Store::Base64(text) => text,
        };
        match decode(text, index) {
            Some(probability) if in_range(probability) => Ok(probability),
            Some(outside) => {
                Err(format!("parameter '{}[{row}][{column}]' is {outside}, it must be within [0, 1]", self.parameter)
                    .into())
            }
            None => Err(format!("parameter '{}' is not base64 at cell [{row}][{column}]", self.parameter).into()),
        }
    }
}

fn in_range(probability: f64) -> bool {
    (0.0..=1.0).contains(&probability)
}

/// Checks the shape and every cell, and puts the rows one after another.
fn numbers(rows: &[Vec<f64>], parameter: &str, actions: &[String]) -> Result<Vec<f64>, Failure> {
    let n = actions.len();
    if rows.len() != n {
        return Err(format!("parameter '{parameter}' has {} for {n} actions", counted(rows.len(), "row")).into());
    }
    for (i, row) in rows.iter().enumerate() {
        let first = short(&actions[i]);
        if row.len() != n {
            let cells = counted(row.len(), "cell");
            return Err(format!("parameter '{parameter}[{i}]' (action {first:?}) has {cells} for {n} actions").into());
        }
        if let Some(j) = row.iter().position(|cell| !in_range(*cell)) {
            let (second, cell) = (short(&actions[j]), row[j]);
            return Err(format!(
                "parameter '{parameter}[{i}][{j}]' ({first:?} against {second:?}) is {cell}, it must be within [0, 1]"
            )
            .into());
        }
    }
    Ok(rows.concat())
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Checks the length only: every cell is checked when it is asked for.
fn base64(text: String, parameter: &str, n: usize) -> Result<Vec<u8>, Failure> {
    let mut text = text.into_bytes();
    while text.last() == Some(&b'=') {
        text.pop();
    }
    // Three bytes are four characters; what is left over takes one character more than it has bytes.
    let bytes = n * n * 8;
    let expected = bytes / 3 * 4 + if bytes.is_multiple_of(3) { 0 } else { bytes % 3 + 1 };
    if text.len() == expected {
        return Ok(text);
    }
    Err(format!("parameter '{parameter}' is {} characters of base64, {n} × {n} cells are {expected}", text.len())
        .into())
}

/// The `index`-th f64 of a base64 text: eight bytes that begin within one group of three and end at most three on.
fn decode(text: &[u8], index: usize) -> Option<f64> {
    let (group, skip) = (index * 8 / 3, index * 8 % 3);
    let mut bits: u128 = 0;
    for position in group * 4..group * 4 + 16 {
        // Beyond the end only where the last group is short: the bits there are not part of the number.
        bits = bits << 6 | u128::from(text.get(position).map_or(Some(0), |character| value(*character))?);
    }
    // 96 bits = 12 bytes; the number is the eight after `skip`.
    let bytes = ((bits >> (96 - 8 * (skip + 8))) as u64).to_be_bytes();
    Some(f64::from_le_bytes(bytes))
}

/// What a base64 character stands for.
fn value(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fn pack(cells: &[f64]) -> String {
        let bytes: Vec<u8> = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        let encode = |chunk: &[u8]| {
            let mut group = [0; 3];
            group[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            let characters = (0..4).map(|k| ALPHABET[(bits >> (18 - 6 * k) & 63) as usize] as char);
            characters.enumerate().map(|(k, c)| if k <= chunk.len() { c } else { '=' }).collect::<String>()
        };
        bytes.chunks(3).map(encode).collect()
    }

    fn actions(n: usize) -> Vec<String> {
        (0..n).map(|index| format!("action {index}")).collect()
    }

    #[test]
    fn packed_cells_come_back_bit_for_bit() {
        // n² · 8 modulo 3 takes both values it can, and every cell of a row begins at another place in its group.
        for n in 1..=7 {
            let cells: Vec<f64> = (0..n * n).map(|k| (k as f64 + 0.1) / (n * n) as f64).collect();
            let packed = pack(&cells);
            for text in [packed.clone(), packed.trim_end_matches('=').to_owned()] {
                let matrix = Cells::new(Preferences::Packed(text), "preferences", &actions(n)).unwrap();
                for (k, cell) in cells.iter().enumerate() {
                    assert_eq!(matrix.get(k / n, k % n), Ok(*cell), "cell {k} of {n}");
                }
            }
        }
    }

    #[test]
    fn the_encoding_is_the_usual_one() {
        assert_eq!(pack(&[0.5]), "AAAAAAAA4D8=");
    }

    #[test]
    fn bad_packed_cells_are_named() {
        let check = |text: &str, expected: &str| {
            let cells = Cells::new(Preferences::Packed(text.to_owned()), "preferences", &actions(1));
            assert_eq!(cells.and_then(|cells| cells.get(0, 0)).unwrap_err().reason, expected);
        };
        check("AAAA", "parameter 'preferences' is 4 characters of base64, 1 × 1 cells are 11");
        check("AAAA AAA4D8=", "parameter 'preferences' is not base64 at cell [0][0]");
        check(&pack(&[1.5]), "parameter 'preferences[0][0]' is 1.5, it must be within [0, 1]");
        check(&pack(&[f64::NAN]), "parameter 'preferences[0][0]' is NaN, it must be within [0, 1]");
    }
}

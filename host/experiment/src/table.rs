//! The parameters of the shipped judge `table`, for games whose matrix is given.

use serde_json::{Value, json};

/// Up to here a matrix is rows of numbers, which people can read; above, the base64 of its cells, which a fresh instance
/// need not parse for every batch.
const READABLE_ACTIONS_MAX: usize = 64;

/// Parameters with which `table` answers `preferences[i][j]` for the actions whose texts are `actions`.
pub fn parameters(actions: &[&str], preferences: &[Vec<f64>]) -> Value {
    if actions.len() <= READABLE_ACTIONS_MAX {
        return json!({ "actions": actions, "preferences": preferences });
    }
    let bytes: Vec<u8> = preferences.iter().flatten().flat_map(|cell| cell.to_le_bytes()).collect();
    json!({ "actions": actions, "preferences": base64(&bytes) })
}

/// RFC 4648, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        // n bytes fill n + 1 characters.
        text.extend((0..=chunk.len()).map(|k| char::from(ALPHABET[(bits >> (18 - 6 * k) & 63) as usize])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_matrices_are_readable() {
        let parameters = parameters(&["a", "b"], &[vec![0.5, 0.9], vec![0.1, 0.5]]);
        assert_eq!(parameters, json!({ "actions": ["a", "b"], "preferences": [[0.5, 0.9], [0.1, 0.5]] }));
    }

    #[test]
    fn large_matrices_are_base64() {
        let row = vec![0.5; 65];
        let parameters = parameters(&["a"; 65], &vec![row; 65]);
        let text = parameters["preferences"].as_str().unwrap();
        assert_eq!(text.len(), (65_usize * 65 * 8 * 4).div_ceil(3));
        assert!(text.starts_with("AAAAAAAA4D8AAAAAAADgPw"));
    }

    #[test]
    fn the_encoding_is_the_usual_one() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}

//! A table that no terminal of this width holds: one block a record, one `key  value` a line.

use super::wrap::{LongWord, longest_word, width, wrap};

/// Between a key and its value.
const GAP: usize = 2;

/// One record: keys with their values; those without a value are left out.
pub(super) type Record<'a> = Vec<(&'a str, &'a str)>;

/// The blocks, an empty line between two.
pub(super) fn blocks(records: &[Record<'_>], most: usize) -> String {
    let said = |record: &Record<'_>| block(record, most);
    records.iter().map(said).filter(|block| !block.is_empty()).collect::<Vec<_>>().join("\n")
}

fn block(record: &Record<'_>, most: usize) -> String {
    let filled = || record.iter().filter(|(_, value)| !value.is_empty());
    let indent = GAP + filled().map(|(key, _)| width(key)).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in filled() {
        if indent + longest_word(value) <= most {
            for (index, line) in wrap(value, most - indent, LongWord::Whole).iter().enumerate() {
                let before = if index == 0 { *key } else { "" };
                let padding = " ".repeat(indent - width(before));
                text.extend([before, &padding, line, "\n"]);
            }
        } else {
            // The value has lines of its own.
            for line in wrap(key, most, LongWord::Whole) {
                text.extend([&line, "\n"]);
            }
            for line in wrap(value, most.saturating_sub(GAP), LongWord::Whole) {
                let indent = if GAP + width(&line) <= most { "  " } else { "" };
                text.extend([indent, &line, "\n"]);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_a_line_a_value_and_long_values_have_their_own() {
        let records = [
            vec![("cell", "kappa = 1"), ("gap", ""), ("policy", "paper 0.5, rock 0.25, scissors 0.25")],
            vec![("cell", "b"), ("hash", "0123456789012345678901234567890")],
        ];
        assert_eq!(
            blocks(&records, 24),
            "cell    kappa = 1\npolicy  paper 0.5, rock\n        0.25, scissors\n        0.25\n\n\
             cell  b\nhash\n0123456789012345678901234567890\n"
        );
    }
}

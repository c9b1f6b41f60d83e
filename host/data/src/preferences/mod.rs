//! Preferences that reward models are trained on: pairs of responses, which is better, and ratings where there are such.
//!
//! | layout | rows |
//! | --- | --- |
//! | `pairs` | those of [`crate::pairs`]; besides `margin` (how much better, not negative) and `attributes` (`{"name": [number, number]}`, one a response) |
//! | `help_steer2` | two consecutive rows with one prompt; of each attribute the higher mean is better, else the lower deviation, else a draw decides; less is better of complexity and verbosity (the experiments of arXiv 2512.16626) |
//! | `ultra_feedback` | `instruction` and `completions`, each with a `response`, an `overall_score` and `annotations`: all pairs of them |
//! | `transcripts` | `chosen` and `rejected` with `\n\nHuman:` and `\n\nAssistant:` turns |
//!
//! A row without two different responses says nothing and is counted. Prompts, not pairs, are held out.
//!
//! ```
//! use slhf_data::preferences::{PreferenceReading, PreferenceSplit, parse_preferences};
//!
//! let file = br#"{"prompt": "Why?", "chosen": "So.", "rejected": "No.", "attributes": {"brevity": [1, 2]}}
//! {"prompt": "How?", "responses": ["So.", "Ask."], "p_second": 0.25}"#;
//! let found = parse_preferences("pairs.jsonl", file.to_vec(), &PreferenceReading::default())?;
//! assert_eq!(found.pairs[1].first_is_better, Some(0.75));
//! assert_eq!(found.labels, ["brevity"]);
//! let split = PreferenceSplit::of(&found, 1, 7)?;
//! assert_eq!((split.training.len(), split.held_out.len()), (1, 1));
//! # Ok::<(), slhf_data::DataError>(())
//! ```

mod found;
mod help_steer;
mod pair_row;
mod said;
mod split;
mod taken;
mod transcripts;
mod ultra_feedback;

use std::path::Path;

use crate::error::{DataError, Source};
use crate::prompts::{bytes_of, is_parquet, objects, table_rows, unpacked};
pub use found::{PairRating, PreferencePair, PreferenceReading, Preferences};
pub use split::PreferenceSplit;
use taken::Taken;

/// Reads a file of preferences.
pub fn read_preferences(path: &Path, reading: &PreferenceReading) -> Result<Preferences, DataError> {
    let file = path.display().to_string();
    let bytes = bytes_of(Source { file: &file }, path)?;
    parse_preferences(&file, bytes, reading)
}

/// Likewise, of a file's content; `file` serves messages.
pub fn parse_preferences(file: &str, bytes: Vec<u8>, reading: &PreferenceReading) -> Result<Preferences, DataError> {
    let source = Source { file };
    let sha256 = slhf_files::sha256_hex(&bytes);
    let mut taken = Taken::new(source, reading);
    if is_parquet(&bytes) {
        table_rows(source, bytes)?.into_iter().try_for_each(|row| taken.row(Ok(row)))?;
    } else {
        let text = unpacked(source, bytes)?;
        objects(source, &text)?.try_for_each(|row| taken.row(row))?;
    }
    taken.whole(sha256)
}

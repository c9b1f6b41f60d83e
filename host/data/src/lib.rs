//! Files of data that others made: preference data (PrefLib, CSV matrices, CSV counts), annotations of pairs
//! ([`read_annotations`]), prompts ([`prompts`]), files of responses ([`responses`]), pairs of responses ([`pairs`]),
//! preferences that reward models are trained on ([`preferences`]), conversations that are scored
//! ([`read_conversations`]), and the hash of a model's files.
//!
//! It never guesses: what is not understood is refused with the row, the column and what was expected. It never asks a judge
//! and never tokenizes. Preference data are pure functions over bytes: a file's name tells the format by its extension and
//! serves messages, nothing is opened.
//!
//! Begin with [`read()`], whose result is a finite game's preference matrix with the counts behind it where there are any;
//! then [`prompts`].
//!
//! ```
//! let csv = b"first,second,wins\nrock,scissors,9\nscissors,rock,1\n";
//! let data = slhf_data::read("games.csv", csv)?;
//! assert_eq!(data.actions, ["rock", "scissors"]);
//! assert_eq!(data.preferences, [[0.5, 0.9], [0.1, 0.5]]);
//! # Ok::<(), slhf_data::DataError>(())
//! ```

mod annotations;
mod ballot;
mod comparisons;
mod conversations;
mod counts;
mod error;
mod group;
mod model_files;
mod names;
pub mod pairs;
mod planned;
mod preference_data;
pub mod preferences;
mod preflib;
pub mod prompts;
mod resampling;
pub mod responses;
mod row;
mod table;
mod tally;

pub use annotations::{AnnotatedPair, AnnotationTables, GamedAnnotation, read_annotation_tables, read_annotations};
pub use ballot::Ballot;
pub use conversations::{parse_conversations, read_conversations};
pub use error::{DataError, Place};
pub use group::{CountedGroup, GroupWeights, WeightsError};
pub use model_files::{ModelFiles, ModelFilesError, adapter_sha256, model_sha256};
pub use planned::{PlannedReading, read_planned};
pub use preference_data::{Counted, PreferenceData};
pub use resampling::{Resampler, ResamplingError, Unit};
pub use tally::Tally;

use error::Source;

/// The extensions that [`read`] knows, for messages.
pub const EXTENSIONS: &str = ".csv, .soc, .soi, .toc or .toi";

/// Reads preference data; the extension of `file` names the format.
pub fn read(file: &str, bytes: &[u8]) -> Result<PreferenceData, DataError> {
    let source = Source { file };
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let kind = preflib::Kind::of(&extension);
    if kind.is_none() && extension != "csv" {
        return Err(source.whole(format!("this is no preference data by its name; expected {EXTENSIONS}")));
    }
    let text = source.text(bytes)?;
    match kind {
        Some(kind) => preflib::read(source, kind, text),
        None => table::read(source, text),
    }
}

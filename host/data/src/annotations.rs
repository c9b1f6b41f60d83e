//! Annotations of pairs of outputs, as `AlpacaEval` keeps them: its JSON, or a CSV of lengths and preferences; and the
//! auxiliary tables of its length-controlled win rate.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::{DataError, Source};

/// One instruction with two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotatedPair {
    /// The instruction's number; the row's, from 0, where the file has none.
    pub instruction: u64,
    /// Characters of the baseline's output.
    pub length_1: f64,
    /// Characters of the model's.
    pub length_2: f64,
    /// In [1, 2], 2 being the model's output; `None` where the annotator gave none.
    pub preference: Option<f64>,
}

/// A row of a gamed baseline.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GamedAnnotation {
    /// Difference of the lengths over its deviation.
    pub standardised_difference: f64,
    /// The instruction's difficulty.
    pub difficulty: f64,
    /// In [0, 1].
    pub preference: f64,
}

/// `AlpacaEval`'s auxiliary tables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnnotationTables {
    /// Of `df_gamed.csv`.
    pub gamed: Vec<GamedAnnotation>,
    /// By the instruction's number.
    pub difficulty: HashMap<u64, f64>,
}

/// Reads annotations; `file` tells the format by its extension and serves messages.
pub fn read_annotations(file: &str, bytes: &[u8]) -> Result<Vec<AnnotatedPair>, DataError> {
    let source = Source { file };
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let rows = match extension.to_ascii_lowercase().as_str() {
        "csv" => of_csv(source, bytes)?,
        "json" => of_json(source, bytes)?,
        _ => return Err(source.whole("expected a .json file of AlpacaEval, or a .csv")),
    };
    if rows.is_empty() {
        return Err(source.whole("has no annotations; expected at least one row"));
    }
    if rows.iter().all(|row| row.preference.is_none()) {
        return Err(source.whole("has no preference in any row; expected at least one number in [1, 2]"));
    }
    Ok(rows)
}

/// The columns of a CSV by name.
struct Columns<'a> {
    source: Source<'a>,
    places: HashMap<String, usize>,
}

impl<'a> Columns<'a> {
    fn of(source: Source<'a>, header: &csv::StringRecord, needed: &[&str]) -> Result<Self, DataError> {
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        if let Some((first, second)) = crate::names::duplicate(&names) {
            let problem = format!("the name stands in column {} already; expected each column once", first + 1);
            return Err(source.cell(1, second + 1, &names[second], problem));
        }
        let places: HashMap<String, usize> = names.into_iter().enumerate().map(|(place, name)| (name, place)).collect();
        match needed.iter().find(|name| !places.contains_key(**name)) {
            Some(name) => {
                let found = header.iter().collect::<Vec<_>>().join(", ");
                let needed = needed.join(", ");
                Err(source.row(1, format!("has no column {name}; expected {needed}, found {found}")))
            }
            None => Ok(Self { source, places }),
        }
    }

    fn text<'r>(&self, record: &'r csv::StringRecord, name: &str) -> &'r str {
        self.places.get(name).and_then(|&place| record.get(place)).unwrap_or_default().trim()
    }

    /// A finite number that `accept`s; nothing where the cell is empty or says that nothing is there.
    fn number(
        &self,
        (row, record): (usize, &csv::StringRecord),
        name: &str,
        (expected, accept): (&str, fn(f64) -> bool),
    ) -> Result<Option<f64>, DataError> {
        let text = self.text(record, name);
        if ["", "nan", "null", "none"].contains(&text.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && accept(number) => Ok(Some(number)),
            _ => Err(self.wrong(row, name, format!("is \"{text}\"; expected {expected}"))),
        }
    }

    /// The same, but it must be there.
    fn needed(
        &self,
        at: (usize, &csv::StringRecord),
        name: &str,
        (expected, accept): (&str, fn(f64) -> bool),
    ) -> Result<f64, DataError> {
        self.number(at, name, (expected, accept))?
            .ok_or_else(|| self.wrong(at.0, name, format!("is empty; expected {expected}")))
    }

    fn wrong(&self, row: usize, name: &str, problem: String) -> DataError {
        self.source.cell(row, self.places.get(name).map_or(0, |place| place + 1), name, problem)
    }
}

const LENGTH: (&str, fn(f64) -> bool) =
    ("a number of characters, not negative", |value| value >= 0.0 && value.fract() == 0.0);
const PREFERENCE: (&str, fn(f64) -> bool) =
    ("a preference from 1 (the baseline's output) to 2 (the model's), or nothing", |value| {
        (1.0..=2.0).contains(&value)
    });
const INSTRUCTION: (&str, fn(f64) -> bool) =
    ("the instruction's number, from 0", |value| (0.0..9e15).contains(&value) && value.fract() == 0.0);
const ANY: (&str, fn(f64) -> bool) = ("a finite number", |_| true);
const SHARE: (&str, fn(f64) -> bool) = ("a preference in [0, 1]", |value| (0.0..=1.0).contains(&value));

/// Records with the lines that they begin on.
fn records(
    source: Source<'_>,
    bytes: &[u8],
) -> Result<(csv::StringRecord, Vec<(usize, csv::StringRecord)>), DataError> {
    let text = source.text(bytes)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let line = |error: &csv::Error| error.position().map_or(0, |position| position.line() as usize);
    let header = reader.headers().map_err(|error| source.row(line(&error), error.to_string()))?.clone();
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| source.row(line(&error), error.to_string()))?;
        records.push((record.position().map_or(0, |position| position.line() as usize), record));
    }
    Ok((header, records))
}

fn of_csv(source: Source<'_>, bytes: &[u8]) -> Result<Vec<AnnotatedPair>, DataError> {
    let (header, records) = records(source, bytes)?;
    let columns = Columns::of(source, &header, &["length_1", "length_2", "preference"])?;
    let numbered = columns.places.contains_key("instruction");
    let mut rows = Vec::with_capacity(records.len());
    for (index, (line, record)) in records.iter().enumerate() {
        let at = (*line, record);
        let instruction = if numbered { columns.needed(at, "instruction", INSTRUCTION)? as u64 } else { index as u64 };
        rows.push(AnnotatedPair {
            instruction,
            length_1: columns.needed(at, "length_1", LENGTH)?,
            length_2: columns.needed(at, "length_2", LENGTH)?,
            preference: columns.number(at, "preference", PREFERENCE)?,
        });
    }
    Ok(rows)
}

fn of_json(source: Source<'_>, bytes: &[u8]) -> Result<Vec<AnnotatedPair>, DataError> {
    let document: Json =
        slhf_json::read(bytes).map_err(|error| source.row(error.line(), format!("is not JSON: {error}")))?;
    let Json::Array(entries) = document else {
        return Err(source.whole("is not a list; expected AlpacaEval's list of annotations"));
    };
    entries.iter().enumerate().map(|(index, entry)| of_entry(source, index, entry)).collect()
}

fn of_entry(source: Source<'_>, index: usize, entry: &Json) -> Result<AnnotatedPair, DataError> {
    let wrong = |key: &str, expected: &str| {
        let found = entry.get(key).map_or_else(|| "missing".to_owned(), shortened);
        source.whole(format!("annotation {index} (from 0): {key} is {found}; expected {expected}"))
    };
    let length = |key: &str| {
        let text = entry.get(key).and_then(Json::as_str).ok_or_else(|| wrong(key, "the text of an output"))?;
        // What the reference library counts: code points.
        Ok(text.chars().count() as f64)
    };
    let preference = match entry.get("preference") {
        None | Some(Json::Null) => None,
        Some(value) => match value.as_f64() {
            // AlpacaEval's own mark of a tie.
            Some(0.0) => Some(1.5),
            Some(number) if (1.0..=2.0).contains(&number) => Some(number),
            _ if slhf_json::not_finite(value) == Some("NaN") => None,
            _ => return Err(wrong("preference", "a number in [1, 2], 0 for a tie, or null")),
        },
    };
    let instruction = match entry.get("index") {
        None | Some(Json::Null) => index as u64,
        // A column with a gap is a column of floats in pandas: 3.0.
        Some(value) => value
            .as_f64()
            .filter(|number| (INSTRUCTION.1)(*number))
            .map(|number| number as u64)
            .ok_or_else(|| wrong("index", "the instruction's number, from 0"))?,
    };
    Ok(AnnotatedPair { instruction, length_1: length("output_1")?, length_2: length("output_2")?, preference })
}

/// A value that may be long.
fn shortened(value: &Json) -> String {
    let text = slhf_json::describe(value).to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Reads `AlpacaEval`'s auxiliary tables from a folder: `df_gamed.csv`, and `instruction_difficulty.csv` for instructions that
/// the first does not name.
pub fn read_annotation_tables(folder: &Path) -> Result<AnnotationTables, DataError> {
    let mut tables = AnnotationTables::default();
    let path = folder.join("df_gamed.csv");
    let file = path.display().to_string();
    let source = Source { file: &file };
    let bytes = slhf_files::read(&path, slhf_files::DATA_BYTES_MAX)
        .map_err(|error| source.whole(format!("cannot be read: {error}")))?;
    let (header, records) = records(source, &bytes)?;
    let columns = Columns::of(source, &header, &["index", "preference", "std_delta_len", "instruction_difficulty"])?;
    for (line, record) in &records {
        let at = (*line, record);
        let instruction = columns.needed(at, "index", INSTRUCTION)? as u64;
        let difficulty = columns.needed(at, "instruction_difficulty", ANY)?;
        tables.difficulty.entry(instruction).or_insert(difficulty);
        // A row without a preference holds nothing down.
        if let Some(preference) = columns.number(at, "preference", SHARE)? {
            let standardised_difference = columns.needed(at, "std_delta_len", ANY)?;
            tables.gamed.push(GamedAnnotation { standardised_difference, difficulty, preference });
        }
    }
    if tables.gamed.is_empty() {
        return Err(source.whole("has no row with a preference"));
    }
    more_difficulties(folder, &mut tables)?;
    Ok(tables)
}

fn more_difficulties(folder: &Path, tables: &mut AnnotationTables) -> Result<(), DataError> {
    let path = folder.join("instruction_difficulty.csv");
    if !path.exists() {
        return Ok(());
    }
    let file = path.display().to_string();
    let source = Source { file: &file };
    let bytes = slhf_files::read(&path, slhf_files::DATA_BYTES_MAX)
        .map_err(|error| source.whole(format!("cannot be read: {error}")))?;
    let (_, records) = records(source, &bytes)?;
    for (line, record) in &records {
        let cell = |place: usize| record.get(place).and_then(|text| text.trim().parse::<f64>().ok());
        match (cell(0), cell(1)) {
            (Some(index), Some(difficulty)) if (INSTRUCTION.1)(index) && difficulty.is_finite() => {
                tables.difficulty.entry(index as u64).or_insert(difficulty);
            }
            _ => return Err(source.row(*line, "expected the instruction's number and its difficulty")),
        }
    }
    Ok(())
}

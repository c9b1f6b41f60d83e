//! The rows of a file as they are read, whatever their layout.

use std::collections::{BTreeSet, HashMap};

use slhf_plan::{Message, OnBadRow, PairLayout};

use super::found::{PreferencePair, PreferenceReading, Preferences};
use super::help_steer::{self, RatedResponse};
use super::said::{SaidPair, SaidRow};
use super::{pair_row, transcripts, ultra_feedback};
use crate::error::{DataError, Source};
use crate::prompts::{Numbered, ROWS_MAX, SkippedRows};

/// A pair with the place of its prompt.
struct Kept {
    row: usize,
    prompt: usize,
    pair: SaidPair,
}

pub(super) struct Taken<'a> {
    source: Source<'a>,
    reading: &'a PreferenceReading,
    rows: usize,
    places: HashMap<Vec<Message>, usize>,
    prompts: Vec<Vec<Message>>,
    pairs: Vec<Kept>,
    rows_without_two: Vec<usize>,
    skipped: SkippedRows,
    /// The first of two rows that make a pair.
    waiting: Option<(usize, RatedResponse)>,
}

impl<'a> Taken<'a> {
    pub(super) fn new(source: Source<'a>, reading: &'a PreferenceReading) -> Self {
        Self {
            source,
            reading,
            rows: 0,
            places: HashMap::new(),
            prompts: Vec::new(),
            pairs: Vec::new(),
            rows_without_two: Vec::new(),
            skipped: SkippedRows::default(),
            waiting: None,
        }
    }

    pub(super) fn row(&mut self, row: Result<Numbered, DataError>) -> Result<(), DataError> {
        self.rows += 1;
        if self.rows > ROWS_MAX {
            return Err(self.source.whole(format!("the file has more than {ROWS_MAX} rows; split it")));
        }
        match (row.and_then(|row| self.one(row)), self.reading.on_bad_row) {
            (Err(error), OnBadRow::Skip) => {
                self.skipped.count += 1;
                self.skipped.first.get_or_insert(error);
                Ok(())
            }
            (done, _) => done,
        }
    }

    fn one(&mut self, row: Numbered) -> Result<(), DataError> {
        let number = row.0;
        let said = match self.reading.layout {
            PairLayout::Pairs => pair_row::read(self.source, row)?,
            PairLayout::Transcripts => transcripts::read(self.source, row)?,
            PairLayout::UltraFeedback => ultra_feedback::read(self.source, row, self.reading.attribute.as_deref())?,
            PairLayout::HelpSteer2 => {
                let second = help_steer::read(self.source, row)?;
                match self.waiting.take() {
                    Some((_, first)) if first.messages == second.messages => {
                        help_steer::pair(self.source, (number, first, second), self.reading)?
                    }
                    other => {
                        // A row whose neighbors are of other prompts has nothing to be compared with.
                        self.rows_without_two.extend(other.map(|(number, _)| number));
                        self.waiting = Some((number, second));
                        return Ok(());
                    }
                }
            }
        };
        self.keep(number, said);
        Ok(())
    }

    fn keep(&mut self, row: usize, said: SaidRow) {
        let different = |pair: &SaidPair| pair.responses[0] != pair.responses[1];
        let pairs: Vec<SaidPair> = said.pairs.into_iter().filter(different).collect();
        if pairs.is_empty() {
            self.rows_without_two.push(row);
            return;
        }
        let prompt = *self.places.entry(said.messages).or_insert_with_key(|messages| {
            self.prompts.push(messages.clone());
            self.prompts.len() - 1
        });
        self.pairs.extend(pairs.into_iter().map(|pair| Kept { row, prompt, pair }));
    }

    pub(super) fn whole(mut self, sha256: String) -> Result<Preferences, DataError> {
        self.rows_without_two.extend(self.waiting.take().map(|(number, _)| number));
        if self.pairs.is_empty() {
            return Err(match (self.skipped.first, self.rows_without_two.len()) {
                (Some(first), _) => first,
                (None, 0) => self.source.whole(
                    "the file has no row; expected one object a line, like {\"prompt\": \"…\", \"chosen\": \"…\", \"rejected\": \"…\"}",
                ),
                (None, rows) => {
                    self.source.whole(format!("none of its rows has two different responses ({rows} read)"))
                }
            });
        }
        let names: BTreeSet<&String> = self.pairs.iter().flat_map(|kept| kept.pair.ratings.keys()).collect();
        let labels: Vec<String> = names.into_iter().cloned().collect();
        let pairs = self.pairs.into_iter().map(|Kept { row, prompt, pair }| PreferencePair {
            row,
            prompt,
            ratings: labels.iter().map(|label| pair.ratings.get(label).copied()).collect(),
            responses: pair.responses,
            first_is_better: pair.first_is_better,
            strength: pair.strength,
        });
        Ok(Preferences {
            file: self.source.file.to_owned(),
            sha256,
            pairs: pairs.collect(),
            prompts: self.prompts,
            labels,
            rows_without_two: self.rows_without_two,
            skipped: self.skipped,
        })
    }
}

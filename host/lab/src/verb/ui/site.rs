//! The record as a site.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use slhf_record::{OpenMode, Record};
use slhf_ui::{Change, Link, Query, Site, View, ViewError};

use super::super::common::RecordArgument;
use super::comparisons::Comparisons;
use super::{audits, cells, curves, experiments, pages, remarks, runs, samples, settings};

/// Opens the record anew for every page: what another process wrote is there at once.
pub(super) struct RecordSite {
    record: RecordArgument,
    watched: Mutex<Option<Watched>>,
    comparisons: Comparisons,
}

/// The record as it is watched for changes.
struct Watched {
    /// Device and number of the file: a backup that was put in its place is another one.
    file: (u64, u64),
    /// How often it was opened for this.
    opened: u64,
    record: Record,
}

impl RecordSite {
    pub(super) fn new(record: RecordArgument) -> Self {
        Self { record, watched: Mutex::new(None), comparisons: Comparisons::default() }
    }

    fn watched_version(&self) -> Option<String> {
        let found = fs::metadata(&self.record.db).ok()?;
        let file = (found.dev(), found.ino());
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.as_ref().is_none_or(|watched| watched.file != file) {
            let opened = watched.as_ref().map_or(0, |watched| watched.opened) + 1;
            let record = Record::open(&self.record.db, OpenMode::Read).ok()?;
            *watched = Some(Watched { file, opened, record });
        }
        let watched = watched.as_mut()?;
        let counter = watched.record.change_counter().ok()?;
        // A copy of a record that nobody may write beside sees no change; its file does.
        let length = if watched.record.is_writable() { 0 } else { found.len() };
        Some(format!("{}-{counter}-{length}", watched.opened))
    }

    fn open(&self, mode: OpenMode) -> Result<Record, ViewError> {
        Record::open(&self.record.db, mode).map_err(|error| ViewError::Failed(slhf_words::chain(&error)))
    }
}

impl Site for RecordSite {
    fn links(&self) -> Vec<Link> {
        let link = |path: &str, title: &str| Link { path: path.to_owned(), title: title.to_owned() };
        vec![
            link("/", "Experiments"),
            link("/runs", "Runs"),
            link("/curves", "Curves"),
            link("/samples", "Samples"),
            link("/audits", "Judge audits"),
        ]
    }

    fn view(&self, path: &[String], query: &Query) -> Result<View, ViewError> {
        let version = self.version();
        let record = &mut self.open(OpenMode::Read)?;
        let compared = &mut |record: &mut Record, name: &str| self.comparisons.of(record, name, &version);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [] => experiments::view(record),
            ["experiment", name] => pages::experiment(record, name),
            ["cells", name] => Ok(cells::view(compared(record, name)?.as_ref(), name, query)),
            ["parallel", name] => Ok(settings::parallel(compared(record, name)?.as_ref(), name, query)),
            ["pivot", name] => Ok(settings::pivot(compared(record, name)?.as_ref(), name, query)),
            ["run", run] => pages::run(record, run),
            ["runs"] => runs::view(record, query),
            ["curves"] => curves::view(record, query, compared),
            ["samples"] => samples::view(record, query),
            ["audits"] => audits::view(record),
            _ => Err(ViewError::NotFound(format!("there is no page /{}", path.join("/")))),
        }
    }

    fn change(&self, path: &[String], form: &Query) -> Result<Change, ViewError> {
        match path {
            [kind, run] if kind == "run" => {
                if !self.open(OpenMode::Read)?.is_writable() {
                    let sentence = "this record is only read here: tags and notes are written where it was made";
                    return Err(ViewError::BadRequest(sentence.to_owned()));
                }
                remarks::change(&mut self.open(OpenMode::Write)?, run, form)
            }
            _ => Err(ViewError::NotFound(format!("nothing is written at /{}", path.join("/")))),
        }
    }

    fn version(&self) -> String {
        self.watched_version().unwrap_or_default()
    }
}

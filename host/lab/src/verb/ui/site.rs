//! The record as a site.

use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use slhf_record::{OpenMode, Record};
use slhf_ui::{Change, Link, Query, Site, View, ViewError};

use super::super::common::RecordArgument;
use super::{audits, cells, curves, experiments, pages, runs, samples};

/// Opens the record anew for every page: what another process wrote is there at once.
pub(super) struct RecordSite {
    record: RecordArgument,
}

impl RecordSite {
    pub(super) fn new(record: RecordArgument) -> Self {
        Self { record }
    }

    fn open(&self) -> Result<Record, ViewError> {
        Record::open(&self.record.db, OpenMode::Read).map_err(|error| ViewError::Failed(slhf_words::chain(&error)))
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
        let record = &mut self.open()?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            [] => experiments::view(record),
            ["experiment", name] => pages::experiment(record, name),
            ["cells", name] => cells::view(record, name, query),
            ["run", run] => pages::run(record, run),
            ["runs"] => runs::view(record, query),
            ["curves"] => curves::view(record, query),
            ["samples"] => samples::view(record, query),
            ["audits"] => audits::view(record),
            _ => Err(ViewError::NotFound(format!("there is no page /{}", path.join("/")))),
        }
    }

    fn change(&self, path: &[String], _form: &Query) -> Result<Change, ViewError> {
        Err(ViewError::NotFound(format!("nothing is written at /{}", path.join("/"))))
    }

    fn version(&self) -> String {
        let of = |path: PathBuf| {
            let known = fs::metadata(path).ok()?;
            let changed = known.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(format!("{}-{}", changed.as_nanos(), known.len()))
        };
        let wal = {
            let mut name = self.record.db.clone().into_os_string();
            name.push("-wal");
            PathBuf::from(name)
        };
        format!("{}/{}", of(self.record.db.clone()).unwrap_or_default(), of(wal).unwrap_or_default())
    }
}

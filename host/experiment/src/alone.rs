//! Runs of models: each has a batch group and a worker of its own.

use serde::Serialize;
use serde_json::json;
use slhf_plan::Work;

use crate::grouping::forget_paths;
use crate::planned::{PlannedGroup, PlannedRun, TextSizes};

/// One run, planned.
pub(crate) struct Alone {
    pub(crate) work: Work,
    pub(crate) content_hash: String,
    pub(crate) estimated_seconds: f64,
    pub(crate) sizes: TextSizes,
}

/// The runs, cell by cell; `run` plans the one of a cell with this number and seed.
pub(crate) fn plan<C>(
    cells: &[C],
    seeds: &[u64],
    run: impl Fn(&C, i64, u64) -> Alone,
) -> (Vec<PlannedRun>, Vec<PlannedGroup>) {
    let mut runs = Vec::with_capacity(cells.len() * seeds.len());
    let mut groups = Vec::with_capacity(cells.len() * seeds.len());
    for (index, cell) in cells.iter().enumerate() {
        for &seed in seeds {
            let number = runs.len();
            let alone = run(cell, i64::try_from(number).unwrap_or(i64::MAX), seed);
            runs.push(PlannedRun { cell: index, seed, group: groups.len(), content_hash: alone.content_hash });
            groups.push(PlannedGroup {
                runs: vec![number],
                template: alone.work,
                estimated_seconds: alone.estimated_seconds,
                sizes: alone.sizes,
            });
        }
    }
    (runs, groups)
}

/// What a content hash covers.
pub(crate) struct Hashed<'a> {
    /// Raised when what the hash covers changes, or what it computes.
    pub(crate) version: u32,
    /// Of the plan, in the hashed JSON.
    pub(crate) name: &'a str,
    /// Paths of keys that decide no number.
    pub(crate) left_out: &'a [&'a [&'a str]],
}

impl Hashed<'_> {
    /// SHA-256 over everything that influences the run's numbers. Paths are left out: the hashes of plugins, models and data are in.
    pub(crate) fn hash(&self, plan: &impl Serialize) -> String {
        let mut content = json!({ "version": self.version, self.name: plan });
        for path in self.left_out {
            let Some((key, tables)) = path.split_last() else { continue };
            let table = tables.iter().try_fold(&mut content[self.name], |table, key| table.get_mut(*key));
            if let Some(table) = table.and_then(|table| table.as_object_mut()) {
                table.remove(*key);
            }
        }
        forget_paths(&mut content);
        slhf_files::sha256_hex(content.to_string().as_bytes())
    }
}

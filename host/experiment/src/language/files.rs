//! Files that cells name: models, chat templates, prompts; each is looked at once for all cells.

use std::path::Path;

use slhf_data::prompts::Prompts;
use slhf_data::{DataError, PlannedReading};
use slhf_plan::ModelShape;

use crate::absent::Absent;
use crate::error::ExperimentError;
use crate::models;
use crate::planner::Planner;

impl Planner<'_> {
    /// A model that is named at `key`, looked at once for all cells. Where it is not here its `shape` may stand for it.
    pub(super) fn found(
        &mut self,
        named: &str,
        shape: Option<&ModelShape>,
        key: &str,
        label: &str,
    ) -> Result<models::Found, ExperimentError> {
        if let Some(found) = self.models.get(named) {
            return Ok(found.clone());
        }
        let base = self.path().parent().map(Path::to_path_buf).unwrap_or_default();
        let found = match (models::find(named, &base).and_then(|path| models::Found::read(&path)), shape) {
            (Ok(found), _) => found,
            (Err(_), Some(shape)) if self.describes() => {
                self.note(&format!("the model \"{named}\" is not here: its shape stands for it"));
                self.shapes.describe(named, shape.clone());
                models::Found::described(named, shape)
            }
            (Err(error), _) => {
                let way = if self.options.absent == Absent::Priced && shape.is_none() && key == "model.path" {
                    "; to price the plan without it, say in [model.shape] what shape it has"
                } else {
                    ""
                };
                return Err(self.invalid(label, key, &(slhf_words::chain(&error) + way)));
            }
        };
        self.models.insert(named.to_owned(), found.clone());
        Ok(found)
    }

    /// The text of a chat template that is named at `key`.
    pub(super) fn chat_template(&self, named: Option<&str>, key: &str) -> Result<Option<String>, ExperimentError> {
        let Some(named) = named else { return Ok(None) };
        let file = self.path();
        let path = file.parent().unwrap_or(Path::new("")).join(named);
        slhf_files::read_text(&path, slhf_files::SETTINGS_BYTES_MAX)
            .map(Some)
            .map_err(|cause| ExperimentError::Unreadable { file, key: key.to_owned(), named: named.to_owned(), cause })
    }

    /// Read once for all cells that read it alike.
    pub(super) fn prompts(&mut self, path: &Path, reading: PlannedReading) -> Result<&Prompts, DataError> {
        let is_it =
            |(known, prompts): &(PlannedReading, Prompts)| *known == reading && Path::new(&prompts.file) == path;
        let index = if let Some(index) = self.prompts.iter().position(is_it) {
            index
        } else {
            let found = slhf_foreign::prompts(path, reading.clone())?;
            self.prompts.push((reading, found));
            self.prompts.len() - 1
        };
        Ok(&self.prompts[index].1)
    }
}

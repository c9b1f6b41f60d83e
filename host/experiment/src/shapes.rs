//! The shapes of an experiment's models: of those that lie here from their files, of the others as the experiment gives them.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_plan::ModelShape;

/// Shapes by the models' paths in the plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shapes(BTreeMap<String, ModelShape>);

impl Shapes {
    /// A model that is not here.
    pub(crate) fn describe(&mut self, path: &str, shape: ModelShape) {
        self.0.insert(path.to_owned(), shape);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Of a model of a plan; files are looked at once. An error is a sentence.
    pub(crate) fn of(&mut self, path: &str) -> Result<ModelShape, String> {
        if let Some(known) = self.0.get(path) {
            return Ok(known.clone());
        }
        let shape = slhf_foreign::shape(Path::new(path))?;
        self.describe(path, shape.clone());
        Ok(shape)
    }
}

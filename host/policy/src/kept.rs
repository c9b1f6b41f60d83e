//! Trained parameters as they were at earlier times: policies that are asked again, but no longer trained.

use std::collections::VecDeque;

use crate::{Parameter, Parameters, PolicyError};

/// Copies of what is trained, the last that was kept first. Each takes as much memory as the trained parameters do (adapters: little;
/// full training: a whole model in f32).
#[derive(Debug, Default)]
pub struct KeptParameters {
    copies: VecDeque<Vec<Parameter>>,
}

impl KeptParameters {
    /// Keeps the parameters as they stand, and forgets the oldest copies beyond `most`.
    ///
    /// # Errors
    /// There is no memory for a copy.
    pub fn keep(&mut self, parameters: &Parameters, most: usize) -> Result<(), PolicyError> {
        // Gone before the new one is made.
        self.copies.truncate(most.saturating_sub(1));
        if most > 0 {
            self.copies.push_front(copied(parameters)?);
        }
        Ok(())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.copies.len()
    }

    /// Whether nothing was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// Puts the copy that was kept so many times ago, from 1, in the place of the parameters, and these in its place: a second exchange
    /// takes the first one back. Call [`crate::Engine::parameters_changed`] after each.
    ///
    /// # Errors
    /// So many are not kept.
    pub fn exchange(&mut self, back: usize, parameters: &mut Parameters) -> Result<(), PolicyError> {
        let kept = self.copies.len();
        let Some(copy) = back.checked_sub(1).and_then(|index| self.copies.get_mut(index)) else {
            return Err(PolicyError::Request {
                what: "a policy of an earlier step".to_owned(),
                problem: format!("is asked for that was kept {back} times ago, but {kept} are kept"),
            });
        };
        for (own, kept) in parameters.iter_mut().zip(copy) {
            std::mem::swap(own, kept);
        }
        Ok(())
    }

    /// The copies, the last first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Parameter]> {
        self.copies.iter().map(Vec::as_slice)
    }

    /// In the place of all that was kept.
    pub(crate) fn set(&mut self, copies: Vec<Vec<Parameter>>) {
        self.copies = copies.into();
    }
}

fn copied(parameters: &Parameters) -> Result<Vec<Parameter>, PolicyError> {
    let copy = |own: &Parameter| Parameter::new(own.name.clone(), own.agent, &own.tensor, own.tensor.device());
    parameters.iter().map(copy).collect()
}

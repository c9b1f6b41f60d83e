//! Prompts that are too long.

use super::PromptRow;

/// A prompt over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its place among the prompts that were measured.
    pub index: usize,
    /// [`PromptRow::id`].
    pub id: String,
    /// Its tokens.
    pub tokens: usize,
}

/// What fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fitting {
    /// Places of the prompts within the limit, in order.
    pub fits: Vec<usize>,
    /// The others: to be dropped or truncated, and counted.
    pub too_long: Vec<TooLong>,
}

/// Measures every prompt with `tokens`, the number of tokens of its rendering.
pub fn fitting<E>(
    rows: &[PromptRow],
    tokens_max: usize,
    mut tokens: impl FnMut(&PromptRow) -> Result<usize, E>,
) -> Result<Fitting, E> {
    let mut fitting = Fitting::default();
    for (index, row) in rows.iter().enumerate() {
        match tokens(row)? {
            found if found <= tokens_max => fitting.fits.push(index),
            found => fitting.too_long.push(TooLong { index, id: row.id.clone(), tokens: found }),
        }
    }
    Ok(fitting)
}

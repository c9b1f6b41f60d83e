//! Which pairs are kept for evaluation: all of a prompt, or none.

use slhf_random::{Place, Purpose, uniforms};

use super::found::Preferences;
use crate::error::{DataError, Source};

/// Pairs by their place in [`Preferences::pairs`], in the file's order. No prompt is on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreferenceSplit {
    /// Trained on.
    pub training: Vec<usize>,
    /// Never trained on.
    pub held_out: Vec<usize>,
}

impl PreferenceSplit {
    /// Holds out `held_out` prompts, chosen by `seed`: a Fisher–Yates draw over the different conversations in the file's order.
    /// Fails where none would be left for training.
    pub fn of(preferences: &Preferences, held_out: u32, seed: u64) -> Result<Self, DataError> {
        let (wanted, different) = (held_out as usize, preferences.prompts.len());
        if wanted >= different {
            return Err(Source { file: &preferences.file }.whole(format!(
                "the file has {different} different prompts and {wanted} are to be held out; expected `held_out` below {different}, so \
                 that some are left for training"
            )));
        }
        let mut drawn: Vec<usize> = (0..different).collect();
        for index in 0..wanted {
            let place = Place { purpose: Purpose::PromptSplit, step: 0, round: 0 };
            let [u, _] = uniforms(seed, place, index as u32);
            let other = index + ((u * (different - index) as f64) as usize).min(different - index - 1);
            drawn.swap(index, other);
        }
        let mut is_held_out = vec![false; different];
        for prompt in &drawn[..wanted] {
            is_held_out[*prompt] = true;
        }
        let of = |held_out: bool| {
            let pairs = preferences.pairs.iter().enumerate();
            pairs.filter(|(_, pair)| is_held_out[pair.prompt] == held_out).map(|(index, _)| index).collect()
        };
        Ok(Self { training: of(false), held_out: of(true) })
    }
}

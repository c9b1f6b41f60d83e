//! Which prompts are kept for evaluation.

use std::collections::HashMap;

use slhf_plan::{DataPlan, Message, PromptId};
use slhf_random::{Place, Purpose, uniforms};

use super::file::Prompts;
use super::row::PromptRow;
use crate::DataError;
use crate::error::Source;

/// Prompts by their place in [`Prompts::rows`]. No conversation occurs on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Trained on, in the file's order; a prompt that the file has twice is here twice.
    pub training: Vec<usize>,
    /// Never trained on, in the order of the draw, so that the first n of them are a sample too; each is different.
    pub held_out: Vec<usize>,
    /// Repetitions of prompts that are held out, in neither.
    pub repetitions: usize,
}

impl Split {
    /// Holds out `held_out` different prompts, chosen by `seed`: a Fisher–Yates draw over the different
    /// conversations in the file's order, a function of (file, `held_out`, `seed`) alone. Fails where no prompt would be
    /// left for training.
    pub fn of(prompts: &Prompts, held_out: u32, seed: u64) -> Result<Self, DataError> {
        let mut firsts: Vec<usize> = Vec::new();
        let mut groups: HashMap<&[Message], usize> = HashMap::new();
        let mut group_of = Vec::with_capacity(prompts.rows.len());
        for (index, row) in prompts.rows.iter().enumerate() {
            let group = *groups.entry(row.messages.as_slice()).or_insert_with(|| {
                firsts.push(index);
                firsts.len() - 1
            });
            group_of.push(group);
        }
        let (wanted, different) = (held_out as usize, firsts.len());
        if wanted >= different {
            return Err(Source { file: &prompts.file }.whole(format!(
                "the file has {different} different prompts and {wanted} are to be held out; expected `held_out` below {different}, so that some are left for training"
            )));
        }
        let mut drawn: Vec<usize> = (0..different).collect();
        for index in 0..wanted {
            let place = Place { purpose: Purpose::PromptSplit, step: 0, round: 0 };
            let [u, _] = uniforms(seed, place, index as u32);
            // u < 1, but its product with a large number can round up to it.
            let other = index + ((u * (different - index) as f64) as usize).min(different - index - 1);
            drawn.swap(index, other);
        }
        drawn.truncate(wanted);
        let mut is_held_out = vec![false; different];
        for group in &drawn {
            is_held_out[*group] = true;
        }
        let training: Vec<usize> = (0..group_of.len()).filter(|index| !is_held_out[group_of[*index]]).collect();
        let repetitions = group_of.len() - training.len() - wanted;
        Ok(Self { training, held_out: drawn.into_iter().map(|group| firsts[group]).collect(), repetitions })
    }
}

impl Prompts {
    /// The prompts that a plan holds out, in the order in which evaluations ask them; those that are too long for the plan are
    /// still among them.
    pub fn held_out(&self, plan: &DataPlan) -> Result<Vec<(PromptId, PromptRow)>, DataError> {
        let split = Split::of(self, plan.held_out, plan.split_seed)?;
        let ids = self.ids(&plan.system);
        let row = |index: usize| (ids[index], self.rows[index].clone().with_system(&plan.system));
        Ok(split.held_out.into_iter().map(row).collect())
    }
}

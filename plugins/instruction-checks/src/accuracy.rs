//! `IFEval`'s four numbers (Zhou et al., arXiv 2311.07911).

use slhf_sdk::Response;

use crate::credit::{follows, follows_loosely};
use crate::instruction::Instruction;

/// Counts over prompts; [`Accuracy::prompt_level`] and the others are the shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Prompts.
    pub prompts: u64,
    /// Instructions of all prompts.
    pub instructions: u64,
    /// Prompts all of whose instructions were followed: strictly, loosely.
    pub prompts_followed: [u64; 2],
    /// Instructions that were followed: strictly, loosely.
    pub instructions_followed: [u64; 2],
}

/// What counts as following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// [`follows`].
    Strict,
    /// [`follows_loosely`].
    Loose,
}

impl Accuracy {
    /// Counts one prompt's answer. A prompt without instructions is not counted.
    pub fn count(&mut self, instructions: &[Instruction], answer: &Response) {
        if instructions.is_empty() {
            return;
        }
        self.prompts += 1;
        self.instructions += instructions.len() as u64;
        for (index, check) in [follows, follows_loosely].into_iter().enumerate() {
            let followed = instructions.iter().filter(|instruction| check(instruction, answer)).count();
            self.instructions_followed[index] += followed as u64;
            self.prompts_followed[index] += u64::from(followed == instructions.len());
        }
    }

    /// Share of prompts all of whose instructions were followed; `None` without any prompt.
    pub fn prompt_level(&self, strictness: Strictness) -> Option<f64> {
        (self.prompts > 0).then(|| self.prompts_followed[strictness as usize] as f64 / self.prompts as f64)
    }

    /// Share of instructions that were followed; `None` without any prompt.
    pub fn instruction_level(&self, strictness: Strictness) -> Option<f64> {
        (self.instructions > 0)
            .then(|| self.instructions_followed[strictness as usize] as f64 / self.instructions as f64)
    }
}

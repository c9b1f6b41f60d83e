//! Instructions that a program can check, and how far an answer follows them.
//!
//! In the spirit of `IFEval` (Zhou et al., arXiv 2311.07911): instructions such as "all lowercase" or "mention the word
//! river". They come in the metadata of the data row, with their arguments ([`instructions_of`]):
//!
//! ```json
//! {"prompt": "…", "instructions": [{"kind": "lowercase"}, {"kind": "mention", "word": "river"}]}
//! ```
//!
//! Or they are `IFEval`'s own, as its data has them:
//!
//! ```json
//! {"prompt": "…", "instruction_id_list": ["length_constraints:number_words"],
//!  "kwargs": [{"relation": "at least", "num_words": 300}]}
//! ```
//!
//! [`credit`] grades an answer, for judges; [`strictly`] and [`loosely`] say yes or no, and [`Accuracy`] counts
//! that over prompts. It is no plugin: the plugins `instructions` and `instruction-accuracy` are made of it.

mod accuracy;
mod credit;
mod found;
mod ifeval;
mod instruction;
mod kinds;
mod language;
mod metadata;

pub use accuracy::{Accuracy, Strictness};
pub use credit::{Credit, Finding, credit, follows, follows_loosely, is_degenerate, loosely, strictly};
pub use ifeval::{Count, Ifeval};
pub use instruction::Instruction;
pub use metadata::{check_parameter, instructions_of};

#[cfg(test)]
mod tests;

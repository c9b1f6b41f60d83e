//! Instructions that a program can check, and how far an answer follows them.
//!
//! In the spirit of `IFEval` (Zhou et al., arXiv 2311.07911): instructions such as "all lowercase" or "mention the word
//! river". They come in the metadata of the data row, with their arguments ([`instructions_of`]):
//!
//! ```json
//! {"prompt": "…", "instructions": [{"kind": "lowercase"}, {"kind": "mention", "word": "river"}]}
//! ```
//!
//! [`credit`] grades an answer, for judges; [`follows`] and [`follows_loosely`] say yes or no, and [`Accuracy`] counts
//! that over prompts. It is no plugin: the plugins `instructions` and `instruction-accuracy` are made of it.

mod accuracy;
mod credit;
mod instruction;
mod metadata;

pub use accuracy::{Accuracy, Strictness};
pub use credit::{Credit, credit, follows, follows_loosely, is_degenerate};
pub use instruction::Instruction;
pub use metadata::{check_parameter, instructions_of};

#[cfg(test)]
mod tests;

//! Files that strangers made are read in a process of their own.
//!
//! A compiler, a decompressor or a parser that is fed by a stranger may take minutes or gigabytes, overflow a stack or
//! panic. None of that happens in the lab: its program, started again with a hidden verb ([`VERB`], then [`main`]), reads the
//! file under limits of memory and time, and leaves a checked result in the cache or on its standard output. It may come to any
//! end; the error says which, of which file, and how to raise the limit. One process serves all files of a command.
//!
//! Begin with `protocol.rs`: what is asked and answered. `child.rs` is the process, `process.rs` the end that asks it. Whoever
//! asks must be a program that calls [`main`] when it is started with [`VERB`], as `slhf-lab` does:
//!
//! ```
//! let is_reader = std::env::args_os().nth(1).is_some_and(|verb| verb == slhf_foreign::VERB);
//! assert!(!is_reader);
//! ```

mod ask;
mod child;
mod data;
mod error;
mod limits;
mod models;
mod plugins;
mod process;
mod protocol;
mod reading;
mod room;

pub use child::main;
pub use data::{
    annotation_tables, annotations, conversations, pairs, preference_data, preferences, prompts, responses,
};
pub use error::ForeignError;
pub use limits::MemoryLimit;
pub use models::{
    overflow, prompt_sizes, shape, try_answer_sets, try_models_of, try_models_of_reward, try_models_of_task,
};
pub use plugins::{host_settings, try_plugins};
pub use protocol::{
    AnnotationsAnswer, ConversationsAnswer, DataAnswer, PairsAnswer, PreferencesAnswer, PromptsAnswer, ResponsesAnswer,
    RoomAnswer, ShapeAnswer, SizesAnswer, TablesAnswer, Tried, VERB,
};
pub use room::{GivenAnswer, Overflow, PromptSizes, SetSizes};

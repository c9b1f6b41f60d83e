//! What can go wrong with a language model, in one sentence each.

use tch::TchError;

/// Why a model could not be read, run or written. A message says what, where and what was expected; what caused it is the
/// error's source and is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Files: a model's, an adapter's, or those that are written.
    #[error(transparent)]
    Model(#[from] slhf_model::ModelError),
    /// A setting of a run cannot be honoured.
    #[error("`{key}` {problem}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// What it says and what is possible.
        problem: String,
    },
    /// A trained parameter is not as expected.
    #[error("the parameter `{name}` {problem}")]
    Parameter {
        /// Its name.
        name: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// A gradient has no finite norm; nothing was changed.
    #[error("the {agent}'s gradient of `{name}` {problem}; no parameter was changed")]
    Gradient {
        /// Whose.
        agent: &'static str,
        /// The agent's first such parameter.
        name: String,
        /// What is in it.
        problem: String,
    },
    /// libtorch refused an optimizer step.
    #[error("cannot update the parameters of the {agent}")]
    Optimizer {
        /// Whose.
        agent: &'static str,
        /// libtorch's reason.
        source: slhf_torch_shim::ShimError,
    },
    /// Saved parameters and moments are not those of this run.
    #[error("the saved training state {problem}")]
    State {
        /// What was found and what was expected.
        problem: String,
    },
    /// A request that the model cannot carry out.
    #[error("{what} {problem}")]
    Request {
        /// Which row, pair or prompt.
        what: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
    /// The device has not enough memory left.
    #[error(
        "not enough memory to {doing} ({reason}): lower `method.micro_batch_size`, `method.max_new_tokens`, \
         `method.prompts_per_step` or `evaluation.batch_size`, or set `model.activation_checkpointing = true`"
    )]
    OutOfMemory {
        /// What was being done, with names and shapes.
        doing: String,
        /// How much was asked for, in libtorch's words.
        reason: String,
    },
    /// libtorch refused an operation.
    #[error("libtorch cannot {doing}")]
    Torch {
        /// What was being done, with names and shapes.
        doing: String,
        /// libtorch's reason.
        source: TchError,
    },
}

impl PolicyError {
    /// For `map_err` behind an `f_…` call.
    pub fn torch(doing: impl Into<String>) -> impl FnOnce(TchError) -> Self {
        let doing = doing.into();
        move |source| match memory_asked_for(&source.to_string()) {
            Some(reason) => Self::OutOfMemory { doing, reason },
            None => Self::Torch { doing, source },
        }
    }
}

/// The sentence in which libtorch's allocators say that they have no more: the CPU's `DefaultCPUAllocator: can't allocate
/// memory: you tried to allocate … bytes`, CUDA's `CUDA out of memory. Tried to allocate …`.
fn memory_asked_for(message: &str) -> Option<String> {
    let is_out = message.contains("out of memory") || message.contains("can't allocate memory");
    let asked = message.find("ried to allocate").filter(|_| is_out)?;
    let rest = message[asked..].lines().next().unwrap_or_default();
    // The sizes of CUDA's sentence have points of their own: the sentence ends at a point before a blank.
    let sentence = rest.split(". ").next().unwrap_or(rest).trim_end_matches('.');
    Some(format!("t{sentence}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn an_allocation_that_fails_says_what_to_lower() {
        // 2⁵⁰ bytes are more than any machine has.
        let refused = Tensor::f_empty([1_i64 << 48], (Kind::Float, Device::Cpu)).map(|_| ());
        let error = refused.map_err(PolicyError::torch("run the forward pass of 8 pairs")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not enough memory to run the forward pass of 8 pairs (tried to allocate 1125899906842624 bytes): lower \
             `method.micro_batch_size`, `method.max_new_tokens`, `method.prompts_per_step` or `evaluation.batch_size`, or \
             set `model.activation_checkpointing = true`"
        );
    }

    #[test]
    fn cuda_says_it_in_other_words() {
        let message =
            "CUDA out of memory. Tried to allocate 2.38 GiB. GPU 0 has a total capacity of 79.11 GiB of which";
        assert_eq!(memory_asked_for(message).as_deref(), Some("tried to allocate 2.38 GiB"));
        assert_eq!(memory_asked_for("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), None);
    }
}

//! What libtorch or a check before it refused.

/// Why an operation of the shim was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShimError {
    /// libtorch's own words.
    #[error("libtorch cannot {doing}: {reason}")]
    Torch {
        /// What was being done.
        doing: &'static str,
        /// The message of the C++ exception.
        reason: String,
    },
    /// Tensors that the C++ would read out of bounds, or would misread.
    #[error("cannot {doing}: tensor {index} of the {list} is {found}, expected {expected}")]
    Tensor {
        /// What was being done.
        doing: &'static str,
        /// Which list.
        list: &'static str,
        /// Position in it.
        index: usize,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// Two lists that must go together do not.
    #[error("cannot {doing}: there are {found} {list}, expected {expected}")]
    Length {
        /// What was being done.
        doing: &'static str,
        /// Which list.
        list: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// Neither a CPU nor a CUDA device.
    #[error("device {device} is neither `cpu` nor `cuda:<number>`")]
    Device {
        /// As tch prints it.
        device: String,
    },
}

//! Where and how a group is computed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which program computes a finite game. Frozen into the record by a fixed rule, never by a timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComputePath {
    /// Batched libtorch tensors `[runs, n, n]`.
    Tensor,
    /// A plain scalar loop, run by run.
    Scalar,
}

impl ComputePath {
    /// The path of a cell where the experiment names none: a fixed rule on the device and the precision.
    ///
    /// On a CPU in f64 it is the scalar loop. Measured with exact gradients, in run-steps per second of CPU time on one
    /// thread: 8 times the tensor path's for 1,000 runs of 10 actions, 3.5 times for 1,000 runs of 3, 3.2 times for 100
    /// runs of 30, 2 times for 10 runs of 100, 2.4 times for one run of 300 (`cargo bench -p slhf-learn` measures the
    /// same): a tensor operation pays for its start and goes once more through memory. With sampled gradients the
    /// tensor path draws on the host as well. So neither the number of actions nor the method decides, and the rule
    /// looks at neither; it must never look at the size of the group or at a timing, because a cell alone has to give
    /// the bits that it gives in its group.
    ///
    /// Everywhere else (a CUDA device, f32) it is the tensor path: the scalar loop has neither.
    #[must_use]
    pub fn choose(device: &str, precision: Precision) -> Self {
        if device == "cpu" && precision == Precision::F64 { Self::Scalar } else { Self::Tensor }
    }
}

/// Floating-point type of the training state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 64 bits, the default on games.
    #[default]
    F64,
    /// 32 bits; the tensor path only.
    F32,
}

/// The device of a group, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevicePlan {
    /// `cpu`, `cuda:0`, … (`auto` is resolved by the worker that the lab asks when it plans).
    pub name: String,
    /// Threads of libtorch: a setting, never derived from `--jobs`.
    pub threads: u32,
    /// Tensor or scalar.
    pub path: ComputePath,
    /// Floating-point type.
    pub precision: Precision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_follows_device_and_precision_alone() {
        let check = |device, precision, expected| assert_eq!(ComputePath::choose(device, precision), expected);
        check("cpu", Precision::F64, ComputePath::Scalar);
        check("cpu", Precision::F32, ComputePath::Tensor);
        check("cuda:0", Precision::F64, ComputePath::Tensor);
        check("cuda:1", Precision::F32, ComputePath::Tensor);
    }
}

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

/// What a device is, whichever of its kind: runs of one plan give comparable numbers on any device of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl DeviceKind {
    /// Of a device's name as plans have it: `cpu`, `cuda`, `cuda:1`. `None`: it names no device (`auto` is none yet).
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        match name.split_once(':') {
            None if name == "cpu" => Some(Self::Cpu),
            None if name == "cuda" => Some(Self::Cuda),
            Some(("cuda", number)) if is_number(number) && number.parse::<u32>().is_ok() => Some(Self::Cuda),
            _ => None,
        }
    }

    /// As messages and plans name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
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
    fn a_device_is_of_one_kind_or_none() {
        let check = |name, expected| assert_eq!(DeviceKind::of(name), expected, "{name}");
        check("cpu", Some(DeviceKind::Cpu));
        check("cuda", Some(DeviceKind::Cuda));
        check("cuda:0", Some(DeviceKind::Cuda));
        check("cuda:11", Some(DeviceKind::Cuda));
        for none in ["", "auto", "cpu:0", "cuda:", "cuda:+1", "cuda:-1", "cuda:1 ", "CUDA:1", "gpu", "cuda:99999999999"]
        {
            check(none, None);
        }
    }

    #[test]
    fn the_path_follows_device_and_precision_alone() {
        let check = |device, precision, expected| assert_eq!(ComputePath::choose(device, precision), expected);
        check("cpu", Precision::F64, ComputePath::Scalar);
        check("cpu", Precision::F32, ComputePath::Tensor);
        check("cuda:0", Precision::F64, ComputePath::Tensor);
        check("cuda:1", Precision::F32, ComputePath::Tensor);
    }
}

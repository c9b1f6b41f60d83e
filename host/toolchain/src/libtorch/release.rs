//! The release that is taken.

use super::Build;
use crate::Bytes;

/// The version that the pinned `tch` speaks to, and that the CUDA machines have.
pub const VERSION: &str = "2.11.0";

impl Build {
    /// The wheels that are fetched, together.
    #[must_use]
    pub const fn download(self) -> Bytes {
        match self {
            Self::Cpu => Bytes(CPU_BYTES),
            Self::Cuda => Bytes(CUDA_BYTES),
        }
    }

    /// What stays on disk.
    #[must_use]
    pub const fn on_disk(self) -> Bytes {
        match self {
            Self::Cpu => Bytes(498_000_000),
            Self::Cuda => Bytes(0),
        }
    }
}

/// Of torch, the CUDA runtime and CUPTI.
pub(super) const BYTES: [u64; 3] = [530_604_548, 2_243_632, 10_715_597];

const CPU_BYTES: u64 = BYTES[0] + BYTES[1] + BYTES[2];
// Of NVIDIA's libraries beside those of the CPU, together 1.97 GB.
const CUDA_BYTES: u64 = CPU_BYTES + NVIDIA_BYTES;
const NVIDIA_BYTES: u64 = 1_967_433_196;

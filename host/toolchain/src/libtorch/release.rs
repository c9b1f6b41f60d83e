//! The release that is taken.

use std::path::Path;

use crate::Bytes;

/// The version that the pinned `tch` speaks to, and that the CUDA machines have.
pub const VERSION: &str = "2.11.0";

/// What a libtorch computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Processors alone.
    Cpu,
    /// NVIDIA's devices, too.
    Cuda,
}

impl Build {
    /// The cache entry; the number after the last dash changes with the recipe.
    pub(super) const fn entry(self) -> &'static str {
        match self {
            Self::Cpu => "libtorch-2.11.0-1",
            Self::Cuda => "libtorch-cuda-2.11.0-1",
        }
    }

    /// Behind the version.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Cpu => "",
            Self::Cuda => " with CUDA 13",
        }
    }

    /// Of a folder: CUDA's library is there, or it is not.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        if folder.join("lib/libtorch_cuda.so").exists() { Self::Cuda } else { Self::Cpu }
    }

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
            Self::Cuda => Bytes(3_824_000_000),
        }
    }
}

/// Of torch, the CUDA runtime and CUPTI.
pub(super) const BYTES: [u64; 3] = [530_604_548, 2_243_632, 10_715_597];

const CPU_BYTES: u64 = BYTES[0] + BYTES[1] + BYTES[2];
// With NVIDIA's other libraries.
const CUDA_BYTES: u64 = CPU_BYTES + 1_968_656_868;

//! The release that is taken.

use crate::Bytes;

/// The version that the pinned `tch` speaks to, and that the CUDA machines have.
pub const VERSION: &str = "2.11.0";

/// The wheels that are fetched, together.
pub const DOWNLOAD: Bytes = Bytes(DOWNLOAD_BYTES);

/// What stays on disk.
pub const ON_DISK: Bytes = Bytes(498_000_000);

pub(super) const DOWNLOAD_BYTES: u64 = BYTES[0] + BYTES[1] + BYTES[2];

/// Of each wheel.
pub(super) const BYTES: [u64; 3] = [530_604_548, 2_243_632, 10_715_597];

//! Files that somebody else may have made: read only if they are regular files of a bounded size.
//!
//! A device has no end, a pipe waits for a writer that may never come, and a file may be larger than memory. Whatever the
//! product reads of a user's or of a stranger's goes through [`open`], which looks before it opens and refuses in one
//! clause; the caller's sentence says which file and why it was wanted. Whatever it writes for a user goes through [`replace`].
//! What a file or a folder held is told by [`digest_file`] and [`FolderDigest`]. It never understands what it reads.
//!
//! Begin with [`open`] and its limits, then [`replace`].
//!
//! ```
//! let refused = slhf_files::read("/dev/zero".as_ref(), slhf_files::SETTINGS_BYTES_MAX).unwrap_err();
//! assert_eq!(refused.to_string(), "it is a device; expected a regular file");
//! ```

mod digest;
mod door;
mod results;

pub use digest::{Digest, FolderDigest, digest, digest_file, sha256_hex};
pub use door::{
    DATA_BYTES_MAX, LIMIT_VARIABLE, MODEL_JSON_BYTES_MAX, Refusal, SETTINGS_BYTES_MAX, TOML_BYTES_MAX,
    WEIGHTS_BYTES_MAX, check_kind, open, raised, read, read_if_there, read_text,
};
pub use results::{bytes_below, create_new, folder_of, is_same_file, replace, replace_own, sync_folder};

//! What a registry of methods says of them.

use crate::settings::Reader;

/// A set of methods that a registry made.
pub(super) trait Registered: Sized {
    /// Their names.
    const NAMES: &'static [&'static str];
    /// Reads the one of this name.
    fn read_named(name: &str, reader: &mut Reader<'_>) -> Option<Self>;
    /// See [`super::Named::ABOUT`].
    fn about(name: &str) -> &'static str;
    /// See [`super::Named::KNOWN_AS`].
    fn known_as(name: &str) -> &'static [(&'static [&'static str], &'static str)];
}

//! How much a line of the log matters.

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not as intended.
    Warn,
    /// Wrong.
    Error,
}

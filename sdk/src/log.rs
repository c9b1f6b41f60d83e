//! Levelled lines into the run's log. Natively (in tests) they go nowhere.

pub use crate::level::Level;

/// Writes a line at a level. The host limits how many lines a call may write.
pub fn write(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::guest::log(level, text);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, text);
}

/// Writes a line for the plugin's author.
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text.as_ref());
}

/// Writes a line worth knowing.
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text.as_ref());
}

/// Writes a line about something that is probably not as intended.
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text.as_ref());
}

/// Writes a line about something wrong.
pub fn error(text: impl AsRef<str>) {
    write(Level::Error, text.as_ref());
}

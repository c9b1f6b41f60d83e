//! Lines that a worker or a plugin logs.

use slhf_plan::{LogLevel, LogLine};

pub(crate) fn log(line: &LogLine) {
    let (source, text) = (crate::output::visible(&line.source), crate::output::visible(&line.text));
    match line.level {
        LogLevel::Debug => tracing::debug!("{source}: {text}"),
        LogLevel::Info => tracing::info!("{source}: {text}"),
        LogLevel::Warn => tracing::warn!("{source}: {text}"),
        LogLevel::Error => tracing::error!("{source}: {text}"),
    }
}

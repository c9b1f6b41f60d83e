//! The scripts in `tests/bench` that measure others, by a Python that has what they need.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A script's command over a model, with numbers for its options.
pub(crate) fn command(python: &Path, name: &str, model: &str, numbers: &[(&str, u32)]) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/bench").join(name);
    let mut command = Command::new(python);
    command.arg(script).arg(model);
    for (option, number) in numbers {
        command.arg(option).arg(number.to_string());
    }
    command
}

/// The one JSON object that it prints.
pub(crate) fn run(mut command: Command) -> Result<Value, Box<dyn Error>> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("cannot start {shown}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown} failed: {}", said.lines().last().unwrap_or_default()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

//! A plugin that a command names, with its parameters, over others.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slhf_plan::{Limits, PluginPlan};
use thiserror::Error;

use crate::shipped::shipped_plugins;

/// Why a command names no plugin.
#[derive(Debug, Error)]
pub enum NamedPluginError {
    /// It is not where it should be.
    #[error("there is no shipped plugin '{name}' in {}: {hint}", folder.display())]
    NotShipped {
        /// As it was named.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What to do.
        hint: String,
    },
    /// It is not where it should be.
    #[error("there is no file {}: make it with `slhf-lab plugin build` in its sources' folder", path.display())]
    NoFile {
        /// As it was named.
        path: PathBuf,
    },
    /// The parameters cannot be read.
    #[error("the parameters file {} cannot be read", path.display())]
    ParametersFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The parameters are no JSON object.
    #[error("the parameters of '{plugin}' are not a JSON object: {reason}; an example: --parameters '{{\"key\": 1}}'")]
    Parameters {
        /// Whose.
        plugin: String,
        /// What is wrong.
        reason: String,
    },
}

/// The plan of a plugin by name over another one.
pub fn plan(name: &str, parameters: &str, upstream: Option<Box<PluginPlan>>) -> Result<PluginPlan, NamedPluginError> {
    let path = path(name)?;
    let parameters = parse_parameters(name, parameters)?;
    Ok(PluginPlan {
        name: name.to_owned(),
        path: path.display().to_string(),
        sha256: String::new(),
        parameters,
        limits: Limits::default(),
        upstream,
        models: std::collections::BTreeMap::new(),
    })
}

/// A name with a slash or `.wasm` at its end is a path, any other a shipped plugin's.
pub fn path(name: &str) -> Result<PathBuf, NamedPluginError> {
    let as_path = Path::new(name);
    if name.contains('/') || as_path.extension().is_some_and(|extension| extension == "wasm") {
        // What is there and is no file is refused where it is read, in words that say so.
        return if as_path.exists() {
            Ok(as_path.to_owned())
        } else {
            Err(NamedPluginError::NoFile { path: as_path.to_owned() })
        };
    }
    let folder = shipped_plugins();
    let path = folder.join(format!("{name}.wasm"));
    if path.is_file() {
        return Ok(path);
    }
    let hint = if as_path.with_extension("wasm").is_file() {
        format!("did you mean the file {name}.wasm?")
    } else if let Some(near) = nearest(name, &folder) {
        format!("did you mean '{near}'?")
    } else {
        "build the shipped ones with `cargo xtask guests` in the repository of slhf-lab, or name a .wasm file"
            .to_owned()
    };
    Err(NamedPluginError::NotShipped { name: name.to_owned(), folder, hint })
}

/// The shipped plugin whose name is nearest, if one is near.
fn nearest(name: &str, folder: &Path) -> Option<String> {
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let shipped = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| stem(entry.path()));
    let shipped: Vec<String> = shipped.collect();
    slhf_words::nearest(name, shipped.iter().map(String::as_str)).map(str::to_owned)
}

fn parse_parameters(plugin: &str, text: &str) -> Result<Value, NamedPluginError> {
    let text = match text.strip_prefix('@') {
        Some(path) => slhf_files::read_text(path.as_ref(), slhf_files::SETTINGS_BYTES_MAX)
            .map_err(|source| NamedPluginError::ParametersFile { path: PathBuf::from(path), source })?,
        None => text.to_owned(),
    };
    let bad = |reason| NamedPluginError::Parameters { plugin: plugin.to_owned(), reason };
    let mut parameters = slhf_json::read_settings(text.as_bytes()).map_err(|error| bad(error.to_string()))?;
    parameters.retain(|_, value| !value.is_null());
    // A plugin's own reader knows no NaN, and a default in its place would be another parameter than was asked for.
    match parameters.iter().find_map(|(key, value)| Some((key, not_finite_within(value)?))) {
        Some((key, name)) => Err(bad(format!("{name} stands under \"{key}\"; expected a finite number"))),
        None => Ok(Value::Object(parameters)),
    }
}

/// The name of a number somewhere in the value that is not finite.
fn not_finite_within(value: &Value) -> Option<&'static str> {
    slhf_json::not_finite(value).or_else(|| match value {
        Value::Array(items) => items.iter().find_map(not_finite_within),
        Value::Object(object) => object.values().find_map(not_finite_within),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_json_as_python_writes_it() {
        let read = |text: &str| parse_parameters("p", text).map_err(|error| error.to_string());
        let text = "\u{feff}{\"steps\": 3.0, \"share\": 0.5, \"none\": null, \"text\": \"a\\ud83d\"}";
        assert_eq!(read(text), Ok(json!({"steps": 3, "share": 0.5, "text": "a\u{fffd}"})));
        for (text, expected) in [
            ("{\"a\": [{\"b\": -Infinity}]}", "-Infinity stands under \"a\"; expected a finite number"),
            ("{\"a\": 1, \"a\": 2}", "the key \"a\" stands twice in one object"),
            ("[1]", "a list stands here; expected an object"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(expected), "{said}");
        }
    }
}

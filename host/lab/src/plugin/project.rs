//! `plugin.json`: how the folder of a plugin in Python or JavaScript says what it is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::kind::Language;

/// The file.
pub(crate) const FILE: &str = "plugin.json";

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    /// Of the component's file.
    pub(crate) name: String,
    /// Which tool makes the component.
    pub(crate) language: Language,
    /// A world of `wit/lab.wit`: what the plugin exports and imports.
    pub(crate) world: String,
}

/// Why it says nothing.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Something else stands there.
    #[error(
        "{} is not {{\"name\": …, \"language\": \"python\" or \"javascript\", \"world\": …}}: {reason}; `slhf-lab plugin new` writes one",
        path.display()
    )]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Project {
    /// Of a folder that has such a file.
    pub(crate) fn of(folder: &Path) -> Result<Option<Self>, ProjectError> {
        let path = folder.join(FILE);
        let text = match slhf_files::read_text(&path, slhf_files::SETTINGS_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ProjectError::Unreadable { path, source }),
            Ok(text) => text,
        };
        let not_understood = |reason: String| ProjectError::NotUnderstood { path: path.clone(), reason };
        let project: Self = serde_json::from_str(&text).map_err(|error| not_understood(error.to_string()))?;
        if !is_name(&project.name) {
            return Err(not_understood(format!("'{}' cannot be a plugin's name", project.name)));
        }
        if project.language == Language::Rust {
            return Err(not_understood("a plugin in Rust has a Cargo.toml instead".to_owned()));
        }
        Ok(Some(project))
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Whether it can be the name of a crate, a Python folder and a file.
pub(crate) fn is_name(name: &str) -> bool {
    const CHARACTERS_MAX: usize = 64;
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= CHARACTERS_MAX
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_all_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Project::of(folder.path()).unwrap(), None);
        let project =
            Project { name: "my-judge".into(), language: Language::JavaScript, world: "preference-plain".into() };
        std::fs::write(folder.path().join(FILE), project.text()).unwrap();
        assert_eq!(Project::of(folder.path()).unwrap(), Some(project));
        let check = |text: &str, expected: &str| {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let error = Project::of(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("{}", "missing field `name`");
        check(r#"{"name": "a", "language": "rust", "world": "x"}"#, "has a Cargo.toml instead");
        check(r#"{"name": "../a", "language": "python", "world": "x"}"#, "'../a' cannot be a plugin's name");
        check(r#"{"name": "a", "language": "perl", "world": "x"}"#, "unknown variant `perl`");
    }
}

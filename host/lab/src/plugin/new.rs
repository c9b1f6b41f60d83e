//! `slhf-lab plugin new`: the first version of a plugin, in any folder.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use super::kind::{Kind, Language};
use super::{new_rust, new_script, project};
use crate::failure::Failure;
use crate::output;

/// Arguments of `plugin new`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The plugin's folder, which is made; its last part is the plugin's name
    name: PathBuf,
    /// Kind of plugin
    #[arg(long, value_enum, default_value_t = Kind::Preference)]
    world: Kind,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,
}

/// Why nothing was made.
#[derive(Debug, Error)]
enum NewError {
    #[error(
        "'{name}' cannot be a plugin's name: it must begin with a small letter and go on with small letters, digits, '-' and '_', 64 at most"
    )]
    BadName { name: String },
    #[error("{} is there already and is not empty: choose another name", folder.display())]
    NotEmpty { folder: PathBuf },
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Makes the folder and says what to do next.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { name: folder, world: kind, language } = arguments;
    let name = plugin_name(folder).map_err(Failure::bad_input)?;
    refuse_if_used(folder).map_err(Failure::bad_input)?;
    let files = match language {
        Language::Rust => new_rust::files(name, *kind),
        Language::Python | Language::JavaScript => new_script::files(name, *kind, *language),
    };
    for (path, content) in files {
        write(&folder.join(path), &content).map_err(Failure::failed)?;
    }
    let with = match language {
        Language::Rust => "with the SDK and the contract it is written against",
        Language::Python => "in Python, with the contract it is written against",
        Language::JavaScript => "in JavaScript, with the contract it is written against",
    };
    let next = kind.try_command(name).map_or_else(String::new, |command| format!("    {command}\n"));
    output::print_text(&format!(
        "made {folder}: a {kind}, {with}\n\nnext:\n    cd {folder}\n    {test}\n    slhf-lab plugin build\n    slhf-lab plugin check {name}.wasm{check}\n{next}",
        folder = folder.display(),
        kind = kind.in_words(),
        test = new_script::test_command(*language),
        check = kind.check_arguments(),
    ))
}

/// The folder's last part, if it can be a plugin's name.
fn plugin_name(folder: &Path) -> Result<&str, NewError> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if project::is_name(name) { Ok(name) } else { Err(NewError::BadName { name: folder.display().to_string() }) }
}

fn refuse_if_used(folder: &Path) -> Result<(), NewError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(NewError::File { action: "look into", path: folder.to_owned(), source }),
        Ok(entries) => match entries.count() {
            0 => Ok(()),
            _ => Err(NewError::NotEmpty { folder: folder.to_owned() }),
        },
    }
}

fn write(path: &Path, content: &str) -> Result<(), NewError> {
    let failed = |source| NewError::File { action: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    slhf_files::replace(path, content.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_crates() {
        for good in ["judge", "my-judge", "folder/judge_2", "/tmp/x"] {
            plugin_name(Path::new(good)).unwrap();
        }
        for bad in ["", "Judge", "2judge", "my judge", "jüdge", "..", &"j".repeat(65)] {
            let error = plugin_name(Path::new(bad)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{bad}' cannot be a plugin's name: ")), "{error}");
        }
    }
}

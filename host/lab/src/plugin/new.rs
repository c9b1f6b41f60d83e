//! `slhf-lab plugin new`: the first version of a plugin, in any folder.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use thiserror::Error;

use super::embedded;
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
}

/// What kind of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A judge: which of two responses is better
    Preference,
    /// A reward model: how good one response is
    Reward,
    /// A control variate: what reward to expect
    Baseline,
    /// A judge made of another judge
    Combinator,
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
    let folder = &arguments.name;
    let name = plugin_name(folder).map_err(Failure::bad_input)?;
    refuse_if_used(folder).map_err(Failure::bad_input)?;
    for (path, content) in files(name, arguments.world) {
        write(&folder.join(path), &content).map_err(Failure::failed)?;
    }
    let next = try_command(name, arguments.world).map_or_else(String::new, |command| format!("    {command}\n"));
    let check = check_arguments(arguments.world);
    output::print_text(&format!(
        "made {folder}: a {kind}, with the SDK and the contract it is written against\n\nnext:\n    cd {folder}\n    cargo test\n    slhf-lab plugin build\n    slhf-lab plugin check {name}.wasm{check}\n{next}",
        folder = folder.display(),
        kind = arguments.world.in_words(),
    ))
}

impl Kind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Preference => "judge",
            Self::Reward => "reward model",
            Self::Baseline => "control variate",
            Self::Combinator => "judge over another judge",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Preference => embedded::PREFERENCE,
            Self::Reward => embedded::REWARD,
            Self::Baseline => embedded::BASELINE,
            Self::Combinator => embedded::COMBINATOR,
        }
    }

    /// How an experiment names it.
    fn experiment(self, name: &str) -> String {
        match self {
            Self::Preference => {
                format!("    [judge]\n    plugin = \"{name}.wasm\"\n    parameters = {{ decisiveness = 0.8 }}\n")
            }
            Self::Reward => format!(
                "    [judge]\n    plugin = \"bradley-terry\"\n    [judge.upstream]\n    plugin = \"{name}.wasm\"\n    parameters = {{ per_word = 2.0 }}\n"
            ),
            Self::Baseline => {
                format!("    [method]\n    score_baseline = {{ kind = \"plugin\", plugin = \"{name}.wasm\" }}\n")
            }
            Self::Combinator => format!(
                "    [judge]\n    plugin = \"{name}.wasm\"\n    parameters = {{ guess_rate = 0.2 }}\n    [judge.upstream]\n    plugin = \"attributes\"\n"
            ),
        }
    }
}

/// The folder's last part, if it can be a crate's name.
fn plugin_name(folder: &Path) -> Result<&str, NewError> {
    const CHARACTERS_MAX: usize = 64;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= CHARACTERS_MAX
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if fits { Ok(name) } else { Err(NewError::BadName { name: folder.display().to_string() }) }
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

/// Every file of a new plugin.
fn files(name: &str, kind: Kind) -> Vec<(String, String)> {
    let manifest =
        embedded::PLUGIN_MANIFEST.replace("{{NAME}}", name).replace("{{DEPENDENCIES}}", &pinned(PLUGIN_NEEDS));
    let sdk_manifest = embedded::SDK_MANIFEST
        .replace("{{SDK_VERSION}}", env!("CARGO_PKG_VERSION"))
        .replace("{{DEPENDENCIES}}", &pinned(SDK_NEEDS))
        .replace("{{GUEST_DEPENDENCIES}}", &pinned(GUEST_NEEDS));
    let readme = embedded::README
        .replace("{{NAME}}", name)
        .replace("{{KIND}}", kind.in_words())
        .replace("{{CHECK_ARGUMENTS}}", check_arguments(kind))
        .replace("{{TRY}}", &try_command(name, kind).map_or_else(String::new, |command| format!("    {command}\n")))
        .replace("{{EXPERIMENT}}", kind.experiment(name).trim_end());
    let mut files = vec![
        ("Cargo.toml".to_owned(), manifest),
        ("Cargo.lock".to_owned(), lock()),
        ("README.md".to_owned(), readme),
        (".gitignore".to_owned(), "/target\n".to_owned()),
        ("src/lib.rs".to_owned(), kind.source().to_owned()),
        ("sdk/Cargo.toml".to_owned(), sdk_manifest),
    ];
    files.extend(embedded::SDK.iter().map(|(path, content)| ((*path).to_owned(), without_repository_tests(content))));
    files
}

/// The repository's own tests of the SDK stay there: they look at files that are not part of a plugin.
fn without_repository_tests(content: &str) -> String {
    content.replace("#[cfg(test)]\nmod contract_tests;\n", "")
}

/// A dependency and its features, where the defaults are not right.
type Need = (&'static str, &'static str);
const PLUGIN_NEEDS: &[Need] = &[("schemars", ""), ("serde", ", features = [\"derive\"]")];
const SDK_NEEDS: &[Need] = &[
    ("schemars", ""),
    ("serde", ", features = [\"derive\"]"),
    ("serde_json", ", features = [\"float_roundtrip\"]"),
    ("serde_path_to_error", ""),
    ("strsim", ""),
];
const GUEST_NEEDS: &[Need] = &[("wit-bindgen", ", default-features = false, features = [\"realloc\", \"std\"]")];

/// Dependencies at exactly the versions of the shipped plugins' lock file.
fn pinned(needs: &[Need]) -> String {
    let line = |(name, features): &Need| {
        let version = locked_version(name).unwrap_or("*");
        format!("{name} = {{ version = \"={version}\"{features} }}")
    };
    needs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn locked_version(name: &str) -> Option<&'static str> {
    let (_, after) = embedded::LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    after.split('"').next()
}

/// The shipped plugins' lock file without the packages of the repository: cargo adds this plugin's own.
fn lock() -> String {
    let foreign = |part: &&str| !part.starts_with("name = ") || part.contains("\nsource = ");
    embedded::LOCK.split("[[package]]\n").filter(foreign).collect::<Vec<_>>().join("[[package]]\n")
}

fn check_arguments(kind: Kind) -> &'static str {
    match kind {
        Kind::Combinator => " --parameters '{\"guess_rate\": 0.2}' --upstream JUDGE.wasm",
        _ => "",
    }
}

/// One question to the new plugin; a control variate answers only a training run.
fn try_command(name: &str, kind: Kind) -> Option<String> {
    let arguments = match kind {
        Kind::Preference => "--first \"hello\" --second \"go away\"",
        Kind::Reward => "--first \"hello\"",
        Kind::Combinator => {
            "--first \"hello\" --second \"go away\" --parameters '{\"guess_rate\": 0.2}' --upstream JUDGE.wasm"
        }
        Kind::Baseline => return None,
    };
    Some(format!("slhf-lab plugin try {name}.wasm --prompt \"Say hello\" {arguments}"))
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

    #[test]
    fn every_place_is_filled_in_and_every_version_pinned() {
        for kind in Kind::value_variants() {
            for (path, content) in files("my-judge", *kind) {
                assert!(!content.contains("{{"), "{path}: a place was left open");
                assert!(!content.contains("\"=*\""), "{path}: a version is not pinned");
                assert!(!content.contains("workspace = true"), "{path} leans on the repository");
            }
        }
    }

    #[test]
    fn the_lock_file_holds_registry_packages_alone() {
        let lock = lock();
        assert!(lock.starts_with("# This file is automatically @generated by Cargo."));
        let packages = lock.matches("[[package]]").count();
        assert_eq!(packages, lock.matches("\nsource = ").count());
        assert!(packages > 10 && !lock.contains("slhf-sdk"));
    }
}

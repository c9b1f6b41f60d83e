//! `cargo xtask install`: `slhf-lab`, its worker and the shipped plugins where they find each other.
//!
//! `cargo install` places programs only. The lab looks for its worker beside itself, and for the shipped plugins in
//! `share/slhf-lab/plugins` beside its folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::guests;
use crate::project::{Project, run, say};
use crate::setup::{SetUp, set_up};

const PROGRAMS: [&str; 2] = ["slhf-lab", "slhf-lab-worker"];

/// Where the plugins lie below the root.
const PLUGINS: &str = "share/slhf-lab/plugins";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    root: Option<PathBuf>,
    profile: Profile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Debug,
    Release,
}

/// `cargo xtask install [--root DIR] [--debug]`.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let wish = Wish::of(words)?;
    let set_up = built(set_up(&open()?)?, wish.profile)?;
    guests::build_plugins(&set_up)?;
    let project = &set_up.project;
    let root = wish.root.map_or_else(|| usual_root(project), Ok)?;
    for name in PROGRAMS {
        place(&project.binary(name), &root.join("bin").join(name))?;
    }
    let plugins = project.target().join("plugins");
    let mut placed = 0;
    for entry in fs::read_dir(&plugins).map_err(Failure::file("list", &plugins))?.flatten() {
        let from = entry.path();
        if from.extension().is_some_and(|ending| ending == "wasm") {
            place(&from, &root.join(PLUGINS).join(entry.file_name()))?;
            placed += 1;
        }
    }
    say(&format!("installed {} and {placed} plugins below {}", PROGRAMS.join(", "), root.display()));
    // It says whether they find each other.
    let environment = project.environment.clone().without_prefix("SLHF_LAB_");
    run(environment.command(root.join("bin/slhf-lab")).arg("doctor"), "the installed slhf-lab lacks something")
}

impl Wish {
    fn of(words: &[String]) -> Result<Self, Failure> {
        let mut wish = Self { root: None, profile: Profile::Release };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match (word, word.strip_prefix("--root=")) {
                ("--debug", _) => wish.profile = Profile::Debug,
                ("--root", _) => match words.next() {
                    Some(folder) => wish.root = Some(absolute(folder)?),
                    None => return Err(Failure::Usage("`--root` is followed by a folder".to_owned())),
                },
                (_, Some(folder)) => wish.root = Some(absolute(folder)?),
                _ => {
                    return Err(Failure::Usage(format!(
                        "`cargo xtask install` takes `--root DIR` and `--debug`, but got `{word}`"
                    )));
                }
            }
        }
        Ok(wish)
    }
}

fn absolute(folder: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(folder).map_err(Failure::file("find", Path::new(folder)))
}

/// The set-up with the folder of the binaries of this profile, which are up to date.
fn built(set_up: SetUp, profile: Profile) -> Result<SetUp, Failure> {
    let SetUp { project, wasm } = set_up;
    let project = match profile {
        Profile::Debug => {
            project.build_binaries()?;
            project
        }
        Profile::Release => {
            let arguments = ["build", "--release", "--workspace", "--bin", "slhf-lab", "--bin", "slhf-lab-worker"];
            run(&mut project.cargo(&arguments), "slhf-lab and its worker did not build")?;
            Project { binaries: project.target().join("release"), ..project }
        }
    };
    Ok(SetUp { project, wasm })
}

/// Where `cargo install` puts programs.
fn usual_root(project: &Project) -> Result<PathBuf, Failure> {
    let environment = &project.environment;
    let named = |name| environment.get(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    named("CARGO_INSTALL_ROOT")
        .or_else(|| named("CARGO_HOME"))
        .or_else(|| named("HOME").map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::Usage("HOME is not set: say where to with `--root DIR`".to_owned()))
}

/// Copies a file beside its place and renames it: a program that is running keeps its own file.
fn place(from: &Path, to: &Path) -> Result<(), Failure> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(Failure::file("make", folder))?;
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).map_err(Failure::file("copy", from))?;
    fs::rename(&partial, to).map_err(Failure::file("write", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_or_refused() {
        let words = |words: &[&str]| Wish::of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let wish = |root: Option<&str>, profile| Wish { root: root.map(PathBuf::from), profile };
        assert_eq!(words(&[]).expect("understood"), wish(None, Profile::Release));
        assert_eq!(words(&["--debug", "--root", "/a"]).expect("understood"), wish(Some("/a"), Profile::Debug));
        assert_eq!(words(&["--root=/a"]).expect("understood"), wish(Some("/a"), Profile::Release));
        assert!(words(&["--root"]).is_err() && words(&["here"]).is_err());
    }

    #[test]
    fn a_file_is_put_in_the_place_of_an_earlier_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let [from, to] = ["new", "bin/program"].map(|name| folder.path().join(name));
        fs::write(&from, "new").expect("file");
        for _ in 0..2 {
            place(&from, &to).expect("placed");
            assert_eq!(fs::read_to_string(&to).expect("there"), "new");
            fs::write(&to, "old").expect("file");
        }
        assert_eq!(fs::read_dir(folder.path().join("bin")).expect("listed").count(), 1);
    }
}

//! Builds guests with the product's own path, `slhf-lab plugin build`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use slhf_toolchain::wasm;

use crate::failure::Failure;
use crate::project::{Project, run, say};
use crate::setup::{SetUp, set_up};

/// The shipped plugins, one folder each.
const PLUGINS: &str = "plugins";

/// The hostile guests of the judge's tests, one folder each.
const TEST_GUESTS: &str = "host/judge/tests/guests";

/// Everything a guest is made of besides its own folder.
const SHARED: &str = "sdk";

/// `cargo xtask guests`: all of them.
pub(crate) fn verb(project: &Project) -> Result<(), Failure> {
    let set_up = set_up(project)?;
    set_up.project.build_binaries()?;
    build_plugins(&set_up)?;
    build_test_guests(&set_up)
}

/// Builds the shipped plugins into `target/plugins`, unless nothing changed.
pub(crate) fn build_plugins(set_up: &SetUp) -> Result<(), Failure> {
    build(set_up, PLUGINS, "plugins")
}

/// Builds the tests' own guests into `target/test-guests`, unless nothing changed.
pub(crate) fn build_test_guests(set_up: &SetUp) -> Result<(), Failure> {
    build(set_up, TEST_GUESTS, "test-guests")
}

fn build(set_up: &SetUp, from: &str, into: &str) -> Result<(), Failure> {
    let SetUp { project, wasm } = set_up;
    let folders = guest_folders(&project.root.join(from))?;
    if folders.is_empty() {
        return Ok(());
    }
    let out = project.target().join(into);
    let stamp = project.target().join(format!("{into}.stamp"));
    let inputs = [project.root.join(from), project.root.join(SHARED), project.binary("slhf-lab"), wasm.rustc.clone()];
    if fs::read_to_string(&stamp).is_ok_and(|found| found == state_of(&inputs, &out)) {
        return Ok(());
    }
    say(&format!("building {} guests of {from}/ for {}", folders.len(), wasm::TARGET));
    let mut command = project.slhf_lab(&["plugin", "build"]);
    command.args(&folders).arg("--out").arg(&out).env(wasm::VARIABLE, &wasm.rustc);
    run(&mut command, &format!("the guests of {from}/ did not build"))?;
    // Read again: the build itself may have written a lock file among the inputs.
    fs::write(&stamp, state_of(&inputs, &out)).map_err(Failure::file("write", &stamp))
}

/// The sub-folders of `folder` that hold a guest: a package made into a `cdylib`.
fn guest_folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(Failure::file("list", folder))? {
        let path = entry.map_err(Failure::file("list", folder))?.path();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\"cdylib\"") {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Names, times and sizes of all inputs and of what was made of them: equal states need no build. Cargo
/// would say the same, but asking it once a plugin takes longer than most commands.
fn state_of(inputs: &[PathBuf], out: &Path) -> String {
    let mut lines = Vec::new();
    for input in inputs {
        describe(input, &mut lines);
    }
    describe(out, &mut lines);
    lines.sort();
    lines.concat()
}

fn describe(path: &Path, lines: &mut Vec<String>) {
    let Ok(metadata) = path.metadata() else { return };
    if metadata.is_dir() {
        let is_output = path.file_name().is_some_and(|name| name == "target");
        for entry in fs::read_dir(path).into_iter().flatten().flatten().filter(|_| !is_output) {
            describe(&entry.path(), lines);
        }
        return;
    }
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let mut line = String::new();
    let _infallible = writeln!(line, "{} {} {}", path.display(), changed.as_nanos(), metadata.len());
    lines.push(line);
}

/// The packages that plain cargo checks natively: the folders of guests that are workspaces.
pub(crate) fn workspaces(project: &Project) -> Vec<PathBuf> {
    [PLUGINS, TEST_GUESTS]
        .map(|folder| project.root.join(folder).join("Cargo.toml"))
        .into_iter()
        .filter(|manifest| manifest.exists())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_a_folder_with_a_cdylib() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, manifest) in [
            ("b-judge", "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n"),
            ("a-judge", "[lib]\ncrate-type = [\"cdylib\"]\n"),
            ("library", "[package]\n"),
        ] {
            fs::create_dir(folder.path().join(name)).expect("folder");
            fs::write(folder.path().join(name).join("Cargo.toml"), manifest).expect("file");
        }
        fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").expect("file");
        let found = guest_folders(folder.path()).expect("listed");
        assert_eq!(found, [folder.path().join("a-judge"), folder.path().join("b-judge")]);
        assert!(guest_folders(&folder.path().join("absent")).expect("none").is_empty());
    }

    #[test]
    fn the_state_changes_with_any_input_and_with_a_lost_output() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let [input, out] = ["input", "out"].map(|name| folder.path().join(name));
        for path in [&input, &out] {
            fs::create_dir_all(path.join("target")).expect("folder");
            fs::write(path.join("file"), "content").expect("file");
        }
        let state = || state_of(std::slice::from_ref(&input), &out);
        let before = state();
        assert_eq!(before, state(), "looking changes nothing");

        fs::write(input.join("target/object"), "").expect("file");
        assert_eq!(before, state(), "what cargo writes beside the sources is no input");

        fs::write(input.join("file"), "content, longer").expect("file");
        let after = state();
        assert_ne!(before, after, "a source changed");

        fs::remove_file(out.join("file")).expect("was there");
        assert_ne!(after, state(), "a component is gone");
    }
}

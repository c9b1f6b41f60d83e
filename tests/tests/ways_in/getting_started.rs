//! Every command of `docs/getting-started/*.md` is executed: the text of the page's `sh` blocks, from the top, in one scratch folder.
//! A block `… file=NAME` is written under that name first.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use slhf_tests::{Lab, lab_binary, plugins_folder, repository, tiny_model, worker_binary};
use slhf_toolchain::{Environment, wasm};

/// A fenced block.
struct Block {
    info: String,
    text: String,
}

fn page(name: &str) -> String {
    let path = repository().join("docs/getting-started").join(name);
    fs::read_to_string(&path).expect("a page of docs/getting-started")
}

/// The fenced blocks of a page, and what stands outside of them.
fn blocks(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), text: String::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (blocks, prose)
}

/// A shell that has `slhf-lab` and cargo on its path, as a user's has; never the network.
fn shell(lab: &Lab, script: &str) -> Command {
    let folder_of = |program: PathBuf| program.parent().map(PathBuf::from).expect("a folder");
    let cargo = PathBuf::from(env::var_os("CARGO").expect("tests are run by cargo"));
    let mut path = vec![folder_of(lab_binary()), folder_of(cargo)];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let home = env::var_os("HOME").map(PathBuf::from).expect("HOME");
    let compiler = wasm::find(&Environment::of_process())
        .expect("looking for a compiler succeeds")
        .expect("a compiler for wasm32-unknown-unknown: run `cargo xtask setup`");
    let mut command = Command::new("sh");
    // What the lab of a test sees, and what cargo needs.
    let clean = lab.command(["--version"]);
    command.env_clear();
    for (name, value) in clean.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .args(["-exc", script])
        .current_dir(lab.folder())
        .stdin(Stdio::null())
        .env("PATH", env::join_paths(path).expect("a path"))
        .env("CARGO_HOME", env::var_os("CARGO_HOME").unwrap_or_else(|| home.join(".cargo").into()))
        .env("RUSTUP_HOME", env::var_os("RUSTUP_HOME").unwrap_or_else(|| home.join(".rustup").into()))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_QUIET", "true")
        .env(wasm::VARIABLE, compiler.rustc);
    command
}

/// Dependencies of the shipped plugins are a new plugin's: they need not be compiled again.
fn spare_dependencies(lab: &Lab) {
    let compiled = lab.path("my-judge/target");
    if lab.path("my-judge").is_dir() && !compiled.exists() {
        let copy = Command::new("cp").arg("--archive").arg(repository().join("plugins/target")).arg(&compiled).status();
        assert!(
            copy.expect("cp can be started").success(),
            "the shipped plugins were not built: run `cargo xtask guests`"
        );
    }
}

/// Runs a page.
fn run(name: &str) {
    let (_built, _plugins) = (worker_binary(), plugins_folder());
    let lab = Lab::new();
    tiny_model(&lab, "my-model");
    let (blocks, _) = blocks(&page(name));
    for block in blocks {
        if let Some((_, file)) = block.info.split_once(" file=") {
            lab.write(file, block.text);
            continue;
        }
        let outcome = lab.outcome(&mut shell(&lab, &block.text));
        assert_eq!(outcome.code, Some(0), "{name}: a command failed; the last one is behind `+`\n{outcome}");
        spare_dependencies(&lab);
    }
}

#[test]
fn judge() {
    run("judge.md");
}

#[test]
fn model() {
    run("model.md");
}

#[test]
fn preference_data() {
    run("preference-data.md");
}

#[test]
fn trl() {
    run("trl.md");
}

/// A page that no test runs, or a command that stands outside of the blocks that are run, would not be executed.
#[test]
fn nothing_on_the_pages_escapes_the_tests() {
    let folder = repository().join("docs/getting-started");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the pages")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["judge.md", "model.md", "preference-data.md", "trl.md"], "each has a test above");
    for name in names {
        let text = page(&name);
        assert!(text.contains("\n## What is not possible\n"), "{name}");
        let (blocks, prose) = blocks(&text);
        assert!(blocks.iter().any(|block| block.info == "sh"), "{name} has no command");
        for block in blocks {
            let is_known = block.info == "sh" || block.info.contains(" file=");
            assert!(is_known, "{name}: a block `{}` is neither run nor written", block.info);
        }
        assert!(
            !prose.contains("\n    slhf-lab ") && !prose.contains("\n    $ "),
            "{name}: a command outside of its blocks"
        );
    }
}

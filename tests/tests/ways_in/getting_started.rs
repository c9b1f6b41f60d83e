//! Every command of `docs/getting-started/*.md` is executed: the text of the page's `sh` blocks, from the top, in one scratch folder.
//! A block `… file=NAME` is written under that name first.

use std::fs;
use std::process::Command;

use slhf_tests::{Lab, Network, blocks, plugins_folder, repository, shell, tiny_model, worker_binary};

fn page(name: &str) -> String {
    let path = repository().join("docs/getting-started").join(name);
    fs::read_to_string(&path).expect("a page of docs/getting-started")
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
        let outcome = lab.outcome(&mut shell(&lab, &block.text, Network::Off));
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

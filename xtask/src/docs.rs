//! `cargo xtask docs`: the reference pages that the program itself can write, and the check that the
//! committed ones are what it would write today.

use std::collections::BTreeMap;
use std::fs;

use crate::failure::Failure;
use crate::project::{Project, output_of, say};
use crate::setup::set_up;

/// Where the pages lie.
const FOLDER: &str = "docs/reference";

/// How a page is made.
enum Maker {
    /// The `--help` of every verb, found by walking through them.
    Help,
    /// What a command prints, as it is.
    Verbatim(&'static [&'static str]),
}

/// Every generated page.
const PAGES: [(&str, Maker); 6] = [
    ("cli.md", Maker::Help),
    ("experiment.md", Maker::Verbatim(&["schema", "experiment", "--format", "markdown"])),
    ("experiment.schema.json", Maker::Verbatim(&["schema", "experiment"])),
    ("game.schema.json", Maker::Verbatim(&["schema", "game"])),
    ("metrics.md", Maker::Verbatim(&["schema", "metrics", "--format", "markdown"])),
    ("record.md", Maker::Verbatim(&["db", "schema", "--format", "markdown"])),
];

/// `cargo xtask docs [--check]`.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let does_check = match words.as_slice() {
        [] => false,
        ["--check"] => true,
        _ => return Err(Failure::Usage("`cargo xtask docs` takes nothing, or `--check`".to_owned())),
    };
    let project = set_up(&open()?)?.project;
    project.build_binaries()?;
    if does_check { check(&project) } else { write(&project) }
}

/// Writes every page.
fn write(project: &Project) -> Result<(), Failure> {
    let folder = project.root.join(FOLDER);
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    for (name, text) in pages(project)? {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        fs::write(&path, text).map_err(Failure::file("write", &path))?;
        say(&format!("wrote {FOLDER}/{name}"));
    }
    Ok(())
}

/// Compares every page, and looks for pages nobody makes any more.
pub(crate) fn check(project: &Project) -> Result<(), Failure> {
    let folder = project.root.join(FOLDER);
    let pages = pages(project)?;
    for (name, text) in &pages {
        let found = fs::read_to_string(folder.join(name)).unwrap_or_default();
        if let Some(difference) = first_difference(&found, text) {
            return Err(Failure::Failed(format!(
                "{FOLDER}/{name} is not what the program says today ({difference}): run `cargo xtask docs` and commit it"
            )));
        }
    }
    for entry in fs::read_dir(&folder).map_err(Failure::file("list", &folder))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !pages.contains_key(name.as_str()) {
            return Err(Failure::Failed(format!("{FOLDER}/{name} is made by nobody: remove it")));
        }
    }
    Ok(())
}

/// Where two texts part, in words; nothing when they are equal.
fn first_difference(found: &str, expect: &str) -> Option<String> {
    if found == expect {
        return None;
    }
    let mut found = found.lines();
    let mut expect = expect.lines();
    for number in 1_usize.. {
        match (found.next(), expect.next()) {
            (Some(line), Some(wanted)) if line == wanted => {}
            (None, None) => break,
            (line, wanted) => {
                let quote = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("`{}`", line.trim()));
                return Some(format!("line {number} is {}, should be {}", quote(line), quote(wanted)));
            }
        }
    }
    Some("they differ at the end of a line".to_owned())
}

fn pages(project: &Project) -> Result<BTreeMap<&'static str, String>, Failure> {
    let page = |(name, maker): &(&'static str, Maker)| Ok((*name, make(project, maker)?));
    PAGES.iter().map(page).collect()
}

fn make(project: &Project, maker: &Maker) -> Result<String, Failure> {
    match maker {
        Maker::Help => {
            let mut text = format!("# The command line\n\n{GENERATED}\n");
            help_of(project, &mut Vec::new(), &mut text)?;
            Ok(text)
        }
        Maker::Verbatim(command) => ask(project, command),
    }
}

const GENERATED: &str = "Written by `cargo xtask docs` from the program itself; `cargo xtask test` compares it.";

fn ask(project: &Project, arguments: &[&str]) -> Result<String, Failure> {
    let sentence = format!("`slhf-lab {}` failed", arguments.join(" "));
    // Neither the width of the terminal nor the settings of who makes the page may show in it.
    let environment = project.environment.clone().without_prefix("SLHF_LAB_");
    let mut command = Project { environment, ..project.clone() }.slhf_lab(arguments);
    output_of(command.env("COLUMNS", "100").env("NO_COLOR", "1"), &sentence)
}

/// Appends the help of `path`, then of every verb it lists.
fn help_of(project: &Project, path: &mut Vec<String>, text: &mut String) -> Result<(), Failure> {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = ask(project, &arguments)?;
    let mut title = String::from("slhf-lab");
    for word in path.iter() {
        title.push(' ');
        title.push_str(word);
    }
    text.push_str("\n## `");
    text.push_str(&title);
    text.push_str("`\n\n```text\n");
    for line in help.trim_end().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str("```\n");
    for verb in verbs_of(&help) {
        path.push(verb);
        help_of(project, path, text)?;
        path.pop();
    }
    Ok(())
}

/// The names under "Commands:" in a help text: indented by two, continued lines by more.
fn verbs_of(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| line.trim_end() != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  ") || line.trim().is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_from_a_help_text() {
        let help = "What it is\n\nUsage: slhf-lab <COMMAND>\n\nCommands:\n  run     Run experiments, which may\n          take long\n  ls      List\n  help    Print this\n\nOptions:\n  -q, --quiet  Less\n";
        assert_eq!(verbs_of(help), ["run", "ls"]);
        assert!(verbs_of("Usage: slhf-lab run\n\nOptions:\n  -q\n").is_empty());
    }

    #[test]
    fn a_difference_is_named_by_its_line() {
        let check = |found, expect, words: Option<&str>| {
            assert_eq!(first_difference(found, expect).as_deref(), words);
        };
        check("a\nb\n", "a\nb\n", None);
        check("a\nb\n", "a\nc\n", Some("line 2 is `b`, should be `c`"));
        check("", "a\n", Some("line 1 is nothing, should be `a`"));
        check("a\nb\n", "a\n", Some("line 2 is `b`, should be nothing"));
        check("a", "a\n", Some("they differ at the end of a line"));
    }
}

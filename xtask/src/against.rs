//! `cargo xtask bench lm --against COMMIT`: the benchmark of a commit and of this tree, in turn on the same machine.
//!
//! Ratios of one run are what a claim rests on: a virtual machine's speed moves by a half within minutes, so that two
//! benchmarks that ran after each other tell more of the machine than of the code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::project::{Project, run, say};

/// What is run, and how often.
pub(crate) struct Against<'a> {
    /// Whatever git knows a commit by.
    pub(crate) commit: &'a str,
    pub(crate) rounds: usize,
    /// Of both benchmarks.
    pub(crate) arguments: &'a [std::ffi::OsString],
}

/// Builds both benchmarks, runs them in turn, and prints medians and ratios.
pub(crate) fn compare(project: &Project, against: &Against<'_>) -> Result<(), Failure> {
    let commit = commit_of(project, against.commit)?;
    let source = source_of(project, &commit)?;
    say("compiling that commit's benchmark: the first one takes as long as a first build of this project");
    let before = built(project, &source, &project.target().join("against").join("target"))?;
    let now = built(project, &project.root, project.target())?;
    let (mut old, mut new) = (Figures::default(), Figures::default());
    for round in 1..=against.rounds {
        say(&format!("round {round} of {}", against.rounds));
        old.add(&output_of(project, &before, against.arguments)?);
        new.add(&output_of(project, &now, against.arguments)?);
    }
    say(&table(&commit, &old, &new));
    Ok(())
}

fn commit_of(project: &Project, named: &str) -> Result<String, Failure> {
    let mut command = project.environment.command("git");
    command.args(["rev-parse", "--verify", "--quiet", &format!("{named}^{{commit}}")]).current_dir(&project.root);
    let output = command.output().map_err(Failure::file("start", Path::new("git")))?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !commit.is_empty() {
        return Ok(commit);
    }
    Err(Failure::Usage(format!("`{named}` is no commit of this clone; name one that `git log` shows")))
}

/// The commit's files, in `target/`.
fn source_of(project: &Project, commit: &str) -> Result<PathBuf, Failure> {
    let folder = project.target().join("against").join(commit);
    if folder.join("Cargo.toml").exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let archive = folder.with_extension("tar");
    let mut git = project.environment.command("git");
    git.args(["archive", "--format=tar", "-o"]).arg(&archive).arg(commit).current_dir(&project.root);
    run(&mut git, "git did not write the commit's files")?;
    let mut tar = project.environment.command("tar");
    // With the time of now: what was compiled of another commit is older.
    tar.arg("-xmf").arg(&archive).arg("-C").arg(&folder);
    run(&mut tar, "the commit's files could not be unpacked")?;
    std::fs::remove_file(&archive).map_err(Failure::file("remove", &archive))?;
    Ok(folder)
}

/// The benchmark's program, compiled into `target`. Cargo does not tell the crates of two trees apart, so that each tree has a `target` of its own.
fn built(project: &Project, source: &Path, target: &Path) -> Result<PathBuf, Failure> {
    let mut command =
        project.cargo(&["bench", "--workspace", "--profile", "dev", "--bench", "language_model", "--no-run"]);
    command.arg("--message-format=json-render-diagnostics").current_dir(source);
    command.env("CARGO_TARGET_DIR", target).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = command.output().map_err(Failure::file("start", Path::new("cargo")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let executable = said.lines().rev().find_map(executable_of).filter(|_| output.status.success());
    executable.ok_or_else(|| Failure::Failed(format!("the benchmark of {} does not compile", source.display())))
}

/// Of a line of cargo's JSON.
fn executable_of(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once("\"executable\":\"")?;
    let (path, _) = rest.split_once('"')?;
    path.contains("language_model-").then(|| PathBuf::from(path))
}

fn output_of(project: &Project, program: &Path, arguments: &[std::ffi::OsString]) -> Result<String, Failure> {
    let mut command: Command = project.environment.command(program);
    command.args(arguments).env("CARGO_TARGET_DIR", project.target()).current_dir(&project.root);
    let output = command.output().map_err(Failure::file("start", program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    Err(Failure::Failed(format!("a benchmark failed: {said}")))
}

/// What the rounds said, by what it is.
#[derive(Debug, Default)]
struct Figures(BTreeMap<String, Vec<f64>>);

impl Figures {
    fn add(&mut self, said: &str) {
        let mut part = "";
        for line in said.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["a", "step", "with", .., count, "tokens"] => part = count,
                ["batch", batch, rate, "tokens/s,", ..] => {
                    self.put(format!("decoding, batch {:>3}, tokens/s", batch.trim_end_matches(':')), rate);
                }
                [method, _, "s", "(generate", generate, "judge", _, "train", train]
                    if *method == "stackelberg-gda:" =>
                {
                    self.put(format!("step of {part:>3} tokens, generate, s"), generate);
                    self.put(format!("step of {part:>3} tokens, train, s"), train);
                }
                [.., "after", "the", "first", "step", peak, "MB"] => {
                    self.put(format!("step of {part:>3} tokens, peak memory, MB"), peak);
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, what: String, number: &str) {
        if let Ok(number) = number.trim_matches([',', ')', '(']).parse() {
            self.0.entry(what).or_default().push(number);
        }
    }

    fn median(&self, what: &str) -> Option<f64> {
        let mut values = self.0.get(what)?.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

fn table(commit: &str, old: &Figures, new: &Figures) -> String {
    let mut lines = vec![format!("{:42} {:>12} {:>12} {:>12}", "medians", &commit[..10], "this tree", "times better")];
    for what in new.0.keys() {
        let (Some(before), Some(now)) = (old.median(what), new.median(what)) else { continue };
        let better = if what.ends_with("tokens/s") { now / before } else { before / now };
        lines.push(format!("{what:42} {before:12.2} {now:12.2} {better:11.2}x"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_the_benchmark_says() {
        let said = "a step with answers of 32 tokens\n  stackelberg-gda:   9.956 s (generate 2.438, judge 0.0012, train 7.315)\n  \
                    rloo, 2 samples:  10.240 s (generate 2.299, judge 0.0010, train 8.322)\n  stackelberg-gda / rloo: 0.97; training at \
                    121.3 GFLOP/s; peak memory after the first step 2043 MB\n  batch   8:    414.5 tokens/s,   19.30 ms and 593";
        let (mut old, mut new) = (Figures::default(), Figures::default());
        old.add(said);
        new.add(&said.replace("414.5", "829.0").replace("7.315", "3.6575"));
        let found = table("0123456789ab", &old, &new);
        let line = |name: &str| found.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(line("decoding, batch   8").ends_with("2.00x"), "{found}");
        assert!(line("step of  32 tokens, train").ends_with("2.00x"), "{found}");
        assert!(line("step of  32 tokens, generate").ends_with("1.00x"), "{found}");
        assert!(line("step of  32 tokens, peak").contains("2043.00"), "{found}");
    }
}

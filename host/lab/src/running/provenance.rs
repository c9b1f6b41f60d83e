//! Who executes an experiment, with what: everything that the record keeps to explain a number later.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use slhf_files::digest_file;
use slhf_record::Provenance;

use super::worker::WorkerProgram;

/// Gathers what is known. What the system does not tell is left out, never guessed.
pub(crate) fn provenance(worker: &WorkerProgram) -> io::Result<Provenance> {
    let own = std::env::current_exe()?;
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let working_directory = std::env::current_dir()?;
    Ok(Provenance {
        command_line: command_line(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())),
        working_directory: working_directory.display().to_string(),
        host: line("/proc/sys/kernel/hostname").unwrap_or_default(),
        lab_version: env!("CARGO_PKG_VERSION").to_owned(),
        lab_sha256: digest_file(&own)?.sha256,
        worker_sha256: Some(digest_file(worker.path())?.sha256),
        source_commit: known(env!("SLHF_SOURCE_COMMIT")),
        source_dirty: known(env!("SLHF_SOURCE_DIRTY")).map(|text| text == "true"),
        software: software(&working_directory),
    })
}

/// Versions of compiler, libraries, kernel and CPU, and the commit of the folder the verb was given in.
fn software(working_directory: &Path) -> Vec<(String, String)> {
    let mut software = vec![("rustc".to_owned(), env!("SLHF_RUSTC_VERSION").to_owned())];
    for library in env!("SLHF_LIBRARY_VERSIONS").split(',') {
        if let Some((name, version)) = library.split_once('=') {
            software.push((name.to_owned(), version.to_owned()));
        }
    }
    software.push(("build id".to_owned(), super::worker::BUILD_ID.to_owned()));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            software.push((name.to_owned(), value));
        }
    };
    add("kernel", line("/proc/sys/kernel/osrelease"));
    add("CPU", cpu_model());
    let commit = git(working_directory, &["rev-parse", "HEAD"]);
    if commit.is_some() {
        let changes = git(working_directory, &["status", "--porcelain", "--untracked-files=no"]);
        add("working directory commit", commit);
        add("working directory dirty", changes.map(|changes| (!changes.is_empty()).to_string()));
    }
    software
}

fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim().to_owned())
}

/// What git says about a folder; `None` where there is no repository, or no git.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The arguments as a shell would have to be given them.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    arguments
        .map(|argument| {
            if !argument.is_empty() && argument.chars().all(is_plain) {
                argument
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted_into_a_shell() {
        let arguments = ["slhf-lab", "run", "a b.toml", "--set", "name=it's", ""];
        let line = command_line(arguments.iter().map(ToString::to_string));
        assert_eq!(line, r"slhf-lab run 'a b.toml' --set 'name=it'\''s' ''");
    }
}

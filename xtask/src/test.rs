//! `cargo xtask test`: every check, in the order in which failures are cheapest to learn of.

use std::fs;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::project::{Project, run, say};
use crate::setup::{SetUp, set_up};
use crate::{docs, elf, guests};

/// A named check.
struct Stage {
    name: &'static str,
    /// What it does, for the usage error that lists the stages.
    about: &'static str,
    run: fn(&SetUp) -> Result<(), Failure>,
}

const STAGES: [Stage; 9] = [
    Stage { name: "format", about: "rustfmt, of the host and of the guests", run: format },
    Stage { name: "build", about: "slhf-lab and its worker", run: |set_up| set_up.project.build_binaries() },
    Stage { name: "light", about: "slhf-lab does not link libtorch", run: light },
    Stage { name: "clippy", about: "no warning anywhere in the host", run: clippy },
    Stage {
        name: "docs",
        about: "docs/reference is what the program says",
        run: |set_up| docs::check(&set_up.project),
    },
    Stage { name: "guests", about: "plugins and the tests' guests build", run: build_guests },
    Stage { name: "native", about: "clippy and unit tests of the guests' own workspaces", run: native },
    Stage { name: "tests", about: "all tests of the host", run: tests },
    Stage { name: "quickstart", about: "the newcomer's first experiment runs", run: quickstart },
];

/// Runs all stages, or those named, and prints how long each took.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let chosen = choose(words)?;
    let mut times = Vec::new();
    let started = Instant::now();
    let set_up = set_up(&open()?)?;
    times.push(("set-up", started.elapsed()));
    for stage in chosen {
        say(&format!("== {} ({})", stage.name, stage.about));
        let started = Instant::now();
        let result = (stage.run)(&set_up);
        times.push((stage.name, started.elapsed()));
        if let Err(failure) = result {
            say(&summary(&times, Outcome::Failed));
            return Err(failure);
        }
    }
    say(&summary(&times, Outcome::Passed));
    Ok(())
}

fn choose(words: &[String]) -> Result<Vec<&'static Stage>, Failure> {
    if words.is_empty() {
        return Ok(STAGES.iter().collect());
    }
    let find = |word: &String| {
        STAGES.iter().find(|stage| stage.name == word.as_str()).ok_or_else(|| {
            let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            Failure::Usage(format!("there is no stage `{word}`: the stages are {}", names.join(", ")))
        })
    };
    words.iter().map(find).collect()
}

/// How the last stage ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

fn summary(times: &[(&str, Duration)], outcome: Outcome) -> String {
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    let mut text = String::from("\n");
    for (index, (name, time)) in times.iter().enumerate() {
        let is_last = index + 1 == times.len();
        let mark = if is_last && outcome == Outcome::Failed { "FAILED" } else { "ok" };
        text.push_str(&format_line(name, *time, mark));
    }
    text.push_str(&format_line("all", total, if outcome == Outcome::Passed { "ok" } else { "FAILED" }));
    text
}

fn format_line(name: &str, time: Duration, mark: &str) -> String {
    let seconds = time.as_secs();
    let tenths = time.subsec_millis() / 100;
    format!("{name:<12}{:>4} min {:>2}.{tenths} s  {mark}\n", seconds / 60, seconds % 60)
}

fn format(set_up: &SetUp) -> Result<(), Failure> {
    let project = &set_up.project;
    run(&mut project.cargo(&["fmt", "--all", "--check"]), "the host is not formatted: run `cargo fmt --all`")?;
    // The generator of the SDK's bindings is built only when the contract changes, but read like any source.
    let generator = project.root.join("sdk/generate/Cargo.toml");
    for manifest in guests::workspaces(project).into_iter().chain([generator]).filter(|manifest| manifest.exists()) {
        let mut command = project.cargo(&["fmt", "--all", "--check", "--manifest-path"]);
        let manifest = manifest.display().to_string();
        let sentence =
            format!("a workspace of its own is not formatted: run `cargo fmt --all --manifest-path {manifest}`");
        run(command.arg(&manifest), &sentence)?;
    }
    Ok(())
}

fn light(set_up: &SetUp) -> Result<(), Failure> {
    let path = set_up.project.binary("slhf-lab");
    let file = fs::read(&path).map_err(Failure::file("read", &path))?;
    let needed = elf::needed_libraries(&file)
        .map_err(|problem| Failure::Failed(format!("cannot read what {} links: {problem}", path.display())))?;
    match needed.iter().find(|library| library.contains("torch") || library.contains("libc10")) {
        None => Ok(()),
        Some(library) => Err(Failure::Failed(format!(
            "slhf-lab links {library}: that costs every start 0.17 s and 116 MB; only slhf-lab-worker may depend on tch"
        ))),
    }
}

fn clippy(set_up: &SetUp) -> Result<(), Failure> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(&mut set_up.project.cargo(&arguments), "clippy found something in the host: its words are above")
}

fn build_guests(set_up: &SetUp) -> Result<(), Failure> {
    guests::build_plugins(set_up)?;
    guests::build_test_guests(set_up)
}

/// Guests are other workspaces: what checks the host does not see them.
fn native(set_up: &SetUp) -> Result<(), Failure> {
    let project = &set_up.project;
    let target = project.target().join("guests-native");
    for manifest in guests::workspaces(project) {
        let manifest = manifest.display().to_string();
        let in_workspace = |arguments: &[&str]| {
            let mut command = project.cargo(arguments);
            command.env("CARGO_TARGET_DIR", &target);
            command
        };
        let clippy = ["clippy", "--workspace", "--all-targets", "--manifest-path", &manifest, "--", "-D", "warnings"];
        run(&mut in_workspace(&clippy), &format!("clippy found something in the guests of {manifest}"))?;
        let test = ["test", "--quiet", "--workspace", "--manifest-path", &manifest];
        run(&mut in_workspace(&test), &format!("a unit test of the guests of {manifest} failed"))?;
    }
    Ok(())
}

fn tests(set_up: &SetUp) -> Result<(), Failure> {
    let arguments = ["test", "--quiet", "--workspace", "--no-fail-fast"];
    run(&mut set_up.project.cargo(&arguments), "a test of the host failed: its words are above")
}

fn quickstart(set_up: &SetUp) -> Result<(), Failure> {
    let project = &set_up.project;
    let folder = project.target().join("quickstart");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::file("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let mut command = project.slhf_lab(&["run", "experiments/quickstart.toml", "--db"]);
    run(command.arg(folder.join("lab.db")), "`slhf-lab run experiments/quickstart.toml` failed")
}

#[cfg(test)]
mod tests_of_test {
    use super::*;

    #[test]
    fn stages_are_chosen_by_name() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            choose(&words)
                .map(|stages| stages.iter().map(|stage| stage.name).collect::<Vec<_>>().join(" "))
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(names(&["docs", "format"]), Ok("docs format".to_owned()));
        assert_eq!(names(&[]), Ok("format build light clippy docs guests native tests quickstart".to_owned()));
        assert_eq!(
            names(&["speed"]),
            Err("there is no stage `speed`: the stages are format, build, light, clippy, docs, guests, native, tests, quickstart".to_owned())
        );
    }

    #[test]
    fn the_summary_marks_only_the_stage_that_failed() {
        let times = [("set-up", Duration::from_millis(40)), ("clippy", Duration::from_secs(75))];
        let passed =
            "\nset-up         0 min  0.0 s  ok\nclippy         1 min 15.0 s  ok\nall            1 min 15.0 s  ok\n";
        assert_eq!(summary(&times, Outcome::Passed), passed);
        let failed = "\nset-up         0 min  0.0 s  ok\nclippy         1 min 15.0 s  FAILED\nall            1 min 15.0 s  FAILED\n";
        assert_eq!(summary(&times, Outcome::Failed), failed);
    }
}

//! `cargo xtask test`: every check, in the order in which failures are cheapest to learn of.

use std::fs;
use std::process::{Command, Output};
use std::thread;
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

/// Stages of one round run side by side: they build into different folders, or hardly build at all. What is measured against
/// a clock has the machine for itself, and so do the two rounds that keep both cores busy.
const ROUNDS: [&[Stage]; 6] = [
    &[Stage { name: "format", about: "rustfmt, of the host and of the guests", run: format }],
    &[Stage { name: "build", about: "slhf-lab and its worker", run: |set_up| set_up.project.build_binaries() }],
    &[
        Stage { name: "light", about: "slhf-lab does not link libtorch", run: light },
        Stage {
            name: "docs",
            about: "docs/reference is what the program says",
            run: |set_up| docs::check(&set_up.project),
        },
        Stage { name: "clippy", about: "no warning anywhere in the host", run: clippy },
        Stage { name: "guests", about: "plugins and the tests' guests build", run: build_guests },
    ],
    &[
        Stage { name: "rustdoc", about: "the documentation of every crate builds without a warning", run: rustdoc },
        Stage { name: "native", about: "clippy and unit tests of the guests' own workspaces", run: native },
        Stage { name: "quickstart", about: "the newcomer's first experiment runs", run: quickstart },
    ],
    &[
        Stage { name: "deny", about: "licenses and duplicate versions, by deny.toml", run: deny },
        Stage { name: "links", about: "every link between pages leads somewhere", run: links },
    ],
    &[Stage { name: "tests", about: "all tests of the host", run: tests }],
];

/// These run when they are asked for: they fetch packages of other people.
const APART: [Stage; 2] = [
    Stage { name: "--languages", about: "plugins in Python and JavaScript, and docs/write-a-judge.md", run: languages },
    Stage { name: "--browser", about: "slhf-lab ui in Chromium", run: browser },
];

/// How a round starts one of its stages: a program of its own, whose words are kept until it is done.
const ALONE: &str = "--alone";

/// Runs all stages, or those named, and prints how long each took.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    if let [ALONE, name] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return (stage(name)?.run)(&set_up(&open()?)?);
    }
    let rounds = choose(words)?;
    let mut times = Vec::new();
    let started = Instant::now();
    let set_up = set_up(&open()?)?;
    times.push(Ended { name: "set-up", time: started.elapsed(), outcome: Outcome::Passed });
    for round in rounds {
        let result = match round[..] {
            [stage] => one(stage, &set_up, &mut times),
            _ => side_by_side(&round, &set_up, &mut times),
        };
        if let Err(failure) = result {
            say(&summary(&times, started.elapsed()));
            return Err(failure);
        }
    }
    say(&summary(&times, started.elapsed()));
    Ok(())
}

fn one(stage: &Stage, set_up: &SetUp, times: &mut Vec<Ended>) -> Result<(), Failure> {
    announce(stage);
    let started = Instant::now();
    let result = (stage.run)(set_up);
    let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
    times.push(Ended { name: stage.name, time: started.elapsed(), outcome });
    result
}

/// All of a round, to their ends: what each said comes when it is done, and the first failure is the round's.
fn side_by_side(round: &[&Stage], set_up: &SetUp, times: &mut Vec<Ended>) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(Failure::file("find", "this program".as_ref()))?;
    let started = Instant::now();
    let run = |stage: &Stage| {
        let mut command = set_up.project.environment.command(&program);
        let output = command.args(["test", ALONE, stage.name]).current_dir(&set_up.project.root).output();
        (output, started.elapsed())
    };
    let run = &run;
    thread::scope(|scope| {
        let running: Vec<_> = round.iter().map(|stage| (*stage, scope.spawn(move || run(stage)))).collect();
        let mut result = Ok(());
        for (stage, handle) in running {
            let (output, time) = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let ended = output.map_err(|error| Failure::Failed(format!("cannot start a stage: {error}")));
            let ended = ended.and_then(|output| told(stage, &output));
            let outcome = if ended.is_ok() { Outcome::Passed } else { Outcome::Failed };
            times.push(Ended { name: stage.name, time, outcome });
            result = result.and(ended);
        }
        result
    })
}

/// Passes on what a stage said.
fn told(stage: &Stage, output: &Output) -> Result<(), Failure> {
    announce(stage);
    let words = String::from_utf8_lossy(&output.stderr);
    if !words.trim().is_empty() {
        say(words.trim_end());
    }
    if output.status.success() {
        Ok(())
    } else {
        Err(Failure::Failed(format!("the stage `{}` failed: its words are above", stage.name)))
    }
}

fn announce(stage: &Stage) {
    say(&format!("== {} ({})", stage.name, stage.about));
}

fn stages() -> impl Iterator<Item = &'static Stage> {
    ROUNDS.into_iter().flatten()
}

fn stage(name: &str) -> Result<&'static Stage, Failure> {
    stages().chain(&APART).find(|stage| stage.name == name).ok_or_else(|| {
        let names: Vec<&str> = stages().map(|stage| stage.name).collect();
        Failure::Usage(format!("there is no stage `{name}`: the stages are {}", names.join(", ")))
    })
}

/// The rounds of all stages; stages that are named run one after the other, in the order of their names.
fn choose(words: &[String]) -> Result<Vec<Vec<&'static Stage>>, Failure> {
    if words.is_empty() {
        return Ok(ROUNDS.iter().map(|round| round.iter().collect()).collect());
    }
    words.iter().map(|word| Ok(vec![stage(word)?])).collect()
}

/// A stage that is over.
struct Ended {
    name: &'static str,
    time: Duration,
    outcome: Outcome,
}

/// How a stage ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

/// A line a stage, and the time of all, which is less than their sum where stages ran side by side.
fn summary(times: &[Ended], total: Duration) -> String {
    let mut text = String::from("\n");
    let mark = |has_failed: bool| if has_failed { "FAILED" } else { "ok" };
    for ended in times {
        text.push_str(&format_line(ended.name, ended.time, mark(ended.outcome == Outcome::Failed)));
    }
    let has_failed = times.iter().any(|ended| ended.outcome == Outcome::Failed);
    text.push_str(&format_line("all", total, mark(has_failed)));
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

fn rustdoc(set_up: &SetUp) -> Result<(), Failure> {
    let mut command = set_up.project.cargo(&["doc", "--quiet", "--no-deps", "--workspace", "--keep-going"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings"), "rustdoc found something: its words are above")
}

/// The test looks at what lies on this machine, for the host: a build for wasm alone has not fetched all of it.
fn deny(set_up: &SetUp) -> Result<(), Failure> {
    for manifest in ["Cargo.toml", "plugins/Cargo.toml", "host/judge/tests/guests/Cargo.toml"] {
        let fetch = ["fetch", "--locked", "--target", "x86_64-unknown-linux-gnu", "--manifest-path", manifest];
        run(&mut set_up.project.cargo(&fetch), "the packages of a workspace cannot be fetched: see above")?;
    }
    run(&mut one_test(set_up, "dependencies"), "a dependency breaks the rules of deny.toml: see above")
}

fn links(set_up: &SetUp) -> Result<(), Failure> {
    run(&mut one_test(set_up, "links"), "a link between pages is broken: see above")
}

/// The whole workspace is named, so that nothing is compiled with other features than for all tests.
fn one_test(set_up: &SetUp, name: &str) -> Command {
    set_up.project.cargo(&["test", "--quiet", "--workspace", "--test", name])
}

/// Cargo runs one file of tests after the other, and the last test of each file leaves a core idle: two halves of about the same length
/// run side by side, once everything is compiled. The words of each come when it is done.
fn tests(set_up: &SetUp) -> Result<(), Failure> {
    run(&mut set_up.project.cargo(&["test", "--quiet", "--workspace", "--no-run"]), "the tests do not compile")?;
    let halves: [&[&[&str]]; 2] = [&[&["--lib", "--bins", "--test", "[!l-z]*"], &["--doc"]], &[&["--test", "[l-z]*"]]];
    let half = |parts: &[&[&str]]| -> Result<bool, Failure> {
        let mut has_passed = true;
        for part in parts {
            let mut command = set_up.project.cargo(&["test", "--quiet", "--workspace", "--no-fail-fast"]);
            let output = command.args(*part).output();
            let output = output.map_err(|error| Failure::Failed(format!("cannot start cargo: {error}")))?;
            for words in [&output.stdout, &output.stderr] {
                say(String::from_utf8_lossy(words).trim_end());
            }
            has_passed &= output.status.success();
        }
        Ok(has_passed)
    };
    let half = &half;
    let ended = thread::scope(|scope| {
        let running = halves.map(|parts| scope.spawn(move || half(parts)));
        running.map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for has_passed in ended {
        if !has_passed? {
            return Err(Failure::Failed("a test of the host failed: its words are above".to_owned()));
        }
    }
    Ok(())
}

fn languages(set_up: &SetUp) -> Result<(), Failure> {
    set_up.project.build_binaries()?;
    guests::build_plugins(set_up)?;
    let arguments = ["test", "--quiet", "--workspace", "--test", "languages", "--", "--ignored"];
    run(&mut set_up.project.cargo(&arguments), "a plugin in Python or JavaScript failed: see above")
}

fn browser(set_up: &SetUp) -> Result<(), Failure> {
    set_up.project.build_binaries()?;
    guests::build_plugins(set_up)?;
    let arguments = ["test", "--quiet", "--workspace", "--test", "browser", "--", "--ignored"];
    run(&mut set_up.project.cargo(&arguments), "a page failed in the browser: see above")
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
            let round = |round: Vec<&Stage>| round.iter().map(|stage| stage.name).collect::<Vec<_>>().join("+");
            choose(&words)
                .map(|rounds| rounds.into_iter().map(round).collect::<Vec<_>>().join(" "))
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(names(&["docs", "format"]), Ok("docs format".to_owned()));
        for apart in ["--languages", "--browser"] {
            assert_eq!(names(&[apart]), Ok(apart.to_owned()), "apart: no round has it");
        }
        assert_eq!(
            names(&[]),
            Ok("format build light+docs+clippy+guests rustdoc+native+quickstart deny+links tests".to_owned())
        );
        assert_eq!(
            names(&["speed"]),
            Err("there is no stage `speed`: the stages are format, build, light, docs, clippy, guests, rustdoc, native, quickstart, deny, links, tests".to_owned())
        );
    }

    #[test]
    fn the_summary_marks_the_stages_that_failed() {
        let ended = |name, time, outcome| Ended { name, time, outcome };
        let set_up = || ended("set-up", Duration::from_millis(40), Outcome::Passed);
        let clippy = |outcome| ended("clippy", Duration::from_secs(75), outcome);
        let total = Duration::from_mins(1);
        let passed =
            "\nset-up         0 min  0.0 s  ok\nclippy         1 min 15.0 s  ok\nall            1 min  0.0 s  ok\n";
        assert_eq!(summary(&[set_up(), clippy(Outcome::Passed)], total), passed);
        let failed = "\nset-up         0 min  0.0 s  ok\nclippy         1 min 15.0 s  FAILED\nall            1 min  0.0 s  FAILED\n";
        assert_eq!(summary(&[set_up(), clippy(Outcome::Failed)], total), failed);
    }

    #[test]
    fn what_a_stage_said_is_passed_on_with_its_failure() {
        use std::os::unix::process::ExitStatusExt as _;
        let output = |code| Output {
            status: std::process::ExitStatus::from_raw(code << 8),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        let stage = stage("light").expect("a stage");
        assert!(told(stage, &output(0)).is_ok());
        let failure = told(stage, &output(1)).expect_err("it failed");
        assert_eq!(failure.to_string(), "the stage `light` failed: its words are above");
    }
}

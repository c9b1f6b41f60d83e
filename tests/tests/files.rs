//! The one door for files: what is no regular file of a bounded size is refused at once, wherever a file can be named.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slhf_tests::{Lab, plugins_folder, repository, tiny_model};

/// Far more than a refusal takes, far less than reading without end.
const DEADLINE: Duration = Duration::from_secs(20);

const SETTINGS: u64 = slhf_files::SETTINGS_BYTES_MAX;
const TOML: u64 = slhf_files::TOML_BYTES_MAX;
const DATA: u64 = slhf_files::DATA_BYTES_MAX;
const WEIGHTS: u64 = slhf_files::WEIGHTS_BYTES_MAX;
const PROMPTS: u64 = 4 << 30;
const PLUGIN: u64 = 256 << 20;

/// Something at a path that is no file to read.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Pipe,
    Device,
    Folder,
    /// One byte past a limit; takes no room on the disk.
    Large(u64),
}

impl Odd {
    fn put(self, path: &Path) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let _ = fs::remove_file(path);
        let _ = fs::remove_dir(path);
        match self {
            Self::Pipe => assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success()),
            Self::Device => symlink("/dev/zero", path).expect("linked"),
            Self::Folder => fs::create_dir(path).expect("made"),
            Self::Large(limit) => File::create(path).and_then(|file| file.set_len(limit + 1)).expect("a sparse file"),
        }
    }

    /// What a refusal says.
    fn said(self) -> String {
        match self {
            Self::Pipe => "it is a pipe; expected a regular file".to_owned(),
            Self::Device => "it is a device; expected a regular file".to_owned(),
            Self::Folder => "it is a folder; expected a regular file".to_owned(),
            Self::Large(limit) => {
                format!("it has {} bytes; at most {limit} are read, which SLHF_LAB_FILE_MIB raises", limit + 1)
            }
        }
    }
}

/// A place where a file can be named.
struct Place {
    /// The odd file, in the lab's folder.
    file: &'static str,
    limit: u64,
    arguments: &'static [&'static str],
    /// Where the path may be a folder too, or where another check comes first and says it in its own words.
    also: &'static [&'static str],
}

const fn place(file: &'static str, limit: u64, arguments: &'static [&'static str]) -> Place {
    Place { file, limit, arguments, also: &[] }
}

const TRY: [&str; 3] = ["plugin", "try", "--first"];

const PLACES: &[Place] = &[
    place("odd.toml", TOML, &["check", "odd.toml"]),
    place("odd.toml", TOML, &["run", "odd.toml"]),
    place("odd.toml", TOML, &["solve", "odd.toml"]),
    place("odd.csv", DATA, &["solve", "odd.csv"]),
    place("odd.soc", DATA, &["solve", "odd.soc"]),
    place("odd.csv", DATA, &["check", "data.toml"]),
    place("odd.jsonl", PROMPTS, &["check", "prompts.toml"]),
    place("odd.jsonl.gz", PROMPTS, &["check", "packed.toml"]),
    place("odd.jinja", SETTINGS, &["check", "template.toml"]),
    place("odd.wasm", PLUGIN, &["check", "judge.toml"]),
    place("odd.csv", DATA, &["evaluate", "--annotations", "odd.csv"]),
    place("odd.json", DATA, &["evaluate", "--annotations", "odd.json"]),
    place("tables/df_gamed.csv", DATA, &["evaluate", "--annotations", "good.csv", "--auxiliary", "tables"]),
    place(
        "odd.jsonl",
        PROMPTS,
        &["evaluate", "smollm2-methods", "--db", "results.db.gz", "--responses", "mine=odd.jsonl"],
    ),
    place(
        "odd.jsonl",
        PROMPTS,
        &["evaluate", "smollm2-methods", "--db", "results.db.gz", "--sample", "--prompts", "odd.jsonl"],
    ),
    place("odd.jsonl", PROMPTS, &["judge", "audit", "brevity", "--pairs", "odd.jsonl"]),
    place("odd.wasm", PLUGIN, &["plugin", "inspect", "./odd.wasm"]),
    place("odd.wasm", PLUGIN, &["plugin", "check", "./odd.wasm"]),
    place("odd.wasm", PLUGIN, &["plugin", "bench", "./odd.wasm"]),
    place("odd.wasm", PLUGIN, &[TRY[0], TRY[1], "./odd.wasm", TRY[2], "a"]),
    place("odd.json", SETTINGS, &[TRY[0], TRY[1], "brevity", TRY[2], "a", "--parameters", "@odd.json"]),
    place("odd.json", DATA, &["plugin", "check", "brevity", "--responses", "odd.json"]),
    Place {
        // A folder is a model of another kind.
        also: &["there is no config.json in this folder", "config.json: there is no such file"],
        ..place("odd.gguf", WEIGHTS, &["model", "inspect", "--model", "odd.gguf"])
    },
    place("tiny/config.json", 256 << 20, &["model", "inspect", "--model", "tiny"]),
    place("tiny/tokenizer.json", 256 << 20, &["model", "inspect", "--model", "tiny"]),
    place("tiny/chat_template.jinja", 256 << 20, &["model", "inspect", "--model", "tiny"]),
    place("tiny/model.safetensors", WEIGHTS, &["model", "inspect", "--model", "tiny"]),
    Place {
        also: &["has no adapter_config.json"],
        ..place(
            "adapter/adapter_config.json",
            1 << 20,
            &["model", "generate", "--model", "tiny", "--adapter", "adapter", "--prompt", "a"],
        )
    },
    place("odd.jinja", SETTINGS, &["model", "inspect", "--model", "tiny", "--chat-template", "odd.jinja"]),
    place("odd.json", SETTINGS, &["model", "generate", "--model", "tiny", "--messages", "odd.json"]),
    place("odd.json", SETTINGS, &["refine", "--messages", "odd.json"]),
    // A record may be as large as it gets.
    place("odd.db", 0, &["ls", "--db", "odd.db"]),
    place("odd.db.gz", PROMPTS, &["ls", "--db", "odd.db.gz"]),
    place("odd.db", 0, &["run", "good.toml", "--db", "odd.db"]),
];

const GAME: &str = "kind = \"game\"\n[method]\nname = \"stackelberg-gda\"\nsteps = 3\n";
const LANGUAGE: &str = "kind = \"language-model\"\n[model]\npath = \"tiny\"\n[judge]\nplugin = \"brevity\"\n\
                        [method]\nname = \"rloo\"\nsteps = 1\n[data]\nheld_out = 1\n";

fn lab() -> Lab {
    let lab = Lab::new();
    let game = "[game]\nactions = [\"a\", \"b\"]\n";
    let matrix = "preferences = [[0.5, 0.9], [0.1, 0.5]]\n";
    lab.write("good.toml", format!("{GAME}{game}{matrix}"));
    lab.write("data.toml", format!("{GAME}[game]\nfile = \"odd.csv\"\n"));
    lab.write("judge.toml", format!("{GAME}{game}[judge]\nplugin = \"./odd.wasm\"\n"));
    lab.write("prompts.toml", format!("{LANGUAGE}prompts = \"odd.jsonl\"\n"));
    lab.write("packed.toml", format!("{LANGUAGE}prompts = \"odd.jsonl.gz\"\n"));
    lab.write("prompts.jsonl", "{\"prompt\": \"One?\"}\n{\"prompt\": \"Two?\"}\n");
    let template = LANGUAGE.replace("\"tiny\"\n", "\"tiny\"\nchat_template = \"odd.jinja\"\n");
    lab.write("template.toml", format!("{template}prompts = \"prompts.jsonl\"\n"));
    lab.write("good.csv", "length_1,length_2,preference\n10,20,1.5\n30,20,1.2\n10,15,1.9\n");
    symlink(repository().join("docs/results/record.db.gz"), lab.path("results.db.gz")).expect("linked");
    lab
}

/// What was said, or how it did not end.
fn refusal(lab: &Lab, arguments: &[&str]) -> Result<String, String> {
    let mut command = lab.command(arguments);
    command.env("SLHF_LAB_PLUGINS", plugins_folder()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let started = Instant::now();
    let status = loop {
        match child.try_wait().expect("waited for") {
            Some(status) => break status,
            None if started.elapsed() > DEADLINE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {DEADLINE:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut said = String::new();
    let _ = child.stderr.take().expect("piped").read_to_string(&mut said);
    match status.code() {
        Some(1 | 2) => Ok(said),
        code => Err(format!("exit code {code:?}: {said}")),
    }
}

#[test]
fn whatever_is_no_file_to_read_is_refused_in_a_sentence_wherever_it_is_named() {
    let lab = lab();
    let mut wrong = String::new();
    for place in PLACES {
        let large = (place.limit > 0).then_some(Odd::Large(place.limit));
        for odd in [Odd::Pipe, Odd::Device, Odd::Folder].into_iter().chain(large) {
            tiny_model(&lab, "tiny");
            odd.put(&lab.path(place.file));
            let expected = odd.said();
            let name = Path::new(place.file).file_name().expect("a name").to_string_lossy();
            match refusal(&lab, place.arguments) {
                Ok(said)
                    if said.contains("error: ")
                        && (said.contains(&expected) && (said.contains(&*name) || said.contains("/dev/zero"))
                            || place.also.iter().any(|also| said.contains(also))) => {}
                found => {
                    let _ = writeln!(wrong, "{:?} with {odd:?}: {found:?}", place.arguments);
                }
            }
            match odd {
                Odd::Folder => fs::remove_dir(lab.path(place.file)),
                _ => fs::remove_file(lab.path(place.file)),
            }
            .expect("as it was put there");
        }
    }
    assert_eq!(wrong, "");
}

#[test]
fn what_cannot_be_read_or_written_where_it_is_named_is_bad_input() {
    let lab = lab();
    let no_folder = "there is no folder missing; make it first, or name another with --to";
    let device = "/dev/zero: cannot read this GGUF file: it is a device; expected a regular file";
    let cases: [(&[&str], &str); 8] = [
        (&["model", "inspect", "/dev/zero"], device),
        (&["model", "logprobs", "--model", "/dev/zero", "--prompt", "a", "--response", "b"], device),
        (&["model", "generate", "--model", "/dev/zero", "--prompt", "a"], device),
        (&["model", "import", "/dev/zero", "out"], device),
        (&["db", "export", "transfer", "--db", "results.db.gz", "--to", "missing/x.db"], no_folder),
        (&["db", "copy", "--db", "results.db.gz", "--to", "missing/x.db"], no_folder),
        (
            &["report", "transfer", "--db", "results.db.gz", "--out", "good.csv"],
            "good.csv is no folder, and pages and figures are written into one: name another with --out",
        ),
        (&["ls", "--db", "empty.db"], "an empty file, such as a command leaves that is killed at once"),
    ];
    lab.write("empty.db", "");
    for (arguments, expected) in cases {
        let said = refusal(&lab, arguments).unwrap_or_else(|said| said);
        assert!(
            said.starts_with("error: ") && said.contains(expected) && !said.contains(".tmp"),
            "{arguments:?}: {said}"
        );
    }
    // What a killed command left empty is filled by the next one.
    let mut run = lab.command(["run", "good.toml", "--db", "empty.db", "-q"]);
    assert_eq!(lab.outcome(run.env("SLHF_LAB_PLUGINS", plugins_folder())).code, Some(0));
}

/// The source files of the host's crates, their tests left out.
fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_else_opens_a_file() {
    // Files of the kernel's, of the program's own, of the system's package manager; and folders that are flushed.
    const MAY: &[(&str, &str)] = &[
        ("host/files/src/", ""),
        ("host/worker/src/environment.rs", "/proc/"),
        ("host/worker/src/environment.rs", "fs::read_to_string(path).ok()?"),
        ("host/worker/src/environment.rs", "current_exe"),
        ("host/lab/src/running/provenance.rs", "/proc/cpuinfo"),
        ("host/lab/src/running/provenance.rs", "fs::read_to_string(path).ok().map(|text| text.trim()"),
        ("host/record/src/lease.rs", ""),
        ("host/model/src/template/tests.rs", ""),
        ("host/toolchain/src/wasm/apt.rs", ""),
        ("host/record/src/export.rs", "&compact"),
        // Files of our own, where a link is no file: looked at by these.
        ("host/record/src/checkpoint_folder.rs", "stored_file::open("),
        ("host/judge/src/cache/store.rs", "symlink_metadata"),
        // What a process of our own said.
        ("host/foreign/src/process.rs", "BufReader::new(stderr)"),
        ("", "sync_all"),
    ];
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join("host")).expect("listed").flatten() {
        sources(&entry.path().join("src"), &mut found);
    }
    let mut wrong = String::new();
    for path in found {
        let shown = path.strip_prefix(repository()).expect("inside").display().to_string();
        let text = fs::read_to_string(&path).expect("read");
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (index, line) in product.lines().enumerate() {
            let opens = [
                " fs::read(",
                "std::fs::read(",
                "read_to_string(",
                " File::open(",
                "fs::File::open(",
                "OpenOptions",
                "and_then(fs::read)",
            ];
            let is_door = line.contains("slhf_files::") || line.trim_start().starts_with("//");
            if is_door || !opens.iter().any(|open| line.contains(open)) {
                continue;
            }
            if !MAY.iter().any(|(file, part)| shown.starts_with(file) && line.contains(part)) {
                let _ = writeln!(wrong, "{shown}:{}: {}", index + 1, line.trim());
            }
        }
    }
    assert_eq!(wrong, "", "these lines open files past slhf_files");
}

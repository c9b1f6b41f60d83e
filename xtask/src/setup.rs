//! Finds or fetches what the machine lacks, and tells plain cargo where it is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use slhf_toolchain::libtorch::{self, Build};
use slhf_toolchain::wasm::{self, WasmCompiler};
use slhf_toolchain::{CATALOGUE, Cache, Consent, Environment, cxx_compiler, has_nvidia_driver};

use crate::failure::Failure;
use crate::project::{Project, say};

/// The ignored file that the committed `.cargo/config.toml` includes.
const LOCAL: &str = ".cargo/local.toml";

/// What the set-up found.
#[derive(Debug)]
pub(crate) struct SetUp {
    /// The clone, with cargo told which libtorch to use.
    pub(crate) project: Project,
    /// The compiler for guests.
    pub(crate) wasm: WasmCompiler,
}

/// `cargo xtask setup [--cuda | --cpu]`: the set-up with the models that experiments call by name, and what came of it.
pub(crate) fn verb(open: impl FnOnce() -> Result<Project, Failure>, words: &[String]) -> Result<(), Failure> {
    let wanted = match words {
        [] => None,
        [option] if option == "--cuda" => Some(Build::Cuda),
        [option] if option == "--cpu" => Some(Build::Cpu),
        _ => {
            let usage = "`cargo xtask setup` takes nothing, `--cuda` (a libtorch that computes on NVIDIA's devices) or `--cpu` (back to the small one)";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let SetUp { project, wasm } = set_up_for(&open()?, wanted)?;
    // A model with terms is fetched when a user asks for it by name.
    for model in CATALOGUE.iter().filter(|model| model.terms.is_none()) {
        let path = model.find_or_fetch(&project.environment, Consent::NotAsked, &mut say)?;
        say(&format!("model {} ({}): {}", model.name, model.licence, path.display()));
    }
    let folder = Path::new(project.environment.get(libtorch::VARIABLE).unwrap_or_default());
    let build = Build::of(folder);
    say(&format!("libtorch {}{}: {}", libtorch::VERSION, build.in_words(), folder.display()));
    if build == Build::Cuda && !has_nvidia_driver() {
        say(
            "this machine has no NVIDIA driver: what is built computes on its processors, and on devices where it is taken to them",
        );
    }
    say(&format!("wasm compiler: {}", wasm.rustc.display()));
    say(&format!("{LOCAL} tells cargo: plain `cargo build`, `cargo test` and rust-analyzer work now"));
    Ok(())
}

/// Does what is missing, silently when nothing is.
pub(crate) fn set_up(project: &Project) -> Result<SetUp, Failure> {
    set_up_for(project, None)
}

/// With this libtorch, or with the one that was chosen before.
fn set_up_for(project: &Project, wanted: Option<Build>) -> Result<SetUp, Failure> {
    let file = project.root.join(LOCAL);
    let remembered = fs::read_to_string(&file).ok().and_then(|text| libtorch_of(&text));
    let environment = as_the_user_set_it(&project.environment, remembered.as_deref());
    // Without it the bindings cannot be compiled, so it is said before anything is fetched.
    cxx_compiler(&environment)?;
    if let Some(wanted) = wanted {
        refuse_own(&project.environment, wanted)?;
    }
    let build = match (wanted, &remembered) {
        (Some(wanted), _) => wanted,
        (None, Some(folder)) => libtorch::build_of(&environment, folder)?,
        (None, None) => Build::Cpu,
    };
    let folder = match still_good(&environment, remembered.filter(|_| wanted.is_none()))? {
        Some(folder) => folder,
        None => libtorch::find_or_install(&environment, build, &mut say)?.folder,
    };
    let wasm = wasm::find_or_install(&environment, &mut say)?;
    write_if_changed(&file, &local_configuration(&folder))?;
    let project = Project { environment, ..project.clone() }.with_libtorch(&folder);
    Ok(SetUp { project, wasm })
}

/// A libtorch of the user's own wins over what is fetched, so that another build is not fetched beside it.
fn refuse_own(environment: &Environment, wanted: Build) -> Result<(), Failure> {
    let Some(own) = environment.get(libtorch::VARIABLE).map(Path::new) else { return Ok(()) };
    if own.starts_with(Cache::of(environment)?.root()) || Build::of(own) == wanted {
        return Ok(());
    }
    let (option, lacks) = match wanted {
        Build::Cuda => ("--cuda", "which has no lib/libtorch_cuda.so"),
        Build::Cpu => ("--cpu", "which has CUDA"),
    };
    Err(Failure::Usage(format!(
        "{option}: {} names {}, {lacks}, and wins: unset it and remove {LOCAL} to have another one fetched",
        libtorch::VARIABLE,
        own.display()
    )))
}

/// Cargo hands `LIBTORCH` from [`LOCAL`] to this program, where it looks as if the user had set it. It is
/// taken out again: what only we remembered may be replaced, what the user says must be right.
fn as_the_user_set_it(environment: &Environment, remembered: Option<&Path>) -> Environment {
    let is_ours = remembered.is_some_and(|folder| environment.get(libtorch::VARIABLE) == Some(folder.as_os_str()));
    if is_ours { environment.clone().without(libtorch::VARIABLE) } else { environment.clone() }
}

/// Fetches the models that the arguments of `slhf-lab` call for: those that a TOML among them names. A file that cannot
/// be read is left to `slhf-lab`, which says so better.
pub(crate) fn fetch_models(environment: &Environment, arguments: &[OsString]) -> Result<(), Failure> {
    let is_toml = |path: &&Path| path.extension().is_some_and(|extension| extension == "toml");
    for path in arguments.iter().map(Path::new).filter(is_toml) {
        let text = fs::read_to_string(path).unwrap_or_default();
        for model in CATALOGUE.iter().filter(|model| names(&text, model.name)) {
            model.find_or_fetch(environment, Consent::NotAsked, &mut say)?;
        }
    }
    Ok(())
}

/// Whether a line of a TOML, comments aside, has this name in quotation marks.
fn names(toml: &str, model: &str) -> bool {
    let quoted = [format!("\"{model}\""), format!("'{model}'")];
    toml.lines().any(|line| !line.trim_start().starts_with('#') && quoted.iter().any(|name| line.contains(name)))
}

/// A libtorch of the user's own that an earlier set-up was told of keeps its place while it is whole.
fn still_good(environment: &Environment, remembered: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    if environment.get(libtorch::VARIABLE).is_some() {
        return Ok(None);
    }
    // What lies in the cache is looked at more closely by the search itself.
    let cache = Cache::of(environment)?;
    Ok(remembered
        .filter(|folder| !folder.starts_with(cache.root()))
        .filter(|folder| libtorch::verify(folder, LOCAL).is_ok()))
}

fn local_configuration(libtorch: &Path) -> String {
    let folder = libtorch.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "# Written by `cargo xtask setup`; a LIBTORCH that is already set wins.\n[env]\nLIBTORCH = {{ value = \"{folder}\", force = false }}\n"
    )
}

/// Reads back what [`local_configuration`] wrote.
fn libtorch_of(text: &str) -> Option<PathBuf> {
    let line = text.lines().find(|line| line.starts_with("LIBTORCH"))?;
    let (_, value) = line.split_once("value = \"")?;
    let (value, _) = value.split_once("\", force")?;
    Some(PathBuf::from(value.replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// Leaves the file's time alone when nothing changed, for editors that watch it.
fn write_if_changed(file: &Path, content: &str) -> Result<(), Failure> {
    if fs::read_to_string(file).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let unfinished = file.with_extension("toml.unfinished");
    fs::write(&unfinished, content).map_err(Failure::file("write", &unfinished))?;
    fs::rename(&unfinished, file).map_err(Failure::file("write", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for folder in ["/home/a/.cache/slhf-lab/torch", "/odd \"name\"/with\\slash", "/ünïcode"] {
            let folder = Path::new(folder);
            assert_eq!(libtorch_of(&local_configuration(folder)).as_deref(), Some(folder));
        }
        assert_eq!(libtorch_of("[env]\n"), None);
    }

    #[test]
    fn a_libtorch_of_ones_own_is_not_passed_over() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = folder.path().join("cache");
        let bare = Environment::default().with("SLHF_LAB_CACHE", &cache);
        let check = |own: Option<PathBuf>, wanted: Build, expect: Result<(), &str>| {
            let environment = own.map_or_else(|| bare.clone(), |own| bare.clone().with("LIBTORCH", own));
            let found = refuse_own(&environment, wanted).map_err(|failure| failure.to_string());
            match expect {
                Ok(()) => assert_eq!(found, Ok(())),
                Err(part) => assert!(found.clone().is_err_and(|found| found.contains(part)), "{found:?}"),
            }
        };
        let mine = folder.path().join("mine");
        check(None, Build::Cuda, Ok(()));
        check(Some(cache.join("libtorch-2.11.0-1/torch")), Build::Cuda, Ok(()));
        check(Some(mine.clone()), Build::Cpu, Ok(()));
        check(Some(mine.clone()), Build::Cuda, Err("which has no lib/libtorch_cuda.so, and wins"));
        fs::create_dir_all(mine.join("lib")).expect("folder");
        fs::write(mine.join("lib/libtorch_cuda.so"), "").expect("file");
        check(Some(mine.clone()), Build::Cuda, Ok(()));
        check(Some(mine), Build::Cpu, Err("which has CUDA, and wins"));
    }

    #[test]
    fn a_model_is_named_in_quotation_marks_outside_of_comments() {
        let check = |toml: &str, expect: bool| assert_eq!(names(toml, "tiny-1"), expect, "{toml}");
        check("[model]\npath = \"tiny-1\"\n", true);
        check("values = ['tiny-1', \"x\"]", true);
        check("# path = \"tiny-1\"", false);
        check("path = \"tiny-10\"", false);
    }

    #[test]
    fn cargos_own_echo_is_not_taken_for_the_users_word() {
        let with = |value: &str| Environment::default().with("LIBTORCH", value);
        let check = |environment: &Environment, remembered: Option<&str>, expect: Option<&str>| {
            let seen = as_the_user_set_it(environment, remembered.map(Path::new));
            assert_eq!(seen.get("LIBTORCH"), expect.map(AsRef::as_ref));
        };
        check(&with("/cache/torch"), Some("/cache/torch"), None);
        check(&with("/mine"), Some("/cache/torch"), Some("/mine"));
        check(&with("/mine"), None, Some("/mine"));
        check(&Environment::default(), Some("/cache/torch"), None);
    }
}

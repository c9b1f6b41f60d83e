//! What is there and what is missing, one finding a subject, each missing one with what mends it.

use crate::{Bytes, CATALOGUE, Cache, Environment, Error, KnownModel, free_bytes, libtorch, prerequisites, wasm};

/// One line of `slhf-lab doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked for: "libtorch".
    pub subject: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found where, or what is wrong: half a sentence, without the mending.
    pub detail: String,
    /// The command, or what to install. Present unless the standing is [`Standing::Ready`].
    pub mend: Option<String>,
}

/// How a subject stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There, and fit.
    Ready,
    /// Not there or unfit, and nothing that is set up already needs it.
    NotNeeded,
    /// Not there or unfit, and needed.
    Missing,
}

/// The command that mends most.
const SET_UP: &str = "run `cargo xtask setup` in a clone of the project";

/// Looks at everything this crate knows of. Changes nothing, and never fails: a failure is a finding.
pub fn findings(environment: &Environment) -> Vec<Finding> {
    let libtorch = libtorch_finding(environment);
    let has_libtorch = libtorch.standing == Standing::Ready;
    let mut found = vec![
        cache_finding(environment),
        libtorch,
        wasm_finding(environment),
        compiler_finding(environment),
        python_finding(environment, has_libtorch),
    ];
    // A model with terms is nobody's unless they asked for it: only one that is there is spoken of.
    let is_expected = |model: &&KnownModel| model.terms.is_none() || matches!(model.find(environment), Ok(Some(_)));
    found.extend(CATALOGUE.iter().filter(is_expected).map(|model| model_finding(environment, model)));
    found
}

fn ready(subject: &'static str, detail: String) -> Finding {
    Finding { subject, standing: Standing::Ready, detail, mend: None }
}

fn missing(subject: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { subject, standing: Standing::Missing, detail: detail.into(), mend: Some(mend.into()) }
}

/// What went wrong and what mends it, apart where the error knows both.
fn of_error(subject: &'static str, error: &Error) -> Finding {
    let (detail, mend) = match error {
        Error::MissingProgram { problem, mend, .. } => (problem.clone(), mend.clone()),
        Error::NoWasmCompiler { reason, mend } => (reason.clone(), mend.clone()),
        Error::ProgramFailed { doing, status, said, mend } => {
            (format!("{doing} failed ({status}): {said}"), mend.clone())
        }
        Error::File { .. } | Error::NotStarted { .. } => (error.chain(), "mend that, then look again".to_owned()),
        // The other sentences are "what is wrong: what to do".
        other => {
            let sentence = other.to_string();
            let (detail, mend) = sentence.rsplit_once(": ").unwrap_or((&sentence, SET_UP));
            (detail.to_owned(), mend.to_owned())
        }
    };
    missing(subject, detail, mend)
}

fn cache_finding(environment: &Environment) -> Finding {
    const SUBJECT: &str = "cache folder";
    let measured = Cache::of(environment).and_then(|cache| {
        let free = free_bytes(cache.root())?;
        Ok((cache, free))
    });
    match measured {
        Ok((cache, free)) => {
            let holds = Bytes(slhf_files::bytes_below(cache.root()));
            ready(SUBJECT, format!("{} (holds {holds}, {free} free)", cache.root().display()))
        }
        Err(error) => of_error(SUBJECT, &error),
    }
}

fn libtorch_finding(environment: &Environment) -> Finding {
    const SUBJECT: &str = "libtorch";
    match libtorch::find(environment) {
        Ok(Some(found)) => {
            let origin = match found.source {
                libtorch::Source::Variable => "named by LIBTORCH",
                libtorch::Source::Cache => "in the cache folder",
            };
            let folder = found.folder.display();
            ready(SUBJECT, format!("{}{} {origin}: {folder}", libtorch::VERSION, found.build.in_words()))
        }
        Ok(None) => missing(
            SUBJECT,
            format!("libtorch {} is not there", libtorch::VERSION),
            format!("{SET_UP} (downloads {})", libtorch::Build::Cpu.download()),
        ),
        Err(error) => of_error(SUBJECT, &error),
    }
}

fn wasm_finding(environment: &Environment) -> Finding {
    const SUBJECT: &str = "wasm compiler";
    match wasm::find(environment) {
        Ok(Some(found)) => {
            let origin = match found.source {
                wasm::Source::Variable => "named by SLHF_LAB_WASM_RUSTC",
                wasm::Source::ActiveToolchain => "the active toolchain, which has the target",
                wasm::Source::Cache => "Debian's, in the cache folder",
            };
            ready(SUBJECT, format!("{origin}: {}", found.rustc.display()))
        }
        Ok(None) => missing(
            SUBJECT,
            format!("no rustc here has the target {}", wasm::TARGET),
            format!(
                "run `rustup target add {}` (downloads about 25 MB), or {SET_UP} (downloads {} where Debian's is taken)",
                wasm::TARGET,
                wasm::DOWNLOAD_ABOUT
            ),
        ),
        Err(error) => of_error(SUBJECT, &error),
    }
}

/// Games need no model, so a missing one is no fault.
fn model_finding(environment: &Environment, model: &KnownModel) -> Finding {
    let mut finding = match model.find(environment) {
        Ok(Some(path)) => ready("model", format!("{} ({}): {}", model.name, model.licence, path.display())),
        Ok(None) => missing(
            "model",
            format!("{} is not there (only experiments that name it need it)", model.name),
            format!("run `slhf-lab model fetch {}` (downloads {})", model.name, model.download),
        ),
        Err(error) => of_error("model", &error),
    };
    if finding.standing == Standing::Missing {
        finding.standing = Standing::NotNeeded;
    }
    finding
}

fn compiler_finding(environment: &Environment) -> Finding {
    const SUBJECT: &str = "C++ compiler";
    match prerequisites::cxx_compiler(environment) {
        Ok(found) => ready(SUBJECT, found.program.display().to_string()),
        Err(error) => of_error(SUBJECT, &error),
    }
}

fn python_finding(environment: &Environment, has_libtorch: bool) -> Finding {
    const SUBJECT: &str = "Python with pip";
    match prerequisites::python(environment) {
        Ok(found) => ready(SUBJECT, format!("Python {}, {}: {}", found.version, found.pip, found.program.display())),
        Err(error) => {
            let mut finding = of_error(SUBJECT, &error);
            if has_libtorch {
                finding.standing = Standing::NotNeeded;
                finding.detail.push_str(" (only the set-up of libtorch needs it)");
            }
            finding
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(environment: &Environment) -> Vec<String> {
        let line = |finding: Finding| {
            let mend = finding.mend.unwrap_or_default();
            let standing = finding.standing;
            format!("{}: {standing:?}: {} -> {mend}", finding.subject, finding.detail)
        };
        findings(environment).into_iter().map(line).collect()
    }

    #[test]
    fn on_a_bare_machine_every_missing_thing_has_its_mending() {
        assert_eq!(
            lines(&Environment::default()),
            [
                "cache folder: Missing: no cache folder is known (none of SLHF_LAB_CACHE, XDG_CACHE_HOME and HOME is set) -> set SLHF_LAB_CACHE to a folder",
                "libtorch: Missing: no cache folder is known (none of SLHF_LAB_CACHE, XDG_CACHE_HOME and HOME is set) -> set SLHF_LAB_CACHE to a folder",
                "wasm compiler: Missing: no cache folder is known (none of SLHF_LAB_CACHE, XDG_CACHE_HOME and HOME is set) -> set SLHF_LAB_CACHE to a folder",
                "C++ compiler: Missing: there is no C++ compiler (`c++`) on PATH -> install one (Debian and Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`)",
                "Python with pip: Missing: there is no `python3` on PATH -> install Python 3 with pip (Debian and Ubuntu: `apt-get install python3 python3-pip`; Fedora: `dnf install python3-pip`)",
                "model: NotNeeded: no cache folder is known (none of SLHF_LAB_CACHE, XDG_CACHE_HOME and HOME is set) -> set SLHF_LAB_CACHE to a folder",
            ]
        );
    }

    #[test]
    fn an_empty_cache_is_mended_by_the_set_up() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let found = findings(&Environment::default().with(crate::CACHE_VARIABLE, folder.path()));
        let libtorch = found.iter().find(|finding| finding.subject == "libtorch");
        let libtorch = libtorch.expect("always looked for");
        assert_eq!(libtorch.detail, "libtorch 2.11.0 is not there");
        assert_eq!(
            libtorch.mend.as_deref(),
            Some("run `cargo xtask setup` in a clone of the project (downloads 544 MB)")
        );
        let wasm = found.iter().find(|finding| finding.subject == "wasm compiler").expect("always looked for");
        assert_eq!(wasm.detail, "no rustc here has the target wasm32-unknown-unknown");
        assert_eq!(
            wasm.mend.as_deref(),
            Some(
                "run `rustup target add wasm32-unknown-unknown` (downloads about 25 MB), or run `cargo xtask setup` in a clone of the project (downloads 200 MB where Debian's is taken)"
            )
        );
        assert_eq!(found[0].standing, Standing::Ready);
    }
}

//! The first version of a plugin in Python or JavaScript: the plugin itself, its test, and what stands between it and the lab.

use super::embedded::{self, Script};
use super::kind::{Kind, Language};
use super::project::{FILE, Project};

/// Every file of a new plugin: path and content.
pub(crate) fn files(name: &str, kind: Kind, language: Language) -> Vec<(String, String)> {
    let (script, extension) = match language {
        Language::JavaScript => (embedded::javascript(kind), "js"),
        Language::Python | Language::Rust => (embedded::python(kind), "py"),
    };
    let Part { module, class, world } = part(kind);
    let filled = |text: &str| text.replace("{{NAME}}", name).replace("{{MODULE}}", module).replace("{{CLASS}}", class);
    let project = Project { name: name.to_owned(), language, world: world.to_owned() };
    let mut files = vec![
        (FILE.to_owned(), project.text()),
        (format!("{module}.{extension}"), filled(script.example)),
        (test_file(language, module), filled(script.test)),
        (format!("plugin.{extension}"), filled(script.glue)),
        ("wit/lab.wit".to_owned(), embedded::WIT.to_owned()),
        ("README.md".to_owned(), readme(name, kind, language)),
    ];
    let Script { library, .. } = script;
    files.push((format!("slhf.{extension}"), library.to_owned()));
    match language {
        Language::JavaScript => {
            files.push(("host.js".to_owned(), embedded::javascript_host(kind).to_owned()));
            // Its files are modules, for Node.js too.
            files.push(("package.json".to_owned(), "{ \"private\": true, \"type\": \"module\" }\n".to_owned()));
            files.push((".gitignore".to_owned(), "/node_modules\n".to_owned()));
        }
        Language::Python | Language::Rust => files.push((".gitignore".to_owned(), "__pycache__/\n".to_owned())),
    }
    files
}

/// How a plugin's own tests are run.
pub(crate) fn test_command(language: Language) -> &'static str {
    match language {
        Language::Rust => "cargo test",
        Language::Python => "python3 -m unittest",
        Language::JavaScript => "node --test",
    }
}

/// What a kind is called in these languages.
struct Part {
    module: &'static str,
    class: &'static str,
    world: &'static str,
}

fn part(kind: Kind) -> Part {
    let (module, class, world) = match kind {
        Kind::Preference => ("judge", "Judge", "preference-plain"),
        Kind::Reward => ("reward", "Reward", "reward-plain"),
        Kind::Baseline => ("baseline", "Baseline", "baseline-plugin"),
        Kind::Combinator => ("judge", "Judge", "preference-over-preference"),
        Kind::Asking => ("judge", "Judge", "preference-with-model"),
    };
    Part { module, class, world }
}

fn test_file(language: Language, module: &str) -> String {
    match language {
        Language::JavaScript => format!("{module}.test.js"),
        Language::Python | Language::Rust => format!("test_{module}.py"),
    }
}

fn readme(name: &str, kind: Kind, language: Language) -> String {
    let (in_words, tool) = match language {
        Language::JavaScript => ("JavaScript", "componentize-qjs, which npm fetches once (13 MB)"),
        Language::Python | Language::Rust => ("Python", "componentize-py, which pip fetches once (17 MB)"),
    };
    embedded::SCRIPT_README
        .replace("{{NAME}}", name)
        .replace("{{KIND}}", kind.in_words())
        .replace("{{LANGUAGE}}", in_words)
        .replace("{{TOOL}}", tool)
        .replace("{{TEST}}", test_command(language))
        .replace("{{MODULE}}", part(kind).module)
        .replace("{{EXTENSION}}", if language == Language::JavaScript { "js" } else { "py" })
        .replace("{{CHECK_ARGUMENTS}}", kind.check_arguments())
        .replace("{{TRY}}", &kind.try_command(name).map_or_else(String::new, |command| format!("    {command}\n")))
        .replace("{{EXPERIMENT}}", kind.experiment(name).trim_end())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_place_is_filled_in_and_every_world_is_one_of_the_contract() {
        for language in [Language::Python, Language::JavaScript] {
            for kind in Kind::value_variants() {
                for (path, content) in files("my-judge", *kind, language) {
                    assert!(!content.contains("{{"), "{path} of {kind:?}: a place was left open");
                }
                let world = part(*kind).world;
                assert!(embedded::WIT.contains(&format!("\nworld {world} {{")), "{world}");
            }
        }
    }
}

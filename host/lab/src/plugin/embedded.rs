//! What `plugin new` writes: the SDK, the contract and a first plugin of each kind, embedded in this binary so that it
//! works wherever the binary runs. All of it is the repository's own, compiled and tested there.

use super::kind::Kind;

/// Path inside the plugin's folder, and content.
pub(crate) type File = (&'static str, &'static str);

macro_rules! sdk_files {
    ($($path:literal),* $(,)?) => {
        &[$((concat!("sdk/", $path), include_str!(concat!("../../../../sdk/", $path)))),*]
    };
}

/// The SDK but for its manifest, which is written anew: the repository's leans on the repository's workspace.
pub(crate) const SDK: &[File] = sdk_files![
    "src/draw.rs",
    "src/export.rs",
    "src/failure.rs",
    "src/guest/bindings/baseline.rs",
    "src/guest/bindings/mod.rs",
    "src/guest/bindings/preference.rs",
    "src/guest/bindings/reward.rs",
    "src/guest/mod.rs",
    "src/guest/models.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/manifest.rs",
    "src/models.rs",
    "src/parameters.rs",
    "src/plugin.rs",
    "src/text.rs",
    "src/types.rs",
    "wit/lab.wit",
];

/// The first `src/lib.rs` of each kind.
pub(crate) const PREFERENCE: &str = include_str!("../../../../sdk/examples/preference.rs");
pub(crate) const REWARD: &str = include_str!("../../../../sdk/examples/reward.rs");
pub(crate) const BASELINE: &str = include_str!("../../../../sdk/examples/baseline.rs");
pub(crate) const COMBINATOR: &str = include_str!("../../../../sdk/examples/combinator.rs");

pub(crate) const ASKING: &str = include_str!("../../../../sdk/examples/asking.rs");

/// The contract.
pub(crate) const WIT: &str = include_str!("../../../../sdk/wit/lab.wit");

/// The files of a plugin in a language that a tool makes components of, with `{{PLACES}}` to be filled in.
#[derive(Clone, Copy)]
pub(crate) struct Script {
    /// What the plugin is written with.
    pub(crate) library: &'static str,
    /// What hands the lab's calls to it.
    pub(crate) glue: &'static str,
    /// The plugin itself.
    pub(crate) example: &'static str,
    /// Its test.
    pub(crate) test: &'static str,
}

macro_rules! python {
    ($kind:literal) => {
        Script {
            library: include_str!("../../../../sdk/python/slhf.py"),
            glue: include_str!("../../../../sdk/python/plugin.py"),
            example: include_str!(concat!("../../../../sdk/python/examples/", $kind, ".py")),
            test: include_str!(concat!("../../../../sdk/python/examples/test_", $kind, ".py")),
        }
    };
}

macro_rules! javascript {
    ($kind:literal) => {
        Script {
            library: include_str!("../../../../sdk/javascript/slhf.js"),
            glue: include_str!("../../../../sdk/javascript/plugin.js"),
            example: include_str!(concat!("../../../../sdk/javascript/examples/", $kind, ".js")),
            test: include_str!(concat!("../../../../sdk/javascript/examples/", $kind, ".test.js")),
        }
    };
}

/// Of each kind, in Python.
pub(crate) fn python(kind: Kind) -> Script {
    match kind {
        Kind::Preference => python!("preference"),
        Kind::Reward => python!("reward"),
        Kind::Baseline => python!("baseline"),
        Kind::Combinator => python!("combinator"),
        Kind::Asking => python!("asking"),
    }
}

/// Of each kind, in JavaScript.
pub(crate) fn javascript(kind: Kind) -> Script {
    match kind {
        Kind::Preference => javascript!("preference"),
        Kind::Reward => javascript!("reward"),
        Kind::Baseline => javascript!("baseline"),
        Kind::Combinator => javascript!("combinator"),
        Kind::Asking => javascript!("asking"),
    }
}

/// What a kind imports: in JavaScript a world's imports are named by the file.
pub(crate) fn javascript_host(kind: Kind) -> &'static str {
    match kind {
        Kind::Preference | Kind::Reward | Kind::Baseline => include_str!("../../../../sdk/javascript/host/plain.js"),
        Kind::Combinator => include_str!("../../../../sdk/javascript/host/upstream-preference.js"),
        Kind::Asking => include_str!("../../../../sdk/javascript/host/models.js"),
    }
}

/// Manifests and readme with `{{PLACES}}` to be filled in.
pub(crate) const SDK_MANIFEST: &str = include_str!("scaffold/sdk.toml");
pub(crate) const PLUGIN_MANIFEST: &str = include_str!("scaffold/plugin.toml");
pub(crate) const README: &str = include_str!("scaffold/readme.md");
pub(crate) const SCRIPT_README: &str = include_str!("scaffold/script-readme.md");

/// The shipped plugins' lock file: the versions that this release was tested with.
pub(crate) const LOCK: &str = include_str!("../../../../plugins/Cargo.lock");

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn collect(folder: &Path, base: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, base, found);
            } else {
                found.push(format!("sdk/{}", path.strip_prefix(base).unwrap().display()));
            }
        }
    }

    #[test]
    fn every_file_of_the_sdk_is_embedded() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        let mut found = Vec::new();
        for part in ["src", "wit"] {
            collect(&sdk.join(part), &sdk, &mut found);
        }
        // Tests of the repository's: whether the bindings are of the contract.
        found.retain(|path| !path.ends_with("_tests.rs"));
        found.sort();
        let embedded: Vec<&str> = SDK.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, found);
    }
}

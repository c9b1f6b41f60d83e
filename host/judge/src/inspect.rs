//! What a component says of itself before anything of it is compiled or run: which world, which version of the
//! contract, what it imports.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, Parser, Payload};

use crate::{
    error::{FileFault, JudgeError},
    producer::Producer,
    world::World,
};

/// Largest file of a component.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The package whose interfaces make the contract.
const PACKAGE: &str = "slhf:lab/";

/// What a component's file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// What it is for; `None` where it exports no world of the contract.
    pub world: Option<World>,
    /// Version of the contract it was built against, from its `plugin` export.
    pub wit_version: Option<String>,
    /// Names of its imports, in the order of the file.
    pub imports: Vec<String>,
    /// Names of its exports, in the order of the file.
    pub exports: Vec<String>,
    /// What made it.
    pub producer: Producer,
}

/// Reads a component's names. Fails on what is no complete component; [`Inspection::check`] judges the rest.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, FileFault> {
    if Parser::is_core_wasm(bytes) {
        return Err(FileFault::CoreModule);
    }
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    let mut producer = Producer::default();
    let malformed = |error: wasmparser::BinaryReaderError| FileFault::Malformed(error.to_string());
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(FileFault::CoreModule),
            // Nested modules and components have names of their own, which tell nothing but who made them.
            Payload::ExportSection(section) => {
                for export in section {
                    producer = producer.max(Producer::of_linked(export.map_err(malformed)?.name));
                }
            }
            Payload::CustomSection(section) => producer = producer.max(Producer::of_section(&section)),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(Inspection {
        sha256: slhf_files::sha256_hex(bytes),
        size_bytes: bytes.len() as u64,
        world: World::ALL.into_iter().find(|world| exported(&exports, world.name()).is_some()),
        wit_version: exported(&exports, "plugin").and_then(|name| version(name).map(str::to_owned)),
        imports,
        exports,
        producer,
    })
}

impl Inspection {
    /// Whether the host can run it: the contract's version first, since all else is named by that.
    pub fn check(&self) -> Result<World, FileFault> {
        for name in self.imports.iter().chain(&self.exports) {
            if name.starts_with(PACKAGE) && !version(name).is_some_and(is_spoken) {
                return Err(FileFault::WrongVersion { interface: name.clone() });
            }
        }
        exported(&self.exports, "plugin").ok_or(FileFault::NoPluginExport)?;
        let mut worlds = World::ALL.into_iter().filter(|world| exported(&self.exports, world.name()).is_some());
        let world = worlds.next().ok_or(FileFault::NoWorld)?;
        if let Some(second) = worlds.next() {
            return Err(FileFault::TwoWorlds(world, second));
        }
        self.check_imports(world).map(|()| world)
    }

    fn check_imports(&self, world: World) -> Result<(), FileFault> {
        let (allowed, granted): (&[&str], _) = match world {
            World::Baseline => (&["types", "log"], "slhf:lab/log"),
            World::Preference | World::Reward => (
                &["types", "log", "upstream-preference", "upstream-reward", "model"],
                "slhf:lab/log, upstream-preference, upstream-reward and model",
            ),
        };
        let ours = |name: &str| interface(name).is_some_and(|interface| allowed.contains(&interface));
        match self.imports.iter().find(|name| !ours(name)) {
            Some(import) => Err(FileFault::UndeclaredImport {
                import: import.clone(),
                granted,
                cure: self.producer.without_machine(),
            }),
            None => Ok(()),
        }
    }

    /// The worlds of the plugins it asks, if it is a combinator.
    pub fn upstream_worlds(&self) -> Vec<World> {
        [(World::Preference, "upstream-preference"), (World::Reward, "upstream-reward")]
            .into_iter()
            .filter(|(_, wanted)| self.imports.iter().any(|name| interface(name) == Some(wanted)))
            .map(|(world, _)| world)
            .collect()
    }

    /// Whether it may ask models.
    pub fn asks_models(&self) -> bool {
        self.imports.iter().any(|name| interface(name) == Some("model"))
    }

    /// The full name under which an interface of the contract is exported.
    pub(crate) fn export_name(&self, interface: &str) -> Option<&str> {
        exported(&self.exports, interface)
    }
}

fn exported<'a>(exports: &'a [String], wanted: &str) -> Option<&'a str> {
    exports.iter().map(String::as_str).find(|name| interface(name) == Some(wanted))
}

/// `preference` of `slhf:lab/preference@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').map_or(rest, |(interface, _)| interface))
}

/// `0.1.0` of `slhf:lab/preference@0.1.0`.
fn version(name: &str) -> Option<&str> {
    name.split_once('@').map(|(_, version)| version)
}

/// 0.1.x: a patch version may not change any type.
fn is_spoken(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

/// A component's file.
pub(crate) fn read(name: &str, path: &Path) -> Result<Vec<u8>, JudgeError> {
    let unreadable = |source| JudgeError::Unreadable { name: name.to_owned(), path: path.to_owned(), source };
    slhf_files::read(path, FILE_BYTES_MAX).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patch_versions_of_the_contract_are_spoken() {
        let check = |version, expect| assert_eq!(is_spoken(version), expect, "{version}");
        check("0.1.0", true);
        check("0.1.17", true);
        check("0.2.0", false);
        check("0.1", false);
        check("0.1.", false);
        check("0.1.0-rc", false);
        check("1.1.0", false);
        check("0.10.0", false);
    }

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(FileFault::CoreModule));
        for bytes in [&b""[..], b"\0asm", b"not wasm at all", b"\0asm\x0d\0\x01\0\x07"] {
            assert!(matches!(inspect(bytes), Err(FileFault::Malformed(_))), "{bytes:?}");
        }
    }
}

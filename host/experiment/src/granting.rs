//! Granted models: of an experiment's tables and of a command's arguments, found and checked.

use std::collections::BTreeMap;
use std::path::Path;

use slhf_judge::{Host, JudgeError, inspect};
use slhf_plan::{DeviceModelPlan, GrantNamed, GrantedAdapter, GrantedModel, ModelGrant, PluginPlan, ServedModelPlan};
use slhf_served::{Key, Origin};
use thiserror::Error;

use crate::finding::FindRun;
use crate::models;

/// Why a command's grant is none.
#[derive(Debug, Error)]
pub enum GrantError {
    /// It is not written as one.
    #[error(
        "--grant {given}: expected NAME=MODEL, where MODEL is a model's name, a folder, a GGUF file, or a JSON object such as \
         {{\"server\": \"http://127.0.0.1:8080/v1\", \"model\": \"NAME\"}}"
    )]
    NoGrant {
        /// As it was given.
        given: String,
    },
    /// The name stands twice.
    #[error("--grant {name} is given twice")]
    Twice {
        /// Of the model.
        name: String,
    },
    /// The object is no grant.
    #[error("--grant {name}: {reason}")]
    Grant {
        /// Of the model.
        name: String,
        /// What is wrong, with the key.
        reason: String,
    },
    /// A plugin cannot be described.
    #[error(transparent)]
    Plugin(Box<JudgeError>),
    /// A model is missing.
    #[error(
        "'{plugin}' asks a model \"{name}\": grant it with --grant {name}=MODEL (a model's name, a folder, or a GGUF file)"
    )]
    Missing {
        /// Who asks.
        plugin: String,
        /// Of the model.
        name: String,
    },
    /// Nobody asks for it.
    #[error("--grant {name}: no plugin here asks a model of this name{asked}")]
    Unasked {
        /// Of the model.
        name: String,
        /// Those that are asked for, as the end of the sentence.
        asked: String,
    },
}

/// Models that a command grants, by name.
#[derive(Clone, Debug, Default)]
pub struct CommandGrants(BTreeMap<String, GrantedModel>);

impl CommandGrants {
    /// Of arguments NAME=MODEL.
    pub fn read(given: &[String]) -> Result<Self, GrantError> {
        let mut grants = BTreeMap::new();
        for given in given {
            let named = given.split_once('=').filter(|(name, model)| !name.is_empty() && !model.is_empty());
            let Some((name, model)) = named else { return Err(GrantError::NoGrant { given: given.clone() }) };
            let bad = |reason| GrantError::Grant { name: name.to_owned(), reason };
            let grant = if model.trim_start().starts_with('{') {
                let object = slhf_json::read_settings(model.as_bytes()).map_err(|error| bad(error.to_string()))?;
                serde_json::from_value(object.into()).map_err(|error| bad(error.to_string()))?
            } else {
                ModelGrant { path: Some(model.to_owned()), ..ModelGrant::default() }
            };
            let found = find(&grant, Path::new(""), None).map_err(|(key, problem)| bad(format!("{key}: {problem}")))?;
            if grants.insert(name.to_owned(), found).is_some() {
                return Err(GrantError::Twice { name: name.to_owned() });
            }
        }
        Ok(Self(grants))
    }

    /// Gives every plugin of these plans, and those that they wrap, the models of the names that it asks for. What a plan has
    /// already stays, unless the command grants another one of its name.
    pub fn give(&self, plans: &mut [&mut PluginPlan]) -> Result<(), GrantError> {
        let mut giving = Giving { grants: &self.0, host: None, asked: Vec::new() };
        for plan in plans {
            giving.give(plan)?;
        }
        let mut asked = giving.asked;
        match self.0.keys().find(|name| !asked.contains(name)) {
            None => Ok(()),
            Some(name) => {
                asked.sort_unstable();
                asked.dedup();
                let asked =
                    if asked.is_empty() { String::new() } else { format!("; asked for are {}", asked.join(", ")) };
                Err(GrantError::Unasked { name: name.clone(), asked })
            }
        }
    }
}

/// While models are given.
struct Giving<'a> {
    grants: &'a BTreeMap<String, GrantedModel>,
    /// Set up for the first plugin that asks a model.
    host: Option<Host>,
    asked: Vec<String>,
}

impl Giving<'_> {
    fn give(&mut self, plan: &mut PluginPlan) -> Result<(), GrantError> {
        // What cannot be read or understood is refused where it is used.
        let bytes = slhf_files::read(plan.path.as_ref(), slhf_judge::FILE_BYTES_MAX).ok();
        if bytes.and_then(|bytes| inspect(&bytes).ok()).is_some_and(|inspection| inspection.asks_models()) {
            for name in self.names(plan)? {
                match self.grants.get(&name) {
                    Some(model) => _ = plan.models.insert(name.clone(), model.clone()),
                    None if plan.models.contains_key(&name) => {}
                    None => return Err(GrantError::Missing { plugin: plan.name.clone(), name }),
                }
                self.asked.push(name);
            }
        }
        plan.upstream.as_deref_mut().map_or(Ok(()), |inner| self.give(inner))
    }

    /// The models that a plugin names; one that names none may ask all.
    fn names(&mut self, plan: &PluginPlan) -> Result<Vec<String>, GrantError> {
        let failed = |error| GrantError::Plugin(Box::new(error));
        let host = match &self.host {
            Some(host) => host,
            None => self.host.insert(Host::new(slhf_foreign::host_settings()).map_err(failed)?),
        };
        let description = host.describe(&plan.name, plan.path.as_ref(), &plan.limits).map_err(failed)?;
        let named: Vec<String> = description.manifest.models().map(str::to_owned).collect();
        Ok(if named.is_empty() { self.grants.keys().cloned().collect() } else { named })
    }
}

/// A model, found and checked; an error is the key in question and what is wrong with it.
pub(crate) fn find(
    grant: &ModelGrant,
    base: &Path,
    find_run: Option<&FindRun<'_>>,
) -> Result<GrantedModel, (&'static str, String)> {
    match grant.named()? {
        GrantNamed::Served(plan) => check_server(&plan).map(|()| GrantedModel::Served(plan)),
        GrantNamed::Device(named) => {
            let found = models::find(&named, base).and_then(|path| models::Found::read(&path));
            let adapter = grant.adapter.as_deref().map(|named| adapter(named, base)).transpose();
            let adapter = adapter.map_err(|problem| ("adapter", problem))?;
            on_device(named, found, adapter).map_err(|problem| ("path", problem))
        }
        GrantNamed::Run(run) => {
            let Some(find_run) = find_run else {
                return Err((
                    "run",
                    "only an experiment names a run; give the path of its reward model here".to_owned(),
                ));
            };
            let found = find_run(&run).map_err(|problem| ("run", problem))?;
            let adapter = found.adapter.as_deref().map(adapter_at).transpose().map_err(|problem| ("run", problem))?;
            on_device(format!("run {run}"), models::Found::read(&found.path), adapter)
                .map_err(|problem| ("run", problem))
        }
    }
}

/// An adapter's folder, found.
fn adapter(named: &str, base: &Path) -> Result<GrantedAdapter, String> {
    let folder = base.join(named);
    if !folder.join("adapter_config.json").is_file() {
        return Err(format!("{} has no adapter_config.json; expected a folder in PEFT's format", folder.display()));
    }
    adapter_at(&folder)
}

fn adapter_at(folder: &Path) -> Result<GrantedAdapter, String> {
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let sha256 = slhf_data::adapter_sha256(&folder).map_err(|error| slhf_words::chain(&error))?;
    Ok(GrantedAdapter { path: folder.display().to_string(), sha256 })
}

fn on_device(
    name: String,
    found: Result<models::Found, models::ModelFindError>,
    adapter: Option<GrantedAdapter>,
) -> Result<GrantedModel, String> {
    let found = found.map_err(|error| slhf_words::chain(&error))?;
    let path = found.path.display().to_string();
    Ok(GrantedModel::Device(DeviceModelPlan { name, path, sha256: found.sha256, adapter }))
}

/// Whether a server can be asked with what is known here.
pub(crate) fn check_server(plan: &ServedModelPlan) -> Result<(), (&'static str, String)> {
    let origin: Origin =
        plan.server.parse().map_err(|error: slhf_served::OriginError| ("server", error.to_string()))?;
    let Some(variable) = &plan.key_env else { return Ok(()) };
    if !origin.keeps_secrets() {
        let problem = "a key would cross the network in the clear; take an address that begins with https://";
        return Err(("server", problem.to_owned()));
    }
    let key = std::env::var(variable).ok().and_then(|text| Key::new(&text));
    match key {
        Some(_) => Ok(()),
        None => Err(("key_env", format!("the environment's variable {variable} holds no key; set it before the run"))),
    }
}

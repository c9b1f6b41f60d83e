//! Models that a plugin is granted, by name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelShape;

/// A granted model, fully resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantedModel {
    /// On the run's own device.
    Device(DeviceModelPlan),
    /// Behind a server.
    Served(ServedModelPlan),
}

/// A model on the run's device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceModelPlan {
    /// As the experiment names it.
    pub name: String,
    /// Absolute path of the folder or file.
    pub path: String,
    /// See [`crate::ModelPlan::sha256`].
    pub sha256: String,
    /// An adapter over it, with which it replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<GrantedAdapter>,
}

/// An adapter of a granted model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantedAdapter {
    /// Absolute path of the folder, in PEFT's format.
    pub path: String,
    /// SHA-256 over the files of it that are read.
    pub sha256: String,
}

impl DeviceModelPlan {
    /// Who it is, adapter included: what decides its replies.
    #[must_use]
    pub fn identity(&self) -> String {
        match &self.adapter {
            None => format!("sha256:{}", self.sha256),
            Some(adapter) => format!("sha256:{} with the adapter sha256:{}", self.sha256, adapter.sha256),
        }
    }
}

/// A model behind an OpenAI-compatible server. It goes through frames, which leave no field out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedModelPlan {
    /// The base of the interface: `http://127.0.0.1:8080/v1`.
    pub server: String,
    /// The model, as the server names it.
    pub model: String,
    /// What the server may call it in its responses.
    pub responds_as: Option<String>,
    /// The *name* of the environment's variable that holds the key.
    pub key_env: Option<String>,
    /// Requests in flight.
    pub concurrency: u32,
    /// For one request, in milliseconds.
    pub timeout_ms: u64,
    /// How often a request is made again.
    pub retries: u32,
    /// Tokens that a run may spend.
    pub budget_tokens: Option<u64>,
}

impl GrantedModel {
    /// What it is called in messages.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Device(model) => &model.name,
            Self::Served(model) => &model.model,
        }
    }

    /// Who it is, whatever it is called and wherever it lies: what decides its replies.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Device(model) => model.identity(),
            Self::Served(model) => format!("{} {}", model.server, model.model),
        }
    }
}

/// A granted model as an experiment writes it: either `path`, or `server` and `model`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelGrant {
    /// A model on the run's device: a name, a Hugging Face folder, or a GGUF file.
    pub path: Option<String>,
    /// An adapter over `path`: the folder of a reward model's adapter with its head, in PEFT's format. Several adapters of one `path` share
    /// its weights.
    pub adapter: Option<String>,
    /// A run of this record that trained a reward model, by its number or name: the model on the run's device that it left behind.
    pub run: Option<RunNamed>,
    /// The base of an OpenAI-compatible interface, like `http://127.0.0.1:8080/v1`; nothing else is reachable.
    pub server: Option<String>,
    /// The model, as the server names it.
    pub model: Option<String>,
    /// What the server may call it in its responses; default: the same.
    pub responds_as: Option<String>,
    /// The name of the environment's variable that holds the server's key; default: no key is sent.
    pub key_env: Option<String>,
    /// Requests in flight at the server, with those of other runs and models of the command; default: 16.
    pub concurrency: Option<u32>,
    /// Seconds for one request; default: 60.
    pub timeout_s: Option<f64>,
    /// How often a request is made again that a server refused for the moment; default: 4.
    pub retries: Option<u32>,
    /// Tokens that one run may spend at this model; where they are spent, it stops with a checkpoint; default: no limit.
    pub budget_tokens: Option<u64>,
    /// Of a model on the run's device that is not here yet, to check and price the experiment without it.
    pub shape: Option<ModelShape>,
}

/// A run as an experiment names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a run's number, or its name")]
pub enum RunNamed {
    /// Its number in the record.
    Number(u64),
    /// Its name, as `slhf-lab ls` shows it.
    Name(String),
}

impl std::fmt::Display for RunNamed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Name(name) => formatter.write_str(name),
        }
    }
}

/// Requests in flight, at most.
const CONCURRENCY_MAX: u32 = 256;
/// Repetitions of a request, at most.
const RETRIES_MAX: u32 = 16;
/// Seconds for a request, at most.
const TIMEOUT_S_MAX: f64 = 3600.0;

/// What a grant names, before a model is looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum GrantNamed {
    /// A model on the device, as it is named.
    Device(String),
    /// What a run of the record left behind, by its number or name.
    Run(String),
    /// A served one, with every default filled in.
    Served(ServedModelPlan),
}

impl ModelGrant {
    /// What it names; an error is the key in question and what is wrong with it.
    ///
    /// # Errors
    /// Neither or both of `path` and `server`, a key of the one beside the other, a number out of its range.
    pub fn named(&self) -> Result<GrantNamed, (&'static str, String)> {
        match (&self.path, &self.run, &self.server) {
            (Some(path), None, None) => self.on_device("path", GrantNamed::Device(path.clone())),
            (None, Some(_), None) | (None, None, Some(_)) if self.adapter.is_some() => {
                Err(("adapter", "given without path: it is an adapter over the model there".to_owned()))
            }
            (None, Some(run), None) => self.on_device("run", GrantNamed::Run(run.to_string())),
            (None, None, Some(server)) => self.served(server),
            (None, None, None) => Err((
                "path",
                "neither path, nor run, nor server; a model is on the run's device, or behind a server".to_owned(),
            )),
            _ => Err(("path", "several of path, run and server; expected one of them".to_owned())),
        }
    }

    fn on_device(&self, beside: &str, named: GrantNamed) -> Result<GrantNamed, (&'static str, String)> {
        let of_servers = [
            ("model", self.model.is_some()),
            ("responds_as", self.responds_as.is_some()),
            ("key_env", self.key_env.is_some()),
            ("concurrency", self.concurrency.is_some()),
            ("timeout_s", self.timeout_s.is_some()),
            ("retries", self.retries.is_some()),
            ("budget_tokens", self.budget_tokens.is_some()),
        ];
        if let Some((key, problem)) = self.shape.as_ref().and_then(|shape| shape.check().err()) {
            return Err(("shape", format!("{key}: {problem}")));
        }
        match of_servers.into_iter().find(|(_, given)| *given) {
            Some((key, _)) => Err((key, format!("given beside {beside}: it is a setting of a server"))),
            None => Ok(named),
        }
    }

    fn served(&self, server: &str) -> Result<GrantNamed, (&'static str, String)> {
        let Some(model) = self.model.clone().filter(|model| !model.trim().is_empty()) else {
            return Err(("model", "missing; expected the model's name, as the server has it".to_owned()));
        };
        if self.shape.is_some() {
            return Err(("shape", "given beside server: a server's tokens are priced, not its operations".to_owned()));
        }
        if let Some(name) = &self.key_env {
            let is_name = !name.is_empty()
                && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
                && !name.starts_with(|first: char| first.is_ascii_digit());
            if !is_name {
                // Whatever stands here may be the key itself: it is not repeated.
                return Err((
                    "key_env",
                    "expected the name of an environment variable, never the key itself".to_owned(),
                ));
            }
        }
        let concurrency = self.concurrency.unwrap_or(16);
        if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
            return Err(("concurrency", format!("{concurrency}; expected 1 to {CONCURRENCY_MAX}")));
        }
        let timeout_s = self.timeout_s.unwrap_or(60.0);
        if !(timeout_s > 0.0 && timeout_s <= TIMEOUT_S_MAX) {
            return Err(("timeout_s", format!("{timeout_s}; expected seconds above 0, at most {TIMEOUT_S_MAX}")));
        }
        let retries = self.retries.unwrap_or(4);
        if retries > RETRIES_MAX {
            return Err(("retries", format!("{retries}; expected at most {RETRIES_MAX}")));
        }
        if self.budget_tokens == Some(0) {
            return Err(("budget_tokens", "0; expected a number of tokens above 0".to_owned()));
        }
        Ok(GrantNamed::Served(ServedModelPlan {
            server: server.to_owned(),
            model,
            responds_as: self.responds_as.clone(),
            key_env: self.key_env.clone(),
            concurrency,
            timeout_ms: (timeout_s * 1000.0).ceil() as u64,
            retries,
            budget_tokens: self.budget_tokens,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = "shape = { hidden_size = 4, intermediate_size = 8, num_hidden_layers = 2, num_attention_heads = 2, vocab_size = 9 }";

    fn refused(toml: &str) -> (&'static str, String) {
        toml::from_str::<ModelGrant>(toml).expect("keys").named().expect_err(toml)
    }

    #[test]
    fn a_grant_is_of_a_folder_or_of_a_server() {
        let named = |toml: &str| toml::from_str::<ModelGrant>(toml).expect("keys").named();
        assert_eq!(named("path = \"m\""), Ok(GrantNamed::Device("m".to_owned())));
        assert_eq!(named("run = 3"), Ok(GrantNamed::Run("3".to_owned())));
        assert_eq!(named("run = \"a/b/1\""), Ok(GrantNamed::Run("a/b/1".to_owned())));
        let served = named("server = \"http://127.0.0.1/v1\"\nmodel = \"m\"\ntimeout_s = 0.5");
        let Ok(GrantNamed::Served(plan)) = served else { panic!("{served:?}") };
        assert_eq!((plan.concurrency, plan.timeout_ms, plan.retries, plan.budget_tokens), (16, 500, 4, None));
        for (toml, key, part) in [
            ("", "path", "neither"),
            ("path = \"m\"\nserver = \"s\"", "path", "several"),
            ("run = 3\npath = \"m\"", "path", "several"),
            ("run = 3\nadapter = \"a\"", "adapter", "without path"),
            ("server = \"s\"\nmodel = \"m\"\nadapter = \"a\"", "adapter", "without path"),
            ("run = 3\nretries = 1", "retries", "beside run"),
            ("path = \"m\"\nretries = 1", "retries", "beside path"),
            ("server = \"s\"", "model", "missing"),
            ("server = \"s\"\nmodel = \"m\"\nconcurrency = 0", "concurrency", "expected 1 to 256"),
            ("server = \"s\"\nmodel = \"m\"\ntimeout_s = 0", "timeout_s", "above 0"),
            ("server = \"s\"\nmodel = \"m\"\nretries = 99", "retries", "at most 16"),
            ("server = \"s\"\nmodel = \"m\"\nbudget_tokens = 0", "budget_tokens", "above 0"),
            (&format!("path = \"m\"\n{SHAPE}").replace("4,", "0,"), "shape", "hidden_size"),
            (&format!("server = \"s\"\nmodel = \"m\"\n{SHAPE}"), "shape", "beside server"),
        ] {
            let (found, said) = refused(toml);
            assert_eq!(found, key, "{toml}");
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_key_that_stands_in_the_place_of_its_variable_is_not_repeated() {
        let (key, said) = refused("server = \"s\"\nmodel = \"m\"\nkey_env = \"sk-secret-123\"");
        assert_eq!(key, "key_env");
        assert!(!said.contains("secret"), "{said}");
    }
}

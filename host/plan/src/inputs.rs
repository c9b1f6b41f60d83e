//! What a run is computed from that lies outside of its plan: plugins, models, data.

use std::fmt;

use crate::{ControlVariate, GamePlan, GrantedModel, LanguageMethod, LanguagePlan, PluginPlan, TransferSource, Work};

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputKind {
    /// A component.
    Plugin,
    /// A language model, on a device or behind a server.
    Model,
    /// Prompts, responses, or counted comparisons.
    Data,
}

impl fmt::Display for InputKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plugin => "plugin",
            Self::Model => "model",
            Self::Data => "data",
        })
    }
}

/// One input of a run, and who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// The key under which the experiment names it: `judge`, `judge.upstream`, `judge.models.critic`, `data`, ….
    pub key: String,
    /// As the experiment names it; of data, the file's name.
    pub name: String,
    /// `SHA-256 …`; of a model behind a server, its address and its name there.
    pub identity: String,
}

impl Work {
    /// The inputs of all its runs, each once.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        let mut inputs = Inputs::default();
        match self {
            Self::Game(group) => {
                group.games.iter().for_each(|game| inputs.game(game));
                group.runs.iter().for_each(|run| inputs.baseline(&run.method.training().score_baseline));
            }
            Self::LanguageModel(plan) => inputs.language_model(plan),
            Self::RewardModel(plan) => {
                inputs.push(InputKind::Model, "model", &plan.model.name, of_hash(&plan.model.sha256));
                inputs.push(InputKind::Data, "data", file_name(&plan.data.path), of_hash(&plan.data.sha256));
            }
        }
        inputs.0.sort();
        inputs.0.dedup();
        inputs.0
    }
}

#[derive(Default)]
struct Inputs(Vec<Input>);

impl Inputs {
    fn push(&mut self, kind: InputKind, key: impl Into<String>, name: &str, identity: String) {
        self.0.push(Input { kind, key: key.into(), name: name.to_owned(), identity });
    }

    fn game(&mut self, game: &GamePlan) {
        self.plugin("judge", &game.judge.plugin);
        if let Some(counts) = &game.comparison_counts {
            let actions: Vec<&str> = game.actions.iter().map(|action| action.name.as_str()).collect();
            let counted = serde_json::json!({ "actions": actions, "counts": counts }).to_string();
            self.push(InputKind::Data, "game", "counted comparisons", of_bytes(counted.as_bytes()));
        }
    }

    fn language_model(&mut self, plan: &LanguagePlan) {
        self.push(InputKind::Model, "model", &plan.model.name, of_hash(&plan.model.sha256));
        self.push(InputKind::Data, "data", file_name(&plan.data.path), of_hash(&plan.data.sha256));
        if let Some(sampler) = &plan.device.sampler {
            let identity = format!("{} {}", sampler.server, sampler.model);
            self.push(InputKind::Model, "device.sampler", &sampler.model, identity);
        }
        if let Some(judge) = &plan.judge {
            self.plugin("judge", &judge.plugin);
        }
        self.method(&plan.method);
        for asked in &plan.evaluation.judges {
            self.plugin(&format!("evaluation.judges.{}", asked.name), &asked.judge.plugin);
        }
        for asked in &plan.evaluation.measures {
            self.plugin(&format!("evaluation.measures.{}", asked.name), &asked.plugin);
        }
        for transfer in &plan.evaluation.transfer {
            let key = format!("evaluation.transfer.{}", transfer.name);
            match &transfer.source {
                TransferSource::Responses { path, sha256 } => {
                    self.push(InputKind::Data, key, file_name(path), of_hash(sha256));
                }
                TransferSource::Model { name, sha256, .. } => self.push(InputKind::Model, key, name, of_hash(sha256)),
            }
        }
    }

    fn method(&mut self, method: &LanguageMethod) {
        self.baseline(&method.training().score_baseline);
        if let Some(reward) = method.reward() {
            self.plugin("method.reward", reward);
        }
    }

    fn baseline(&mut self, baseline: &ControlVariate) {
        if let ControlVariate::Plugin { plugin } = baseline {
            self.plugin("method.score_baseline", plugin);
        }
    }

    fn plugin(&mut self, key: &str, plugin: &PluginPlan) {
        self.push(InputKind::Plugin, key, &plugin.name, of_hash(&plugin.sha256));
        for (name, model) in &plugin.models {
            let identity = match model {
                GrantedModel::Device(model) => {
                    let adapter = model.adapter.as_ref().map(|adapter| of_hash(&adapter.sha256));
                    of_hash(&model.sha256) + &adapter.map_or_else(String::new, |hash| format!(", adapter {hash}"))
                }
                GrantedModel::Served(_) => model.identity(),
            };
            self.push(InputKind::Model, format!("{key}.models.{name}"), model.shown(), identity);
        }
        if let Some(inner) = &plugin.upstream {
            self.plugin(&format!("{key}.upstream"), inner);
        }
    }
}

fn of_hash(sha256: &str) -> String {
    format!("SHA-256 {sha256}")
}

fn of_bytes(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let hex = |digest: String, byte: &u8| digest + &format!("{byte:02x}");
    of_hash(&Sha256::digest(bytes).iter().fold(String::new(), hex))
}

/// A folder may be another one on another machine.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

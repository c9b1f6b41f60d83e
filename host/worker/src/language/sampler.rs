//! A server that samples in the place of the engine. It gets an adapter's folder after every update, under a name that was never used
//! before: servers keep what they read of a prompt under an adapter's name, and would go on from what older weights made of it.

use std::fs;
use std::path::{Path, PathBuf};

use slhf_plan::{
    AdapterPlan, LanguagePlan, LogLevel, SampleCall, SampleRow, SampledResponse, SamplerCall, SamplerPlan,
    SamplerReply, Sampling,
};
use slhf_policy::{Agent, Draw, Engine, GenerateRow, Generated, Player, save_adapter};

use super::agreement::is_explained;
use crate::error::WorkerError;
use crate::models::Replies;
use crate::outgoing::Outgoing;

/// Loads of adapters after which what the server says is held against the engine, and then after as many again: the first of each agent changes
/// nothing yet, and small learning rates change little for long.
const CHECKED_LOADS: u64 = 6;
/// Responses that are held against the engine.
const CHECKED_ROWS: usize = 8;
/// A mean difference of log-probabilities below it needs no explanation, in nats a token.
const ROUNDING: f64 = 1e-4;
/// From here on the server must have another model; of logits, so that a temperature below 1 allows for as much more.
const ANOTHER_MODEL: f64 = 0.2;

/// See the module.
#[derive(Debug)]
pub(crate) struct ServedSampler {
    plan: SamplerPlan,
    outgoing: Outgoing,
    replies: Replies,
    /// Where adapters are written, made when the first one is.
    folder: PathBuf,
    /// The same, as the server sees it.
    folder_on_server: String,
    /// Tells its adapters from those of all other attempts at any run.
    token: String,
    base_model: String,
    rank: u32,
    loaded: Vec<Loaded>,
    loads: u64,
    /// Whether its samples of the model without an adapter were looked at.
    knows_reference: bool,
    /// Whether it did not do what was asked: then nothing more is.
    is_lost: bool,
}

/// An adapter that the server has.
#[derive(Clone, Debug)]
struct Loaded {
    agent: Agent,
    /// Of the engine's parameters.
    version: u64,
    name: String,
}

impl ServedSampler {
    /// The plan's, where it has one and the server has the model. `directory`: of the batch group's checkpoints.
    pub(crate) fn of(
        plan: &LanguagePlan,
        directory: &Path,
        (outgoing, replies): (&Outgoing, &Replies),
    ) -> Result<Option<Self>, WorkerError> {
        let Some(sampler) = &plan.device.sampler else { return Ok(None) };
        let name = format!("run-{}-sampler", plan.run);
        let folder = directory.join(&name);
        let group = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder_on_server = match &sampler.folder_on_server {
            None => folder.display().to_string(),
            Some(root) => format!("{}/{group}/{name}", root.trim_end_matches('/')),
        };
        let mut served = Self {
            plan: sampler.clone(),
            outgoing: outgoing.clone(),
            replies: replies.clone(),
            folder,
            folder_on_server,
            token: token(plan.run),
            base_model: plan.model.name.clone(),
            rank: match plan.model.adapter {
                AdapterPlan::Lora { lora_r, .. } => lora_r,
                AdapterPlan::Full => 0,
            },
            loaded: Vec::new(),
            loads: 0,
            knows_reference: false,
            is_lost: false,
        };
        // What an attempt before left there when it was killed.
        served.clear()?;
        served.ask(SamplerCall::Look)?;
        Ok(Some(served))
    }

    /// One response a row, in order, by what the engine's parameters are now.
    pub(super) fn sample(
        &mut self,
        engine: &mut Engine,
        player: Player,
        rows: &[GenerateRow],
        (seed, sampling): (u64, &Sampling),
    ) -> Result<Vec<Generated>, WorkerError> {
        let adapter = engine.agent(player).map(|agent| self.adapter(engine, agent)).transpose()?;
        let is_compared = sampling.temperature > 0.0 && !sampling.is_cut();
        let is_checked = is_compared
            && match &adapter {
                Some((_, loads)) => is_looked_at(*loads),
                None => !std::mem::replace(&mut self.knows_reference, true),
            };
        let call = SampleCall {
            adapter: adapter.map(|(name, _)| name),
            // Position 0 of a row's own stream: the server's generator goes on from there.
            rows: rows
                .iter()
                .map(|row| SampleRow { context: row.context.clone(), seed: row.row.draw(seed, 0) })
                .collect(),
            sampling: *sampling,
            end_tokens: engine.config().end_tokens.clone(),
            vocabulary: engine.config().vocabulary_size as u32,
        };
        let sampled = match self.ask(SamplerCall::Sample(Box::new(call)))? {
            SamplerReply::Sampled(sampled) if sampled.len() == rows.len() => sampled,
            _ => return Err(WorkerError::SamplerReply),
        };
        if is_checked {
            self.check(engine, player, (rows, &sampled), sampling.temperature)?;
        }
        Ok(sampled.into_iter().map(|response| generated(response, sampling)).collect())
    }

    /// Training is over: the server lets its adapters go, and the folder is removed.
    pub(super) fn end(&mut self) {
        for loaded in std::mem::take(&mut self.loaded) {
            self.unload(&loaded);
        }
        // `db gc` removes what cannot be removed now.
        let _ = self.clear();
    }

    /// The name of an agent's adapter at the server, as its parameters are now; and how many were loaded for it so far.
    fn adapter(&mut self, engine: &Engine, agent: Agent) -> Result<(String, u64), WorkerError> {
        let version = engine.version();
        let known = self.loaded.iter().position(|loaded| loaded.agent == agent);
        if let Some(loaded) = known.map(|place| &self.loaded[place]).filter(|loaded| loaded.version == version) {
            return Ok((loaded.name.clone(), self.loads));
        }
        let parameters = engine.parameters().ok_or(WorkerError::NothingTrained)?;
        self.loads += 1;
        let name = format!("slhf-{}-{}-{}", self.token, agent.name(), self.loads);
        fs::create_dir_all(&self.folder).map_err(|source| self.unwritten(source))?;
        save_adapter(&self.folder.join(&name), parameters, agent, &self.base_model)?;
        if let Some(place) = known {
            let old = self.loaded.swap_remove(place);
            self.unload(&old);
        }
        let folder = format!("{}/{name}", self.folder_on_server);
        self.ask(SamplerCall::Load { adapter: name.clone(), folder, rank: self.rank })?;
        self.loaded.push(Loaded { agent, version, name: name.clone() });
        Ok((name, self.loads))
    }

    /// A server that keeps an adapter for longer than it is needed does no harm.
    fn unload(&mut self, loaded: &Loaded) {
        if !self.is_lost
            && let Err(error) = self.ask(SamplerCall::Unload { adapter: loaded.name.clone() })
        {
            let said = format!("the adapter {} stays at the sampler: {error}", loaded.name);
            let _ = self.outgoing.log(LogLevel::Warn, said);
        }
        let _ = fs::remove_dir_all(self.folder.join(&loaded.name));
    }

    fn clear(&self) -> Result<(), WorkerError> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(self.unwritten(source)),
            _ => Ok(()),
        }
    }

    fn unwritten(&self, source: std::io::Error) -> WorkerError {
        WorkerError::SamplerFolder { path: self.folder.clone(), source }
    }

    fn ask(&mut self, call: SamplerCall) -> Result<SamplerReply, WorkerError> {
        let is_needed = !matches!(call, SamplerCall::Unload { .. });
        let outcome = self.replies.of_sampler(&self.outgoing, &self.plan.served(), call);
        self.is_lost |= is_needed && outcome.is_err();
        outcome.map_err(|fault| WorkerError::Sampler { reason: fault.reason })
    }

    /// Whether the server drew from what the engine has: a server says log-probabilities of other weights, or of another distribution, as
    /// calmly as the right ones.
    fn check(
        &self,
        engine: &mut Engine,
        player: Player,
        (rows, sampled): (&[GenerateRow], &[SampledResponse]),
        temperature: f64,
    ) -> Result<(), WorkerError> {
        let few = rows.len().min(CHECKED_ROWS);
        let (rows, sampled) = (&rows[..few], &sampled[..few]);
        let said: Vec<f64> = sampled.iter().flat_map(|response| response.log_probabilities.clone()).collect();
        let mut computed = |player, temperature| computed(engine, player, (rows, sampled), temperature);
        let own = computed(player, temperature)?;
        let found = mean_difference(&said, &own);
        if found <= ROUNDING {
            return Ok(());
        }
        let why = if temperature != 1.0 && is_explained(&said, &own, &computed(player, 1.0)?) {
            format!(
                "it says them at temperature 1, not at {temperature}; start it with --logprobs-mode processed_logprobs"
            )
        } else if player != Player::Reference && is_explained(&said, &own, &computed(Player::Reference, temperature)?) {
            "it samples without the adapter that it was given; start it with --enable-lora, and check that it applies the adapters of its \
             requests"
                .to_owned()
        } else if found * temperature.min(1.0) < ANOTHER_MODEL {
            return Ok(());
        } else {
            format!(
                "it has another model, other weights or another quantization; check that device.sampler.model, \"{}\", is the model at \
                 model.path",
                self.plan.model
            )
        };
        Err(WorkerError::SamplerDiffers { server: self.plan.server.clone(), difference: found, why })
    }
}

/// Whether the server is held against the engine after this many loads: the first ones, and each time that their number has doubled.
fn is_looked_at(loads: u64) -> bool {
    loads <= CHECKED_LOADS || (loads.is_multiple_of(CHECKED_LOADS) && (loads / CHECKED_LOADS).is_power_of_two())
}

/// What the engine makes of the tokens that a server sampled.
fn computed(
    engine: &mut Engine,
    player: Player,
    (rows, sampled): (&[GenerateRow], &[SampledResponse]),
    temperature: f64,
) -> Result<Vec<f64>, WorkerError> {
    let answers: Vec<(&[u32], &[u32])> =
        rows.iter().zip(sampled).map(|(row, response)| (&row.context[..], &response.tokens[..])).collect();
    Ok(engine.log_probabilities_at(player, temperature, &answers)?.concat())
}

/// A token; NaN counts as infinity.
fn mean_difference(said: &[f64], own: &[f64]) -> f64 {
    let sum: f64 = said.iter().zip(own).map(|(said, own)| (said - own).abs()).sum();
    let mean = sum / said.len().max(1) as f64;
    if mean.is_nan() { f64::INFINITY } else { mean }
}

/// As the engine says it. A token at temperature 0 is the likeliest, and there was nothing to draw.
fn generated(response: SampledResponse, sampling: &Sampling) -> Generated {
    let draw = |log_probability| match sampling.temperature {
        0.0 => Draw { log_probability: 0.0, support: 1 },
        _ => Draw { log_probability, support: 0 },
    };
    let SampledResponse { tokens, log_probabilities, finished } = response;
    Generated { tokens, draws: log_probabilities.into_iter().map(draw).collect(), finished }
}

/// No other attempt has it. It decides no number.
fn token(run: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let text = format!("{run} {} {}", std::process::id(), now.as_nanos());
    slhf_files::sha256_hex(text.as_bytes()).chars().take(12).collect()
}

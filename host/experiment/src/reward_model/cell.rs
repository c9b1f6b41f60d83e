//! A cell of an experiment that trains reward models: defaults filled in, model and preferences found, and checked for what fits
//! together.

use std::path::{Path, PathBuf};

use slhf_data::preferences::{PreferenceReading, PreferenceSplit, Preferences};
use slhf_plan::settings::Problems;
use slhf_plan::{
    AdapterPlan, CheckpointKeep, OverLong, PairDataPlan, RewardCell, RewardHeadPlan, RewardTrainingPlan, SavedModel,
};

use super::config::{HeadConfig, PairsConfig, PairsShape, RewardExperimentConfig};
use super::resolve;
use super::resolved::ResolvedReward;
use crate::error::ExperimentError;
use crate::language::{self, LanguageDeviceConfig};
use crate::models;
use crate::planner::Planner;
use crate::rules::{check_cadence, check_device_name};

/// Of different prompts one in so many is held out where a file does not say.
const HELD_OUT_ONE_IN: u32 = 10;
/// Characters of a token, for the estimate of time alone.
const TOKEN_CHARACTERS: f64 = 4.0;

/// What is known of the preferences, once they were read.
struct FoundPairs {
    plan: PairDataPlan,
    labels: Vec<String>,
    training_pairs: usize,
    held_out_pairs: usize,
    text_tokens: f64,
}

/// What a pair must say.
#[derive(Clone, Copy)]
enum Needs {
    Preference,
    Ratings,
}

impl Needs {
    fn of(head: Option<&HeadConfig>) -> Self {
        match head {
            Some(HeadConfig::Attributes { .. }) => Self::Ratings,
            _ => Self::Preference,
        }
    }

    fn are_met(self, preferences: &Preferences, pair: usize) -> bool {
        let pair = &preferences.pairs[pair];
        match self {
            Self::Preference => pair.first_is_better.is_some(),
            Self::Ratings => pair.ratings.iter().any(Option::is_some),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Preference => "a preference (\"chosen\" and \"rejected\", \"p_second\" or \"label\")",
            Self::Ratings => "a rating (\"attributes\")",
        }
    }
}

impl Planner<'_> {
    /// Fills in defaults, finds model and preferences, and checks what fits together.
    pub(crate) fn resolve_reward(
        &mut self,
        config: &RewardExperimentConfig,
        mut problems: Problems,
        label: &str,
    ) -> Result<ResolvedReward, ExperimentError> {
        check_device_name(config.device.name.as_deref(), config.device.threads.unwrap_or(2), &mut problems);
        language::check_adapter_settings(&config.model.adapter, &mut problems);
        resolve::check_settings(config, &mut problems);
        let adapter = language::adapter(&config.model.adapter);
        let save = config.save.unwrap_or_default();
        if save == SavedModel::Adapter && matches!(adapter, AdapterPlan::Full) {
            problems.push("save", "\"adapter\" beside model.adapter.kind = \"full\", which has none; use \"merged\"");
        }
        self.document.refuse(label, problems)?;
        let found = self.pairs(&config.data, Needs::of(config.head.as_ref()), label)?;
        let head = resolve::head(config.head.as_ref(), &found.labels);
        let training = resolve::training(config, &adapter, found.training_pairs as u64);
        let mut problems = slhf_plan::check_reward(&RewardCell { adapter: &adapter, head: &head, training: &training });
        let evaluation_every = config.evaluation.every.unwrap_or((training.steps / 4).max(1));
        let checkpoint_every = config.checkpoint.every.unwrap_or((training.steps / 10).max(1));
        check_cadence("checkpoint.every", checkpoint_every, &mut problems);
        check_labels(&head, &found, &mut problems);
        self.document.refuse(label, problems)?;
        let device = self
            .ask_device(|ask| language::device(&LanguageDeviceConfig::from(&config.device), ask))
            .map_err(|problem| self.invalid(label, "device.name", &problem))?;
        self.note_device(&device);
        let (model, parameters) = self.model(&config.model, adapter, &device, label)?;
        let plan = RewardTrainingPlan {
            run: 0,
            seed: 0,
            device,
            model,
            data: found.plan,
            head,
            training,
            evaluation_every,
            checkpoint_every,
            checkpoint_keep: config.checkpoint.keep.map_or_else(CheckpointKeep::default, CheckpointKeep),
            save,
        };
        if !(self.lacks(&plan.model.path) || self.lacks(&plan.data.path)) {
            slhf_foreign::try_models_of_reward(&plan).map_err(|problem| self.invalid(label, "model.path", &problem))?;
        }
        Ok(ResolvedReward {
            plan,
            data_name: shown(&config.data.pairs),
            parameters,
            text_tokens: found.text_tokens,
            held_out_pairs: found.held_out_pairs,
        })
    }

    fn pairs(&mut self, config: &PairsConfig, needs: Needs, label: &str) -> Result<FoundPairs, ExperimentError> {
        let key = "data.pairs";
        let file = self.path();
        let named = file.parent().unwrap_or(Path::new("")).join(&config.pairs);
        let shape = config.shape.as_ref().filter(|_| self.describes() && !named.exists());
        if let Some(shape) = shape {
            self.absent(&config.pairs);
            return Ok(described(config, shape));
        }
        if let Some(id) = models::HubId::of(&config.pairs).filter(|_| !named.exists()) {
            let problem = format!(
                "\"{}\" is no file here; a data set of the Hugging Face hub is downloaded first: run `{}`, and name one of its \
                 files",
                config.pairs,
                id.command(" --repo-type dataset")
            );
            return Err(self.invalid(label, key, &problem));
        }
        let unreadable = |cause| ExperimentError::Unreadable {
            file: file.clone(),
            key: key.to_owned(),
            named: config.pairs.clone(),
            cause,
        };
        let path = named.canonicalize().map_err(unreadable)?;
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        let split_seed = config.split_seed.unwrap_or(0);
        let reading = PreferenceReading {
            layout: config.layout.unwrap_or_default(),
            attribute: config.attribute.clone(),
            seed: split_seed,
            on_bad_row: config.on_bad_row.unwrap_or_default(),
        };
        let preferences = self.preferences(&path, &reading).map_err(bad)?;
        let prompts = u32::try_from(preferences.prompts.len()).unwrap_or(u32::MAX);
        let held_out = config.held_out.unwrap_or((prompts / HELD_OUT_ONE_IN).max(1));
        let split = PreferenceSplit::of(preferences, held_out, split_seed).map_err(bad)?;
        let says = |index: &&usize| needs.are_met(preferences, **index);
        let many = |indices: &[usize]| indices.iter().filter(says).count();
        let (training, held_out_pairs) = (many(&split.training), many(&split.held_out));
        let most = config.training_pairs.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let (notes, labels, sha256) = (preferences.notes(), preferences.labels.clone(), preferences.sha256.clone());
        let max_tokens = config.max_tokens.unwrap_or(512);
        let text_tokens = mean_characters(preferences) / TOKEN_CHARACTERS;
        for note in notes {
            self.note(&note);
        }
        if training == 0 || held_out_pairs == 0 {
            let (what, side) = (needs.words(), if training == 0 { "to train on" } else { "held out" });
            let problem = format!("\"{}\" has no pair {side} with {what}, which this head is fit to", config.pairs);
            return Err(self.invalid(label, key, &problem));
        }
        Ok(FoundPairs {
            plan: PairDataPlan {
                path: path.display().to_string(),
                sha256,
                layout: reading.layout,
                attribute: reading.attribute,
                held_out,
                split_seed,
                training_pairs: config.training_pairs,
                max_tokens,
                over_long: config.over_long.unwrap_or(OverLong::Drop),
                system: config.system.clone().unwrap_or_default(),
                on_bad_row: reading.on_bad_row,
            },
            labels,
            training_pairs: training.min(most),
            held_out_pairs,
            text_tokens: text_tokens.min(f64::from(max_tokens)),
        })
    }

    /// Read once for all cells that read it alike.
    pub(crate) fn preferences(
        &mut self,
        path: &Path,
        reading: &PreferenceReading,
    ) -> Result<&Preferences, slhf_data::DataError> {
        let is_it =
            |(known, found): &(PreferenceReading, Preferences)| known == reading && Path::new(&found.file) == path;
        let index = if let Some(index) = self.preferences.iter().position(is_it) {
            index
        } else {
            self.preferences.push((reading.clone(), slhf_foreign::preferences(path, reading)?));
            self.preferences.len() - 1
        };
        Ok(&self.preferences[index].1)
    }
}

/// Of a file that is not here.
fn described(config: &PairsConfig, shape: &PairsShape) -> FoundPairs {
    let max_tokens = config.max_tokens.unwrap_or(512);
    let count = |pairs: u64| usize::try_from(pairs).unwrap_or(usize::MAX);
    FoundPairs {
        plan: PairDataPlan {
            path: config.pairs.clone(),
            sha256: String::new(),
            layout: config.layout.unwrap_or_default(),
            attribute: config.attribute.clone(),
            held_out: config.held_out.unwrap_or(1),
            split_seed: config.split_seed.unwrap_or(0),
            training_pairs: config.training_pairs,
            max_tokens,
            over_long: config.over_long.unwrap_or(OverLong::Drop),
            system: config.system.clone().unwrap_or_default(),
            on_bad_row: config.on_bad_row.unwrap_or_default(),
        },
        labels: shape.labels.clone().unwrap_or_default(),
        training_pairs: count(shape.training_pairs.min(config.training_pairs.unwrap_or(u64::MAX))),
        held_out_pairs: count(shape.held_out_pairs),
        text_tokens: f64::from(shape.text_tokens.min(max_tokens)),
    }
}

/// Labels must be the file's.
fn check_labels(head: &RewardHeadPlan, found: &FoundPairs, problems: &mut Problems) {
    let RewardHeadPlan::Attributes { labels, .. } = head else { return };
    if let Some(missing) = labels.iter().find(|label| !found.labels.contains(label)) {
        let known = if found.labels.is_empty() { "none".to_owned() } else { found.labels.join(", ") };
        problems.push("head.labels", format!("the file has no attribute \"{missing}\"; it has {known}"));
    }
}

fn mean_characters(preferences: &Preferences) -> f64 {
    let of_prompt =
        |prompt: usize| preferences.prompts[prompt].iter().map(|message| message.content.len()).sum::<usize>();
    let of_pair = |pair: &slhf_data::preferences::PreferencePair| {
        of_prompt(pair.prompt) as f64 + pair.responses.iter().map(String::len).sum::<usize>() as f64 / 2.0
    };
    preferences.pairs.iter().map(of_pair).sum::<f64>() / preferences.pairs.len().max(1) as f64
}

/// A file by its name alone where its place is this machine's business.
fn shown(named: &str) -> String {
    let path = PathBuf::from(named);
    match path.file_name() {
        Some(name) if path.is_absolute() => name.to_string_lossy().into_owned(),
        _ => named.to_owned(),
    }
}

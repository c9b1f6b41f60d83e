//! A file of preferences that a language model learns from: found, read, split.

use std::path::Path;

use slhf_data::preferences::{PreferenceReading, PreferenceSplit, Preferences};
use slhf_plan::settings::Problems;
use slhf_plan::{DataLayout, DataPlan, OverLong, PreferenceData};

use super::config::{DataConfig, DataLayoutConfig, LanguageExperimentConfig};
use super::found_data::FoundData;
use super::rules::check_evaluated_prompts;
use crate::error::ExperimentError;
use crate::models;
use crate::planned::TextSizes;
use crate::planner::Planner;

/// Of different prompts one in so many is held out where a file does not say, as of reward models.
const HELD_OUT_ONE_IN: u32 = 10;
/// Tokens of a response where a file does not say.
const MAX_RESPONSE_TOKENS: u32 = 512;
/// Characters of a token, for prices alone.
const TOKEN_CHARACTERS: f64 = 4.0;
/// Tokens of a chat template around a prompt, likewise.
const TEMPLATE_TOKENS: f64 = 20.0;

impl Planner<'_> {
    /// The pairs of the file that is named at `data.pairs`.
    pub(super) fn preference_data(
        &mut self,
        config: &LanguageExperimentConfig,
        named: &str,
        label: &str,
    ) -> Result<FoundData, ExperimentError> {
        let key = "data.pairs";
        let (file, data) = (self.path(), &config.data);
        let path = file.parent().unwrap_or(Path::new("")).join(named);
        if let Some(id) = models::HubId::of(named).filter(|_| !path.exists()) {
            let problem = format!(
                "\"{named}\" is no file here; a data set of the Hugging Face hub is downloaded first: run `{}`, and name one of its \
                 files",
                id.command(" --repo-type dataset")
            );
            return Err(self.invalid(label, key, &problem));
        }
        let unreadable = |cause| ExperimentError::Unreadable {
            file: file.clone(),
            key: key.to_owned(),
            named: named.to_owned(),
            cause,
        };
        let path = path.canonicalize().map_err(unreadable)?;
        let bad = |cause| ExperimentError::Data { file: file.clone(), key: key.to_owned(), cause };
        let reading = reading(data);
        let found = self.preferences(&path, &reading).map_err(bad)?;
        let prompts = u32::try_from(found.prompts.len()).unwrap_or(u32::MAX);
        let held_out = data.held_out.unwrap_or((prompts / HELD_OUT_ONE_IN).max(1));
        let split = PreferenceSplit::of(found, held_out, reading.seed).map_err(bad)?;
        let labeled =
            |indices: &[usize]| indices.iter().filter(|index| found.pairs[**index].first_is_better.is_some()).count();
        let (training, held_out_pairs) = (labeled(&split.training), labeled(&split.held_out));
        let (notes, sizes) = (found.notes(), sizes(found, data.system.as_deref().unwrap_or_default()));
        let (sha256, skipped_rows) = (found.sha256.clone(), found.skipped.count);
        for note in notes {
            self.note(&note);
        }
        if training == 0 || held_out_pairs == 0 {
            let side = if training == 0 { "to train on" } else { "held out" };
            let problem = format!(
                "\"{named}\" has no pair {side} that says which response is better (\"chosen\" and \"rejected\", \"p_second\" or \"label\")"
            );
            return Err(self.invalid(label, key, &problem));
        }
        let mut problems = Problems::default();
        check_evaluated_prompts(config, held_out, &mut problems);
        self.document.refuse(label, problems)?;
        let plan = DataPlan {
            path: path.display().to_string(),
            sha256,
            layout: DataLayout::Preferences(PreferenceData {
                pairs: reading.layout,
                attribute: reading.attribute,
                training_pairs: data.training_pairs,
                max_response_tokens: data.max_response_tokens.unwrap_or(MAX_RESPONSE_TOKENS),
            }),
            held_out,
            split_seed: reading.seed,
            max_prompt_tokens: data.max_prompt_tokens.unwrap_or(512),
            over_long: data.over_long.unwrap_or(OverLong::Drop),
            system: data.system.clone().unwrap_or_default(),
            on_bad_row: reading.on_bad_row,
            skipped_rows,
        };
        let sizes = TextSizes { held_out_pairs: held_out_pairs as f64, ..sizes };
        Ok(FoundData { plan, named: named.to_owned(), sizes })
    }
}

fn reading(config: &DataConfig) -> PreferenceReading {
    PreferenceReading {
        layout: config.layout.and_then(DataLayoutConfig::of_pairs).unwrap_or_default(),
        attribute: config.attribute.clone(),
        seed: config.split_seed.unwrap_or(0),
        on_bad_row: config.on_bad_row.unwrap_or_default(),
    }
}

/// How long prompts and responses are, on average over pairs.
fn sizes(found: &Preferences, system: &str) -> TextSizes {
    let pairs = found.pairs.len().max(1) as f64;
    let of_prompt = |prompt: usize| found.prompts[prompt].iter().map(|message| message.content.len()).sum::<usize>();
    let prompt: usize = found.pairs.iter().map(|pair| of_prompt(pair.prompt) + system.len()).sum();
    let responses: usize = found.pairs.iter().flat_map(|pair| &pair.responses).map(String::len).sum();
    TextSizes {
        text_tokens: prompt as f64 / pairs / TOKEN_CHARACTERS + TEMPLATE_TOKENS,
        held_out_pairs: 0.0,
        response_tokens: responses as f64 / (2.0 * pairs) / TOKEN_CHARACTERS + 1.0,
    }
}

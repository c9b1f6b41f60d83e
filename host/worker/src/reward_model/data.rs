//! The pairs of a run: read, checked against the plan, split, made tokens, cut to length.

use std::path::Path;
use std::sync::Arc;

use slhf_data::preferences::{PreferencePair, PreferenceReading, PreferenceSplit, Preferences, read_preferences};
use slhf_learn::reward::{PairSource, PairTarget, RatingTarget, RewardLoss, TrainedPair};
use slhf_plan::{LogLevel, Message, OverLong, RewardHeadPlan, RewardTrainingPlan};
use slhf_policy::Tokens;

use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// What became of pairs that are no use.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    too_long: u64,
    /// The head can learn nothing from them.
    unlabeled: u64,
}

/// Reads what the plan names. What became of pairs that were too long or without a label is said, and counted.
pub(super) fn read(plan: &RewardTrainingPlan, tokens: &Tokens, outgoing: &Outgoing) -> Result<PairSource, WorkerError> {
    let data = &plan.data;
    let failed = |source| WorkerError::Data { source };
    let preferences = read_preferences(Path::new(&data.path), &PreferenceReading::of(data)).map_err(failed)?;
    if preferences.sha256 != data.sha256 {
        let (path, expected, found) = (data.path.clone(), data.sha256.clone(), preferences.sha256);
        return Err(WorkerError::DataChanged { path, expected, found });
    }
    for note in preferences.notes() {
        outgoing.log(LogLevel::Warn, note)?;
    }
    // Split before anything is dropped: which prompts are held out depends on the file and the seed alone.
    let split = PreferenceSplit::of(&preferences, data.held_out, data.split_seed).map_err(failed)?;
    let mut reader =
        Reader { plan, tokens, preferences: &preferences, loss: RewardLoss::of(&plan.head), lost: Lost::default() };
    let most = data.training_pairs.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let source = PairSource {
        training: reader.take(&split.training[..split.training.len().min(most)])?,
        held_out: reader.take(&split.held_out)?,
    };
    let Lost { too_long, unlabeled } = reader.lost;
    if too_long > 0 {
        let fate = match data.over_long {
            OverLong::Drop => "left out",
            OverLong::Truncate => "cut",
        };
        let (file, most) = (&preferences.file, data.max_tokens);
        let text = format!(
            "{too_long} pairs of {file} have a text of more than {most} tokens and were {fate} (data.over_long)"
        );
        outgoing.log(LogLevel::Warn, text)?;
    }
    if unlabeled > 0 {
        let text = format!(
            "{unlabeled} pairs of {} say nothing that this head can learn from and were left out",
            preferences.file
        );
        outgoing.log(LogLevel::Warn, text)?;
    }
    if source.held_out.is_empty() {
        let (path, most) = (preferences.file.clone(), data.max_tokens);
        return Err(WorkerError::NoHeldOutPairs { path, most });
    }
    Ok(source)
}

struct Reader<'a> {
    plan: &'a RewardTrainingPlan,
    tokens: &'a Tokens,
    preferences: &'a Preferences,
    loss: RewardLoss,
    lost: Lost,
}

impl Reader<'_> {
    fn take(&mut self, indices: &[usize]) -> Result<Vec<TrainedPair>, WorkerError> {
        let mut taken = Vec::with_capacity(indices.len());
        for &index in indices {
            taken.extend(self.pair(&self.preferences.pairs[index])?);
        }
        Ok(taken)
    }

    fn pair(&mut self, pair: &PreferencePair) -> Result<Option<TrainedPair>, WorkerError> {
        let target = self.target(pair);
        if !self.loss.learns_from(&target) {
            self.lost.unlabeled += 1;
            return Ok(None);
        }
        let (most, mut is_long) = (self.plan.data.max_tokens as usize, false);
        let mut texts = Vec::with_capacity(2);
        for response in &pair.responses {
            let mut text = self.tokens.conversation(&self.conversation(pair.prompt, response))?;
            is_long |= text.len() > most;
            text.truncate(most);
            texts.push(Arc::from(text));
        }
        self.lost.too_long += u64::from(is_long);
        // Cut where they are alike yet, two texts are one.
        let is_lost = is_long && (self.plan.data.over_long == OverLong::Drop || texts[0] == texts[1]);
        let Ok(texts) = <[Arc<[u32]>; 2]>::try_from(texts) else { return Ok(None) };
        if is_lost || texts.iter().any(|text| text.is_empty()) {
            return Ok(None);
        }
        let characters = pair.responses.each_ref().map(|text| u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
        Ok(Some(TrainedPair { prompt: pair.prompt as u32, texts, characters, target }))
    }

    fn conversation(&self, prompt: usize, response: &str) -> Vec<Message> {
        let message = |role: &str, content: &str| Message { role: role.to_owned(), content: content.to_owned() };
        let mut messages = self.preferences.prompts[prompt].clone();
        let system = &self.plan.data.system;
        if !system.is_empty() && messages.first().is_none_or(|first| first.role != "system") {
            messages.insert(0, message("system", system));
        }
        messages.push(message("assistant", response));
        messages
    }

    fn target(&self, pair: &PreferencePair) -> PairTarget {
        let ratings = match &self.plan.head {
            RewardHeadPlan::Attributes { labels, .. } => {
                let rating = |label: &String| {
                    let place = self.preferences.labels.iter().position(|known| known == label)?;
                    let rating = pair.ratings[place]?;
                    Some(RatingTarget { values: rating.values, first_is_better: rating.first_is_better })
                };
                labels.iter().map(rating).collect()
            }
            _ => Vec::new(),
        };
        PairTarget { first_is_better: pair.first_is_better, strength: pair.strength, ratings }
    }
}

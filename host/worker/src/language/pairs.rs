//! Pairs of responses that a run learns from: read, split with their prompts, made tokens as if the model had said them.

use std::collections::HashMap;
use std::path::Path;

use slhf_data::PlannedReading;
use slhf_data::preferences::{PreferencePair, PreferenceSplit, Preferences, read_preferences};
use slhf_learn::language::{Answer, LabeledPair, PreferencePairs, Prompt, PromptSource};
use slhf_plan::{LanguagePlan, LogLevel, OverLong};
use slhf_policy::Tokens;

use crate::error::WorkerError;
use crate::outgoing::Outgoing;

/// What became of pairs that are no use, or not what the file says.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    /// Pairs with a response that is too long: left out, or cut.
    too_long: u64,
    /// Cut, both responses are one.
    alike: u64,
    /// Nobody says which response is better.
    unlabeled: u64,
    /// A response has the token within that ends one.
    ended_within: u64,
    /// Their prompts were left out.
    of_long_prompts: u64,
}

/// Reads what the plan names, to the prompts that were read of the same file; nothing for a plan without pairs. What became of pairs that
/// could not be used as they are is said, and counted.
pub(super) fn read(
    plan: &LanguagePlan,
    source: &PromptSource,
    tokens: &Tokens,
    outgoing: &Outgoing,
) -> Result<PreferencePairs, WorkerError> {
    let data = &plan.data;
    let (Some(of_pairs), PlannedReading::Preferences(reading)) = (data.layout.preferences(), PlannedReading::of(data))
    else {
        return Ok(PreferencePairs::default());
    };
    let failed = |source| WorkerError::Data { source };
    let found = read_preferences(Path::new(&data.path), &reading).map_err(failed)?;
    if found.sha256 != data.sha256 {
        let (path, expected, found) = (data.path.clone(), data.sha256.clone(), found.sha256);
        return Err(WorkerError::DataChanged { path, expected, found });
    }
    for note in found.notes() {
        outgoing.log(LogLevel::Warn, note)?;
    }
    let end = *tokens.end_tokens().first().ok_or(WorkerError::NoEndToken)?;
    let split = PreferenceSplit::of(&found, data.held_out, data.split_seed).map_err(failed)?;
    let most = of_pairs.training_pairs.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let prompts = source.training.iter().chain(&source.held_out).map(|prompt| (prompt.id as usize, prompt)).collect();
    let mut reader = Reader {
        tokens,
        end,
        prompts,
        most: of_pairs.max_response_tokens as usize,
        over_long: data.over_long,
        lost: Lost::default(),
    };
    let pairs = PreferencePairs {
        training: reader.take(&found, &split.training[..split.training.len().min(most)])?,
        held_out: reader.take(&found, &split.held_out)?,
    };
    for sentence in reader.sentences(&found.file) {
        outgoing.log(LogLevel::Warn, sentence)?;
    }
    if pairs.held_out.is_empty() {
        let (path, most) = (found.file, of_pairs.max_response_tokens);
        return Err(WorkerError::NoHeldOutResponses { path, most });
    }
    Ok(pairs)
}

struct Reader<'a> {
    tokens: &'a Tokens,
    /// What ends a response.
    end: u32,
    /// By their numbers, those that were not left out.
    prompts: HashMap<usize, &'a Prompt>,
    /// Tokens of a response.
    most: usize,
    over_long: OverLong,
    lost: Lost,
}

impl Reader<'_> {
    fn take(&mut self, found: &Preferences, indices: &[usize]) -> Result<Vec<LabeledPair>, WorkerError> {
        let mut taken = Vec::with_capacity(indices.len());
        for &index in indices {
            taken.extend(self.pair(&found.pairs[index])?);
        }
        Ok(taken)
    }

    fn pair(&mut self, pair: &PreferencePair) -> Result<Option<LabeledPair>, WorkerError> {
        let Some(first_is_better) = pair.first_is_better else {
            self.lost.unlabeled += 1;
            return Ok(None);
        };
        let Some(prompt) = self.prompts.get(&pair.prompt).map(|prompt| (*prompt).clone()) else {
            self.lost.of_long_prompts += 1;
            return Ok(None);
        };
        let [first, second] = &pair.responses;
        let (Some(first), Some(second)) = (self.response(first)?, self.response(second)?) else {
            self.lost.ended_within += 1;
            return Ok(None);
        };
        let is_long = [&first, &second].iter().any(|tokens| tokens.len() > self.most);
        self.lost.too_long += u64::from(is_long);
        if is_long && self.over_long == OverLong::Drop {
            return Ok(None);
        }
        let responses =
            [(first, &pair.responses[0]), (second, &pair.responses[1])].map(|(tokens, text)| self.answer(tokens, text));
        if responses[0].tokens == responses[1].tokens {
            self.lost.alike += 1;
            return Ok(None);
        }
        Ok(Some(LabeledPair { prompt, responses, first_is_better }))
    }

    /// The tokens of a text and the one that ends sampling, as a policy would have said it; `None` where the text would have ended before.
    fn response(&self, text: &str) -> Result<Option<Vec<u32>>, WorkerError> {
        let mut tokens = self.tokens.encode(text)?;
        if tokens.iter().any(|token| self.tokens.end_tokens().contains(token)) {
            return Ok(None);
        }
        tokens.push(self.end);
        Ok(Some(tokens))
    }

    /// What is too long loses its end, and with it the token that ends it.
    fn answer(&self, mut tokens: Vec<u32>, text: &str) -> Answer {
        let finished = tokens.len() <= self.most;
        tokens.truncate(self.most);
        Answer { tokens: tokens.into(), finished, text: text.into(), draws: [].into() }
    }

    fn sentences(&self, file: &str) -> Vec<String> {
        let Lost { too_long, alike, unlabeled, ended_within, of_long_prompts } = self.lost;
        let most = self.most;
        let fate = match self.over_long {
            OverLong::Drop => "left out",
            OverLong::Truncate => "cut",
        };
        let keys = "(data.max_response_tokens, data.over_long)";
        [
            (too_long, format!("pairs {fate} because a response has more than {most} tokens {keys}")),
            (alike, "pairs left out because both responses are the same tokens, as far as they go".to_owned()),
            (unlabeled, "pairs left out because nothing says which response is better".to_owned()),
            (ended_within, "pairs left out because a response contains the token that ends one".to_owned()),
            (of_long_prompts, "pairs left out with their prompts (data.max_prompt_tokens)".to_owned()),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{file}: {what}: {count}"))
        .collect()
    }
}

//! What a judge is asked about a pair of policies, and what it says.

use std::sync::Arc;

use slhf_judge::{Comparison, Preference, Response};
use slhf_random::{Purpose, Row, Stream};
use slhf_statistics::PairCorrelation;

use crate::error::ComparisonError;
use crate::field::Field;
use crate::merging::Merged;
use crate::policy::Policy;
use crate::prompts::HeldOut;

/// Who is asked, about whose answers.
pub(crate) struct Judge<'a> {
    pub(crate) field: &'a Field,
    pub(crate) preference: &'a Preference,
}

/// What is counted while judging.
#[derive(Default)]
pub(crate) struct Counted {
    pub(crate) lengths: PairCorrelation,
    bias: (f64, u64),
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
}

impl Counted {
    /// Mean |p(a ≻ b) + p(b ≻ a) − 1|.
    pub(crate) fn order_bias(&self) -> f64 {
        self.bias.0 / self.bias.1.max(1) as f64
    }
}

/// Two policies, and what was said of them so far.
pub(crate) struct AskedPair<'a> {
    policies: [&'a Policy; 2],
    key: PairKey,
    /// Wins of the first, seed by seed, one a prompt; nothing where there is no verdict.
    pub(crate) wins: Vec<Option<f64>>,
}

impl<'a> AskedPair<'a> {
    /// Nothing was asked yet.
    pub(crate) fn new(field: &Field, pair: [&Merged<'a>; 2]) -> Self {
        let wins = vec![None; field.seeds.len() * field.prompts.len()];
        Self { policies: pair.map(|merged| merged.policy), key: PairKey::of(pair), wins }
    }

    /// The answers of both, if both answered.
    pub(crate) fn answers(&self, seed: usize, prompt: usize) -> Option<[&'a Response; 2]> {
        let [first, second] = self.policies;
        Some([first.answers[seed][prompt].as_ref()?, second.answers[seed][prompt].as_ref()?])
    }

    /// Asks about these prompts, under every seed, in both orders.
    pub(crate) fn ask(
        &mut self,
        judge: &Judge<'_>,
        prompts: &[usize],
        counted: &mut Counted,
    ) -> Result<(), ComparisonError> {
        let field = judge.field;
        let mut places = Vec::new();
        let mut batch = Vec::new();
        for (seed, own) in field.seeds.iter().enumerate() {
            for &prompt in prompts {
                let Some([one, other]) = self.answers(seed, prompt) else { continue };
                let told = &field.prompts[prompt];
                places.push((seed * field.prompts.len() + prompt, characters(one) - characters(other)));
                let row = Row {
                    purpose: Purpose::Draw,
                    prompt: prompt as u32,
                    step: self.key.pair,
                    stream: Stream::LaterEvaluation,
                    round: 0,
                    sample: 0,
                };
                let draw = |order| row.draw(*own as u64, order);
                batch.push(comparison(told, one, other, draw(self.key.first)));
                batch.push(comparison(told, other, one, draw(1 - self.key.first)));
            }
        }
        let mut verdicts = judge.preference.compare(&batch).map_err(ComparisonError::Asked)?.into_iter();
        for (place, longer) in places {
            match (verdicts.next(), verdicts.next()) {
                (Some(Ok(there)), Some(Ok(back))) => {
                    let win = 0.5 * (there.probability + (1.0 - back.probability));
                    self.wins[place] = Some(win);
                    counted.lengths.add(longer, win);
                    counted.bias.0 += (there.probability + back.probability - 1.0).abs();
                    counted.bias.1 += 1;
                }
                (there, back) => {
                    for failure in [there, back].into_iter().flatten().filter_map(Result::err) {
                        counted.failed += 1;
                        counted.first_failure.get_or_insert(failure.reason);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Of everybody's answers, also of those whose tokens nobody counted.
fn characters(response: &Response) -> f64 {
    response.text.chars().count() as f64
}

/// Where the draws of two policies stand: by their answers, so that neither names, nor the order in which policies are listed, nor
/// who else is there changes what a judge says of them.
struct PairKey {
    pair: u32,
    /// Of the order in which the first of the two stands first.
    first: u32,
}

impl PairKey {
    fn of(pair: [&Merged<'_>; 2]) -> Self {
        let [first, second] = pair.map(Merged::answers_hash);
        let (low, high) = if first <= second { (&first, &second) } else { (&second, &first) };
        let hash = slhf_files::sha256_hex(format!("{low}{high}").as_bytes());
        // Eight hexadecimal digits are a u32.
        Self { pair: u32::from_str_radix(&hash[..8], 16).unwrap_or(0), first: u32::from(first > second) }
    }
}

fn comparison(told: &HeldOut, first: &Response, second: &Response, draw: u64) -> Comparison {
    Comparison {
        prompt: Arc::clone(&told.text),
        messages: Arc::clone(&told.messages),
        metadata: Arc::clone(&told.metadata),
        first: first.clone(),
        second: second.clone(),
        draw,
    }
}

//! Finite games: the judge is asked about all ordered pairs.

use std::sync::Arc;

use slhf_plan::{GamePlan, PairVerdict, VERDICT_ROWS_ACTIONS_MAX, VerdictAttribute};

use crate::{
    error::{Doing, Fault, JudgeError},
    judges::Preference,
    types::{Comparison, Response, Verdict},
};

/// Pairs that are held in memory as questions at a time.
const PAIRS_MAX: usize = 1 << 14;

/// What a judge said of a game.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GameVerdicts {
    /// p(i ≻ j) at `i * n + j`.
    pub verdicts: Vec<PairVerdict>,
    /// Attributes that nobody keeps.
    pub attributes_dropped: u64,
}

/// The verdicts on all n² ordered pairs of a game's actions, p(i ≻ j) at `i * n + j`, the diagonal included.
///
/// Games of more than [`VERDICT_ROWS_ACTIONS_MAX`] actions have verdicts without attributes. `draw` is 0. A game needs every one of them: an item that the plugin declares failed is an error, too, which names
/// the two actions. `game.judge` is not looked at: `preference` is it.
pub fn judge_game(preference: &Preference, game: &GamePlan) -> Result<GameVerdicts, JudgeError> {
    let n = game.actions.len();
    let are_kept = n <= VERDICT_ROWS_ACTIONS_MAX;
    let responses: Vec<Response> = game
        .actions
        .iter()
        .map(|action| Response { metadata: action.metadata.to_string().into(), ..Response::from_text(&*action.text) })
        .collect();
    let (prompt, metadata): (Arc<str>, Arc<str>) = (game.prompt.as_str().into(), game.metadata.to_string().into());
    let comparison = |pair: usize| Comparison {
        prompt: Arc::clone(&prompt),
        messages: Arc::new([]),
        metadata: Arc::clone(&metadata),
        first: responses[pair / n].clone(),
        second: responses[pair % n].clone(),
        draw: 0,
    };
    let mut judged = GameVerdicts { verdicts: Vec::with_capacity(n * n), attributes_dropped: 0 };
    for start in (0..n * n).step_by(PAIRS_MAX) {
        let batch: Vec<Comparison> = (start..(start + PAIRS_MAX).min(n * n)).map(comparison).collect();
        let named = |error: JudgeError| name_the_pair(error, start, game);
        let outcomes = if are_kept { preference.compare(&batch) } else { preference.compare_alone(&batch) };
        for (index, outcome) in outcomes.map_err(named)?.into_iter().enumerate() {
            judged.verdicts.push(match outcome {
                Ok(verdict) if are_kept => pair_verdict(verdict),
                Ok(verdict) => {
                    judged.attributes_dropped += verdict.attributes.len() as u64;
                    PairVerdict { probability: verdict.probability, attributes: Vec::new() }
                }
                Err(failure) => {
                    let error = JudgeError::Guest {
                        plugin: preference.identity().clone(),
                        doing: Doing::Compare,
                        items: Some(index..index + 1),
                        fault: Fault::Failed { reason: crate::log::harmless(&failure.reason) },
                        last_error: None,
                    };
                    return Err(named(error));
                }
            });
        }
    }
    Ok(judged)
}

fn pair_verdict(verdict: Verdict) -> PairVerdict {
    let attributes = verdict.attributes.into_iter();
    PairVerdict {
        probability: verdict.probability,
        attributes: attributes
            .map(|attribute| VerdictAttribute {
                name: attribute.name,
                value: attribute.value,
                reason: attribute.reason,
            })
            .collect(),
    }
}

/// Puts the actions' names before an error that is about one pair.
fn name_the_pair(error: JudgeError, start: usize, game: &GamePlan) -> JudgeError {
    let Some(pair) = error.item().map(|item| start + item) else { return error };
    let n = game.actions.len();
    let name = |index: usize| game.actions[index].name.clone();
    JudgeError::Pair { first: name(pair / n), second: name(pair % n), source: Box::new(error) }
}

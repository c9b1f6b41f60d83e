//! The judges of a group: every distinct game is judged once.

use std::num::NonZeroUsize;
use std::sync::Arc;

use slhf_game::PreferenceMatrix;
use slhf_judge::{AnswerModels, GameVerdicts, Host, HostSettings, LogSink, judge_game};
use slhf_plan::{FromWorker, GameJudged, GamePlan, GroupPlan, PairVerdict};

use crate::error::WorkerError;
use crate::models::Models;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// A plugin host whose plugins' lines go to the lab, and whose /// plugins ask `models` for those that they are granted.
pub(crate) fn host(threads: u32, outgoing: &Outgoing, models: Option<&Models>) -> Result<Host, WorkerError> {
    let lines = outgoing.clone();
    let settings = HostSettings {
        threads: NonZeroUsize::new(threads as usize).unwrap_or(NonZeroUsize::MIN),
        log: LogSink::new(move |line| {
            // If the lab is gone, the listener ends the process; a line more or less is all the same.
            let _ = lines.send(&FromWorker::Log(line));
        }),
        models: models.map(|models| Arc::new(models.clone()) as Arc<dyn AnswerModels>),
        ..HostSettings::default()
    };
    Host::new(settings).map_err(|source| WorkerError::Host { source: Box::new(source) })
}

/// Asks the judges, tells the lab, and gives a matrix for every game of the group.
pub(crate) fn judge_games(
    group: &GroupPlan,
    (host, models): (&Host, &Models),
    outgoing: &Outgoing,
    stop: &Stop,
) -> Result<Vec<PreferenceMatrix>, WorkerError> {
    let mut judged: Vec<(usize, GameVerdicts)> = Vec::new();
    let mut matrices = Vec::with_capacity(group.games.len());
    for (index, game) in group.games.iter().enumerate() {
        let known = judged.iter().position(|(first, _)| is_same_question(&group.games[*first], game));
        let position = known.unwrap_or(judged.len());
        if known.is_none() {
            judged.push((index, judge(group, index, (host, stop, models), outgoing)?));
        }
        let found = &judged[position].1;
        let probabilities = found.verdicts.iter().map(|verdict| verdict.probability).collect();
        let matrix = PreferenceMatrix::new(game.actions.len(), probabilities);
        matrices.push(matrix.map_err(|source| WorkerError::Matrix { number: index + 1, source })?);
        tell(group, index, found, outgoing)?;
    }
    Ok(matrices)
}

/// Sends verdicts in messages of bounded size.
fn tell(group: &GroupPlan, game: usize, found: &GameVerdicts, outgoing: &Outgoing) -> Result<(), WorkerError> {
    let runs: Vec<i64> = group.runs.iter().filter(|run| run.game == game).map(|run| run.run).collect();
    let actions: Vec<String> = group.games[game].actions.iter().map(|action| action.name.clone()).collect();
    let mut first = 0;
    for verdicts in portions(&found.verdicts) {
        // Said with the first portion.
        let attributes_dropped = if first == 0 { found.attributes_dropped } else { 0 };
        let (runs, actions, verdicts) = (runs.clone(), actions.clone(), verdicts.to_vec());
        let count = verdicts.len();
        outgoing.report(GameJudged { game, runs, actions, first, verdicts, attributes_dropped })?;
        first += count;
    }
    Ok(())
}

/// Verdicts of one message.
const VERDICTS_MAX: usize = 1 << 16;
/// Bytes of their attributes, beyond which a message ends.
const ATTRIBUTE_BYTES_MAX: usize = 16 << 20;

fn portions(verdicts: &[PairVerdict]) -> Vec<&[PairVerdict]> {
    let bytes = |verdict: &PairVerdict| -> usize {
        verdict.attributes.iter().map(|attribute| attribute.name.len() + attribute.reason.len() + 32).sum()
    };
    let (mut portions, mut start, mut sum) = (Vec::new(), 0, 0);
    for (index, verdict) in verdicts.iter().enumerate() {
        let own = bytes(verdict);
        if index > start && (index - start == VERDICTS_MAX || sum + own > ATTRIBUTE_BYTES_MAX) {
            portions.push(&verdicts[start..index]);
            (start, sum) = (index, 0);
        }
        sum += own;
    }
    portions.push(&verdicts[start..]);
    portions
}

/// Whether a judge would be asked the same: what it is not told of (references, counts) does not matter.
fn is_same_question(one: &GamePlan, other: &GamePlan) -> bool {
    one.judge == other.judge
        && one.prompt == other.prompt
        && one.metadata == other.metadata
        && one.actions == other.actions
}

fn judge(
    group: &GroupPlan,
    index: usize,
    (host, stop, models): (&Host, &Stop, &Models),
    outgoing: &Outgoing,
) -> Result<GameVerdicts, WorkerError> {
    let game = &group.games[index];
    let failed = |source| WorkerError::Judge { number: index + 1, source: Box::new(source) };
    let preference = host.preference(&game.judge.plugin).map_err(failed)?;
    let working = stop.judge_works(game.judge.plugin.deadline_ms());
    let asked = || judge_game(&preference, game);
    let verdicts = if game.judge.plugin.asks_on_device() { models.serve(asked) } else { asked() }.map_err(failed)?;
    drop(working);
    let served =
        group.runs.iter().filter(|run| group.games.get(run.game).is_some_and(|own| is_same_question(own, game)));
    let runs: Vec<i64> = served.map(|run| run.run).collect();
    for usage in preference.usage("judge", &runs) {
        outgoing.report(usage)?;
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use slhf_plan::VerdictAttribute;

    use super::*;

    #[test]
    fn a_message_has_a_bounded_size_and_all_of_them_all_verdicts() {
        let check = |count: usize, reason: usize, expect: &[usize]| {
            let attribute = VerdictAttribute { name: String::new(), value: 0.5, reason: "r".repeat(reason) };
            let attributes = if reason == 0 { Vec::new() } else { vec![attribute] };
            let verdicts = vec![PairVerdict { probability: 0.5, attributes }; count];
            let sizes: Vec<usize> = portions(&verdicts).iter().map(|portion| portion.len()).collect();
            assert_eq!(sizes, expect, "{count} verdicts with reasons of {reason} bytes");
        };
        check(4, 0, &[4]);
        check(VERDICTS_MAX + 1, 0, &[VERDICTS_MAX, 1]);
        check(5, 6 << 20, &[2, 2, 1]);
        check(2, 20 << 20, &[1, 1]);
    }
}

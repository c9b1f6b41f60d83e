//! The judges of a group: every distinct game is judged once.

use std::num::NonZeroUsize;

use slhf_game::PreferenceMatrix;
use slhf_judge::{Host, HostSettings, LogSink, judge_game};
use slhf_plan::{FromWorker, GameJudged, GamePlan, GroupPlan, PairVerdict};

use crate::error::WorkerError;
use crate::outgoing::Outgoing;
use crate::stopping::Stop;

/// A plugin host whose plugins' lines go to the lab.
pub(crate) fn host(threads: u32, outgoing: &Outgoing) -> Result<Host, WorkerError> {
    let lines = outgoing.clone();
    let settings = HostSettings {
        threads: NonZeroUsize::new(threads as usize).unwrap_or(NonZeroUsize::MIN),
        log: LogSink::new(move |line| {
            // If the lab is gone, the listener ends the process; a line more or less is all the same.
            let _ = lines.send(&FromWorker::Log(line));
        }),
        ..HostSettings::default()
    };
    Host::new(settings).map_err(|source| WorkerError::Host { source: Box::new(source) })
}

/// Asks the judges, tells the lab, and gives a matrix for every game of the group.
pub(crate) fn judge_games(
    group: &GroupPlan,
    host: &Host,
    outgoing: &Outgoing,
    stop: &Stop,
) -> Result<Vec<PreferenceMatrix>, WorkerError> {
    let mut judged: Vec<(usize, Vec<PairVerdict>)> = Vec::new();
    let mut matrices = Vec::with_capacity(group.games.len());
    for (index, game) in group.games.iter().enumerate() {
        let known = judged.iter().position(|(first, _)| is_same_question(&group.games[*first], game));
        let position = known.unwrap_or(judged.len());
        if known.is_none() {
            judged.push((index, judge(group, index, (host, stop), outgoing)?));
        }
        let verdicts = judged[position].1.clone();
        let probabilities = verdicts.iter().map(|verdict| verdict.probability).collect();
        let matrix = PreferenceMatrix::new(game.actions.len(), probabilities);
        matrices.push(matrix.map_err(|source| WorkerError::Matrix { number: index + 1, source })?);
        outgoing.send(&FromWorker::GameJudged(GameJudged { game: index, verdicts }))?;
    }
    Ok(matrices)
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
    (host, stop): (&Host, &Stop),
    outgoing: &Outgoing,
) -> Result<Vec<PairVerdict>, WorkerError> {
    let game = &group.games[index];
    let failed = |source| WorkerError::Judge { number: index + 1, source: Box::new(source) };
    let preference = host.preference(&game.judge.plugin).map_err(failed)?;
    let working = stop.judge_works(game.judge.plugin.deadline_ms());
    let verdicts = judge_game(&preference, game).map_err(failed)?;
    drop(working);
    let served =
        group.runs.iter().filter(|run| group.games.get(run.game).is_some_and(|own| is_same_question(own, game)));
    let runs: Vec<i64> = served.map(|run| run.run).collect();
    for usage in preference.usage("judge", &runs) {
        outgoing.send(&FromWorker::PluginUse(usage))?;
    }
    Ok(verdicts)
}

//! Steps of which nothing can be learned, because all that was judged came out alike: counted by run, said once in the end.

use std::collections::BTreeMap;

use slhf_plan::{CompletionRow, GameJudged, MetricKey, MetricsBatch};

/// What was seen of the runs of a batch group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NothingToLearn {
    /// Of each run: steps of which nothing is learned, and steps in all.
    steps: BTreeMap<i64, (u64, u64)>,
    /// Of each run: recorded steps in which every verdict is a tie, and recorded steps with verdicts in all.
    recorded: BTreeMap<i64, (u64, u64)>,
    /// Runs of games in which every pair is a tie.
    tied: Vec<i64>,
}

impl NothingToLearn {
    /// Metrics came: in some steps every prompt's completions all have one reward.
    pub(super) fn hear_metrics(&mut self, batch: &MetricsBatch) {
        let Some(column) = batch.keys.iter().position(|key| key == MetricKey::FracRewardZeroStd.name()) else { return };
        for (row, run) in batch.runs.iter().enumerate() {
            let Some(share) = batch.values.get(row * batch.keys.len() + column).filter(|share| share.is_finite())
            else {
                continue;
            };
            let (alike, all) = self.steps.entry(*run).or_default();
            *alike += u64::from(*share >= 1.0);
            *all += 1;
        }
    }

    /// Completions of a step came, with what the judge said of them.
    pub(super) fn hear_completions(&mut self, rows: &[CompletionRow]) {
        let trained = || rows.iter().filter(|row| !row.role.is_held_out);
        let of_pairs = trained().flat_map(|row| &row.verdicts).filter_map(|verdict| verdict.outcome.as_ref().ok());
        let said: Vec<f64> =
            trained().filter_map(|row| row.probability).chain(of_pairs.map(|said| said.probability)).collect();
        let Some(run) = trained().next().map(|row| row.run).filter(|_| !said.is_empty()) else { return };
        let (tied, all) = self.recorded.entry(run).or_default();
        *tied += u64::from(said.iter().all(|probability| *probability == 0.5));
        *all += 1;
    }

    /// A game was judged: every action may beat every other half of the time.
    pub(super) fn hear_game(&mut self, game: &GameJudged) {
        if game.actions.len() > 1 && game.verdicts.iter().all(|verdict| verdict.probability == 0.5) {
            self.tied.extend(&game.runs);
        }
    }

    /// A sentence a run.
    pub(super) fn warnings(&self) -> Vec<String> {
        let of_steps = self.steps.iter().filter(|(_, (alike, _))| *alike > 0).map(|(run, (alike, all))| {
            format!(
                "run {run}: in {alike} of {all} steps all responses to a prompt had the same reward, so that nothing was \
                 learned from them: look at `slhf-lab samples {run}`, and at what the judge tells apart"
            )
        });
        let is_told = |run: &i64| self.steps.get(run).is_some_and(|(alike, _)| *alike > 0);
        let of_verdicts = self.recorded.iter().filter(|(run, (tied, _))| *tied > 0 && !is_told(run));
        let of_verdicts = of_verdicts.map(|(run, (tied, all))| {
            format!(
                "run {run}: in {tied} of the {all} steps whose responses are recorded every verdict is 1/2, so that nothing was \
                 learned from them: look at `slhf-lab samples {run}`, and at what the judge tells apart"
            )
        });
        let tied = self.tied.iter().map(|run| {
            format!(
                "run {run}: every verdict of the judge is 1/2, so that there is nothing to learn: look at the judge"
            )
        });
        of_steps.chain(of_verdicts).chain(tied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_by_run_and_said_once() {
        let mut seen = NothingToLearn::default();
        let batch = |runs: &[i64], values: &[f64]| MetricsBatch {
            keys: vec!["rewards/mean".into(), "frac_reward_zero_std".into()],
            runs: runs.to_vec(),
            steps: vec![1; runs.len()],
            values: values.to_vec(),
        };
        seen.hear_metrics(&batch(&[3, 4], &[0.5, 1.0, 0.5, 0.5]));
        seen.hear_metrics(&batch(&[3, 3, 3], &[0.5, 1.0, 0.5, 0.0, 0.5, f64::NAN]));
        seen.hear_metrics(&MetricsBatch::default());
        let warnings = seen.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("run 3: in 2 of 3 steps "), "{warnings:?}");
    }
}

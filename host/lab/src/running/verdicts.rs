//! Verdicts on games that come in several reports, because they are many: the record gets them whole.

use std::collections::BTreeMap;

use slhf_plan::GameJudged;

/// What was heard of games of which more is to come, by their places in the plan.
#[derive(Debug, Default)]
pub(super) struct Verdicts(BTreeMap<usize, GameJudged>);

impl Verdicts {
    /// Adds a portion to those before it; the last one becomes the whole game, and `true` is said. `runs`: the group's own. An
    /// error is the end of a sentence about the worker.
    pub(super) fn join(&mut self, portion: &mut GameJudged, runs: &[i64]) -> Result<bool, &'static str> {
        if portion.runs.iter().any(|run| !runs.contains(run)) {
            return Err("judged a game for runs that are not its own");
        }
        let expected = portion.actions.len().saturating_mul(portion.actions.len());
        let known = self.0.entry(portion.game).or_insert_with(|| GameJudged {
            game: portion.game,
            runs: portion.runs.clone(),
            actions: portion.actions.clone(),
            ..GameJudged::default()
        });
        let is_next = portion.first == known.verdicts.len() && portion.verdicts.len() + portion.first <= expected;
        if !is_next || portion.actions != known.actions || portion.runs != known.runs {
            return Err("told verdicts on a game out of their order");
        }
        known.verdicts.append(&mut portion.verdicts);
        known.attributes_dropped += portion.attributes_dropped;
        if known.verdicts.len() < expected {
            return Ok(false);
        }
        if let Some(whole) = self.0.remove(&portion.game) {
            *portion = whole;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use slhf_plan::PairVerdict;

    use super::*;

    fn portion(first: usize, probabilities: &[f64]) -> GameJudged {
        let verdict = |probability: &f64| PairVerdict { probability: *probability, attributes: Vec::new() };
        GameJudged {
            game: 3,
            runs: vec![7],
            actions: vec!["rock".to_owned(), "paper".to_owned()],
            first,
            verdicts: probabilities.iter().map(verdict).collect(),
            attributes_dropped: 1,
        }
    }

    #[test]
    fn portions_become_one_game() {
        let mut verdicts = Verdicts::default();
        let (mut one, mut two) = (portion(0, &[0.5, 0.0, 1.0]), portion(3, &[0.5]));
        assert_eq!(verdicts.join(&mut one, &[6, 7]), Ok(false));
        assert_eq!(verdicts.join(&mut two, &[6, 7]), Ok(true));
        assert_eq!(two, GameJudged { attributes_dropped: 2, ..portion(0, &[0.5, 0.0, 1.0, 0.5]) });
        // Nothing is left: the same game can be told again.
        assert_eq!(verdicts.join(&mut portion(0, &[0.5, 0.0, 1.0, 0.5]), &[7]), Ok(true));
    }

    #[test]
    fn a_worker_that_tells_nonsense_is_stopped() {
        let mut verdicts = Verdicts::default();
        let refused = |verdicts: &mut Verdicts, mut portion: GameJudged, runs: &[i64]| {
            verdicts.join(&mut portion, runs).expect_err("nonsense")
        };
        assert!(refused(&mut verdicts, portion(0, &[0.5]), &[8]).contains("not its own"));
        assert!(refused(&mut verdicts, portion(1, &[0.5]), &[7]).contains("order"));
        assert!(refused(&mut verdicts, portion(0, &[0.5; 5]), &[7]).contains("order"));
    }
}

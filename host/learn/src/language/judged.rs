//! What the judging of a round leaves: which answers can be trained on, with their rewards, and what was asked.

use super::group::AnswerOutcome;
use super::loss::Loss;
use super::playing::Played;
use super::settings::Settings;
use super::stackelberg_gda::PairOutcome;
use super::traits::Answer;

/// What an answer is rewarded with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Return {
    /// (`s_L`, `s_F`)
    Pair(f64, f64),
    /// Of two turns, with the rewards of both answers as they are.
    Turns(PairOutcome, [f64; 2]),
    /// Of a method with one policy, with the baseline that its prompt's other answers make.
    Answer(AnswerOutcome),
    /// Of a method with one policy, against an opponent: its baseline is the control variate's.
    Versus(f64),
}

/// What the judge said of one round.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Indices of the round's samples that can be trained on, with their value.
    pub(crate) kept: Vec<(usize, Return)>,
    pub(crate) asked: u64,
    pub(crate) failed: u64,
    /// The first failure.
    pub(crate) first: Option<String>,
    /// Verdicts and their sum, for the metrics.
    pub(crate) verdicts: (u64, f64),
    /// Floating-point operations of a reward model.
    pub(crate) operations: f64,
}

impl Judged {
    pub(crate) fn take<T>(&mut self, verdict: Result<T, String>) -> Option<T> {
        self.asked += 1;
        match verdict {
            Ok(verdict) => Some(verdict),
            Err(why) => {
                self.failed += 1;
                self.first.get_or_insert(why);
                None
            }
        }
    }

    pub(crate) fn count(&mut self, probability: f64) {
        self.verdicts.0 += 1;
        self.verdicts.1 += probability;
    }

    /// Drops the groups of which fewer than two samples are left; how many.
    pub(crate) fn drop_lone(&mut self, played: &[Played<'_>]) -> u64 {
        let mut sizes: std::collections::BTreeMap<usize, usize> = played.iter().map(|one| (one.group, 0)).collect();
        for (index, _) in &self.kept {
            *sizes.entry(played[*index].group).or_default() += 1;
        }
        self.kept.retain(|(index, _)| sizes[&played[*index].group] >= 2);
        sizes.values().filter(|size| **size < 2).count() as u64
    }

    /// Drops the groups in which all rewards are equal.
    pub(crate) fn drop_constant(&mut self, played: &[Played<'_>]) {
        let of = |entry: &(usize, Return)| played[entry.0].group;
        let groups = self.kept.chunk_by(|first, second| of(first) == of(second));
        self.kept = groups.filter(|group| !is_constant(group)).flatten().copied().collect();
    }
}

/// Whether all samples of a group have the same reward, to the bit.
pub(crate) fn is_constant(group: &[(usize, Return)]) -> bool {
    let reward = |(_, value): &(usize, Return)| match value {
        Return::Pair(leader, _) => [*leader, 0.0],
        Return::Turns(_, rewards) => *rewards,
        Return::Answer(AnswerOutcome { reward, .. }) | Return::Versus(reward) => [*reward, 0.0],
    };
    group.iter().all(|entry| reward(entry) == reward(&group[0]))
}

/// What an answer loses of its reward by its length, and because it did not end.
pub(crate) fn penalty(settings: &Settings, answer: &Answer) -> f64 {
    let of_length = match &settings.loss {
        Loss::Group(loss, _) => loss.length_penalty(answer.tokens.len()),
        Loss::Stackelberg(_) | Loss::TwoTurns(..) | Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => 0.0,
    };
    of_length + if answer.finished { 0.0 } else { settings.training.missing_eos_penalty }
}

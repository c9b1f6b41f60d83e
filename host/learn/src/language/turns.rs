//! What the two answers of a sample are rewarded with, of a method with two turns.

use slhf_plan::Labels;
use slhf_random::{Purpose, Stream};

use super::asking::{compare, draw};
use super::failure::StepError;
use super::judged::{Judged, Return, penalty};
use super::loss::RewardSource;
use super::playing::{Moment, Played};
use super::reward_model::{RewardModel, Rewards};
use super::score::{JudgedTurns, ScoreLoss, TurnLabels, turns_from_labels, turns_from_rewards};
use super::settings::Settings;
use super::traits::{Answer, Candidate, Comparison, PairJudge, Players, Prompt, Reward, Verdict};
use crate::derivatives::label;

/// Asks for the rewards of a round.
pub(crate) fn judge(
    players: &mut Players<'_>,
    settings: &Settings,
    (loss, source): (&ScoreLoss, &RewardSource),
    reward_model: Option<&RewardModel>,
    (played, at): (&mut [Played<'_>], Moment),
) -> Result<Judged, StepError> {
    let turns = Turns { settings, loss, at };
    match source {
        RewardSource::Plugin => turns.by_plugin(&mut *players.judge, played),
        RewardSource::Fitted(_) => {
            let model = reward_model.ok_or(StepError::NoRewardModel)?;
            turns.by_model(players, model, played)
        }
        // A mixture is Nash-MD's opponent: here the opponents are the other samples.
        RewardSource::Verdicts | RewardSource::Mixture(_) => turns.by_verdicts(&mut *players.judge, played),
    }
}

struct Turns<'a> {
    settings: &'a Settings,
    loss: &'a ScoreLoss,
    at: Moment,
}

/// y and y'.
fn both<'a>(played: &'a Played<'_>) -> Result<[&'a Answer; 2], StepError> {
    let second = played.follower.as_ref();
    let second = second.ok_or(StepError::Count { what: "second responses", found: 0, expected: 1 })?;
    Ok([&played.leader, second])
}

impl Turns<'_> {
    fn by_plugin(&self, judge: &mut dyn PairJudge, played: &mut [Played<'_>]) -> Result<Judged, StepError> {
        let mut candidates = Vec::with_capacity(2 * played.len());
        for one in played.iter() {
            for (answer, stream) in both(one)?.into_iter().zip([Stream::Leader, Stream::Follower]) {
                let draw = draw(self.settings.seed, one.row(Purpose::RewardDraw, stream, self.at), 0);
                candidates.push(Candidate { prompt: one.prompt, answer, draw });
            }
        }
        let rewards = judge.score(&candidates).map_err(StepError::Judge)?;
        if rewards.len() != candidates.len() {
            return Err(StepError::Verdicts { what: "rewards", found: rewards.len(), expected: candidates.len() });
        }
        drop(candidates);
        let mut judged = Judged::default();
        let mut rewarded = Vec::with_capacity(played.len());
        let mut rewards = rewards.into_iter();
        for (index, one) in played.iter_mut().enumerate() {
            let [first, second] = [(); 2].map(|()| rewards.next());
            (one.reward, one.second_reward) = (first.clone(), second.clone());
            let values = [first, second].map(|said| said.and_then(|said| judged.take(said)).map(|said| said.value));
            let [Some(first), Some(second)] = values else { continue };
            if let Some(value) = [first, second].into_iter().find(|value| !value.is_finite()) {
                let prompt = one.prompt.id;
                return Err(StepError::Verdict { what: "reward", prompt, value, expected: "a finite number" });
            }
            rewarded.push((index, [first, second]));
        }
        judged.kept = self.returns(played, &rewarded)?;
        Ok(judged)
    }

    fn by_model(
        &self,
        players: &mut Players<'_>,
        model: &RewardModel,
        played: &mut [Played<'_>],
    ) -> Result<Judged, StepError> {
        let mut answers: Vec<(&Prompt, &Answer)> = Vec::with_capacity(2 * played.len());
        for one in played.iter() {
            answers.extend(both(one)?.map(|answer| (one.prompt, answer)));
        }
        let Rewards { values, operations } = model.rewards(&mut *players.policies, self.settings, &answers)?;
        drop(answers);
        let (pairs, _) = values.as_chunks::<2>();
        for (one, [first, second]) in played.iter_mut().zip(pairs) {
            let reward = |value| Some(Ok(Reward { value, attributes: Vec::new() }));
            (one.reward, one.second_reward) = (reward(*first), reward(*second));
        }
        let rewarded: Vec<(usize, [f64; 2])> = pairs.iter().copied().enumerate().collect();
        Ok(Judged { kept: self.returns(played, &rewarded)?, operations, ..Judged::default() })
    }

    /// What samples with rewards (by their place in the round, in order) get beside the others of their prompts.
    fn returns(
        &self,
        played: &[Played<'_>],
        rewarded: &[(usize, [f64; 2])],
    ) -> Result<Vec<(usize, Return)>, StepError> {
        let mut kept = Vec::with_capacity(rewarded.len());
        let group = |entry: &(usize, [f64; 2])| played[entry.0].group;
        for entries in rewarded.chunk_by(|first, second| group(first) == group(second)) {
            let mut rewards = Vec::with_capacity(entries.len());
            for (index, [first, second]) in entries {
                let [lost, lost_second] = self.penalties(&played[*index])?;
                rewards.push([first - lost, second - lost_second]);
            }
            let turns = turns_from_rewards(&rewards);
            kept.extend(entries.iter().zip(turns).map(|((index, _), turns)| (*index, self.credited(&turns))));
        }
        Ok(kept)
    }

    fn credited(&self, turns: &JudgedTurns) -> Return {
        let outcome = self.loss.outcome(self.loss.stage(self.at.step), turns);
        Return::Turns(outcome, [turns.rewards.first, turns.rewards.second])
    }

    fn penalties(&self, played: &Played<'_>) -> Result<[f64; 2], StepError> {
        Ok(both(played)?.map(|answer| penalty(self.settings, answer)))
    }

    /// First answers among each other, and second ones against all first ones, in both orders.
    fn by_verdicts(&self, judge: &mut dyn PairJudge, played: &mut [Played<'_>]) -> Result<Judged, StepError> {
        let k = self.settings.training.num_generations as usize;
        let mut comparisons = Vec::with_capacity(played.len() * (3 * k - 1));
        for group in played.chunks_exact(k) {
            self.ask(group, &mut comparisons)?;
        }
        let mut verdicts = compare(judge, &comparisons)?.into_iter();
        drop(comparisons);
        let mut judged = Judged::default();
        for (number, members) in played.chunks_exact_mut(k).enumerate() {
            let mut penalties = Vec::with_capacity(k);
            for member in members.iter() {
                penalties.push(self.penalties(member)?);
            }
            let heard = Heard::of(&mut verdicts, &mut judged, members);
            let labels = TurnLabels { first: &heard.first, second: &heard.second, penalties: &penalties };
            for (index, turns) in turns_from_labels(&labels).into_iter().enumerate() {
                let (Some(turns), Some(won)) = (turns, heard.second[index * k + index]) else { continue };
                judged.kept.push((number * k + index, self.credited(&turns)));
                judged.count(1.0 - won);
            }
        }
        Ok(judged)
    }

    /// In the order in which [`Heard::of`] hears the replies.
    fn ask<'b>(&self, group: &'b [Played<'_>], comparisons: &mut Vec<Comparison<'b>>) -> Result<(), StepError> {
        let k = group.len();
        let drawn = |one: &Played<'_>, stream, opponent: usize| {
            draw(self.settings.seed, one.row(Purpose::Draw, stream, self.at), opponent as u32)
        };
        for (i, one) in group.iter().enumerate() {
            let [first, second] = both(one)?;
            for (j, other) in group.iter().enumerate() {
                let (prompt, against) = (one.prompt, &other.leader);
                if i != j {
                    let draw = drawn(one, Stream::Leader, j);
                    comparisons.push(Comparison { prompt, first, second: against, draw });
                }
                let draw = drawn(one, Stream::Follower, j);
                comparisons.push(Comparison { prompt, first: second, second: against, draw });
                // Beyond the numbers of the first answers among each other.
                let draw = drawn(other, Stream::Leader, k + i);
                comparisons.push(Comparison { prompt, first: against, second, draw });
            }
        }
        Ok(())
    }
}

/// Labels of one prompt's samples.
struct Heard {
    first: Vec<Option<f64>>,
    second: Vec<Option<f64>>,
}

impl Heard {
    fn of(
        verdicts: &mut impl Iterator<Item = Result<Verdict, String>>,
        judged: &mut Judged,
        members: &mut [Played<'_>],
    ) -> Self {
        let k = members.len();
        let mut among = vec![None; k * k];
        let mut second = vec![None; k * k];
        for (i, member) in members.iter_mut().enumerate() {
            for j in 0..k {
                let mut next = || verdicts.next().and_then(|verdict| judged.take(verdict));
                if i != j {
                    among[i * k + j] = next().map(|verdict| verdict.probability);
                }
                let (verdict, reversed) = (next(), next());
                let both = verdict.as_ref().zip(reversed.as_ref());
                second[i * k + j] =
                    both.map(|(verdict, reversed)| label(verdict.probability, reversed.probability, Labels::Soft));
                if i == j {
                    member.verdict = reversed;
                }
            }
        }
        let of_first = |i: usize, j: usize| Some(label(among[i * k + j]?, among[j * k + i]?, Labels::Soft));
        let first = (0..k).flat_map(|i| (0..k).map(move |j| (i, j))).map(|(i, j)| of_first(i, j)).collect();
        Self { first, second }
    }
}

//! What the answers of a round are rewarded with: by the judge's verdicts, by a reward plugin, or by a reward model.

use slhf_plan::Labels;
use slhf_random::{Purpose, Stream};

use super::asking::{compare, draw};
use super::failure::StepError;
use super::group::GroupLoss;
use super::judged::{Judged, Return, penalty};
use super::loss::{Loss, RewardSource};
use super::playing::{Moment, Played};
use super::reward_model::{RewardModel, Rewards};
use super::settings::Settings;
use super::traits::{Answer, Candidate, Comparison, LanguagePolicies, PairJudge, Players, Prompt, Reward};
use super::turns;
use crate::derivatives::label;

/// Asks the judge of a round.
pub(crate) fn judge(
    players: &mut Players<'_>,
    settings: &Settings,
    reward_model: Option<&RewardModel>,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let judge = &mut *players.judge;
    match &settings.loss {
        Loss::Stackelberg(loss) => {
            let value = |probability, played: &Played<'_>| {
                let (leader, follower) = loss.scores(probability, &played.pair());
                Return::Pair(leader, follower)
            };
            judge_pairs(judge, settings, value, played, at)
        }
        Loss::TwoTurns(loss, source) => turns::judge(players, settings, (loss, source), reward_model, (played, at)),
        Loss::Group(_, RewardSource::Mixture(_)) => judge_versus(judge, settings, played, at),
        Loss::Group(loss, RewardSource::Plugin) => judge_rewards(judge, settings, loss.as_ref(), played, at),
        Loss::Group(loss, RewardSource::Fitted(_)) => {
            let model = reward_model.ok_or(StepError::NoRewardModel)?;
            model_rewards(players.policies, settings, (loss.as_ref(), model), played)
        }
        Loss::Group(loss, RewardSource::Verdicts) => judge_groups(judge, settings, loss.as_ref(), played, at),
        Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => Ok(Judged::default()),
    }
}

/// Answers with the Follower's to them. The Leader's stands first: it is the game that one is seen and the other answers.
fn judge_pairs(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    value: impl Fn(f64, &Played<'_>) -> Return,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let comparisons: Vec<Comparison<'_>> = played
        .iter()
        .filter_map(|played| {
            let draw = draw(settings.seed, played.row(Purpose::Draw, Stream::Leader, at), 0);
            let second = played.follower.as_ref()?;
            Some(Comparison { prompt: played.prompt, first: &played.leader, second, draw })
        })
        .collect();
    let verdicts = compare(judge, &comparisons)?;
    drop(comparisons);
    let mut judged = Judged::default();
    for (index, (played, verdict)) in played.iter_mut().zip(verdicts).enumerate() {
        if let Some(verdict) = judged.take(verdict) {
            judged.kept.push((index, value(verdict.probability, played)));
            judged.count(verdict.probability);
            played.verdict = Some(verdict);
        }
    }
    Ok(judged)
}

/// Answers against their opponents, in both orders: an opponent's place in the prompt counts for nothing. Where one order
/// failed the answer is left out; the other alone would give another number.
fn judge_versus(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let mut comparisons = Vec::with_capacity(2 * played.len());
    for played in played.iter() {
        let Some(opponent) = &played.opponent else { continue };
        let (prompt, row) = (played.prompt, played.row(Purpose::Draw, Stream::Leader, at));
        for (order, (first, second)) in [(&played.leader, opponent), (opponent, &played.leader)].into_iter().enumerate()
        {
            comparisons.push(Comparison { prompt, first, second, draw: draw(settings.seed, row, order as u32) });
        }
    }
    let verdicts = compare(judge, &comparisons)?;
    drop(comparisons);
    let mut verdicts = verdicts.into_iter();
    let mut judged = Judged::default();
    let with_opponents = played.iter_mut().enumerate().filter(|(_, played)| played.opponent.is_some());
    for (index, played) in with_opponents {
        let both = [(); 2].map(|()| verdicts.next().and_then(|verdict| judged.take(verdict)));
        if let [Some(verdict), Some(reversed)] = both {
            let won = label(verdict.probability, reversed.probability, Labels::Soft);
            judged.kept.push((index, Return::Versus(won - penalty(settings, &played.leader))));
            judged.count(won);
            played.verdict = Some(verdict);
        }
    }
    Ok(judged)
}

fn judge_rewards(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    loss: &dyn GroupLoss,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let drawn = |played: &Played<'_>| draw(settings.seed, played.row(Purpose::RewardDraw, Stream::Leader, at), 0);
    let candidates: Vec<Candidate<'_>> = played
        .iter()
        .map(|played| Candidate { prompt: played.prompt, answer: &played.leader, draw: drawn(played) })
        .collect();
    let rewards = judge.score(&candidates).map_err(StepError::Judge)?;
    if rewards.len() != candidates.len() {
        return Err(StepError::Verdicts { what: "rewards", found: rewards.len(), expected: candidates.len() });
    }
    let mut judged = Judged::default();
    let mut rewarded = Vec::with_capacity(candidates.len());
    drop(candidates);
    for (index, (played, said)) in played.iter_mut().zip(rewards).enumerate() {
        played.reward = Some(said.clone());
        let Some(Reward { value: reward, .. }) = judged.take(said) else { continue };
        if !reward.is_finite() {
            let prompt = played.prompt.id;
            return Err(StepError::Verdict { what: "reward", prompt, value: reward, expected: "a finite number" });
        }
        rewarded.push((index, reward));
    }
    judged.kept = returns(settings, loss, played, &rewarded);
    Ok(judged)
}

/// The rewards of a model that was fit before the first step: nobody is asked.
fn model_rewards(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    (loss, model): (&dyn GroupLoss, &RewardModel),
    played: &mut [Played<'_>],
) -> Result<Judged, StepError> {
    let answers: Vec<(&Prompt, &Answer)> = played.iter().map(|played| (played.prompt, &played.leader)).collect();
    let Rewards { values, operations } = model.rewards(policies, settings, &answers)?;
    drop(answers);
    for (played, value) in played.iter_mut().zip(&values) {
        played.reward = Some(Ok(Reward { value: *value, attributes: Vec::new() }));
    }
    let rewarded: Vec<(usize, f64)> = values.into_iter().enumerate().collect();
    let kept = returns(settings, loss, played, &rewarded);
    Ok(Judged { kept, operations, ..Judged::default() })
}

/// What answers with rewards (by their place in the round, in order) get beside the others of their prompts.
fn returns(
    settings: &Settings,
    loss: &dyn GroupLoss,
    played: &[Played<'_>],
    rewarded: &[(usize, f64)],
) -> Vec<(usize, Return)> {
    let mut kept = Vec::with_capacity(rewarded.len());
    let group = |entry: &(usize, f64)| played[entry.0].group;
    for entries in rewarded.chunk_by(|first, second| group(first) == group(second)) {
        let reward = |&(index, reward): &(usize, f64)| reward - penalty(settings, &played[index].leader);
        let rewards: Vec<f64> = entries.iter().map(reward).collect();
        let outcomes = loss.outcomes_of_rewards(&rewards);
        kept.extend(entries.iter().zip(outcomes).map(|(&(index, _), outcome)| (index, Return::Answer(outcome))));
    }
    kept
}

/// All ordered pairs of answers of each prompt.
fn judge_groups(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    loss: &dyn GroupLoss,
    played: &[Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let k = settings.training.num_generations as usize;
    let mut comparisons = Vec::with_capacity(played.len() * (k - 1));
    for group in played.chunks_exact(k) {
        for (i, first) in group.iter().enumerate() {
            for (j, second) in group.iter().enumerate().filter(|(j, _)| *j != i) {
                let draw = draw(settings.seed, first.row(Purpose::Draw, Stream::Leader, at), j as u32);
                comparisons.push(Comparison {
                    prompt: first.prompt,
                    first: &first.leader,
                    second: &second.leader,
                    draw,
                });
            }
        }
    }
    let verdicts = compare(judge, &comparisons)?;
    drop(comparisons);
    let mut verdicts = verdicts.into_iter();
    let mut judged = Judged::default();
    for (group, members) in played.chunks_exact(k).enumerate() {
        let mut matrix = vec![None; k * k];
        for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))).filter(|(i, j)| i != j) {
            let verdict = verdicts.next().and_then(|verdict| judged.take(verdict));
            if let Some(verdict) = verdict {
                judged.count(verdict.probability);
                matrix[i * k + j] = Some(verdict.probability);
            }
        }
        let penalties: Vec<f64> = members.iter().map(|member| penalty(settings, &member.leader)).collect();
        let outcomes = loss.outcomes(&matrix, &penalties);
        for (index, outcome) in outcomes.into_iter().enumerate() {
            if let Some(outcome) = outcome {
                judged.kept.push((group * k + index, Return::Answer(outcome)));
            }
        }
    }
    Ok(judged)
}

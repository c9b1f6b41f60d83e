//! One round of play: the Leader answers, the Follower answers it, the judge decides.

use slhf_random::{Purpose, Row};

use super::failure::StepError;
use super::group::{AnswerOutcome, GroupLoss};
use super::settings::{Loss, RewardSource, Settings};
use super::traits::{
    Answer, Comparison, Generation, LanguagePolicies, Pair, PairJudge, PolicyName, Prompt, Request, Verdict,
};

/// Where in a run something is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) step: u64,
    /// The update within the step: 0 is the one of both agents.
    pub(crate) round: u32,
}

/// One Leader sample with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Played<'a> {
    /// Answers of one prompt of the step have one number, and stand together.
    pub(crate) group: usize,
    pub(crate) prompt: &'a Prompt,
    pub(crate) sample: u16,
    pub(crate) leader: Answer,
    pub(crate) follower: Option<Answer>,
    /// What the Leader's answer is compared with where no Follower answers it; never trained on.
    pub(crate) opponent: Option<Answer>,
    /// `None`: not asked for, or failed.
    pub(crate) verdict: Option<Verdict>,
}

/// What an answer is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worth {
    /// (`s_L`, `s_F`)
    Pair(f64, f64),
    /// Of a method with one policy, with the baseline that its prompt's other answers make.
    Answer(AnswerOutcome),
    /// Of a method with one policy, against an opponent: its baseline is the control variate's.
    Versus(f64),
}

/// What the judge said of one round.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Indices of the round's samples that can be trained on, with their worth.
    pub(crate) kept: Vec<(usize, Worth)>,
    pub(crate) asked: u64,
    pub(crate) failed: u64,
    /// The first failure.
    pub(crate) first: Option<String>,
    /// Verdicts and their sum, for the metrics.
    pub(crate) verdicts: (u64, f64),
}

impl Played<'_> {
    pub(crate) fn pair(&self) -> Pair<'_> {
        Pair { prompt: self.prompt, leader: &self.leader, follower: self.follower.as_ref() }
    }

    fn row(&self, purpose: Purpose, role: u8, at: Moment) -> Row {
        Row { purpose, prompt: self.prompt.id, step: at.step as u32, role, round: at.round as u8, sample: self.sample }
    }
}

/// Samples `num_generations` Leader answers of every prompt, and a Follower's answer to each; with the floating-point
/// operations of it.
pub(crate) fn play<'a>(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    prompts: &[&'a Prompt],
    at: Moment,
) -> Result<(Vec<Played<'a>>, f64), StepError> {
    let mut operations = 0.0;
    let mut played = deal(settings, prompts);
    let policy = match &settings.loss {
        Loss::Group(loss, _) => loss.sampler(),
        Loss::Stackelberg(_) | Loss::Untrained => PolicyName::Leader,
    };
    let leaders = first_answers(policies, settings, &played, policy, (0, at))?;
    operations += leaders.operations;
    for (played, answer) in played.iter_mut().zip(leaders.answers) {
        played.leader = answer;
    }
    if let Loss::Group(_, RewardSource::Mixture(share)) = &settings.loss {
        let policy = PolicyName::Mixture { reference_share: share.at(at.step, settings.training.steps) };
        let opponents = first_answers(policies, settings, &played, policy, (2, at))?;
        operations += opponents.operations;
        for (played, answer) in played.iter_mut().zip(opponents.answers) {
            played.opponent = Some(answer);
        }
    }
    if !settings.has_follower() {
        return Ok((played, operations));
    }
    let followers = {
        let requests: Vec<Request<'_>> = played
            .iter()
            .map(|played| Request {
                policy: PolicyName::Follower,
                prompt: played.prompt,
                previous: Some(&played.leader),
                row: played.row(Purpose::TrainingTokens, 1, at),
            })
            .collect();
        sample(policies, &requests, settings, "sampling the Follower's answers")?
    };
    operations += followers.operations;
    for (played, answer) in played.iter_mut().zip(followers.answers) {
        played.follower = Some(answer);
    }
    Ok((played, operations))
}

/// An answer of `policy` to the prompt of each place, on the streams of `role`.
fn first_answers(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    played: &[Played<'_>],
    policy: PolicyName,
    (role, at): (u8, Moment),
) -> Result<Generation, StepError> {
    let request = |played: &Played<'_>| played.row(Purpose::TrainingTokens, role, at);
    let requests: Vec<Request<'_>> = played
        .iter()
        .map(|played| Request { policy, prompt: played.prompt, previous: None, row: request(played) })
        .collect();
    let doing = match policy {
        PolicyName::Leader => "sampling the Leader's answers",
        PolicyName::Follower => "sampling the Follower's answers",
        PolicyName::Reference => "sampling the reference's answers",
        PolicyName::Mixture { .. } => "sampling the mixture's answers",
    };
    sample(policies, &requests, settings, doing)
}

/// The places of a round, still without answers. A prompt that occurs twice (an epoch ends within the step) has further
/// samples the second time, not the same ones again.
fn deal<'a>(settings: &Settings, prompts: &[&'a Prompt]) -> Vec<Played<'a>> {
    let generations = settings.training.num_generations as usize;
    let nobody = Answer { tokens: [].into(), finished: false, text: "".into() };
    let mut played = Vec::with_capacity(prompts.len() * generations);
    for (group, &prompt) in prompts.iter().enumerate() {
        let before = prompts[..group].iter().filter(|other| other.id == prompt.id).count();
        for generation in 0..generations {
            let sample = (before * generations + generation) as u16;
            let leader = nobody.clone();
            played.push(Played { group, prompt, sample, leader, follower: None, opponent: None, verdict: None });
        }
    }
    played
}

fn sample(
    policies: &mut dyn LanguagePolicies,
    requests: &[Request<'_>],
    settings: &Settings,
    doing: &'static str,
) -> Result<Generation, StepError> {
    let generation = policies
        .generate(requests, settings.seed, &settings.training.sampling)
        .map_err(|source| StepError::Policies { doing, source })?;
    check_answers(requests, &generation.answers)?;
    Ok(generation)
}

/// One answer a request, none empty.
pub(crate) fn check_answers(requests: &[Request<'_>], answers: &[Answer]) -> Result<(), StepError> {
    if answers.len() != requests.len() {
        return Err(StepError::Count { what: "answers", found: answers.len(), expected: requests.len() });
    }
    match requests.iter().zip(answers).find(|(_, answer)| answer.tokens.is_empty()) {
        Some((request, _)) => Err(StepError::EmptyAnswer { prompt: request.prompt.id }),
        None => Ok(()),
    }
}

/// Asks the judge of a round.
pub(crate) fn judge(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    match &settings.loss {
        Loss::Stackelberg(loss) => {
            let worth = |probability, played: &Played<'_>| {
                let (leader, follower) = loss.scores(probability, &played.pair());
                Worth::Pair(leader, follower)
            };
            judge_pairs(judge, settings, worth, played, at)
        }
        Loss::Group(_, RewardSource::Mixture(_)) => {
            let worth =
                |probability, played: &Played<'_>| Worth::Versus(probability - penalty(settings, &played.leader));
            judge_pairs(judge, settings, worth, played, at)
        }
        Loss::Group(loss, RewardSource::Plugin) => judge_rewards(judge, settings, loss.as_ref(), played),
        Loss::Group(loss, RewardSource::Verdicts) => judge_groups(judge, settings, loss.as_ref(), played, at),
        Loss::Untrained => Ok(Judged::default()),
    }
}

fn judge_pairs(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    worth: impl Fn(f64, &Played<'_>) -> Worth,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let comparisons: Vec<Comparison<'_>> = played
        .iter()
        .filter_map(|played| {
            let draw = draw(settings.seed, played.row(Purpose::Draw, 0, at), 0);
            let second = played.follower.as_ref().or(played.opponent.as_ref())?;
            Some(Comparison { prompt: played.prompt, first: &played.leader, second, draw })
        })
        .collect();
    let verdicts = compare(judge, &comparisons)?;
    drop(comparisons);
    let mut judged = Judged::default();
    for (index, (played, verdict)) in played.iter_mut().zip(verdicts).enumerate() {
        if let Some(verdict) = judged.take(verdict) {
            judged.kept.push((index, worth(verdict.probability, played)));
            judged.count(verdict.probability);
            played.verdict = Some(verdict);
        }
    }
    Ok(judged)
}

fn judge_rewards(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    loss: &dyn GroupLoss,
    played: &[Played<'_>],
) -> Result<Judged, StepError> {
    let answers: Vec<(&Prompt, &Answer)> = played.iter().map(|played| (played.prompt, &played.leader)).collect();
    let rewards = judge.score(&answers).map_err(StepError::Judge)?;
    if rewards.len() != answers.len() {
        return Err(StepError::Verdicts { what: "rewards", found: rewards.len(), expected: answers.len() });
    }
    let mut judged = Judged::default();
    let mut by_group: Vec<(usize, Vec<(usize, f64)>)> = Vec::new();
    for (index, (played, reward)) in played.iter().zip(rewards).enumerate() {
        let Some(reward) = judged.take(reward) else { continue };
        if !reward.is_finite() {
            let prompt = played.prompt.id;
            return Err(StepError::Verdict { what: "reward", prompt, value: reward, expected: "a finite number" });
        }
        let entry = (index, reward - penalty(settings, &played.leader));
        match by_group.last_mut() {
            Some((group, entries)) if *group == played.group => entries.push(entry),
            _ => by_group.push((played.group, vec![entry])),
        }
    }
    for (_, entries) in by_group {
        let rewards: Vec<f64> = entries.iter().map(|(_, reward)| *reward).collect();
        let outcomes = loss.outcomes_of_rewards(&rewards);
        judged.kept.extend(entries.iter().zip(outcomes).map(|(&(index, _), outcome)| (index, Worth::Answer(outcome))));
    }
    Ok(judged)
}

/// All ordered pairs of answers of each prompt.
fn judge_groups(
    judge: &mut dyn PairJudge,
    settings: &Settings,
    loss: &dyn GroupLoss,
    played: &mut [Played<'_>],
    at: Moment,
) -> Result<Judged, StepError> {
    let k = settings.training.num_generations as usize;
    let mut comparisons = Vec::with_capacity(played.len() * (k - 1));
    for group in played.chunks_exact(k) {
        for (i, first) in group.iter().enumerate() {
            for (j, second) in group.iter().enumerate().filter(|(j, _)| *j != i) {
                let draw = draw(settings.seed, first.row(Purpose::Draw, 0, at), j as u32);
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
    for (group, members) in played.chunks_exact_mut(k).enumerate() {
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
        for (index, (member, outcome)) in members.iter_mut().zip(outcomes).enumerate() {
            if let Some(outcome) = outcome {
                let own: Vec<f64> = matrix[index * k..(index + 1) * k].iter().flatten().copied().collect();
                let probability = own.iter().sum::<f64>() / own.len().max(1) as f64;
                member.verdict = Some(Verdict { probability, attributes: Vec::new() });
                judged.kept.push((group * k + index, Worth::Answer(outcome)));
            }
        }
    }
    Ok(judged)
}

fn penalty(settings: &Settings, answer: &Answer) -> f64 {
    if answer.finished { 0.0 } else { settings.training.missing_eos_penalty }
}

/// The only randomness of a judge: a function of the pair's place in the run.
pub(crate) fn draw(seed: u64, row: Row, opponent: u32) -> u64 {
    row.draw(seed, opponent)
}

/// Verdicts in order, every probability in [0, 1].
pub(crate) fn compare(
    judge: &mut dyn PairJudge,
    comparisons: &[Comparison<'_>],
) -> Result<Vec<Result<Verdict, String>>, StepError> {
    let verdicts = judge.compare(comparisons).map_err(StepError::Judge)?;
    if verdicts.len() != comparisons.len() {
        let (found, expected) = (verdicts.len(), comparisons.len());
        return Err(StepError::Verdicts { what: "verdicts", found, expected });
    }
    for (comparison, verdict) in comparisons.iter().zip(&verdicts) {
        if let Ok(verdict) = verdict
            && !(0.0..=1.0).contains(&verdict.probability)
        {
            let (prompt, value) = (comparison.prompt.id, verdict.probability);
            return Err(StepError::Verdict { what: "probability", prompt, value, expected: "a number from 0 to 1" });
        }
    }
    Ok(verdicts)
}

impl Judged {
    fn take<T>(&mut self, verdict: Result<T, String>) -> Option<T> {
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

    fn count(&mut self, probability: f64) {
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
}

//! One round of play: the Leader answers, and the Follower answers it.

use slhf_random::{Purpose, Row, Stream};

use super::asking::check_answers;
use super::failure::StepError;
use super::loss::{Loss, RewardSource};
use super::settings::Settings;
use super::traits::{Answer, Generation, LanguagePolicies, Pair, PolicyName, Prompt, Request, Reward, Verdict};

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
    /// What the Leader's answer was rewarded with, or why it was not; `None`: nobody was asked.
    pub(crate) reward: Option<Result<Reward, String>>,
    /// The same of the answer to it.
    pub(crate) second_reward: Option<Result<Reward, String>>,
}

impl Played<'_> {
    pub(crate) fn pair(&self) -> Pair<'_> {
        Pair { prompt: self.prompt, leader: &self.leader, follower: self.follower.as_ref() }
    }

    pub(crate) fn row(&self, purpose: Purpose, stream: Stream, at: Moment) -> Row {
        Row {
            purpose,
            prompt: self.prompt.id,
            step: at.step as u32,
            stream,
            round: at.round as u8,
            sample: self.sample,
        }
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
        Loss::Stackelberg(_) | Loss::TwoTurns(..) | Loss::Offline(_) | Loss::Regression { .. } | Loss::Untrained => {
            PolicyName::Leader
        }
    };
    let leaders = first_answers(policies, settings, &played, policy, (Stream::Leader, at))?;
    operations += leaders.operations;
    for (played, answer) in played.iter_mut().zip(leaders.answers) {
        played.leader = answer;
    }
    if let Loss::Group(_, RewardSource::Mixture(share)) = &settings.loss {
        let policy = PolicyName::Mixture { reference_share: share.at(at.step, settings.training.steps) };
        let opponents = first_answers(policies, settings, &played, policy, (Stream::Opponent, at))?;
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
                row: played.row(Purpose::TrainingTokens, Stream::Follower, at),
            })
            .collect();
        sample(policies, &requests, settings, "sampling the Follower's responses")?
    };
    operations += followers.operations;
    for (played, answer) in played.iter_mut().zip(followers.answers) {
        played.follower = Some(answer);
    }
    Ok((played, operations))
}

/// An answer of `policy` to the prompt of each place, on this stream.
fn first_answers(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    played: &[Played<'_>],
    policy: PolicyName,
    (stream, at): (Stream, Moment),
) -> Result<Generation, StepError> {
    let request = |played: &Played<'_>| played.row(Purpose::TrainingTokens, stream, at);
    let requests: Vec<Request<'_>> = played
        .iter()
        .map(|played| Request { policy, prompt: played.prompt, previous: None, row: request(played) })
        .collect();
    let doing = match policy {
        PolicyName::Leader => "sampling the Leader's responses",
        PolicyName::Follower => "sampling the Follower's responses",
        PolicyName::Reference => "sampling the reference's responses",
        PolicyName::Mixture { .. } => "sampling the mixture's responses",
    };
    sample(policies, &requests, settings, doing)
}

/// The places of a round, still without answers. A prompt that occurs twice (an epoch ends within the step) has further
/// samples the second time, not the same ones again.
fn deal<'a>(settings: &Settings, prompts: &[&'a Prompt]) -> Vec<Played<'a>> {
    let generations = settings.training.num_generations as usize;
    let nobody = Answer { tokens: [].into(), finished: false, text: "".into(), draws: [].into() };
    let mut played = Vec::with_capacity(prompts.len() * generations);
    for (group, &prompt) in prompts.iter().enumerate() {
        let before = prompts[..group].iter().filter(|other| other.id == prompt.id).count();
        for generation in 0..generations {
            let sample = (before * generations + generation) as u16;
            let leader = nobody.clone();
            played.push(Played {
                group,
                prompt,
                sample,
                leader,
                follower: None,
                opponent: None,
                verdict: None,
                reward: None,
                second_reward: None,
            });
        }
    }
    played
}

/// An answer a request, in order; `doing` says what for, should it fail.
pub(crate) fn sample(
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

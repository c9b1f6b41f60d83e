//! How far the trained pair may be from its equilibrium, where no closed form says so: bounds of both gaps on held-out prompts from samples.
//!
//! The game is that of training: its temperatures, its sampling, the judge with the Leader's response first. Which bounds, and what they rest on:
//! [`slhf_statistics::follower_certificate`] and [`slhf_statistics::leader_certificate`]. A verdict must be a function of the pair: some are asked for a
//! second time with another draw.

mod rows;
mod sampling;
mod verdicts;

use slhf_plan::{CertificatePlan, EvaluationRow, FollowerReference, LanguageMethod, LanguagePlan, Sampling};
use slhf_statistics::{FollowerPair, LeaderPrompt, Level, follower_certificate, leader_certificate};

use self::rows::Rows;
use self::sampling::Sampler;
use super::failure::StepError;
use super::traits::{Players, Prompt};

/// What is certified, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertifiedGame {
    pub(crate) plan: CertificatePlan,
    pub(crate) leader_temperature: f64,
    pub(crate) follower_temperature: f64,
    pub(crate) sampling: Sampling,
    pub(crate) follower_reference: FollowerReference,
    pub(crate) micro_batch_size: usize,
}

/// Whose, when, and in which streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificatePlace {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    /// The cell's.
    pub(crate) stream: u32,
    /// Rows generated at once.
    pub(crate) batch_size: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct CertificateFound {
    pub(crate) rows: Vec<EvaluationRow>,
    pub(crate) tokens: u64,
    pub(crate) notes: Vec<String>,
}

impl CertifiedGame {
    /// Of a plan that asks for it. What it refuses is [`slhf_plan::check_language`]'s.
    pub(crate) fn of(plan: &LanguagePlan) -> Option<Self> {
        let LanguageMethod::StackelbergGda(game) = &plan.method else { return None };
        Some(Self {
            plan: plan.evaluation.certificate?,
            leader_temperature: game.training.beta,
            follower_temperature: game.players.follower_beta,
            sampling: game.training.sampling,
            follower_reference: game.players.follower_reference,
            micro_batch_size: (game.training.micro_batch_size as usize).max(1),
        })
    }

    /// Bounds on these prompts.
    pub(crate) fn certify(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        place: CertificatePlace,
    ) -> Result<CertificateFound, StepError> {
        let mut sampler = Sampler::new(self, place);
        let mut found = CertificateFound::default();
        let sampled = prompts.iter().map(|prompt| sampler.prompt(players, prompt)).collect::<Result<Vec<_>, _>>();
        found.tokens = sampler.tokens;
        match sampled {
            Ok(sampled) => {
                let (pairs, leaders): (Vec<FollowerPair>, Vec<Option<LeaderPrompt>>) = sampled.into_iter().unzip();
                self.conclude(&pairs, leaders.into_iter().collect(), place, &mut found);
            }
            Err(Uncertified::Failed(error)) => return Err(error),
            Err(Uncertified::NotAFunction(why)) => {
                found.notes.push(format!("no certificate of the gaps at step {}: {why}", place.step));
            }
        }
        Ok(found)
    }

    fn conclude(
        &self,
        pairs: &[FollowerPair],
        leaders: Option<Vec<LeaderPrompt>>,
        place: CertificatePlace,
        found: &mut CertificateFound,
    ) {
        let Ok(level) = Level::new(self.plan.confidence) else { return };
        let rows = Rows { place, prompts: pairs.len() };
        let mut refuse = |of: &str, why: slhf_statistics::CertificateError| {
            found.notes.push(format!("no certificate of the {of} at step {}: {why}", place.step));
        };
        let follower = follower_certificate(pairs, self.follower_temperature, level);
        let leader = leaders.map(|mut leaders| {
            if let Ok(follower) = &follower {
                for (leader, value) in leaders.iter_mut().zip(&follower.values) {
                    leader.committed = value.estimate;
                }
            }
            leader_certificate(&leaders, self.follower_temperature, self.leader_temperature, level)
        });
        match follower {
            Ok(follower) => found.rows.extend(rows.of_follower(&follower)),
            Err(why) => refuse("Follower's gap", why),
        }
        match leader {
            None => {}
            Some(Ok(leader)) => {
                found.rows.push(rows.of_leader(&leader));
                found.notes.extend(rows.not_bounded(&leader, self.plan.leader_samples));
            }
            Some(Err(why)) => refuse("Leader's gap", why),
        }
    }
}

/// Why there are no samples to certify with.
#[derive(Debug)]
enum Uncertified {
    Failed(StepError),
    /// A verdict failed, or is not a function of the pair.
    NotAFunction(String),
}

impl From<StepError> for Uncertified {
    fn from(error: StepError) -> Self {
        Self::Failed(error)
    }
}

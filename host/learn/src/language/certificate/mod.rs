//! How far the trained pair may be from its equilibrium, where no closed form says so: bounds of both gaps on held-out prompts from samples.
//!
//! The game is that of training: its temperatures, its sampling, the judge with the Leader's response first. Which bounds, and what they rest on:
//! [`slhf_statistics::follower_certificate`] and [`slhf_statistics::leader_certificate`]. A verdict must be a function of the pair: some are asked for a
//! second time with another draw.

mod certified;
mod rows;
mod sampling;
mod streams;
mod verdicts;

use slhf_plan::EvaluationRow;
use slhf_statistics::{FollowerPair, LeaderPrompt, Level, follower_certificate, leader_certificate};

pub(crate) use self::certified::{CertificatePlace, CertifiedGame};
pub(crate) use self::streams::To;

use self::rows::Rows;
use self::sampling::Sampler;
use super::traits::{Players, Prompt};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct CertificateFound {
    pub(crate) rows: Vec<EvaluationRow>,
    pub(crate) tokens: u64,
    pub(crate) notes: Vec<String>,
}

/// The note of a run that ends without one.
pub(crate) fn uncertified(place: CertificatePlace, why: &str) -> String {
    format!("no certificate of the gaps at step {}: {why}", place.step)
}

impl CertifiedGame {
    /// Bounds on these prompts. What goes wrong becomes a note: the evaluation that it belongs to is done, and stays.
    pub(crate) fn certify(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        place: CertificatePlace,
    ) -> CertificateFound {
        let mut sampler = Sampler::new(self, place);
        let mut found = CertificateFound::default();
        let sampled = prompts.iter().map(|prompt| sampler.prompt(players, prompt)).collect::<Result<Vec<_>, _>>();
        found.tokens = sampler.tokens;
        match sampled {
            Ok(sampled) => self.conclude(sampled, place, &mut found),
            Err(why) => found.notes.push(uncertified(place, &why.to_string())),
        }
        found
    }

    /// Bounds from what was sampled, prompt by prompt.
    pub(crate) fn conclude(
        &self,
        sampled: Vec<(FollowerPair, Option<LeaderPrompt>)>,
        place: CertificatePlace,
        found: &mut CertificateFound,
    ) {
        let (pairs, leaders): (Vec<FollowerPair>, Vec<Option<LeaderPrompt>>) = sampled.into_iter().unzip();
        let leaders: Option<Vec<LeaderPrompt>> = leaders.into_iter().collect();
        let Ok(level) = Level::new(self.plan.confidence) else { return };
        let rows = Rows { place, prompts: pairs.len() };
        let refused = |of: &str, why: slhf_statistics::CertificateError| {
            format!("no certificate of the {of} at step {}: {why}", place.step)
        };
        let follower = follower_certificate(&pairs, self.follower_temperature, level);
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
            Err(why) => found.notes.push(refused("Follower's gap", why)),
        }
        match leader {
            None => {}
            Some(Ok(leader)) => {
                found.rows.extend(rows.of_leader(&leader));
                found.notes.extend(rows.not_bounded(&leader, self.plan));
            }
            Some(Err(why)) => found.notes.push(refused("Leader's gap", why)),
        }
    }
}

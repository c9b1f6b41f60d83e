//! What a certificate of the gaps samples on closed sets, where the exact gaps stand beside it.
//!
//! Responses are drawn from the restricted policies in the streams of open ones. A response is one choice among the set's, so that the divergence
//! along it is that of the two distributions.

use slhf_random::{Row, Stream};
use slhf_statistics::{FollowerPair, LeaderAnswer, LeaderPrompt, OwnAnswer};

use super::game::{PromptGame, SetPolicies};
use crate::language::certificate::{CertificatePlace, CertifiedGame, To};
use crate::sampling::choose;

/// One prompt's game and the policies that play it.
pub(super) struct Drawing<'a> {
    pub(super) certified: &'a CertifiedGame,
    pub(super) place: CertificatePlace,
    pub(super) prompt: u32,
    pub(super) game: &'a PromptGame,
    pub(super) policies: &'a SetPolicies,
}

impl Drawing<'_> {
    /// One pair (x, y) with the Follower's responses and its reference's; and what bounds the Leader's gap, where that is asked for.
    pub(super) fn samples(&self) -> (FollowerPair, Option<LeaderPrompt>) {
        let plan = self.certified.plan;
        let of_leader = if plan.leader_samples == 0 { 1 } else { plan.samples };
        let own = self.draw(&self.policies.leader, (Stream::Leader, To::First), 0..of_leader);
        let y = own[0];
        let pair = FollowerPair {
            reference: self.against_reference(y, To::First, self.place.seed),
            own: self
                .draw(self.follower(y), (Stream::Follower, To::First), 0..plan.samples)
                .into_iter()
                .map(|given| self.own(y, given))
                .collect(),
            divergences: vec![self.follower_divergence(y); plan.samples as usize],
        };
        if plan.leader_samples == 0 {
            return (pair, None);
        }
        let others = 1..of_leader;
        let rows = |stream| self.place.rows(self.prompt, (stream, To::Others), others.clone());
        let given = rows(Stream::FollowersReference).into_iter().zip(rows(Stream::Follower));
        let mut answers = vec![self.answer(y, (pair.reference[0], pair.own[0].preference))];
        answers.extend(own[1..].iter().zip(given).map(|(y, (of_reference, of_follower))| {
            let of_reference = choice(self.follower_reference(*y), of_reference, self.place.seed);
            let of_follower = choice(self.follower(*y), of_follower, self.place.seed);
            self.answer(*y, (self.preference(*y, of_reference), self.preference(*y, of_follower)))
        }));
        let reference = self
            .place
            .rows(self.prompt, (Stream::OwnReference, To::First), 0..plan.leader_samples)
            .into_iter()
            .map(|row| {
                let y = choice(&self.game.problem.log_reference_leader, row, self.place.seed);
                self.against_reference(y, To::Reference, self.place.seed_of(row))
            })
            .collect();
        (pair, Some(LeaderPrompt { reference, own: answers, committed: 0.0 }))
    }

    /// Preferences of y over M responses of the Follower's reference.
    fn against_reference(&self, y: usize, to: To, seed: u64) -> Vec<f64> {
        self.place
            .rows(self.prompt, (Stream::FollowersReference, to), 0..self.certified.plan.samples)
            .into_iter()
            .map(|row| self.preference(y, choice(self.follower_reference(y), row, seed)))
            .collect()
    }

    fn own(&self, y: usize, given: usize) -> OwnAnswer {
        OwnAnswer {
            preference: self.preference(y, given),
            log_weight: self.follower_reference(y)[given] - self.follower(y)[given],
        }
    }

    fn answer(&self, y: usize, (against_reference, against_follower): (f64, f64)) -> LeaderAnswer {
        LeaderAnswer {
            against_reference,
            against_follower,
            divergence: divergence(&self.policies.leader, &self.game.problem.log_reference_leader),
            follower_divergence: self.follower_divergence(y),
        }
    }

    fn follower_divergence(&self, y: usize) -> f64 {
        divergence(self.follower(y), self.follower_reference(y))
    }

    fn draw(&self, log_policy: &[f64], which: (Stream, To), samples: std::ops::Range<u32>) -> Vec<usize> {
        let rows = self.place.rows(self.prompt, which, samples);
        rows.into_iter().map(|row| choice(log_policy, row, self.place.seed)).collect()
    }

    fn preference(&self, y: usize, given: usize) -> f64 {
        self.game.problem.preferences.entries()[y * self.count() + given]
    }

    fn follower(&self, y: usize) -> &[f64] {
        &self.policies.follower[y * self.count()..][..self.count()]
    }

    fn follower_reference(&self, y: usize) -> &[f64] {
        &self.game.problem.log_reference_follower[y * self.count()..][..self.count()]
    }

    fn count(&self) -> usize {
        self.game.problem.actions
    }
}

/// `KL(π ‖ π_ref)` of two distributions as log-probabilities, in nats.
fn divergence(log_policy: &[f64], log_reference: &[f64]) -> f64 {
    let terms =
        log_policy.iter().zip(log_reference).map(|(policy, reference)| libm::exp(*policy) * (policy - reference));
    terms.sum::<f64>().max(0.0)
}

/// The response that a row's number falls on.
fn choice(log_policy: &[f64], row: Row, seed: u64) -> usize {
    choose(row.uniform(seed, 0), log_policy.len(), |answer| libm::exp(log_policy[answer]))
}

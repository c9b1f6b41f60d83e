//! What is sampled for a certificate, prompt by prompt.

use slhf_plan::{FollowerReference, PairScores, TokenScores};
use slhf_random::{Row, Stream};
use slhf_statistics::{FollowerPair, LeaderAnswer, LeaderPrompt, OwnAnswer};

use super::certified::{CertificatePlace, CertifiedGame, Uncertified};
use super::streams::To;
use super::verdicts::{Asked, preferences, preferences_checked};
use crate::language::asking::check_answers;
use crate::language::failure::StepError;
use crate::language::traits::{Answer, ExactKl, Pair, Players, PolicyName, Prompt, Request};

pub(super) struct Sampler<'a> {
    game: &'a CertifiedGame,
    place: CertificatePlace,
    /// Sampled so far.
    pub(super) tokens: u64,
}

/// Responses, and where they were drawn.
struct Drawn {
    answers: Vec<Answer>,
    rows: Vec<Row>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(game: &'a CertifiedGame, place: CertificatePlace) -> Self {
        Self { game, place, tokens: 0 }
    }

    /// One pair (x, y) with the Follower's responses and its reference's; and what bounds the Leader's gap, where that is asked for.
    pub(super) fn prompt(
        &mut self,
        players: &mut Players<'_>,
        prompt: &Prompt,
    ) -> Result<(FollowerPair, Option<LeaderPrompt>), Uncertified> {
        let many = self.game.plan.samples;
        let of_leader = if self.game.plan.leader_samples == 0 { 1 } else { many };
        let rows = self.place.rows(prompt.id, (Stream::Leader, To::First), 0..of_leader);
        let own = self.respond(players, (PolicyName::Leader, prompt, &[]), rows, self.place.seed)?.answers;
        let (pair, scores) = self.pair(players, prompt, &own[0])?;
        if self.game.plan.leader_samples == 0 {
            return Ok((pair, None));
        }
        let first = answer(&scores[0], (pair.reference[0], pair.own[0].preference));
        let mut answers = vec![first];
        answers.extend(self.others(players, prompt, &own[1..])?);
        let reference = self.reference(players, prompt)?;
        Ok((pair, Some(LeaderPrompt { reference, own: answers, committed: 0.0 })))
    }

    /// M responses of the Follower and of its reference to y, and what the policies make of the former.
    fn pair(
        &mut self,
        players: &mut Players<'_>,
        prompt: &Prompt,
        y: &Answer,
    ) -> Result<(FollowerPair, Vec<PairScores>), Uncertified> {
        let (many, seed) = (self.game.plan.samples, self.place.seed);
        let to = vec![y; many as usize];
        let rows = self.place.rows(prompt.id, (Stream::FollowersReference, To::First), 0..many);
        let of_reference = self.respond(players, (PolicyName::Reference, prompt, &to), rows, seed)?;
        let reference = preferences_checked(players.judge, &of_reference.asked(prompt, &to, seed))?;
        let rows = self.place.rows(prompt.id, (Stream::Follower, To::First), 0..many);
        let of_follower = self.respond(players, (PolicyName::Follower, prompt, &to), rows, seed)?;
        let preferences = preferences(players.judge, &of_follower.asked(prompt, &to, seed))?;
        let pairs: Vec<Pair<'_>> =
            of_follower.answers.iter().map(|given| Pair { prompt, leader: y, follower: Some(given) }).collect();
        let scores = self.scores(players, &pairs)?;
        let follower = |scores: &PairScores| scores.follower.clone().unwrap_or_default();
        let own = preferences
            .into_iter()
            .zip(&scores)
            .map(|(preference, scores)| OwnAnswer { preference, log_weight: -follower(scores).log_ratio() })
            .collect();
        let divergences = scores.iter().map(|scores| follower(scores).kl()).collect();
        Ok((FollowerPair { reference, own, divergences }, scores))
    }

    /// Further responses of the Leader, each with one of the Follower and one of its reference.
    fn others(
        &mut self,
        players: &mut Players<'_>,
        prompt: &Prompt,
        own: &[Answer],
    ) -> Result<Vec<LeaderAnswer>, Uncertified> {
        let (many, seed) = (1..1 + own.len() as u32, self.place.seed);
        let to: Vec<&Answer> = own.iter().collect();
        let rows = self.place.rows(prompt.id, (Stream::FollowersReference, To::Others), many.clone());
        let of_reference = self.respond(players, (PolicyName::Reference, prompt, &to), rows, seed)?;
        let rows = self.place.rows(prompt.id, (Stream::Follower, To::Others), many);
        let of_follower = self.respond(players, (PolicyName::Follower, prompt, &to), rows, seed)?;
        let pairs: Vec<Pair<'_>> = own
            .iter()
            .zip(&of_follower.answers)
            .map(|(leader, given)| Pair { prompt, leader, follower: Some(given) })
            .collect();
        let scores = self.scores(players, &pairs)?;
        let against_reference = preferences(players.judge, &of_reference.asked(prompt, &to, seed))?;
        let against_follower = preferences(players.judge, &of_follower.asked(prompt, &to, seed))?;
        let against = against_reference.into_iter().zip(against_follower);
        Ok(scores.iter().zip(against).map(|(scores, against)| answer(scores, against)).collect())
    }

    /// Preferences of responses of the Leader's reference over M of the Follower's reference each.
    fn reference(&mut self, players: &mut Players<'_>, prompt: &Prompt) -> Result<Vec<Vec<f64>>, Uncertified> {
        let rows = self.place.rows(prompt.id, (Stream::OwnReference, To::First), 0..self.game.plan.leader_samples);
        let drawn = self.respond(players, (PolicyName::Reference, prompt, &[]), rows, self.place.seed)?;
        let mut found = Vec::with_capacity(drawn.answers.len());
        for (y, row) in drawn.answers.iter().zip(&drawn.rows) {
            let seed = self.place.seed_of(*row);
            let to = vec![y; self.game.plan.samples as usize];
            let rows =
                self.place.rows(prompt.id, (Stream::FollowersReference, To::Reference), 0..self.game.plan.samples);
            let given = self.respond(players, (PolicyName::Reference, prompt, &to), rows, seed)?;
            found.push(preferences(players.judge, &given.asked(prompt, &to, seed))?);
        }
        Ok(found)
    }

    /// One response a row: to the prompt, or to a response `to` each where there are some. The Follower's reference may see the prompt alone.
    fn respond(
        &mut self,
        players: &mut Players<'_>,
        (policy, prompt, to): (PolicyName, &Prompt, &[&Answer]),
        rows: Vec<Row>,
        seed: u64,
    ) -> Result<Drawn, StepError> {
        let sees = policy != PolicyName::Reference || self.game.follower_reference == FollowerReference::Context;
        let request = |(index, row): (usize, &Row)| Request {
            policy,
            prompt,
            previous: to.get(index).copied().filter(|_| sees),
            row: *row,
        };
        let requests: Vec<Request<'_>> = rows.iter().enumerate().map(request).collect();
        let mut answers = Vec::with_capacity(requests.len());
        for batch in requests.chunks(self.place.batch_size) {
            let some = players.policies.generate(batch, seed, &self.game.sampling);
            let doing = "sampling responses for a certificate";
            let some = some.map_err(|source| StepError::Policies { doing, source })?;
            check_answers(batch, &some.answers)?;
            answers.extend(some.answers);
        }
        self.tokens += answers.iter().map(|answer| answer.tokens.len() as u64).sum::<u64>();
        Ok(Drawn { answers, rows })
    }

    fn scores(&self, players: &mut Players<'_>, pairs: &[Pair<'_>]) -> Result<Vec<PairScores>, StepError> {
        let mut scores = Vec::with_capacity(pairs.len());
        for batch in pairs.chunks(self.game.micro_batch_size) {
            let doing = "scoring responses for a certificate";
            let (some, _) = players
                .policies
                .score(batch, ExactKl::Computed)
                .map_err(|source| StepError::Policies { doing, source })?;
            if some.len() != batch.len() {
                return Err(StepError::Count { what: "scored pairs", found: some.len(), expected: batch.len() });
            }
            scores.extend(some);
        }
        Ok(scores)
    }
}

impl Drawn {
    /// Each beside the response `to` which it was given.
    fn asked<'b>(&'b self, prompt: &'b Prompt, to: &[&'b Answer], seed: u64) -> Vec<Asked<'b>> {
        let with = |((given, row), leader): ((&'b Answer, &Row), &&'b Answer)| Asked {
            prompt,
            leader,
            given,
            row: *row,
            seed,
        };
        self.answers.iter().zip(&self.rows).zip(to).map(with).collect()
    }
}

fn answer(scores: &PairScores, (against_reference, against_follower): (f64, f64)) -> LeaderAnswer {
    let follower_divergence = scores.follower.as_ref().map_or(0.0, TokenScores::kl);
    LeaderAnswer { against_reference, against_follower, divergence: scores.leader.kl(), follower_divergence }
}

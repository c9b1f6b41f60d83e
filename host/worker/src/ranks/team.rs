//! Rank 0: the policies of a run whose work is dealt to all ranks.

use std::collections::HashMap;
use std::sync::Arc;

use slhf_learn::Cause;
use slhf_learn::language::{
    Answer, AnswerSet, ExactKl, Features, Generation, GradientNorms, LanguagePolicies, Pair, PassPlace, Prompt,
    Request, ScoredBy, Update, WeighEach,
};
use slhf_plan::{AnswerSetScores, AnswerSetWeights, PairScores, PairWeights, Passed, Sampling};
use slhf_policy::{GenerateCounts, GenerateRow, PassSettings};

use super::crew::Crew;
use super::exchange::Exchange;
use super::order::{Generate, Order};
use super::passing::{NotDone, Pairs, Sets, pass_each};
use super::shares::{generate, send_moments, take_up, update};
use crate::language::policies::{Policies, speaker};

/// All ranks, together.
#[derive(Debug)]
pub(crate) struct Ranks {
    exchange: Exchange,
    crew: Crew,
}

impl Ranks {
    /// Waits until all are there.
    pub(crate) fn gather(crew: Crew) -> Self {
        Self { exchange: crew.join(), crew }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Team<'a> {
    policies: &'a mut Policies,
    exchange: Exchange,
    crew: Crew,
}

impl<'a> Team<'a> {
    /// Policies whose work is dealt from here on.
    pub(crate) fn new(policies: &'a mut Policies, ranks: Ranks) -> Self {
        let Ranks { exchange, crew } = ranks;
        Self { policies, exchange, crew }
    }

    /// Training is over: the others end.
    pub(crate) fn end(self) {
        self.crew.ends();
        // Should one of them be gone by now, nothing is lost.
        let _ = self.exchange.told_by_first(Some(Order::End));
    }

    /// Has all ranks carry out an order, this one included.
    fn carry_out<T>(
        &mut self,
        order: Order,
        share: impl FnOnce(&mut Policies, &Exchange, &Order) -> Result<T, NotDone>,
    ) -> Result<T, Cause> {
        let sent = self.exchange.told_by_first(Some(order)).map_err(NotDone::Lost);
        match sent.and_then(|order| share(self.policies, &self.exchange, &order)) {
            Ok(done) => Ok(done),
            Err(NotDone::Refused(cause)) => Err(cause),
            Err(NotDone::Lost(error)) => self.crew.lost(&error),
        }
    }
}

/// Rows with their places, as even as may be. All rows of a prompt go to one rank, whatever its number in the data: what they begin with is
/// read once, as by one process.
fn deal(prompts: &[Arc<[u32]>], rows: Vec<GenerateRow>, ranks: usize) -> Vec<Vec<(usize, GenerateRow)>> {
    let mut counts: HashMap<&[u32], usize> = HashMap::new();
    for prompt in prompts {
        *counts.entry(prompt).or_default() += 1;
    }
    let mut parts: Vec<Vec<(usize, GenerateRow)>> = (0..ranks).map(|_| Vec::new()).collect();
    let (all, mut before) = (rows.len().max(1), 0);
    let mut rank_of: HashMap<&[u32], usize> = HashMap::new();
    for (place, (prompt, row)) in prompts.iter().zip(rows).enumerate() {
        let rank = *rank_of.entry(prompt).or_insert_with(|| {
            let rank = before * ranks / all;
            before += counts.get(&prompt[..]).copied().unwrap_or(1);
            rank
        });
        parts[rank].push((place, row));
    }
    parts
}

impl LanguagePolicies for Team<'_> {
    fn generate(&mut self, requests: &[Request<'_>], seed: u64, sampling: &Sampling) -> Result<Generation, Cause> {
        let mut generation = Generation { answers: Vec::with_capacity(requests.len()), operations: 0.0 };
        let ranks = self.exchange.rank().size as usize;
        for same in requests.chunk_by(|one, other| one.policy == other.policy) {
            let rows = self.policies.rows(same)?;
            let parts = deal(&self.policies.prompts_of(same)?, rows, ranks);
            let (speaker, sampling) = (speaker(same[0].policy)?, *sampling);
            let order = Order::Generate(Generate { speaker, parts, seed, sampling });
            let (mut generated, counts) = self.carry_out(order, |policies, exchange, order| match order {
                Order::Generate(order) => generate(policies, exchange, order),
                _ => Ok((Vec::new(), GenerateCounts::default())),
            })?;
            generation.operations += self.policies.engine.operations_of(&counts);
            generated.sort_by_key(|(place, _)| *place);
            let generated = generated.into_iter().map(|(_, one)| one).collect();
            generation.answers.extend(self.policies.answers(generated)?);
        }
        Ok(generation)
    }

    fn pass(
        &mut self,
        pairs: &[Pair<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        self.pass_each(&[pairs.to_vec()], PassPlace { step, micro_batch }, &mut |_, scores| weigh(scores))
    }

    fn pass_each(
        &mut self,
        micro_batches: &[Vec<Pair<'_>>],
        first: PassPlace,
        weigh: &mut WeighEach<'_, PairScores, PairWeights>,
    ) -> Result<Passed, Cause> {
        let first = self.policies.pass_settings(first);
        let mut inputs = Vec::with_capacity(micro_batches.len());
        for pairs in micro_batches {
            inputs.push(self.policies.training_pairs(pairs)?);
        }
        let order = Order::Pass { micro_batches: inputs, first };
        self.carry_out(order, |policies, exchange, order| match order {
            Order::Pass { micro_batches, first } => {
                pass_each::<Pairs>(policies, exchange, (micro_batches, *first), Some(weigh))
            }
            _ => Ok(Passed::default()),
        })
    }

    fn features(&mut self, answers: &[(&Prompt, &Answer)]) -> Result<Features, Cause> {
        self.policies.features(answers)
    }

    fn score(&mut self, pairs: &[Pair<'_>], exact_kl: ExactKl) -> Result<(Vec<PairScores>, Passed), Cause> {
        self.policies.score(pairs, exact_kl)
    }

    fn keep(&mut self, most: usize) -> Result<(), Cause> {
        self.policies.keep(most)
    }

    fn score_by_kept(&mut self, times_ago: usize, pairs: &[Pair<'_>]) -> Result<(Vec<f64>, Passed), Cause> {
        self.policies.score_by_kept(times_ago, pairs)
    }

    fn pass_sets(
        &mut self,
        sets: &[AnswerSet<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[AnswerSetScores]) -> Result<Vec<AnswerSetWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        self.pass_sets_each(&[sets.to_vec()], PassPlace { step, micro_batch }, &mut |_, scores| weigh(scores))
    }

    fn pass_sets_each(
        &mut self,
        micro_batches: &[Vec<AnswerSet<'_>>],
        first: PassPlace,
        weigh: &mut WeighEach<'_, AnswerSetScores, AnswerSetWeights>,
    ) -> Result<Passed, Cause> {
        let first: PassSettings = self.policies.pass_settings(first);
        let mut inputs = Vec::with_capacity(micro_batches.len());
        for sets in micro_batches {
            inputs.push(self.policies.trees(sets)?);
        }
        let order = Order::PassSets { micro_batches: inputs, first };
        self.carry_out(order, |policies, exchange, order| match order {
            Order::PassSets { micro_batches, first } => {
                pass_each::<Sets>(policies, exchange, (micro_batches, *first), Some(weigh))
            }
            _ => Ok(Passed::default()),
        })
    }

    fn score_sets(&mut self, sets: &[AnswerSet<'_>], by: ScoredBy) -> Result<(Vec<AnswerSetScores>, Passed), Cause> {
        self.policies.score_sets(sets, by)
    }

    fn update(&mut self, asked: &Update) -> Result<GradientNorms, Cause> {
        let order = Order::Update(*asked);
        self.carry_out(order, |policies, exchange, _| update(policies, exchange, asked))
    }

    fn all_reduce_seconds(&mut self) -> Option<f64> {
        Some(self.exchange.take_sending().as_secs_f64())
    }

    fn save(&self) -> Result<Vec<u8>, Cause> {
        if !self.policies.is_sharded() {
            return self.policies.save();
        }
        let sent = self.exchange.told_by_first(Some(Order::Save)).map_err(NotDone::Lost);
        match sent.and_then(|_| send_moments(self.policies, &self.exchange)) {
            Ok(shares) => Ok(self.policies.save_shares(&shares)?),
            Err(NotDone::Refused(cause)) => Err(cause),
            Err(NotDone::Lost(error)) => self.crew.lost(&error),
        }
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        let order = Order::Restore(state.to_vec());
        self.carry_out(order, |policies, exchange, _| take_up(policies, exchange, state))
    }
}

#[cfg(test)]
mod tests {
    use slhf_random::{Purpose, Row, Stream};

    use super::*;

    #[test]
    fn rows_of_a_prompt_go_to_one_rank_and_ranks_have_as_many_as_may_be() {
        let check = |prompts: &[u32], ranks: usize, expected: &[&[usize]]| {
            let row = Row {
                purpose: Purpose::TrainingTokens,
                prompt: 0,
                step: 1,
                stream: Stream::Leader,
                round: 0,
                sample: 0,
            };
            let rows = prompts.iter().map(|prompt| GenerateRow { context: vec![*prompt], row }).collect();
            let prompts: Vec<Arc<[u32]>> = prompts.iter().map(|prompt| vec![*prompt].into()).collect();
            let dealt = deal(&prompts, rows, ranks);
            let places: Vec<Vec<usize>> =
                dealt.iter().map(|part| part.iter().map(|(place, _)| *place).collect()).collect();
            assert_eq!(places, expected);
        };
        check(&[1, 2, 3, 4], 2, &[&[0, 1], &[2, 3]]);
        check(&[1, 1, 2, 2, 3, 3], 2, &[&[0, 1, 2, 3], &[4, 5]]);
        check(&[1, 2, 1, 3], 2, &[&[0, 2], &[1, 3]]);
        check(&[5, 5, 5], 3, &[&[0, 1, 2], &[], &[]]);
        check(&[], 2, &[&[], &[]]);
    }
}

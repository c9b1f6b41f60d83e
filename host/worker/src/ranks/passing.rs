//! Passes of micro-batches dealt to ranks, one each at a time; gradients are added in the order of micro-batches.

use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use slhf_learn::Cause;
use slhf_learn::language::WeighEach;
use slhf_plan::{AnswerSetScores, AnswerSetWeights, PairScores, PairWeights, Passed};
use slhf_policy::{AnswerTree, BegunPass, BegunTrees, Engine, PassSettings, PolicyError, TrainingPair};
use slhf_words::chain;
use tch::Tensor;

use super::exchange::{Exchange, ExchangeError};
use crate::error::WorkerError;
use crate::language::policies::Policies;

/// A kind of pass.
pub(super) trait Kind {
    type Input;
    type Begun;
    type Scores: Clone + Serialize + DeserializeOwned;
    type Weights: Serialize + DeserializeOwned;

    fn begin(engine: &mut Engine, inputs: &[Self::Input], at: &PassSettings) -> Result<Self::Begun, PolicyError>;
    fn found(begun: &Self::Begun) -> (&[Self::Scores], Passed);
    fn end(engine: &mut Engine, begun: Self::Begun, weights: &[Self::Weights]) -> Result<Passed, PolicyError>;
}

/// Of pairs.
pub(super) struct Pairs;

impl Kind for Pairs {
    type Input = TrainingPair;
    type Begun = BegunPass;
    type Scores = PairScores;
    type Weights = PairWeights;

    fn begin(engine: &mut Engine, inputs: &[TrainingPair], at: &PassSettings) -> Result<BegunPass, PolicyError> {
        engine.begin_pass(inputs, at)
    }

    fn found(begun: &BegunPass) -> (&[PairScores], Passed) {
        (begun.scores(), begun.passed())
    }

    fn end(engine: &mut Engine, begun: BegunPass, weights: &[PairWeights]) -> Result<Passed, PolicyError> {
        engine.end_pass(begun, weights)
    }
}

/// Of closed sets.
pub(super) struct Sets;

impl Kind for Sets {
    type Input = AnswerTree;
    type Begun = BegunTrees;
    type Scores = AnswerSetScores;
    type Weights = AnswerSetWeights;

    fn begin(engine: &mut Engine, inputs: &[AnswerTree], at: &PassSettings) -> Result<BegunTrees, PolicyError> {
        engine.begin_trees(inputs, at)
    }

    fn found(begun: &BegunTrees) -> (&[AnswerSetScores], Passed) {
        (begun.scores(), begun.passed())
    }

    fn end(engine: &mut Engine, begun: BegunTrees, weights: &[AnswerSetWeights]) -> Result<Passed, PolicyError> {
        engine.end_trees(begun, weights)
    }
}

/// Why an order was not carried out.
#[derive(Debug)]
pub(super) enum NotDone {
    /// Every rank knows it, and waits for the next order.
    Refused(Cause),
    /// The ranks are not together any more.
    Lost(ExchangeError),
}

impl From<ExchangeError> for NotDone {
    fn from(error: ExchangeError) -> Self {
        Self::Lost(error)
    }
}

/// What a rank's share of some work came to; an error as one sentence.
type Share<T> = Result<T, String>;

/// The first rank that failed decides, at every rank.
pub(super) fn all_well<T>(shares: Vec<Share<T>>) -> Result<Vec<T>, NotDone> {
    let of = |(rank, share): (usize, Share<T>)| {
        share.map_err(|problem| NotDone::Refused(WorkerError::OfRank { rank, problem }.into()))
    };
    shares.into_iter().enumerate().map(of).collect()
}

/// All of an order's micro-batches, in rounds of one a rank. `weigh`: at rank 0 alone.
pub(super) fn pass_each<K: Kind>(
    policies: &mut Policies,
    exchange: &Exchange,
    (micro_batches, first): (&[Vec<K::Input>], PassSettings),
    weigh: Option<&mut WeighEach<'_, K::Scores, K::Weights>>,
) -> Result<Passed, NotDone> {
    let is_sharded = policies.is_sharded();
    let (engine, all) = (&mut policies.engine, (micro_batches, first));
    if is_sharded { apart::<K>(engine, exchange, all, weigh) } else { in_order::<K>(engine, exchange, all, weigh) }
}

/// Every rank accumulates the gradients of its own micro-batches, until the update adds them over ranks.
fn apart<K: Kind>(
    engine: &mut Engine,
    exchange: &Exchange,
    (micro_batches, first): (&[Vec<K::Input>], PassSettings),
    mut weigh: Option<&mut WeighEach<'_, K::Scores, K::Weights>>,
) -> Result<Passed, NotDone> {
    let size = exchange.rank().size as usize;
    let mut total = Passed::default();
    for (round, dealt) in micro_batches.chunks(size).enumerate() {
        let dealt = Dealt { micro_batches: dealt, place: round * size, first };
        let (passed, ()) = one_round::<K, ()>(engine, exchange, &dealt, weigh.as_deref_mut(), None, |_| Ok(()))?;
        for one in passed {
            total.add(one);
        }
    }
    Ok(total)
}

/// The gradients of every micro-batch are added at every rank, in the order of micro-batches.
fn in_order<K: Kind>(
    engine: &mut Engine,
    exchange: &Exchange,
    (micro_batches, first): (&[Vec<K::Input>], PassSettings),
    mut weigh: Option<&mut WeighEach<'_, K::Scores, K::Weights>>,
) -> Result<Passed, NotDone> {
    let size = exchange.rank().size as usize;
    let mut total = Passed::default();
    // What fails at one rank alone is told in the next exchange: no rank goes on without the others.
    let mut sum = taken(engine);
    for (round, dealt) in micro_batches.chunks(size).enumerate() {
        let weigh = weigh.as_deref_mut();
        let round = Dealt { micro_batches: dealt, place: round * size, first };
        let (passed, own) = one_round::<K, Tensor>(engine, exchange, &round, weigh, sum.as_ref().err(), taken)?;
        for one in passed {
            total.add(one);
        }
        // Everybody's backward pass is over: nobody waits for another one's.
        let clock = Instant::now();
        let gathered = exchange.tensors(&own)?;
        sum = sum.and_then(|sum| added(sum, &gathered[..dealt.len()]));
        exchange.sent_in(clock.elapsed());
    }
    let put = sum.and_then(|sum| {
        let parameters = engine.parameters_mut().ok_or_else(nothing_trained)?;
        parameters.add_gradients(&sum).map_err(|error| chain(&error))
    });
    all_well(exchange.gather(&put)?)?;
    Ok(total)
}

fn added(mut sum: Tensor, gradients: &[Tensor]) -> Share<Tensor> {
    for gradient in gradients {
        let _ = sum.f_add_(gradient).map_err(|error| format!("the gradients of ranks cannot be added: {error}"))?;
    }
    Ok(sum)
}

/// The micro-batches of a round, at most one a rank.
struct Dealt<'a, I> {
    micro_batches: &'a [Vec<I>],
    /// How many went before.
    place: usize,
    first: PassSettings,
}

/// One micro-batch a rank: forward, weighed in their order, backward; what each cost, and what `after` makes of this one's gradients. `problem`: of this
/// rank alone.
fn one_round<K: Kind, T>(
    engine: &mut Engine,
    exchange: &Exchange,
    &Dealt { micro_batches: dealt, place, first }: &Dealt<'_, K::Input>,
    weigh: Option<&mut WeighEach<'_, K::Scores, K::Weights>>,
    problem: Option<&String>,
    after: impl FnOnce(&mut Engine) -> Share<T>,
) -> Result<(Vec<Passed>, T), NotDone> {
    let rank = exchange.rank().rank as usize;
    let at = PassSettings { micro_batch: first.micro_batch + (place + rank) as u32, ..first };
    let begun = dealt.get(rank).map(|inputs| K::begin(engine, inputs, &at));
    let (begun, own) = match begun {
        Some(Ok(begun)) => {
            let (scores, passed) = K::found(&begun);
            let own = Some((scores.to_vec(), passed));
            (Some(begun), Ok(own))
        }
        Some(Err(error)) => (None, Err(chain(&error))),
        None => (None, Ok(None)),
    };
    let own = problem.map_or(own, |problem| Err(problem.clone()));
    let found = all_well(exchange.gather(&own)?)?;
    let found: Vec<(Vec<K::Scores>, Passed)> = found.into_iter().flatten().collect();
    let weighed = weigh.map(|weigh| {
        let of = |(index, (scores, _)): (usize, &(Vec<K::Scores>, Passed))| weigh(place + index, scores);
        found.iter().enumerate().map(of).collect::<Result<Vec<_>, Cause>>()
    });
    let (weights, fault) = match weighed {
        Some(Ok(weights)) => (Some(Ok(weights)), None),
        Some(Err(cause)) => (Some(Err(cause.to_string())), Some(cause)),
        None => (None, None),
    };
    let weights: Share<Vec<Vec<K::Weights>>> = exchange.told_by_first(weights)?;
    let weights = match (weights, fault) {
        (Ok(weights), _) => weights,
        (Err(_), Some(cause)) => return Err(NotDone::Refused(cause)),
        (Err(sentence), None) => return Err(NotDone::Refused(sentence.into())),
    };
    let ended = match (begun, weights.get(rank)) {
        (Some(begun), Some(weights)) => K::end(engine, begun, weights).map(drop).map_err(|error| chain(&error)),
        _ => Ok(()),
    };
    let ended = ended.and_then(|()| after(engine));
    let shares = exchange.gather(&ended.as_ref().map(|_| ()).map_err(Clone::clone))?;
    all_well(shares)?;
    let own = ended.map_err(|problem| NotDone::Refused(problem.into()))?;
    Ok((found.into_iter().map(|(_, passed)| passed).collect(), own))
}

/// What is accumulated so far, which is then forgotten.
fn taken(engine: &mut Engine) -> Share<Tensor> {
    let parameters = engine.parameters_mut().ok_or_else(nothing_trained)?;
    let found = parameters.gradients().map_err(|error| chain(&error))?;
    parameters.clear_gradients().map_err(|error| chain(&error))?;
    Ok(found)
}

fn nothing_trained() -> String {
    WorkerError::NothingTrained.to_string()
}

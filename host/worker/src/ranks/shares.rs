//! A rank's share of an order, the same code at every rank.

use std::time::Instant;

use slhf_learn::Cause;
use slhf_learn::language::{GradientNorms, LanguagePolicies as _, Update};
use slhf_plan::{Division, LanguagePlan};
use slhf_policy::{BegunOptimizerStep, GenerateCounts, GenerateLayout, GenerateRow, Generated, Share, ShareMoments};
use slhf_words::chain;
use tch::{Device, Kind, Tensor};

use super::exchange::Exchange;
use super::order::Generate;
use super::passing::{NotDone, all_well};
use crate::error::WorkerError;
use crate::language::policies::Policies;

/// A rank's rows of an order, sampled; at every rank all of them, each with its place, and what they cost.
pub(super) fn generate(
    policies: &mut Policies,
    exchange: &Exchange,
    order: &Generate,
) -> Result<(Vec<(usize, Generated)>, GenerateCounts), NotDone> {
    let own = order.parts.get(exchange.rank().rank as usize).map_or(&[][..], Vec::as_slice);
    let (places, rows): (Vec<usize>, Vec<GenerateRow>) = own.iter().cloned().unzip();
    let layouts = exchange.gather(&policies.layout(order.speaker, &rows))?;
    let layout = layouts.iter().fold(GenerateLayout::NONE, GenerateLayout::with);
    let own = policies.sample(order.speaker, &rows, &layout, (order.seed, &order.sampling));
    let own = own.map_err(|error| chain(&error));
    let own = own.map(|(generated, counts)| (places.into_iter().zip(generated).collect::<Vec<_>>(), counts));
    let (mut all, mut counts) = (Vec::new(), GenerateCounts::default());
    for (generated, counted) in all_well(exchange.gather(&own)?)? {
        all.extend(generated);
        counts.add(&counted);
    }
    Ok((all, counts))
}

/// The share of the parameters that a rank moves: all of them where every rank has the gradients of all micro-batches.
pub(crate) fn share_of(plan: &LanguagePlan, rank: u32) -> Share {
    match plan.division() {
        Division::BitsOfOne => Share::WHOLE,
        Division::Sharded => Share::new(rank, plan.device.processes).unwrap_or(Share::WHOLE),
    }
}

/// An optimizer step: at every rank, which have the same gradients and moments, or of a share at each.
pub(super) fn update(policies: &mut Policies, exchange: &Exchange, asked: &Update) -> Result<GradientNorms, NotDone> {
    if policies.is_sharded() {
        return update_shares(policies, exchange, asked);
    }
    at_all_ranks(exchange, policies.update(asked))
}

/// Gradients are added over ranks; each moves its share, and has the others' from them.
fn update_shares(policies: &mut Policies, exchange: &Exchange, asked: &Update) -> Result<GradientNorms, NotDone> {
    let mut clock = Instant::now();
    for gradient in &mut at_all_ranks(exchange, policies.gradients(asked).map_err(Cause::from))? {
        exchange.add(gradient)?;
    }
    exchange.sent_in(clock.elapsed());
    let begun = policies.begin_update(asked);
    let own = begun.as_ref().map(BegunOptimizerStep::squares).map_err(|error| chain(error));
    let squares = added(&all_well(exchange.gather(&own)?)?);
    let moved = begun.and_then(|begun| policies.end_update(asked, &begun, &squares));
    let norms = at_all_ranks(exchange, moved.map_err(Cause::from))?;
    clock = Instant::now();
    for (rank, share) in shares(exchange).enumerate() {
        let parameters = policies.engine.parameters_mut().ok_or_else(nothing_trained)?;
        let mut flat = parameters.share(share).map_err(refused)?;
        exchange.share(&mut flat, rank as u32)?;
        if rank as u32 != exchange.rank().rank {
            parameters.take_share(share, &flat).map_err(refused)?;
        }
    }
    policies.engine.parameters_changed();
    exchange.sent_in(clock.elapsed());
    Ok(norms)
}

/// The moments of every rank's share, in their order: whole at rank 0 alone, which writes the checkpoint.
pub(super) fn send_moments(policies: &Policies, exchange: &Exchange) -> Result<Vec<ShareMoments>, NotDone> {
    let own = at_all_ranks(exchange, policies.share_moments().map_err(Cause::from))?;
    let mut all = Vec::new();
    for (rank, share) in shares(exchange).enumerate() {
        let parameters = policies.engine.parameters().ok_or_else(nothing_trained)?;
        let numbers = parameters.numbers_of(share).map_err(refused)?;
        let flat = match &own.flat {
            None => None,
            Some(own) => {
                let mut both = own.each_ref().map(Tensor::shallow_clone);
                for moments in &mut both {
                    if rank as u32 != exchange.rank().rank {
                        *moments = Tensor::f_zeros([numbers as i64], (Kind::Float, Device::Cpu)).map_err(refused)?;
                    }
                    exchange.share(moments, rank as u32)?;
                }
                // The others forget them at once.
                (exchange.rank().rank == 0).then_some(both)
            }
        };
        all.push(ShareMoments { flat });
    }
    Ok(all)
}

/// Those of all ranks, in their order.
fn shares(exchange: &Exchange) -> impl Iterator<Item = Share> + use<> {
    let size = exchange.rank().size;
    (0..size).filter_map(move |rank| Share::new(rank, size))
}

/// The sum of each entry, in the order of ranks.
fn added(of_ranks: &[Vec<f64>]) -> Vec<f64> {
    let mut sums = vec![0.0; of_ranks.iter().map(Vec::len).max().unwrap_or(0)];
    for own in of_ranks {
        for (sum, square) in sums.iter_mut().zip(own) {
            *sum += square;
        }
    }
    sums
}

fn nothing_trained() -> NotDone {
    NotDone::Refused(WorkerError::NothingTrained.into())
}

fn refused(error: impl Into<Cause>) -> NotDone {
    NotDone::Refused(error.into())
}

/// A checkpoint's state at every rank.
pub(super) fn take_up(policies: &mut Policies, exchange: &Exchange, state: &[u8]) -> Result<(), NotDone> {
    at_all_ranks(exchange, policies.restore(state))
}

/// A share of an order that every rank carries out wholly: the first that fails decides.
fn at_all_ranks<T>(exchange: &Exchange, done: Result<T, Cause>) -> Result<T, NotDone> {
    let own = done.as_ref().map(|_| ()).map_err(|cause| chain(cause.as_ref()));
    let shares = exchange.gather(&own)?;
    // Where all fail alike, this one's own words are those of one process.
    let done = done.map_err(NotDone::Refused)?;
    all_well(shares)?;
    Ok(done)
}

//! A rank's share of an order, the same code at every rank.

use slhf_learn::Cause;
use slhf_learn::language::{GradientNorms, LanguagePolicies as _, Update};
use slhf_policy::{GenerateCounts, GenerateLayout, GenerateRow, Generated};
use slhf_words::chain;

use super::exchange::Exchange;
use super::order::Generate;
use super::passing::{NotDone, all_well};
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

/// An optimizer step at every rank: they have the same gradients and moments.
pub(super) fn update(policies: &mut Policies, exchange: &Exchange, asked: &Update) -> Result<GradientNorms, NotDone> {
    at_all_ranks(exchange, policies.update(asked))
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

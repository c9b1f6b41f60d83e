//! What belongs to one store: its limits, its log, the plugin it may ask.

use std::{sync::Arc, time::Duration};

use slhf_plan::Limits;
use wasmtime::{AsContextMut, StoreContextMut};

use crate::{error::JudgeError, limiter::Limiter, log::LogBuffer, plugin::Plugin, ticker::Ticker};

/// Items that a combinator may ask its upstream about, per item of its own: time in there is not charged to it, so
/// there must be another end to it.
pub(crate) const UPSTREAM_ITEMS_PER_ITEM: u64 = 64;

/// The data of a store.
pub(crate) struct GuestState {
    pub(crate) limiter: Limiter,
    pub(crate) log: LogBuffer,
    /// The plugin that this one wraps.
    pub(crate) upstream: Option<Arc<Plugin>>,
    /// Items it may still ask about in this call.
    pub(crate) upstream_items_left: u64,
    /// Items it might have asked about in this call.
    pub(crate) upstream_items_allowed: u64,
    /// Why a host function ended the call, if one did.
    pub(crate) aborted: Option<Aborted>,
    /// Time in the upstream during this call; not the guest's.
    pub(crate) upstream_time: Duration,
    /// The tick at which the guest is late.
    pub(crate) late_at_tick: u64,
    /// Lines of calls that are repeated to find a culprit are not logged again.
    pub(crate) is_repetition: bool,
}

/// Why a host function ended a call.
pub(crate) enum Aborted {
    /// The upstream misbehaved.
    Upstream(Box<JudgeError>),
    /// The guest asked about too many items.
    UpstreamItems,
}

impl GuestState {
    pub(crate) fn new(limits: &Limits, upstream: Option<Arc<Plugin>>, is_repetition: bool) -> Self {
        Self {
            limiter: Limiter::new(limits),
            log: LogBuffer::new(limits.log_lines),
            upstream,
            upstream_items_left: 0,
            upstream_items_allowed: 0,
            aborted: None,
            upstream_time: Duration::ZERO,
            late_at_tick: 0,
            is_repetition,
        }
    }
}

/// Gives the guest so many ticks from now.
pub(crate) fn arm(store: &mut impl AsContextMut<Data = GuestState>, ticks: u64, ticker: &Ticker) {
    let mut context = store.as_context_mut();
    context.set_epoch_deadline(ticks);
    context.data_mut().late_at_tick = ticker.now() + ticks;
}

/// Runs what is not the guest's own work: on return its deadline is as far away as it was.
pub(crate) fn uncharged<R>(
    context: &mut StoreContextMut<'_, GuestState>,
    ticker: &Ticker,
    work: impl FnOnce() -> R,
) -> R {
    let ticks_left = context.data().late_at_tick.saturating_sub(ticker.now());
    let began = std::time::Instant::now();
    let result = work();
    context.data_mut().upstream_time += began.elapsed();
    arm(context, ticks_left, ticker);
    result
}

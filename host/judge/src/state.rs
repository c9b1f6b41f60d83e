//! What belongs to one store: its limits, its log, the plugin it may ask.

use std::{sync::Arc, time::Duration};

use slhf_plan::Limits;
use wasmtime::{AsContextMut, Store, StoreContextMut, UpdateDeadline};

use crate::{
    error::JudgeError,
    limiter::Limiter,
    log::LogBuffer,
    models::Grants,
    ticker::thread_ticks,
    types::{Candidate, Comparison, ItemFailure, Score, Verdict},
};

/// A plugin that another one wraps, as that one may ask it.
pub(crate) trait Upstream: Send + Sync {
    /// Judges pairs under what is left of the budget. Calls that are repeated are not logged again.
    fn compare(
        &self,
        batch: &[Comparison],
        is_repetition: bool,
        rest: &mut Budget,
    ) -> Result<Vec<Result<Verdict, ItemFailure>>, JudgeError>;
    /// Scores single responses likewise.
    fn score(
        &self,
        batch: &[Candidate],
        is_repetition: bool,
        rest: &mut Budget,
    ) -> Result<Vec<Result<Score, ItemFailure>>, JudgeError>;
}

/// Items that all plugins of a chain may ask about, per item that is judged.
pub(crate) const UPSTREAM_ITEMS_PER_ITEM: u64 = 64;

/// What is left for the items that are judged, of all levels together: each plugin has limits of its own besides, which
/// would multiply from level to level.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    /// Ticks of all guests; the host's own work is free.
    pub(crate) ticks: u64,
    /// Items that may still be asked about.
    pub(crate) items: u64,
    /// What it began with.
    pub(crate) whole: Arc<Whole>,
}

/// A budget at its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    /// The judged plugin's name.
    pub(crate) owner: Arc<str>,
    pub(crate) allowed_ms: u64,
    pub(crate) allowed_items: u64,
}

/// The data of a store.
pub(crate) struct GuestState {
    pub(crate) limiter: Limiter,
    pub(crate) log: LogBuffer,
    /// The plugin that this one wraps.
    pub(crate) upstream: Option<Arc<dyn Upstream>>,
    /// The models that it may ask; `None` while it describes itself.
    pub(crate) grants: Option<Arc<Grants>>,
    /// Of the judged items, where another plugin asked this one.
    pub(crate) inherited: Option<Budget>,
    /// Of the call under way.
    pub(crate) budget: Budget,
    /// Ticks that the call under way had at its start.
    pub(crate) armed_ticks: u64,
    /// Whether that is what others left of their budget, not this plugin's own deadline.
    pub(crate) is_cut_short: bool,
    /// Why a host function ended the call, if one did.
    pub(crate) aborted: Option<Aborted>,
    /// Time in the upstream during this call; not the guest's.
    pub(crate) upstream_time: Duration,
    /// What [`thread_ticks`] says when the guest is late.
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
    /// The budget of a model is spent: a sentence.
    Budget(String),
}

impl GuestState {
    pub(crate) fn new(
        limits: &Limits,
        upstream: Option<Arc<dyn Upstream>>,
        grants: Option<Arc<Grants>>,
        inherited: Option<Budget>,
        budget: Budget,
        is_repetition: bool,
    ) -> Self {
        Self {
            limiter: Limiter::new(limits),
            log: LogBuffer::new(limits.log_lines),
            upstream,
            grants,
            inherited,
            budget,
            armed_ticks: 0,
            is_cut_short: false,
            aborted: None,
            upstream_time: Duration::ZERO,
            late_at_tick: 0,
            is_repetition,
        }
    }
}

/// Has the guests of a store looked at whenever the epoch reaches the deadline: they go on while they have ticks left.
pub(crate) fn watch(store: &mut Store<GuestState>) {
    store.epoch_deadline_callback(|context| {
        Ok(match ticks_left(context.data()) {
            0 => UpdateDeadline::Interrupt,
            left => UpdateDeadline::Continue(left),
        })
    });
}

/// Gives the guest so many ticks of this thread's processor time from now.
pub(crate) fn arm(store: &mut impl AsContextMut<Data = GuestState>, ticks: u64) {
    let mut context = store.as_context_mut();
    context.set_epoch_deadline(ticks);
    context.data_mut().late_at_tick = thread_ticks().saturating_add(ticks);
}

/// Ticks that the guest has left. To be called on the thread that armed it.
pub(crate) fn ticks_left(state: &GuestState) -> u64 {
    state.late_at_tick.saturating_sub(thread_ticks())
}

/// Has others judge under what is left of this call's budget. What they use of it is gone when they return; what the host
/// itself does meanwhile costs nothing.
pub(crate) fn with_the_rest<R>(
    context: &mut StoreContextMut<'_, GuestState>,
    work: impl FnOnce(&mut Budget) -> R,
) -> R {
    let state = context.data_mut();
    let own_ticks = ticks_left(state);
    // A combinator's own deadline is for its own work; the budget is what all have together.
    let used = state.armed_ticks.saturating_sub(own_ticks);
    let mut rest = state.budget.clone();
    rest.ticks = rest.ticks.saturating_sub(used);
    let before = rest.ticks;
    let began = std::time::Instant::now();
    let result = work(&mut rest);
    let state = context.data_mut();
    state.upstream_time += began.elapsed();
    let theirs = before.saturating_sub(rest.ticks);
    state.budget.ticks = state.budget.ticks.saturating_sub(theirs);
    state.budget.items = rest.items;
    state.is_cut_short |= rest.ticks < own_ticks;
    let own_ticks = own_ticks.min(rest.ticks);
    // The ticks of others are no longer there for this call, but were not its own either.
    state.armed_ticks = used + own_ticks;
    arm(context, own_ticks);
    result
}

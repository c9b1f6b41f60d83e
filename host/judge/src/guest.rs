//! One instance of a plugin, and the calls into it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use slhf_plan::Limits;
use wasmtime::{
    Store, Trap,
    component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower},
};

use crate::{
    error::{Doing, Fault, FileFault, JudgeError, PlanFault},
    limiter::{INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX},
    log::harmless,
    manifest::{Manifest, RawManifest},
    plugin::Sandbox,
    state::{Aborted, Budget, GuestState, UPSTREAM_ITEMS_PER_ITEM, Upstream, Whole, arm, ticks_left, watch},
    ticker::TICK_MS,
    types::{Candidate, Comparison, ItemFailure, Outcomes, Sample, Score, Verdict},
    world::World,
};

/// The deadline is for this many items; starting up gets as much.
const DEADLINE_ITEMS: usize = 64;

/// An instance in a store of its own.
pub(crate) struct Guest {
    store: Store<GuestState>,
    instance: Instance,
    /// Effort since the counters were last told.
    wall: Duration,
    fuel: u64,
}

impl Guest {
    /// Instantiates without configuring. What it may ask is in `grant`.
    fn instantiate(
        sandbox: &Sandbox,
        grant: Grant,
        is_repetition: bool,
        inherited: Option<Budget>,
    ) -> Result<Self, JudgeError> {
        let (upstream, grants) = match grant {
            Grant::All => {
                let upstream = sandbox.upstream.clone().map(|plugin| plugin as Arc<dyn Upstream>);
                (upstream, Some(Arc::clone(&sandbox.grants)))
            }
            Grant::Nothing => (None, None),
        };
        let budget = whole_budget(sandbox, DEADLINE_ITEMS);
        let state = GuestState::new(&sandbox.limits, upstream, grants, inherited, budget, is_repetition);
        let mut store = Store::new(&sandbox.compiled.engine, state);
        store.limiter(|state| &mut state.limiter);
        watch(&mut store);
        // Every string and list that comes out of the guest is charged to this before the host allocates anything.
        store.set_hostcall_fuel(sandbox.limits.output_mib as usize * (1 << 20));
        let in_flight = sandbox.host.ticker.enter();
        let allowed = allow(sandbox, &mut store, DEADLINE_ITEMS);
        let began = Instant::now();
        let outcome = sandbox.compiled.pre.instantiate(&mut store);
        charge(store.data_mut());
        drop(in_flight);
        let fuel = allowed.map_or(0, |allowed| allowed - store.get_fuel().unwrap_or(0));
        match outcome {
            Ok(instance) => Ok(Self { store, instance, wall: began.elapsed(), fuel }),
            Err(error) => Err(blame(sandbox, &mut store, Doing::Start, DEADLINE_ITEMS, &error)),
        }
    }

    /// What the plugin says of itself, from an instance of its own. Checks the types of all its functions, too.
    pub(crate) fn describe(sandbox: &Sandbox) -> Result<Manifest, JudgeError> {
        let mut guest = Self::instantiate(sandbox, Grant::Nothing, false, None)?;
        guest.check_types(sandbox).map_err(|error| JudgeError::File {
            path: sandbox.path.clone(),
            fault: FileFault::WrongType(format!("{error:#}")),
        })?;
        let (raw,): (RawManifest,) =
            guest.call(sandbox, Doing::Describe, DEADLINE_ITEMS, &sandbox.compiled.describe, ())?;
        guest.finish(sandbox);
        raw.check()
            .map_err(|fault| JudgeError::Plan { plugin: sandbox.identity.clone(), fault: PlanFault::Manifest(fault) })
    }

    /// A fresh instance, configured.
    pub(crate) fn start(sandbox: &Sandbox, is_repetition: bool) -> Result<Self, JudgeError> {
        Self::start_within(sandbox, is_repetition, None)
    }

    /// Likewise, under what is left of the budget of those that ask.
    pub(crate) fn start_within(
        sandbox: &Sandbox,
        is_repetition: bool,
        inherited: Option<Budget>,
    ) -> Result<Self, JudgeError> {
        let mut guest = Self::instantiate(sandbox, Grant::All, is_repetition, inherited)?;
        let parameters = (sandbox.parameters.as_str(),);
        let (configured,): (Result<(), ItemFailure>,) =
            guest.call(sandbox, Doing::Configure, DEADLINE_ITEMS, &sandbox.compiled.configure, parameters)?;
        match configured {
            Ok(()) => Ok(guest),
            Err(failure) => {
                guest.finish(sandbox);
                let fault = PlanFault::Configure { reason: harmless(&failure.reason) };
                Err(JudgeError::Plan { plugin: sandbox.identity.clone(), fault })
            }
        }
    }

    /// What is left of the budget it was started under.
    pub(crate) fn inherited(&self) -> Option<Budget> {
        self.store.data().inherited.clone()
    }

    /// One call, under the deadline and fuel of so many items. After an error the instance must not be used again.
    pub(crate) fn call<P, R>(
        &mut self,
        sandbox: &Sandbox,
        doing: Doing,
        items: usize,
        function: &ComponentExportIndex,
        parameters: P,
    ) -> Result<R, JudgeError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let in_flight = sandbox.host.ticker.enter();
        let allowed = allow(sandbox, &mut self.store, items);
        let began = Instant::now();
        let outcome = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, function)
            .and_then(|function| function.call(&mut self.store, parameters));
        charge(self.store.data_mut());
        drop(in_flight);
        self.wall += began.elapsed().saturating_sub(self.store.data().upstream_time);
        self.fuel += allowed.map_or(0, |allowed| allowed - self.store.get_fuel().unwrap_or(0));
        outcome.map_err(|error| {
            let blamed = blame(sandbox, &mut self.store, doing, items, &error);
            self.settle(sandbox);
            blamed
        })
    }

    /// Hands on the log and the effort so far.
    pub(crate) fn settle(&mut self, sandbox: &Sandbox) {
        let state = self.store.data_mut();
        sandbox.counters.add_effort(self.wall, self.fuel, state.limiter.peak_memory_bytes);
        (self.wall, self.fuel) = (Duration::ZERO, 0);
        if !state.is_repetition {
            state.log.flush(&sandbox.identity.name, &sandbox.host.log);
        }
    }

    /// Settles and throws the instance away.
    pub(crate) fn finish(mut self, sandbox: &Sandbox) {
        self.settle(sandbox);
    }

    fn check_types(&mut self, sandbox: &Sandbox) -> wasmtime::Result<()> {
        let (compiled, store, instance) = (&sandbox.compiled, &mut self.store, &self.instance);
        instance.get_typed_func::<(), (RawManifest,)>(&mut *store, &compiled.describe)?;
        instance.get_typed_func::<(&str,), (Result<(), ItemFailure>,)>(&mut *store, &compiled.configure)?;
        match compiled.world {
            World::Preference => {
                instance.get_typed_func::<(&[Comparison],), (Outcomes<Verdict>,)>(store, &compiled.main)?;
            }
            World::Reward => {
                instance.get_typed_func::<(&[Candidate],), (Outcomes<Score>,)>(store, &compiled.main)?;
            }
            World::Baseline => {
                instance
                    .get_typed_func::<(&[Sample],), (Result<Vec<f64>, ItemFailure>,)>(&mut *store, &compiled.main)?;
                if let Some((save, restore)) = &compiled.memory {
                    instance.get_typed_func::<(), (Vec<u8>,)>(&mut *store, save)?;
                    instance.get_typed_func::<(&[u8],), (Result<(), ItemFailure>,)>(store, restore)?;
                }
            }
        }
        Ok(())
    }
}

/// What an instance may ask.
#[derive(Clone, Copy)]
enum Grant {
    Nothing,
    All,
}

fn allowed_ms(limits: &Limits, items: usize) -> u64 {
    let items = items.max(DEADLINE_ITEMS) as u64;
    // Divided last: 100 items at 10 ms for 64 are 15 ms.
    limits.deadline_ms.saturating_mul(items) / DEADLINE_ITEMS as u64
}

fn allowed_fuel(sandbox: &Sandbox, items: usize) -> Option<u64> {
    sandbox.limits.fuel_per_item.map(|fuel| fuel.saturating_mul(items.max(1) as u64))
}

/// What a plugin that is judged with, and all that it wraps, have together for so many items: each its own deadline,
/// once.
fn whole_budget(sandbox: &Sandbox, items: usize) -> Budget {
    let chain = std::iter::successors(Some(sandbox), |sandbox| sandbox.upstream.as_ref().map(|plugin| &plugin.sandbox));
    let allowed_ms = chain.map(|sandbox| allowed_ms(&sandbox.limits, items)).fold(0, u64::saturating_add);
    let allowed_items = (items.max(1) as u64).saturating_mul(UPSTREAM_ITEMS_PER_ITEM);
    let owner = Arc::clone(&sandbox.identity.name);
    let whole = Arc::new(Whole { owner, allowed_ms, allowed_items });
    Budget { ticks: allowed_ms.div_ceil(TICK_MS).saturating_add(1), items: allowed_items, whole }
}

/// Sets deadline, fuel and budget for a call; returns the fuel.
fn allow(sandbox: &Sandbox, store: &mut Store<GuestState>, items: usize) -> Option<u64> {
    // One more: the tick under way may end at once.
    let own_ticks = allowed_ms(&sandbox.limits, items).div_ceil(TICK_MS) + 1;
    let state = store.data_mut();
    state.budget = state.inherited.clone().unwrap_or_else(|| whole_budget(sandbox, items));
    state.is_cut_short = state.budget.ticks < own_ticks;
    state.armed_ticks = own_ticks.min(state.budget.ticks);
    state.upstream_time = Duration::ZERO;
    // A guest that got over a refusal in an earlier call did not trap for it in this one.
    state.limiter.refused = None;
    let ticks = state.armed_ticks;
    arm(store, ticks);
    let fuel = allowed_fuel(sandbox, items)?;
    // Fails only where fuel is not metered, and then there is no allowance.
    store.set_fuel(fuel).ok().map(|()| fuel)
}

/// Takes what a call used from the budget that it was made under.
fn charge(state: &mut GuestState) {
    let used = state.armed_ticks.saturating_sub(ticks_left(state));
    state.budget.ticks = state.budget.ticks.saturating_sub(used);
    if state.inherited.is_some() {
        state.inherited = Some(state.budget.clone());
    }
}

/// Says who did what wrong.
fn blame(
    sandbox: &Sandbox,
    store: &mut Store<GuestState>,
    doing: Doing,
    items: usize,
    error: &wasmtime::Error,
) -> JudgeError {
    let plugin = sandbox.identity.clone();
    let state = store.data_mut();
    if let Some(Aborted::Upstream(source)) = state.aborted.take_if(|aborted| matches!(aborted, Aborted::Upstream(_))) {
        return JudgeError::Upstream { plugin, doing, items: None, source };
    }
    let fault = match state.aborted.take() {
        Some(Aborted::Budget(reason)) => Fault::Budget(reason),
        Some(_) => {
            Fault::UpstreamItems { allowed: state.budget.whole.allowed_items, per_item: UPSTREAM_ITEMS_PER_ITEM }
        }
        None => fault(sandbox, state, items, error),
    };
    JudgeError::Guest {
        plugin,
        doing,
        items: None,
        fault,
        last_error: state.log.last_error.take().map(String::into_boxed_str),
    }
}

fn fault(sandbox: &Sandbox, state: &mut GuestState, items: usize, error: &wasmtime::Error) -> Fault {
    let limits = &sandbox.limits;
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) if state.is_cut_short => {
            let Whole { owner, allowed_ms, .. } = &*state.budget.whole;
            Fault::SharedDeadline { owner: Arc::clone(owner), allowed_ms: *allowed_ms }
        }
        Some(Trap::Interrupt) => {
            Fault::Deadline { allowed_ms: allowed_ms(&sandbox.limits, items), deadline_ms: limits.deadline_ms }
        }
        Some(Trap::OutOfFuel) => Fault::Fuel {
            allowed: allowed_fuel(sandbox, items).unwrap_or(0),
            fuel_per_item: limits.fuel_per_item.unwrap_or(0),
        },
        Some(Trap::StackOverflow) => Fault::Stack { stack_kib: limits.stack_kib },
        // A guest that is refused memory usually traps right after; the refusal is the news, not the trap.
        Some(trap) => state.limiter.refused.take().unwrap_or_else(|| {
            let text = trap.to_string();
            Fault::Trap(text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned())
        }),
        None => state.limiter.refused.take().unwrap_or_else(|| unreadable(limits.output_mib, error)),
    }
}

/// Errors of the engine that have no type of their own: their words, which the tests pin to this version of wasmtime.
fn unreadable(output_mib: u32, error: &wasmtime::Error) -> Fault {
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Fault::Output { output_mib };
    }
    for (what, limit) in [("instance", INSTANCES_MAX), ("table", TABLES_MAX), ("memory", MEMORIES_MAX)] {
        if text.contains(&format!("resource limit exceeded: {what} count")) {
            let what = match what {
                "memory" => "memories",
                "table" => "tables",
                _ => "instances",
            };
            return Fault::Count { what, limit: limit as u64 };
        }
    }
    Fault::Unreadable(harmless(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_grows_with_the_batch() {
        let check = |deadline_ms, items, expect| {
            assert_eq!(allowed_ms(&Limits { deadline_ms, ..Limits::default() }, items), expect, "{items} items");
        };
        check(1000, 0, 1000);
        check(1000, 1, 1000);
        check(1000, 64, 1000);
        check(1000, 256, 4000);
        check(10, 100, 15);
        check(u64::MAX, 1024, u64::MAX / 64);
    }
}

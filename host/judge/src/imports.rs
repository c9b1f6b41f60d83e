//! What guests may call.

use wasmtime::{
    Engine, StoreContextMut,
    component::{Linker, WasmStr},
};

use crate::{
    error::{Fault, JudgeError},
    log::Level,
    state::{Aborted, Budget, GuestState, Upstream, with_the_rest},
    types::{Candidate, Comparison, ItemFailure, Outcomes},
};

/// All that the contract offers. Whether a plugin may import it was decided by name before it got here.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    linker.instance("slhf:lab/log@0.1.1")?.func_wrap(
        "write",
        |mut context: StoreContextMut<'_, GuestState>, (level, text): (Level, WasmStr)| {
            let text = text.to_str(&context)?.into_owned();
            context.data_mut().log.push(level.into(), &text);
            Ok(())
        },
    )?;
    linker.instance("slhf:lab/upstream-preference@0.1.1")?.func_wrap(
        "compare",
        |context: StoreContextMut<'_, GuestState>, (batch,): (Vec<Comparison>,)| {
            let asked = |upstream: &dyn Upstream, repeated, rest: &mut Budget| upstream.compare(&batch, repeated, rest);
            Ok((ask_upstream(context, batch.len(), asked)?,))
        },
    )?;
    linker.instance("slhf:lab/upstream-reward@0.1.1")?.func_wrap(
        "score",
        |context: StoreContextMut<'_, GuestState>, (batch,): (Vec<Candidate>,)| {
            let asked = |upstream: &dyn Upstream, repeated, rest: &mut Budget| upstream.score(&batch, repeated, rest);
            Ok((ask_upstream(context, batch.len(), asked)?,))
        },
    )?;
    Ok(linker)
}

/// Has the wrapped plugin asked about so many items.
fn ask_upstream<A>(
    mut context: StoreContextMut<'_, GuestState>,
    items: usize,
    asked: impl FnOnce(&dyn Upstream, bool, &mut Budget) -> Result<Vec<Result<A, ItemFailure>>, JudgeError>,
) -> wasmtime::Result<Outcomes<A>> {
    let state = context.data_mut();
    let Some(upstream) = state.upstream.clone() else {
        // Only `describe` runs without: a manifest must not depend on what is wrapped.
        wasmtime::bail!("the upstream cannot be asked while a plugin describes itself");
    };
    // An empty question costs an instance, too.
    let Some(left) = state.budget.items.checked_sub(items.max(1) as u64) else {
        state.aborted = Some(Aborted::UpstreamItems);
        wasmtime::bail!("too many items for the upstream");
    };
    state.budget.items = left;
    let is_repetition = state.is_repetition;
    match with_the_rest(&mut context, upstream.ticker(), |rest| asked(&*upstream, is_repetition, rest)) {
        Ok(outcomes) => Ok(Ok(outcomes)),
        // Its own word on the batch is the combinator's to handle; anything worse ends the call.
        Err(JudgeError::Guest { fault: Fault::Failed { reason }, .. }) => Ok(Err(ItemFailure { reason })),
        Err(error) => {
            context.data_mut().aborted = Some(Aborted::Upstream(Box::new(error)));
            wasmtime::bail!("the upstream misbehaved")
        }
    }
}

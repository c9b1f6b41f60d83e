//! What guests may call.

use std::sync::Arc;

use wasmtime::{
    Engine, StoreContextMut,
    component::{Linker, WasmStr},
};

use crate::{
    batch::Judged,
    error::{Fault, JudgeError},
    log::Level,
    state::{Aborted, GuestState, with_the_rest},
    types::{Candidate, Comparison, ItemFailure},
};

/// The answer of a `compare` or `score`.
pub(crate) type Outcomes<A> = Result<Vec<Result<A, ItemFailure>>, ItemFailure>;

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
    linker
        .instance("slhf:lab/upstream-preference@0.1.1")?
        .func_wrap("compare", |context, (batch,): (Vec<Comparison>,)| Ok((ask_upstream(context, &batch)?,)))?;
    linker
        .instance("slhf:lab/upstream-reward@0.1.1")?
        .func_wrap("score", |context, (batch,): (Vec<Candidate>,)| Ok((ask_upstream(context, &batch)?,)))?;
    Ok(linker)
}

fn ask_upstream<T: Judged>(
    mut context: StoreContextMut<'_, GuestState>,
    batch: &[T],
) -> wasmtime::Result<Outcomes<T::Answer>> {
    let state = context.data_mut();
    let Some(upstream) = state.upstream.clone() else {
        // Only `describe` runs without: a manifest must not depend on what is wrapped.
        wasmtime::bail!("the upstream cannot be asked while a plugin describes itself");
    };
    // An empty question costs an instance, too.
    let Some(left) = state.budget.items.checked_sub(batch.len().max(1) as u64) else {
        state.aborted = Some(Aborted::UpstreamItems);
        wasmtime::bail!("too many items for the upstream");
    };
    state.budget.items = left;
    let is_repetition = state.is_repetition;
    let host = Arc::clone(&upstream.sandbox.host);
    match with_the_rest(&mut context, &host.ticker, |rest| upstream.judge(batch, 0, is_repetition, Some(rest))) {
        Ok(outcomes) => Ok(Ok(outcomes)),
        // Its own word on the batch is the combinator's to handle; anything worse ends the call.
        Err(JudgeError::Guest { fault: Fault::Failed { reason }, .. }) => Ok(Err(ItemFailure { reason })),
        Err(error) => {
            context.data_mut().aborted = Some(Aborted::Upstream(Box::new(error)));
            wasmtime::bail!("the upstream misbehaved")
        }
    }
}

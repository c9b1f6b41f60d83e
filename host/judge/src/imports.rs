//! What guests may call.

use slhf_plan::{FaultKind, ModelCall, ModelFault, ModelReply, NamedValue};
use wasmtime::{
    Engine, StoreContextMut,
    component::{Linker, WasmStr},
};

use crate::{
    error::{Fault, JudgeError},
    log::Level,
    model_types::{
        GuestChoice, GuestChoiceItem, GuestCompletion, GuestCompletionItem, GuestEmbedding, GuestEvidence, GuestFault,
        GuestMessage, GuestValue,
    },
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
    link_models(&mut linker)?;
    Ok(linker)
}

/// The models that the experiment grants.
fn link_models(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut model = linker.instance("slhf:lab/model@0.1.1")?;
    model.func_wrap("granted", |context: StoreContextMut<'_, GuestState>, (): ()| {
        let names = context.data().grants.as_ref().map(|grants| grants.models.keys().cloned().collect());
        Ok((names.unwrap_or_default(),) as (Vec<String>,))
    })?;
    model.func_wrap(
        "choose",
        |context: StoreContextMut<'_, GuestState>,
         (model, items, evidence): (String, Vec<GuestChoiceItem>, GuestEvidence)| {
            let call = ModelCall::Choose(items.into_iter().map(Into::into).collect(), evidence.into());
            let ModelReply::Chosen(outcomes) = ask_model(context, &model, &call)? else { return out_of_place() };
            Ok((answers::<_, GuestChoice>(outcomes),))
        },
    )?;
    model.func_wrap(
        "complete",
        |context: StoreContextMut<'_, GuestState>, (model, items): (String, Vec<GuestCompletionItem>)| {
            let call = ModelCall::Complete(items.into_iter().map(Into::into).collect());
            let ModelReply::Completed(outcomes) = ask_model(context, &model, &call)? else { return out_of_place() };
            Ok((answers::<_, GuestCompletion>(outcomes),))
        },
    )?;
    model.func_wrap(
        "score",
        |context: StoreContextMut<'_, GuestState>, (model, items): (String, Vec<Vec<GuestMessage>>)| {
            let conversation = |messages: Vec<GuestMessage>| messages.into_iter().map(Into::into).collect();
            let call = ModelCall::Score(items.into_iter().map(conversation).collect());
            let ModelReply::Scored(outcomes) = ask_model(context, &model, &call)? else { return out_of_place() };
            let values = |values: Vec<NamedValue>| values.into_iter().map(Into::into).collect::<Vec<GuestValue>>();
            let outcomes = outcomes.into_iter().map(|outcome| outcome.map(values).map_err(GuestFault::from));
            Ok((outcomes.collect::<Vec<_>>(),))
        },
    )?;
    model.func_wrap("embed", |context: StoreContextMut<'_, GuestState>, (model, texts): (String, Vec<String>)| {
        let ModelReply::Embedded(outcomes) = ask_model(context, &model, &ModelCall::Embed(texts))? else {
            return out_of_place();
        };
        Ok((answers::<_, GuestEmbedding>(outcomes),))
    })?;
    Ok(())
}

fn answers<A, G: From<A>>(outcomes: Vec<Result<A, ModelFault>>) -> Vec<Result<G, GuestFault>> {
    outcomes.into_iter().map(|outcome| outcome.map(Into::into).map_err(Into::into)).collect()
}

fn out_of_place<R>() -> wasmtime::Result<R> {
    wasmtime::bail!("a model replied to another question")
}

/// Asks a model; the guest's clock stands still meanwhile. A budget that is spent ends the call, whatever the plugin would make of
/// it: the run stops there.
fn ask_model(
    mut context: StoreContextMut<'_, GuestState>,
    model: &str,
    call: &ModelCall,
) -> wasmtime::Result<ModelReply> {
    let state = context.data_mut();
    let Some(grants) = state.grants.clone() else {
        wasmtime::bail!("a model cannot be asked while a plugin describes itself");
    };
    let Some(left) = state.budget.items.checked_sub(call.len().max(1) as u64) else {
        state.aborted = Some(Aborted::UpstreamItems);
        wasmtime::bail!("too many items for models");
    };
    state.budget.items = left;
    let reply = with_the_rest(&mut context, |_| grants.ask(model, call));
    if let Some(reason) = spent(&reply) {
        context.data_mut().aborted = Some(Aborted::Budget(reason));
        wasmtime::bail!("the budget of a model is spent");
    }
    Ok(reply)
}

/// The sentence of a budget that is spent, if an outcome says so.
fn spent(reply: &ModelReply) -> Option<String> {
    let fault = reply.faults().into_iter().find(|fault| fault.kind == FaultKind::OverBudget);
    fault.map(|fault| fault.reason.clone())
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
    match with_the_rest(&mut context, |rest| asked(&*upstream, is_repetition, rest)) {
        Ok(outcomes) => Ok(Ok(outcomes)),
        // Its own word on the batch is the combinator's to handle; anything worse ends the call.
        Err(JudgeError::Guest { fault: Fault::Failed { reason }, .. }) => Ok(Err(ItemFailure { reason })),
        Err(error) => {
            context.data_mut().aborted = Some(Aborted::Upstream(Box::new(error)));
            wasmtime::bail!("the upstream misbehaved")
        }
    }
}

//! Control variates: plugins that remember.

use std::{fmt, sync::Arc};

use crate::{
    batch::check_finite,
    error::{Doing, Fault, JudgeError},
    guest::Guest,
    log::harmless,
    plugin::{Plugin, Sandbox},
    threads::with_stack,
    types::{ItemFailure, Sample},
};

/// A control variate with its state, in an instance that lives as long as this.
///
/// After an error in a call the instance is gone, and so is its state: every later call fails. Start another one
/// with [`Baseline::fresh`] and [`Baseline::restore`] a saved state there.
pub struct Baseline {
    pub(crate) plugin: Arc<Plugin>,
    guest: Option<Guest>,
}

impl fmt::Debug for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baseline").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Baseline {
    pub(crate) fn new(plugin: Arc<Plugin>) -> Result<Self, JudgeError> {
        let sandbox = &plugin.sandbox;
        let guest = with_stack(sandbox.stack_bytes(), || Guest::start(sandbox, false))?;
        Ok(Self { plugin, guest: Some(guest) })
    }

    /// Another one of the same plugin and parameters that has seen nothing yet, with counters of its own.
    pub fn fresh(&self) -> Result<Self, JudgeError> {
        let plugin = Plugin { sandbox: self.plugin.sandbox.anew(), manifest: self.plugin.manifest.clone() };
        Self::new(Arc::new(plugin))
    }

    /// A finite baseline per sample, in order; the batch is then part of what was seen.
    pub fn estimate(&mut self, batch: &[Sample]) -> Result<Vec<f64>, JudgeError> {
        let estimated = self.ask(Doing::Estimate, |guest, sandbox| {
            let (estimated,): (Result<Vec<f64>, ItemFailure>,) =
                guest.call(sandbox, Doing::Estimate, batch.len(), &sandbox.compiled.main, (batch,))?;
            Ok(estimated.map_err(|failure| Fault::Failed { reason: harmless(&failure.reason) }).and_then(|baselines| {
                check(&baselines, batch.len())?;
                Ok(baselines)
            }))
        })?;
        self.plugin.sandbox.counters.add_call(batch.len(), 0);
        Ok(estimated)
    }

    /// The whole state, for a checkpoint.
    pub fn save(&mut self) -> Result<Vec<u8>, JudgeError> {
        self.ask(Doing::Save, |guest, sandbox| match &sandbox.compiled.memory {
            Some((save, _)) => {
                let (state,): (Vec<u8>,) = guest.call(sandbox, Doing::Save, 1, save, ())?;
                Ok(Ok(state))
            }
            None => Ok(Err(Fault::Gone)),
        })
    }

    /// Takes up a saved state.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), JudgeError> {
        self.ask(Doing::Restore, |guest, sandbox| match &sandbox.compiled.memory {
            Some((_, restore)) => {
                let (restored,): (Result<(), ItemFailure>,) =
                    guest.call(sandbox, Doing::Restore, 1, restore, (state,))?;
                Ok(restored.map_err(|failure| Fault::Failed { reason: harmless(&failure.reason) }))
            }
            None => Ok(Err(Fault::Gone)),
        })
    }

    /// One call on a thread with a deep enough stack. The guest is put back only where all went well.
    fn ask<R: Send>(
        &mut self,
        doing: Doing,
        call: impl FnOnce(&mut Guest, &Sandbox) -> Result<Result<R, Fault>, JudgeError> + Send,
    ) -> Result<R, JudgeError> {
        let sandbox = &self.plugin.sandbox;
        let mut guest = self.guest.take().ok_or_else(|| sandbox.error(doing, Fault::Gone))?;
        let (guest, answer) = with_stack(sandbox.stack_bytes(), move || {
            let answer = call(&mut guest, sandbox)?;
            guest.settle(sandbox);
            Ok((guest, answer))
        })?;
        let answer = answer.map_err(|fault| sandbox.error(doing, fault))?;
        self.guest = Some(guest);
        Ok(answer)
    }
}

fn check(baselines: &[f64], expected: usize) -> Result<(), Fault> {
    if baselines.len() != expected {
        return Err(Fault::WrongLength { expected, found: baselines.len() });
    }
    baselines
        .iter()
        .enumerate()
        .try_for_each(|(index, baseline)| check_finite(&format!("the baseline of item {index}"), *baseline))
}

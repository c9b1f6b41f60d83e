//! A server that samples in the place of the run's device.

use crate::language::AdapterPlan;
use crate::methods::{LanguageMethod, Responses};
use crate::model_settings::Sampling;
use crate::settings::Problems;
use crate::{Curve, SamplerPlan};

/// What of a cell its sampler must fit.
#[derive(Clone, Copy)]
pub(super) struct SampledBy<'a> {
    pub(super) sampler: &'a SamplerPlan,
    pub(super) adapter: &'a AdapterPlan,
    pub(super) method: &'a LanguageMethod,
    /// Whether responses come from closed sets.
    pub(super) is_closed: bool,
    /// Processes that compute the run together.
    pub(super) processes: u32,
}

/// Everything that a server cannot do.
pub(super) fn check_sampler(cell: SampledBy<'_>, problems: &mut Problems) {
    let key = "device.sampler";
    problems.require(cell.processes == 1, key, || {
        format!(
            "given with device.processes = {}, whose processes share out sampling: a server does that itself; use processes = 1",
            cell.processes
        )
    });
    problems.require(!cell.is_closed, key, || {
        "given with data.answers: closed sets of responses are scored, and nothing is sampled; remove it".to_owned()
    });
    problems.require(*cell.adapter != AdapterPlan::Full, "model.adapter.kind", || {
        "\"full\" with device.sampler: a server takes adapters from a folder, but whole models only by calls that its documentation \
         keeps for developers; use kind = \"lora\""
            .to_owned()
    });
    check_mixture(cell.method, problems);
    if cell.method.uses().responses == Responses::Sampled {
        check_cut(&cell.method.training().sampling, problems);
    }
    if let Some(importance) = cell.sampler.importance {
        importance.check(problems);
        check_importance(cell, problems);
    }
}

/// Nash-MD's opponent multiplies two policies at every token, and a server draws a token from one.
fn check_mixture(method: &LanguageMethod, problems: &mut Problems) {
    let LanguageMethod::NashMd(game) = method else { return };
    problems.require(game.mixture_coef == Curve::Constant { value: 0.0 }, "method.mixture_coef", || {
        "with device.sampler: a mixture multiplies two policies at every token, and a server samples one policy at a time; use \
         mixture_coef = 0, or remove device.sampler"
            .to_owned()
    });
}

/// A server does not say from how many tokens it drew one, so that a cut distribution cannot be trained.
fn check_cut(sampling: &Sampling, problems: &mut Problems) {
    let mut refuse = |key: &str, given: String, all: &str| {
        let why = "with device.sampler: a server does not say among how many tokens one was drawn, so that what was sampled cannot be \
                   trained";
        problems.push(key, format!("{given} {why}; use {all} (evaluation.{} may differ)", &key["method.".len()..]));
    };
    if sampling.top_k > 0 {
        refuse("method.top_k", sampling.top_k.to_string(), "top_k = 0");
    }
    if sampling.top_p < 1.0 {
        refuse("method.top_p", sampling.top_p.to_string(), "top_p = 1");
    }
}

/// Weights are of samples that the trained policy drew.
fn check_importance(cell: SampledBy<'_>, problems: &mut Problems) {
    let name = cell.method.name();
    let learns_its_own = cell.method.is_trained()
        && cell.method.uses().responses == Responses::Sampled
        && !matches!(cell.method, LanguageMethod::Sft(_));
    problems.require(learns_its_own, "device.sampler.importance", || {
        format!("given with {name}, which does not learn from samples of the policy that it trains; remove it")
    });
}

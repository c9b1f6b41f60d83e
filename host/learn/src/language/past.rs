//! What policies of steps before make of the answers of a step, for methods that play against them.

use slhf_plan::Passed;

use super::failure::StepError;
use super::group::{GroupLoss, PastScore};
use super::passing::{Trained, batches};
use super::settings::Settings;
use super::traits::{LanguagePolicies, Pair};

/// One entry a sample, and what reading cost; no entries where no policy of the `steps_before` weighs anything. The policies as they stand
/// are kept for the steps to come.
pub(crate) fn past_scores(
    policies: &mut dyn LanguagePolicies,
    settings: &Settings,
    loss: &dyn GroupLoss,
    (trained, steps_before): (&[Trained<'_>], usize),
) -> Result<(Vec<PastScore>, Passed), StepError> {
    let mut total = Passed::default();
    let weights = loss.opponents(steps_before);
    let mut scores = Vec::new();
    for (times_ago, &weight) in weights.iter().enumerate().skip(1).filter(|(_, weight)| **weight > 0.0) {
        scores.resize(trained.len(), PastScore::default());
        let mut slots = scores.iter_mut();
        for batch in batches(settings, trained) {
            let pairs: Vec<Pair<'_>> = batch.iter().map(|trained| trained.played.pair()).collect();
            let doing = "reading responses by the policy of a step before";
            let failed = |source| StepError::Policies { doing, source };
            let (found, passed) = policies.score_by_kept(times_ago, &pairs).map_err(failed)?;
            if found.len() != pairs.len() {
                let (found, expected) = (found.len(), pairs.len());
                return Err(StepError::Count { what: "responses scored by an earlier policy", found, expected });
            }
            total.operations += passed.operations;
            total.forward_passes += passed.forward_passes;
            for (slot, log_probability) in slots.by_ref().zip(found) {
                slot.weight += weight;
                slot.log_probability += weight * log_probability;
            }
        }
    }
    keep(policies, loss.kept())?;
    Ok((scores, total))
}

/// Keeps the policies as they stand beside so many in all, of a method that plays against any.
pub(crate) fn keep(policies: &mut dyn LanguagePolicies, most: usize) -> Result<(), StepError> {
    if most == 0 {
        return Ok(());
    }
    policies.keep(most).map_err(|source| StepError::Policies { doing: "keeping the policy of this step", source })
}

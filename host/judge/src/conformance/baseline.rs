//! Checks of control variates.

use std::time::Instant;

use super::checks::Checks;
use crate::{
    JudgeError,
    baseline::Baseline,
    types::{Role, Sample},
};

/// Batches that throughput is measured on.
const THROUGHPUT_BATCHES: u64 = 200;

/// All checks of a control variate. Every check starts instances of its own from `origin`.
pub(super) fn check_all(checks: &mut Checks, origin: &Baseline) {
    checks.add("range", told(seen(origin, 3).map(|_| "24 baselines are finite, one per sample".to_owned())));
    checks.add("determinism", told(is_deterministic(origin)).and_then(|found| found));
    checks.add("own reward", told(ignores_own_reward(origin)).and_then(|found| found));
    checks.add("save and restore", told(survives_a_checkpoint(origin)).and_then(|found| found));
    checks.add("bad state", told(survives_a_bad_state(origin)));
    checks.add("empty batch", told(takes_an_empty_batch(origin)));
    match throughput(origin) {
        Ok(per_second) => checks.report("throughput", format!("{per_second:.0} samples/s in batches of 8")),
        Err(error) => checks.add("throughput", Err(slhf_words::chain(&error))),
    }
}

fn told<R>(found: Result<R, JudgeError>) -> Result<R, String> {
    found.map_err(|error| slhf_words::chain(&error))
}

/// Eight samples of a step, rewards spread over [0, 1] without a pattern.
fn batch(step: u64) -> Vec<Sample> {
    let sample = |index: u64| Sample {
        prompt_id: index / 4,
        role: if index.is_multiple_of(2) { Role::Leader } else { Role::Follower },
        step,
        reward: ((step * 8 + index).wrapping_mul(7919) % 101) as f64 / 100.0,
    };
    (0..8).map(sample).collect()
}

/// An instance that has seen so many steps, and what it answered.
fn seen(origin: &Baseline, steps: u64) -> Result<(Baseline, Vec<f64>), JudgeError> {
    let mut baseline = origin.fresh()?;
    let mut answers = Vec::new();
    for step in 1..=steps {
        answers.append(&mut baseline.estimate(&batch(step))?);
    }
    Ok((baseline, answers))
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

type Found = Result<Result<String, String>, JudgeError>;

fn is_deterministic(origin: &Baseline) -> Found {
    let ((_, once), (_, again)) = (seen(origin, 3)?, seen(origin, 3)?);
    Ok(if same_bits(&once, &again) {
        Ok("the same samples have baselines of the same bits".to_owned())
    } else {
        Err(format!("the same samples have other baselines in another instance: {once:?}, then {again:?}"))
    })
}

/// A baseline that depends on the reward it is subtracted from biases the gradient.
fn ignores_own_reward(origin: &Baseline) -> Found {
    let asked = batch(3);
    let expected = seen(origin, 2)?.0.estimate(&asked)?;
    for index in 0..asked.len() {
        let mut perturbed = asked.clone();
        perturbed[index].reward = 1.0 - asked[index].reward + 0.25;
        let found = seen(origin, 2)?.0.estimate(&perturbed)?[index];
        if found.to_bits() != expected[index].to_bits() {
            return Ok(Err(format!(
                "the baseline of item {index} goes from {} to {found} when only that item's own reward changes: \
                 the gradient would be biased",
                expected[index]
            )));
        }
    }
    Ok(Ok("no baseline depends on its own item's reward".to_owned()))
}

fn survives_a_checkpoint(origin: &Baseline) -> Found {
    let (mut straight, _) = seen(origin, 3)?;
    let state = straight.save()?;
    let mut resumed = origin.fresh()?;
    resumed.restore(&state)?;
    for step in 4..=5 {
        let (expected, found) = (straight.estimate(&batch(step))?, resumed.estimate(&batch(step))?);
        if !same_bits(&expected, &found) {
            return Ok(Err(format!("after restoring {} bytes: {found:?}, not {expected:?}", state.len())));
        }
    }
    Ok(Ok(format!("goes on with the same bits from a state of {} bytes", state.len())))
}

/// A state of another version or another plugin: to refuse it is right, to trap is not.
fn survives_a_bad_state(origin: &Baseline) -> Result<String, JudgeError> {
    let mut declined = 0;
    let states: [&[u8]; 3] = [b"", b"not a state", &[0xff; 4096]];
    for state in states {
        match origin.fresh()?.restore(state) {
            Ok(()) => {}
            Err(JudgeError::Guest { fault: crate::Fault::Failed { .. }, .. }) => declined += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(format!("declined {declined} of {} bad states, trapped on none", states.len()))
}

fn takes_an_empty_batch(origin: &Baseline) -> Result<String, JudgeError> {
    origin.fresh()?.estimate(&[]).map(|_| "no baselines for no samples".to_owned())
}

fn throughput(origin: &Baseline) -> Result<f64, JudgeError> {
    let began = Instant::now();
    seen(origin, THROUGHPUT_BATCHES)?;
    Ok(THROUGHPUT_BATCHES as f64 * 8.0 / began.elapsed().as_secs_f64())
}

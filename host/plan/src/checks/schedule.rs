//! Schedules.

use crate::settings::Problems;
use crate::{AdaptiveRule, Curve, Kappa, Realisation, Schedule};

/// Every curve is monotone: its ends bound it.
fn ends(curve: &Curve, steps: u64) -> [f64; 2] {
    [curve.at(1, steps), curve.at(steps, steps)]
}

/// A weight over a run, in [0, 1].
pub fn check_weight_curve(key: &str, curve: &Curve, steps: u64, problems: &mut Problems) {
    if let Some(weight) = ends(curve, steps).iter().find(|weight| !(0.0..=1.0).contains(*weight)) {
        problems.push(key, format!("becomes {weight}; expected a weight in [0, 1] at every step"));
    }
}

pub(super) fn check_rate(key: &str, curve: &Curve, steps: u64, problems: &mut Problems) {
    let [start, end] = ends(curve, steps);
    problems.require(start.is_finite() && start > 0.0, key, || {
        format!("starts at {start}; expected a finite number above 0")
    });
    problems.require(end.is_finite() && end >= 0.0, key, || {
        format!("ends at {end}; expected a finite number, not negative")
    });
    if let Curve::Power { offset, .. } = curve {
        problems.require(offset.is_finite() && *offset >= 0.0, key, || {
            format!("has an offset of {offset}; expected a finite number of steps, not negative")
        });
    }
}

/// What holds of every schedule, and with a Follower what holds of its speed.
pub(super) fn check_schedule(
    schedule: &Schedule,
    steps: u64,
    follower: Option<FollowerLimits>,
    problems: &mut Problems,
) {
    check_rate("schedule.learning_rate", &schedule.learning_rate, steps, problems);
    problems.require(schedule.warmup_steps <= steps, "schedule.warmup_steps", || {
        format!("{} of {steps} steps; expected no more than the run has", schedule.warmup_steps)
    });
    let Some(limits) = follower else { return };
    match &schedule.follower_learning_rate {
        Some(rate) => {
            let key = "schedule.follower_learning_rate";
            problems.require(schedule.realisation == Realisation::LearningRateRatio, key, || {
                "a rate of its own is a ratio of learning rates: it needs realisation = \"learning_rate_ratio\""
                    .to_owned()
            });
            check_rate(key, rate, steps, problems);
            check_power_pair(&schedule.learning_rate, rate, problems);
        }
        None => check_kappa(schedule, steps, limits, problems),
    }
}

/// How fast a Follower may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct FollowerLimits {
    /// Its updates for one of the Leader's, at most.
    pub(super) updates_max: u32,
}

/// t^−a for the Leader, t^−b for the Follower: two timescales only if the Follower's falls more slowly.
fn check_power_pair(leader: &Curve, follower: &Curve, problems: &mut Problems) {
    if let (Curve::Power { exponent: a, .. }, Curve::Power { exponent: b, .. }) = (leader, follower) {
        problems.require(b < a, "schedule.follower_learning_rate.exponent", || {
            format!(
                "{b}, but the Leader's is {a}: the Follower's rate must fall more slowly than the Leader's (b < a), or it \
                 does not stay on the faster timescale"
            )
        });
    }
}

fn check_kappa(schedule: &Schedule, steps: u64, limits: FollowerLimits, problems: &mut Problems) {
    let key = "schedule.kappa";
    let counts_updates = schedule.realisation == Realisation::UpdatesPerLeaderUpdate;
    let most = limits.updates_max;
    if let (Kappa::Constant { value }, true) = (&schedule.kappa, counts_updates) {
        problems.require(value.fract() == 0.0 && (1.0..=f64::from(most)).contains(value), key, || {
            format!(
                "{value} with updates_per_leader_update: the Follower takes κ updates for each of the Leader's, so it \
                 must be a whole number from 1 to {most}"
            )
        });
    }
    match (&schedule.kappa, schedule.kappa.curve()) {
        (_, Some(curve)) => {
            let [start, end] = ends(&curve, steps);
            let bad = [start, end].into_iter().find(|value| !(value.is_finite() && *value > 0.0));
            if let Some(value) = bad {
                problems.push(key, format!("becomes {value}; expected a finite number above 0 at every step"));
            }
            problems.require(!counts_updates || start.max(end) <= f64::from(most), key, || {
                format!("reaches {} Follower updates a step; expected at most {most}", start.max(end))
            });
        }
        (Kappa::Adaptive(rule), None) => check_adaptive(rule, problems),
        _ => {}
    }
}

fn check_adaptive(rule: &AdaptiveRule, problems: &mut Problems) {
    for (key, value) in [
        ("schedule.kappa.target", rule.target),
        ("schedule.kappa.minimum", rule.minimum),
        ("schedule.kappa.maximum", rule.maximum),
        ("schedule.kappa.gain", rule.gain),
    ] {
        problems.above_zero(key, value);
    }
    let AdaptiveRule { start, minimum, maximum, smoothing, interval, .. } = rule;
    problems.require((*minimum..=*maximum).contains(start), "schedule.kappa.start", || {
        format!("{start}; expected a number between minimum ({minimum}) and maximum ({maximum})")
    });
    problems.require((0.0..1.0).contains(smoothing), "schedule.kappa.smoothing", || {
        format!("{smoothing}; expected a number in [0, 1)")
    });
    problems
        .require(*interval > 0, "schedule.kappa.interval", || "0; expected a number of steps, at least 1".to_owned());
}

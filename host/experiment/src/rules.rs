//! What an experiment says that does not fit together, beyond what [`slhf_plan::check_game`] asks of any plan: settings given beside
//! each other, devices that are none.

use slhf_plan::settings::Problems;
use slhf_plan::{DeviceKind, Realisation, Schedule};

use crate::config::ScheduleConfig;

/// Threads beyond which libtorch is not asked.
const THREADS_MAX: u32 = 1024;

/// A device that may exist, and a number of threads that a machine may have.
pub(super) fn check_device_name(name: Option<&str>, threads: u32, problems: &mut Problems) {
    let name = name.unwrap_or("auto");
    if name != "auto" && DeviceKind::of(name).is_none() {
        problems.push("device.name", format!("\"{name}\" is no device; expected auto, cpu, cuda or cuda:N"));
    }
    if !(1..=THREADS_MAX).contains(&threads) {
        problems.push("device.threads", format!("{threads}; expected 1 to {THREADS_MAX}"));
    }
}

/// Something that happens every so many steps.
pub(super) fn check_cadence(key: &str, every: u64, problems: &mut Problems) {
    if every == 0 {
        problems.push(key, "0; expected a number of steps, at least 1");
    }
}

/// A distance at which gradients are counted.
pub(super) fn check_target_distance(distance: Option<f64>, schedule: &Schedule, problems: &mut Problems) {
    let key = "evaluation.target_distance";
    let Some(distance) = distance else { return };
    if !(distance.is_finite() && distance > 0.0) {
        problems.push(key, format!("{distance}; expected a finite number above 0"));
    }
    if schedule.realisation == Realisation::UpdatesPerLeaderUpdate {
        let problem = "given with schedule.realisation = \"updates_per_leader_update\", where players take different numbers of gradients; \
                       expected another realization, or no count of gradients";
        problems.push(key, problem.to_owned());
    }
}

/// The Follower's own rate: a ratio of learning rates, and nothing beside it.
pub(super) fn check_follower_rate(schedule: &ScheduleConfig, problems: &mut Problems) {
    let key = "schedule.follower_learning_rate";
    if schedule.follower_learning_rate.is_none() {
        return;
    }
    if schedule.kappa.is_some() {
        problems.push(key, "given beside kappa, but kappa is the ratio of the two rates: give one of them");
    }
    if schedule.realisation.is_some_and(|realisation| realisation != Realisation::LearningRateRatio) {
        problems.push(
            key,
            "a rate of its own is a ratio of learning rates: it needs realisation = \"learning_rate_ratio\"",
        );
    }
}

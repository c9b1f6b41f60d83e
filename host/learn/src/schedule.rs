//! The realised schedule: what the two speeds are at a step.

use serde::{Deserialize, Serialize};
use slhf_plan::{AdaptiveRule, Kappa, Realisation, ScheduleRow};

use crate::rules::Course;

/// The whole state of the adaptive rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdaptiveState {
    pub(crate) log_kappa: f64,
    /// The smoothed signal; `None` before the first reading.
    pub(crate) smoothed: Option<f64>,
}

/// What one step's updates use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speeds {
    /// κ as realised.
    pub(crate) kappa: f64,
    /// The Leader's learning rate.
    pub(crate) leader_rate: f64,
    /// The Follower's learning rate.
    pub(crate) follower_rate: f64,
    /// What the Follower's loss is multiplied by.
    pub(crate) follower_weight: f64,
    /// Follower updates in this step.
    pub(crate) follower_updates: u32,
}

impl AdaptiveState {
    /// Where a run starts; `None` where κ is a curve.
    pub(crate) fn start(kappa: &Kappa) -> Option<Self> {
        match kappa {
            Kappa::Adaptive(rule) => Some(Self { log_kappa: rule.start.ln(), smoothed: None }),
            _ => None,
        }
    }

    /// `direction`: 1 where a signal above the target makes the Follower faster, −1 where it makes it slower.
    fn read(&mut self, rule: &AdaptiveRule, signal: f64, direction: f64) {
        let smoothed = match self.smoothed {
            None => signal,
            Some(past) => rule.smoothing * past + (1.0 - rule.smoothing) * signal,
        };
        self.smoothed = Some(smoothed);
        let error = ((smoothed - rule.target) / rule.target).clamp(-1.0, 1.0);
        self.log_kappa = (self.log_kappa + direction * rule.gain * error).clamp(rule.minimum.ln(), rule.maximum.ln());
    }
}

impl Course {
    /// Whether the adaptive rule reads its signal before `step`'s update: every `interval` steps, at the iterate that
    /// the step before left.
    pub(crate) fn reads_signal(&self, step: u64) -> bool {
        match &self.schedule.kappa {
            Kappa::Adaptive(rule) => step > 1 && (step - 1).is_multiple_of(rule.interval),
            _ => false,
        }
    }

    /// Takes a reading of the Follower's gap.
    pub(crate) fn read_signal(&self, state: &mut Option<AdaptiveState>, signal: f64) {
        if let (Kappa::Adaptive(rule), Some(state)) = (&self.schedule.kappa, state) {
            state.read(rule, signal, 1.0);
        }
    }

    /// Takes a reading of the Follower's win rate: a Follower that wins less often than the target is made faster.
    pub(crate) fn read_win_rate(&self, state: &mut Option<AdaptiveState>, win_rate: f64) {
        if let (Kappa::Adaptive(rule), Some(state)) = (&self.schedule.kappa, state) {
            state.read(rule, win_rate, -1.0);
        }
    }

    /// The speeds of `step` (from 1).
    pub(crate) fn speeds(&self, step: u64, state: Option<AdaptiveState>) -> Speeds {
        let schedule = &self.schedule;
        let rising = if step < schedule.warmup_steps { step as f64 / schedule.warmup_steps as f64 } else { 1.0 };
        let leader_rate = schedule.learning_rate.at(step, self.steps) * rising;
        if let Some(curve) = schedule.follower_learning_rate {
            let follower_rate = curve.at(step, self.steps) * rising;
            let kappa = follower_rate / leader_rate;
            return Speeds { kappa, leader_rate, follower_rate, follower_weight: 1.0, follower_updates: 1 };
        }
        let kappa = match (schedule.kappa.curve(), state) {
            (Some(curve), _) => curve.at(step, self.steps),
            (None, Some(state)) => state.log_kappa.exp(),
            (None, None) => 1.0,
        };
        let same = Speeds { kappa, leader_rate, follower_rate: leader_rate, follower_weight: 1.0, follower_updates: 1 };
        match schedule.realisation {
            Realisation::LossWeight => Speeds { follower_weight: kappa, ..same },
            Realisation::LearningRateRatio => Speeds { follower_rate: kappa * leader_rate, ..same },
            Realisation::UpdatesPerLeaderUpdate => {
                // A curve or the adaptive rule passes between whole numbers: the nearest, at least one.
                let updates = kappa.round().clamp(1.0, 65_535.0);
                Speeds { kappa: updates, follower_updates: updates as u32, ..same }
            }
        }
    }
}

impl Speeds {
    /// As it is recorded.
    pub(crate) fn row(&self, run: i64, step: u64, updates: [u64; 2], has_follower: bool) -> ScheduleRow {
        let or_nan = |value: f64| if has_follower { value } else { f64::NAN };
        ScheduleRow {
            run,
            step,
            kappa: or_nan(self.kappa),
            leader_learning_rate: self.leader_rate,
            follower_learning_rate: or_nan(self.follower_rate),
            leader_updates: updates[0],
            follower_updates: updates[1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slhf_plan::{Curve, Schedule};

    fn course(schedule: Schedule) -> Course {
        let mixture = Curve::Constant { value: 0.0 };
        Course { run: 1, seed: 1, steps: 100, logit_scale: 1.0, schedule, mixture, finite: None, renew_every: None }
    }

    fn schedule(realisation: Realisation, kappa: Kappa) -> Schedule {
        Schedule {
            realisation,
            kappa,
            learning_rate: Curve::Constant { value: 0.5 },
            follower_learning_rate: None,
            warmup_steps: 0,
        }
    }

    #[test]
    fn each_realisation_puts_kappa_in_one_place() {
        let check = |realisation, weight, rate, updates| {
            let speeds = course(schedule(realisation, Kappa::Constant { value: 4.0 })).speeds(7, None);
            let found = (speeds.kappa, speeds.follower_weight, speeds.follower_rate, speeds.follower_updates);
            assert_eq!(found, (4.0, weight, rate, updates));
            assert_eq!(speeds.leader_rate, 0.5);
        };
        check(Realisation::LossWeight, 4.0, 0.5, 1);
        check(Realisation::LearningRateRatio, 1.0, 2.0, 1);
        check(Realisation::UpdatesPerLeaderUpdate, 1.0, 0.5, 4);
    }

    #[test]
    fn a_power_law_pair_realises_its_ratio_and_both_warm_up() {
        let mut plan = schedule(Realisation::LearningRateRatio, Kappa::Constant { value: 1.0 });
        plan.learning_rate = Curve::Power { start: 1.0, exponent: 0.9, offset: 0.0 };
        plan.follower_learning_rate = Some(Curve::Power { start: 1.0, exponent: 0.6, offset: 0.0 });
        plan.warmup_steps = 10;
        let course = course(plan);
        let speeds = course.speeds(5, None);
        assert!((speeds.leader_rate - 0.5 * 5_f64.powf(-0.9)).abs() < 1e-15);
        assert!((speeds.kappa - 5_f64.powf(0.3)).abs() < 1e-12);
        assert_eq!(course.speeds(10, None).leader_rate, 10_f64.powf(-0.9));
    }

    #[test]
    fn the_adaptive_rule_speeds_the_follower_up_while_its_gap_is_too_large() {
        let rule = AdaptiveRule {
            start: 2.0,
            target: 0.01,
            gain: 0.1,
            smoothing: 0.5,
            minimum: 1.0,
            maximum: 3.0,
            interval: 10,
        };
        let course = course(schedule(Realisation::LearningRateRatio, Kappa::Adaptive(rule)));
        let readings: Vec<u64> = (1..=31).filter(|&step| course.reads_signal(step)).collect();
        assert_eq!(readings, [11, 21, 31]);

        let mut state = AdaptiveState::start(&course.schedule.kappa);
        course.read_signal(&mut state, 0.015);
        // First reading as it is: error (0.015 − 0.01) / 0.01 = 0.5.
        assert!((course.speeds(11, state).kappa - 2.0 * 0.05_f64.exp()).abs() < 1e-12);
        course.read_signal(&mut state, 0.005);
        // Smoothed 0.010: nothing changes.
        assert!((course.speeds(21, state).kappa - 2.0 * 0.05_f64.exp()).abs() < 1e-12);
        for _ in 0..100 {
            course.read_signal(&mut state, 1.0);
        }
        assert!((course.speeds(31, state).kappa - 3.0).abs() < 1e-12);
        for _ in 0..100 {
            course.read_signal(&mut state, 0.0);
        }
        assert!((course.speeds(31, state).kappa - 1.0).abs() < 1e-12);

        let mut state = AdaptiveState::start(&course.schedule.kappa);
        course.read_win_rate(&mut state, 0.005);
        // A win rate below its target speeds the Follower up: error −0.5.
        assert!((course.speeds(11, state).kappa - 2.0 * 0.05_f64.exp()).abs() < 1e-12);
    }
}

//! A step of the methods of [`crate::finite`].

use super::kernel;
use super::run::{Failure, ScalarRun, Scratch, apply};
use crate::finite::Draws;
use crate::rules::Rules;

impl ScalarRun {
    pub(super) fn finite_step(&mut self, rules: &Rules, scratch: &mut Scratch) -> Result<(), Failure> {
        let Some(method) = self.course.finite.clone() else { return Ok(()) };
        let not_finite = Failure::NotFinite { step: self.state.step };
        let step = self.state.step + 1;
        let problem = &self.prepared.problem;
        let speeds = self.course.speeds(step, None);
        self.speeds = Some(speeds);
        let draws = Draws { seed: self.course.seed, step, round: 0, count: rules.generations };
        for iteration in 0..method.num_iterations() {
            let sum = kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
            if !sum.is_finite() {
                return Err(not_finite);
            }
            let policy = (scratch.log_pi.as_slice(), scratch.pi.as_slice());
            if iteration == 0 {
                scratch.engine.begin(&*method, problem, policy, rules.is_sampled().then_some(draws));
                if method.keeps_mean() {
                    self.state.mean.add(&scratch.pi, speeds.leader_rate);
                }
            }
            scratch.engine.direction(&*method, problem, policy, rules.is_natural(), &mut scratch.values);
            apply(&mut self.state.leader, speeds.leader_rate, &scratch.values);
        }
        Ok(())
    }
}

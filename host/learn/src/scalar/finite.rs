//! A step of the methods of [`crate::finite`].

use super::kernel;
use super::run::{Failure, ScalarRun, Scratch, apply};
use crate::finite::{Draws, Held, Scheme};
use crate::rules::Rules;

impl ScalarRun {
    pub(super) fn finite_step(&mut self, rules: &Rules, scratch: &mut Scratch) -> Result<(), Failure> {
        let Some(method) = self.course.finite.clone() else { return Ok(()) };
        let not_finite = Failure::NotFinite { step: self.state.step };
        let step = self.state.step + 1;
        let problem = &self.prepared.problem;
        let speeds = self.course.speeds(step, None);
        let rate = speeds.leader_rate;
        self.speeds = Some(speeds);
        let draws = Draws { seed: self.course.seed, step, round: 0, first: 0, count: rules.generations };
        let drawn = |round| rules.is_sampled().then_some(Draws { round, ..draws });
        let is_natural = rules.is_natural();
        for iteration in 0..method.num_iterations() {
            let sum = kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
            if !sum.is_finite() {
                return Err(not_finite);
            }
            let policy = (scratch.log_pi.as_slice(), scratch.pi.as_slice());
            if iteration == 0 {
                scratch.engine.begin(&*method, problem, policy, drawn(0), &mut self.state.remembered);
                if method.keeps_mean() {
                    self.state.mean.add(&scratch.pi, rate);
                }
            }
            let mut last = std::mem::take(&mut self.state.remembered);
            let log_reference = self.state.log_reference(problem);
            let held = Held { payoff: &problem.payoff, tau: problem.tau_leader, log_reference };
            match method.scheme() {
                Scheme::OneGradient | Scheme::Population => {
                    scratch.engine.direction(&*method, held, policy, is_natural, &mut scratch.values);
                }
                Scheme::Extragradient => {
                    scratch.engine.direction(&*method, held, policy, is_natural, &mut scratch.values);
                    scratch.row.copy_from_slice(&self.state.leader.logits);
                    kernel::ascend(&mut scratch.row, rate, &scratch.values);
                    kernel::softmax(&scratch.row, &mut scratch.means, &mut scratch.opponent);
                    scratch.engine.face(&scratch.opponent, drawn(1));
                    scratch.engine.direction(&*method, held, policy, is_natural, &mut scratch.values);
                }
                Scheme::Optimistic => {
                    let told = (scratch.values.as_mut_slice(), &mut last);
                    scratch.engine.optimistic_direction(&*method, (held, rate), policy, is_natural, told);
                }
            }
            self.state.remembered = last;
            apply(&mut self.state.leader, rate, &scratch.values);
        }
        Ok(())
    }
}

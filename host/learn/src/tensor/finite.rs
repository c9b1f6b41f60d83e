//! A step of the methods of [`crate::finite`]: coefficients and directions are computed on the host, by the code that the scalar
//! path uses; the policies and their moments stay on the device.

use super::TensorBatch;
use super::place::{Place, extent};
use crate::LearnError;
use crate::finite::Draws;
use crate::scalar::Failure;

impl TensorBatch {
    pub(super) fn finite_step(&mut self) -> Result<(), LearnError> {
        let step = self.step + 1;
        let (count, n) = (self.runs.len(), self.rules.actions);
        for run in &mut self.runs {
            run.speeds = Some(run.course.speeds(step, None));
        }
        let rates: Vec<f64> = self.runs.iter().filter_map(|run| run.speeds).map(|speeds| speeds.leader_rate).collect();
        let iterations: Vec<u32> = self
            .runs
            .iter()
            .map(|run| run.course.finite.as_ref().map_or(0, |method| method.num_iterations()))
            .collect();
        for iteration in 0..iterations.iter().copied().max().unwrap_or(0) {
            let commitment = self.leader.softmax()?;
            let logarithms = Place::download(&commitment.logarithms)?;
            let probabilities = Place::download(&commitment.probabilities)?;
            let mut directions = vec![0.0; count * n];
            for (index, run) in self.runs.iter_mut().enumerate() {
                let Some(method) = run.course.finite.clone().filter(|_| iteration < iterations[index]) else {
                    continue;
                };
                let share = index * n..(index + 1) * n;
                let policy = (&logarithms[share.clone()], &probabilities[share.clone()]);
                if !policy.1.iter().all(|p| p.is_finite()) {
                    run.failure.get_or_insert(Failure::NotFinite { step: self.step });
                    continue;
                }
                let engine = &mut self.engines[index];
                if iteration == 0 {
                    let draws = Draws { seed: run.course.seed, step, round: 0, count: self.rules.generations };
                    engine.begin(&*method, &run.problem, policy, self.rules.is_sampled().then_some(draws));
                    if method.keeps_mean() {
                        run.mean.add(policy.1, rates[index]);
                    }
                }
                engine.direction(&*method, &run.problem, policy, self.rules.is_natural(), &mut directions[share]);
            }
            let direction = self.place.upload(&directions, &[extent(count), extent(n)])?;
            let active: Vec<bool> = iterations.iter().map(|own| iteration < *own).collect();
            self.leader.ascend(self.place, &direction, &rates, &active)?;
        }
        Ok(())
    }
}

//! A step of the methods of [`crate::finite`]: coefficients and directions are computed on the host, by the code that the scalar
//! path uses; the policies and their moments stay on the device.

use tch::Tensor;

use super::place::{Place, extent};
use super::policy::Softmax;
use super::{TensorBatch, TensorRun};
use crate::LearnError;
use crate::finite::{Draws, Engine, FiniteMethod, Held, Scheme};
use crate::rules::Rules;
use crate::scalar::Failure;

/// log-probabilities and probabilities of a batch, on the host.
struct Policies {
    logarithms: Vec<f64>,
    probabilities: Vec<f64>,
}

impl Policies {
    fn of(softmax: &Softmax) -> Result<Self, LearnError> {
        Ok(Self {
            logarithms: Place::download(&softmax.logarithms)?,
            probabilities: Place::download(&softmax.probabilities)?,
        })
    }
}

/// One run's turn in a step.
struct Turn<'a> {
    rules: Rules,
    step: u64,
    rate: f64,
    method: &'a dyn FiniteMethod,
    policy: (&'a [f64], &'a [f64]),
}

impl Turn<'_> {
    fn draws(&self, seed: u64, round: u32) -> Option<Draws> {
        let draws = Draws { seed, step: self.step, round, first: 0, count: self.rules.generations };
        self.rules.is_sampled().then_some(draws)
    }

    fn begin(&self, run: &mut TensorRun, engine: &mut Engine) {
        let draws = self.draws(run.course.seed, 0);
        engine.begin(self.method, &run.problem, self.policy, draws, &mut run.remembered);
        if self.method.keeps_mean() {
            run.mean.add(self.policy.1, self.rate);
        }
    }

    fn direction(&self, run: &mut TensorRun, engine: &mut Engine, direction: &mut [f64]) {
        let mut last = std::mem::take(&mut run.remembered);
        let held =
            Held { payoff: &run.problem.payoff, tau: run.problem.tau_leader, log_reference: run.log_reference() };
        let is_natural = self.rules.is_natural();
        if self.method.scheme() == Scheme::Optimistic {
            let told = (direction, &mut last);
            engine.optimistic_direction(self.method, (held, self.rate), self.policy, is_natural, told);
        } else {
            engine.direction(self.method, held, self.policy, is_natural, direction);
        }
        run.remembered = last;
    }
}

impl TensorBatch {
    pub(super) fn finite_step(&mut self) -> Result<(), LearnError> {
        let step = self.step + 1;
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
            let active: Vec<bool> = iterations.iter().map(|own| iteration < *own).collect();
            let policies = Policies::of(&self.leader.softmax()?)?;
            let mut direction = self.directions((step, iteration), &rates, &active, &policies, None)?;
            if self.looks_ahead() {
                let ahead = Policies::of(&self.leader.ahead(self.place, &direction, &rates)?)?;
                direction = self.directions((step, iteration), &rates, &active, &policies, Some(&ahead))?;
            }
            self.leader.ascend(self.place, &direction, &rates, &active)?;
        }
        Ok(())
    }

    fn looks_ahead(&self) -> bool {
        let looks = |method: &dyn FiniteMethod| method.scheme() == Scheme::Extragradient;
        self.runs.iter().any(|run| run.course.finite.as_ref().is_some_and(|method| looks(&**method)))
    }

    /// Every active run's direction `[runs, n]` at `policies`; against those of `ahead`, where a first direction led there.
    fn directions(
        &mut self,
        (step, iteration): (u64, u32),
        rates: &[f64],
        active: &[bool],
        policies: &Policies,
        ahead: Option<&Policies>,
    ) -> Result<Tensor, LearnError> {
        let (count, n) = (self.runs.len(), self.rules.actions);
        let mut directions = vec![0.0; count * n];
        for (index, run) in self.runs.iter_mut().enumerate() {
            let Some(method) = run.course.finite.clone().filter(|_| active[index]) else {
                continue;
            };
            let share = index * n..(index + 1) * n;
            let policy = (&policies.logarithms[share.clone()], &policies.probabilities[share.clone()]);
            if !policy.1.iter().all(|p| p.is_finite()) {
                run.failure.get_or_insert(Failure::NotFinite { step: self.step });
                continue;
            }
            let turn = Turn { rules: self.rules, step, rate: rates[index], method: &*method, policy };
            let engine = &mut self.engines[index];
            match ahead {
                None if iteration == 0 => turn.begin(run, engine),
                None => {}
                Some(ahead) => engine.face(&ahead.probabilities[share.clone()], turn.draws(run.course.seed, 1)),
            }
            turn.direction(run, engine, &mut directions[share]);
        }
        self.place.upload(&directions, &[extent(count), extent(n)])
    }
}

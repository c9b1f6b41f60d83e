//! One run on the scalar path.

use std::sync::Arc;

use slhf_plan::MethodName;

use super::kernel;
use crate::adam;
use crate::control::Control;
use crate::error::Cause;
use crate::finite::Engine;
use crate::problem::{Payoff, Problem, transposed};
use crate::rules::{Course, Rules};
use crate::sampling::{Answers, Commitment, Draw, Sample};
use crate::schedule::Speeds;
use crate::state::{PolicyState, RunState};

/// What the runs of one game share: the problem as the kernels want it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) problem: Arc<Problem>,
    /// [`Problem::follower_cost`], by columns. For Nash: P, by columns.
    cost: Vec<f64>,
    /// [`Problem::leader_gain`].
    gain: Vec<f64>,
    /// log `ω_ref`, by columns.
    log_reference_follower: Vec<f64>,
}

impl Prepared {
    pub(crate) fn of(problem: Arc<Problem>) -> Self {
        let n = problem.actions;
        Self {
            cost: transposed(&problem.follower_cost(), n),
            gain: problem.leader_gain(),
            log_reference_follower: transposed(&problem.log_reference_follower, n),
            problem,
        }
    }

    /// −τ times the slope of the Leader's divergence, into `values`.
    fn hold(&self, log_pi: &[f64], values: &mut [f64]) {
        let (held, tau) = (self.problem.held.leader, self.problem.tau_leader);
        for ((value, log), reference) in values.iter_mut().zip(log_pi).zip(&self.problem.log_reference_leader) {
            *value = -tau * held.slope(log - reference);
        }
    }
}

/// One run.
#[derive(Debug)]
pub(crate) struct ScalarRun {
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) course: Arc<Course>,
    pub(crate) control: Control,
    /// The Follower's matrices by columns.
    pub(super) state: RunState,
    /// The speeds of the last step.
    pub(crate) speeds: Option<Speeds>,
    /// Why it cannot go on, and after which step.
    pub(crate) failure: Option<Failure>,
}

/// Steps of one run, compiled for each kind of register. Loops go element by element and sums keep their order, so that the bits are the
/// same in all of them.
struct Advance<'a> {
    run: &'a mut ScalarRun,
    rules: &'a Rules,
    to: u64,
    scratch: &'a mut Scratch,
}

impl pulp::WithSimd for Advance<'_> {
    type Output = ();

    // What is not inlined keeps the registers that every processor has.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.run.go_on(self.rules, self.to, self.scratch);
    }
}

/// Why a run cannot go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// NaN or an infinity came out of this step.
    NotFinite { step: u64 },
    /// The estimator of its control variate failed in this step.
    Baseline { step: u64, cause: Cause },
}

/// Buffers that one thread uses for one run after another.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// n × n.
    costs: Vec<f64>,
    omega: Vec<f64>,
    /// n × n; empty with exact gradients.
    coefficients: Vec<f64>,
    /// n.
    pub(super) pi: Vec<f64>,
    pub(super) log_pi: Vec<f64>,
    pub(super) values: Vec<f64>,
    pub(super) means: Vec<f64>,
    /// What each of the Leader's actions is worth, where that is not the mean of the Follower's costs.
    worth: Vec<f64>,
    log_sums: Vec<f64>,
    pub(super) row: Vec<f64>,
    pub(super) opponent: Vec<f64>,
    sample: Sample,
    pub(super) engine: Engine,
}

impl Scratch {
    pub(crate) fn of(rules: &Rules) -> Self {
        let n = rules.actions;
        let square = if rules.has_follower() { n * n } else { 0 };
        Self {
            costs: vec![0.0; square],
            omega: vec![0.0; square],
            coefficients: vec![0.0; if rules.is_sampled() { square } else { 0 }],
            pi: vec![0.0; n],
            log_pi: vec![0.0; n],
            values: vec![0.0; n],
            means: vec![0.0; n],
            worth: vec![0.0; n],
            log_sums: vec![0.0; n],
            row: vec![0.0; n],
            opponent: vec![0.0; n],
            sample: Sample::default(),
            engine: Engine::default(),
        }
    }
}

impl ScalarRun {
    pub(crate) fn new(prepared: Arc<Prepared>, course: Arc<Course>, control: Control, mut state: RunState) -> Self {
        transpose_follower(&mut state.follower, prepared.problem.actions);
        Self { prepared, course, control, state, speeds: None, failure: None }
    }

    /// The state as it is kept elsewhere: the Follower by rows.
    pub(crate) fn state(&self) -> RunState {
        let mut state = self.state.clone();
        transpose_follower(&mut state.follower, self.prepared.problem.actions);
        state
    }

    pub(crate) fn updates(&self) -> [u64; 2] {
        [self.state.leader.updates, self.state.follower.updates]
    }

    /// Goes on to step `to`, or to the step in which it fails.
    pub(crate) fn advance(&mut self, rules: &Rules, to: u64, scratch: &mut Scratch) {
        pulp::Arch::new().dispatch(Advance { run: self, rules, to, scratch });
    }

    #[inline(always)]
    fn go_on(&mut self, rules: &Rules, to: u64, scratch: &mut Scratch) {
        while self.failure.is_none() && self.state.step < to {
            let result = match rules.method {
                MethodName::StackelbergGda => self.stackelberg_step(rules, scratch),
                MethodName::NashMd | MethodName::Rlhf => self.one_policy_step(rules, scratch),
                _ => self.finite_step(rules, scratch),
            };
            match result {
                Ok(()) => {
                    self.state.step += 1;
                    if self.course.renews_after(self.state.step) {
                        self.renew_reference(scratch);
                    }
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
        let logits = self.state.leader.logits.iter().chain(&self.state.follower.logits);
        if self.failure.is_none() && !logits.into_iter().all(|logit| logit.is_finite()) {
            self.failure = Some(Failure::NotFinite { step: self.state.step });
        }
    }

    /// The policy takes the reference's place.
    #[inline(always)]
    fn renew_reference(&mut self, scratch: &mut Scratch) {
        kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
        self.state.reference.clear();
        self.state.reference.extend_from_slice(&scratch.log_pi);
    }

    #[inline(always)]
    fn stackelberg_step(&mut self, rules: &Rules, scratch: &mut Scratch) -> Result<(), Failure> {
        let step = self.state.step + 1;
        let follower_sum = self.answer(scratch);
        let leader_sum = kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
        let (problem, prepared) = (&self.prepared.problem, &self.prepared);
        let worth = if problem.held.follower.is_reverse() { &scratch.means } else { &scratch.worth };
        if problem.held.leader.is_reverse() {
            let terms = worth.iter().zip(&prepared.gain).zip(&scratch.log_pi);
            for (value, ((worth, gain), log_pi)) in scratch.values.iter_mut().zip(terms) {
                *value = worth + (gain - problem.tau_leader * log_pi);
            }
        } else {
            prepared.hold(&scratch.log_pi, &mut scratch.values);
            for (value, worth) in scratch.values.iter_mut().zip(worth) {
                *value += worth;
            }
        }
        let mean = kernel::leader_direction(&mut scratch.values, &scratch.pi, rules.is_natural());
        if !(follower_sum + leader_sum + mean).is_finite() {
            // What was finite before the last step is not after it.
            return Err(Failure::NotFinite { step: self.state.step });
        }
        if self.course.reads_signal(step) {
            let gaps = worth.iter().zip(problem.leader_values()).zip(&scratch.pi);
            let signal = gaps.map(|((mean, best), pi)| pi * (mean - best)).sum();
            self.course.read_signal(&mut self.state.adaptive, signal);
        }
        let speeds = self.course.speeds(step, self.state.adaptive);
        self.speeds = Some(speeds);

        let draw = Draw { seed: self.course.seed, step, round: 0 };
        if rules.is_sampled() {
            self.sample_leader(rules, draw, scratch)?;
        }
        self.follower_direction(rules, draw, speeds, scratch)?;
        apply(&mut self.state.leader, speeds.leader_rate, &scratch.values);
        apply(&mut self.state.follower, speeds.follower_rate, &scratch.costs);
        if speeds.follower_updates > 1 {
            kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
        }
        for round in 1..speeds.follower_updates {
            self.answer(scratch);
            self.follower_direction(rules, Draw { round, ..draw }, speeds, scratch)?;
            apply(&mut self.state.follower, speeds.follower_rate, &scratch.costs);
        }
        Ok(())
    }

    /// ω, the costs of its answers and their means.
    #[inline(always)]
    fn answer(&self, scratch: &mut Scratch) -> f64 {
        let sum = kernel::softmax_rows(
            &self.state.follower.logits,
            &mut scratch.costs,
            &mut scratch.omega,
            &mut scratch.log_sums,
            &mut scratch.row,
        );
        let problem = &self.prepared.problem;
        if !problem.held.follower.is_reverse() {
            let held = kernel::HeldAnswers {
                divergence: problem.held.follower,
                tau: problem.tau_follower,
                cost: &self.prepared.cost,
                log_reference: &self.prepared.log_reference_follower,
            };
            let told = (scratch.means.as_mut_slice(), scratch.worth.as_mut_slice());
            held.costs(&scratch.omega, &scratch.log_sums, &mut scratch.costs, told);
            return sum;
        }
        kernel::answer_costs(
            &self.prepared.cost,
            self.prepared.problem.tau_follower,
            &scratch.omega,
            &scratch.log_sums,
            &mut scratch.costs,
            &mut scratch.means,
        );
        sum
    }

    /// The Follower's direction into `scratch.costs`.
    #[inline(always)]
    fn follower_direction(
        &mut self,
        rules: &Rules,
        draw: Draw,
        speeds: Speeds,
        scratch: &mut Scratch,
    ) -> Result<(), Failure> {
        if rules.is_sampled() {
            return self.sample_follower(rules, draw, speeds, scratch);
        }
        if rules.is_natural() {
            scratch.row.fill(speeds.follower_weight);
        } else {
            for (scale, pi) in scratch.row.iter_mut().zip(&scratch.pi) {
                *scale = speeds.follower_weight * pi;
            }
        }
        kernel::follower_direction(
            &mut scratch.costs,
            &scratch.means,
            &scratch.omega,
            &scratch.row,
            rules.is_natural(),
        );
        Ok(())
    }

    /// Draws the pairs that Leader and Follower share, and puts the Leader's direction into `scratch.values`.
    fn sample_leader(&mut self, rules: &Rules, draw: Draw, scratch: &mut Scratch) -> Result<(), Failure> {
        self.leader_ratios(scratch);
        self.follower_ratios(scratch);
        let problem = &self.prepared.problem;
        let (commitment, answers) = views(rules, &scratch.pi, &scratch.log_pi, &scratch.omega, &scratch.costs);
        scratch.sample.draw(draw, rules.generations, commitment, Some(answers));
        scratch.values.fill(0.0);
        scratch
            .sample
            .leader(draw.step, problem, (commitment, Some(answers)), &mut self.control, &mut scratch.values)
            .map_err(|cause| Failure::Baseline { step: draw.step, cause })?;
        centre(&mut scratch.values, &scratch.pi);
        Ok(())
    }

    fn sample_follower(
        &mut self,
        rules: &Rules,
        draw: Draw,
        speeds: Speeds,
        scratch: &mut Scratch,
    ) -> Result<(), Failure> {
        let problem = &self.prepared.problem;
        if draw.round > 0 {
            self.follower_ratios(scratch);
        }
        let (commitment, answers) = views(rules, &scratch.pi, &scratch.log_pi, &scratch.omega, &scratch.costs);
        if draw.round > 0 {
            scratch.sample.draw(draw, rules.generations, commitment, Some(answers));
        }
        scratch.coefficients.fill(0.0);
        scratch
            .sample
            .follower(draw.step, problem, answers, &mut self.control, &mut scratch.coefficients)
            .map_err(|cause| Failure::Baseline { step: draw.step, cause })?;
        scratch.costs.copy_from_slice(&scratch.coefficients);
        let n = rules.actions;
        scratch.means.fill(f64::NAN);
        for y in scratch.sample.rows() {
            if scratch.means[y].is_nan() {
                centre_row(&mut scratch.costs, &scratch.omega, n, y, speeds.follower_weight);
                scratch.means[y] = 0.0;
            }
        }
        Ok(())
    }

    /// Turns costs into log ω − log `ω_ref`: what the k1 estimates are.
    fn follower_ratios(&self, scratch: &mut Scratch) {
        let n = scratch.pi.len();
        let columns = scratch.costs.chunks_exact_mut(n).zip(self.state.follower.logits.chunks_exact(n));
        for ((ratios, logits), references) in columns.zip(self.prepared.log_reference_follower.chunks_exact(n)) {
            for i in 0..n {
                ratios[i] = logits[i] - references[i];
            }
        }
        // The logits' own constants: log Σ exp(logits) = largest + log Σ exp(shifted), row by row.
        scratch.row.copy_from_slice(&self.state.follower.logits[..n]);
        for column in self.state.follower.logits.chunks_exact(n) {
            for (largest, logit) in scratch.row.iter_mut().zip(column) {
                *largest = largest.max(*logit);
            }
        }
        for ratios in scratch.costs.chunks_exact_mut(n) {
            for ((ratio, largest), log_sum) in ratios.iter_mut().zip(&scratch.row).zip(&scratch.log_sums) {
                *ratio -= largest + log_sum;
            }
        }
    }

    /// Turns log π into log π − log `π_ref`.
    fn leader_ratios(&self, scratch: &mut Scratch) {
        for (log, reference) in scratch.log_pi.iter_mut().zip(self.state.log_reference(&self.prepared.problem)) {
            *log -= reference;
        }
    }

    #[inline(always)]
    fn one_policy_step(&mut self, rules: &Rules, scratch: &mut Scratch) -> Result<(), Failure> {
        let step = self.state.step + 1;
        let sum = kernel::softmax(&self.state.leader.logits, &mut scratch.log_pi, &mut scratch.pi);
        let speeds = self.course.speeds(step, None);
        self.speeds = Some(speeds);
        let (prepared, problem) = (&self.prepared, &self.prepared.problem);
        let plays_pairs = matches!(problem.payoff, Payoff::Pairs(_));
        if plays_pairs {
            self.mix_opponent(step, scratch);
        }
        if rules.is_sampled() {
            self.leader_ratios(scratch);
            let commitment = Commitment { probabilities: &scratch.pi, log_ratios: &scratch.log_pi };
            let answers = plays_pairs.then_some(Answers {
                probabilities: &scratch.opponent,
                log_ratios: &[],
                row_stride: 0,
                column_stride: 1,
            });
            let draw = Draw { seed: self.course.seed, step, round: 0 };
            scratch.sample.draw(draw, rules.generations, commitment, answers);
            scratch.values.fill(0.0);
            scratch
                .sample
                .leader(step, problem, (commitment, answers), &mut self.control, &mut scratch.values)
                .map_err(|cause| Failure::Baseline { step, cause })?;
            centre(&mut scratch.values, &scratch.pi);
        } else {
            for i in 0..rules.actions {
                scratch.values[i] = prepared.gain[i] - problem.tau_leader * scratch.log_pi[i];
            }
            if !problem.held.leader.is_reverse() {
                prepared.hold(&scratch.log_pi, &mut scratch.values);
            }
            for (i, renewed) in self.state.reference.iter().enumerate() {
                scratch.values[i] = problem.tau_leader * (renewed - scratch.log_pi[i]);
            }
            if plays_pairs {
                let n = rules.actions;
                for (column, opponent) in prepared.cost.chunks_exact(n).zip(&scratch.opponent) {
                    for (value, preference) in scratch.values.iter_mut().zip(column) {
                        *value += preference * opponent;
                    }
                }
            }
            let mean = kernel::leader_direction(&mut scratch.values, &scratch.pi, rules.is_natural());
            if !mean.is_finite() {
                return Err(Failure::NotFinite { step: self.state.step });
            }
        }
        if !sum.is_finite() {
            return Err(Failure::NotFinite { step: self.state.step });
        }
        apply(&mut self.state.leader, speeds.leader_rate, &scratch.values);
        Ok(())
    }

    /// Nash-MD's opponent `π_m ∝ π^(1−m) · π_ref^m`, held fixed within the step.
    #[inline(always)]
    fn mix_opponent(&self, step: u64, scratch: &mut Scratch) {
        let m = self.course.mixture.at(step, self.course.steps);
        if m == 0.0 {
            scratch.opponent.copy_from_slice(&scratch.pi);
            return;
        }
        let references = &self.prepared.problem.log_reference_leader;
        for ((mixed, log_pi), reference) in scratch.row.iter_mut().zip(&scratch.log_pi).zip(references) {
            *mixed = (1.0 - m) * log_pi + m * reference;
        }
        kernel::softmax(&scratch.row, &mut scratch.means, &mut scratch.opponent);
    }
}

fn views<'a>(
    rules: &Rules,
    pi: &'a [f64],
    leader_ratios: &'a [f64],
    omega: &'a [f64],
    follower_ratios: &'a [f64],
) -> (Commitment<'a>, Answers<'a>) {
    let answers =
        Answers { probabilities: omega, log_ratios: follower_ratios, row_stride: 1, column_stride: rules.actions };
    (Commitment { probabilities: pi, log_ratios: leader_ratios }, answers)
}

/// c − (Σc)·π.
fn centre(coefficients: &mut [f64], probabilities: &[f64]) {
    let sum: f64 = coefficients.iter().sum();
    for (coefficient, probability) in coefficients.iter_mut().zip(probabilities) {
        *coefficient -= sum * probability;
    }
}

/// The same for one row of a matrix stored by columns, times `weight`.
fn centre_row(coefficients: &mut [f64], probabilities: &[f64], n: usize, row: usize, weight: f64) {
    let sum: f64 = coefficients.iter().skip(row).step_by(n).sum();
    let entries = coefficients.iter_mut().zip(probabilities).skip(row).step_by(n);
    for (coefficient, probability) in entries {
        *coefficient = weight * (*coefficient - sum * probability);
    }
}

/// One ascending update: Adam where there are moments, else plain.
#[inline(always)]
pub(super) fn apply(policy: &mut PolicyState, rate: f64, direction: &[f64]) {
    policy.updates += 1;
    if policy.first_moments.is_empty() {
        kernel::ascend(&mut policy.logits, rate, direction);
    } else {
        let correction = adam::Correction::of(rate, policy.updates);
        let (first, second) = (&mut policy.first_moments, &mut policy.second_moments);
        adam::ascend(&mut policy.logits, first, second, correction, direction);
    }
}

fn transpose_follower(follower: &mut PolicyState, n: usize) {
    for matrix in [&mut follower.logits, &mut follower.first_moments, &mut follower.second_moments] {
        *matrix = transposed(matrix, n);
    }
}

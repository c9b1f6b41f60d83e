//! The tensor path: all runs of a batch at once, `[runs, n]` and `[runs, n, n]`, on libtorch.
//!
//! Only broadcast, multiply, add and sums over the last dimension (which libtorch computes row by row): a run alone
//! gives the same bits as the same run in its group. `bmm` may pick another kernel by shape; fused operations round
//! differently at the end of a vector register.

mod finite;
mod host;
mod place;
mod policy;
mod sampled;

use std::sync::Arc;

use slhf_plan::Realisation;
use tch::{Device, Kind, Tensor};

pub(crate) use place::Place;
pub use place::parse_device;

use self::host::Host;
use self::place::extent;
use self::policy::{Policies, Softmax, softmax};
use crate::LearnError;
use crate::control::Control;
use crate::error::torch;
use crate::finite::Engine;
use crate::mean_policy::MeanPolicy;
use crate::problem::{Payoff, Problem};
use crate::rules::{Course, Rules};
use crate::scalar::Failure;
use crate::schedule::{AdaptiveState, Speeds};
use crate::state::{PolicyState, RunState};

/// What a run brings to a batch.
#[derive(Debug)]
pub(crate) struct TensorRun {
    pub(crate) problem: Arc<Problem>,
    pub(crate) course: Arc<Course>,
    pub(crate) control: Control,
    pub(crate) adaptive: Option<AdaptiveState>,
    /// The speeds of the last step.
    pub(crate) speeds: Option<Speeds>,
    pub(crate) failure: Option<Failure>,
    /// The mean of the iterates, of a method that is about it.
    pub(crate) mean: MeanPolicy,
    /// As in [`RunState`].
    pub(crate) reference: Vec<f64>,
    /// As in [`RunState`].
    pub(crate) remembered: Vec<f64>,
}

impl TensorRun {
    /// log `π_ref` as it stands.
    fn log_reference(&self) -> &[f64] {
        if self.reference.is_empty() { &self.problem.log_reference_leader } else { &self.reference }
    }

    /// [`Problem::leader_gain`] under the reference as it stands.
    fn leader_gain(&self) -> Vec<f64> {
        if self.reference.is_empty() {
            return self.problem.leader_gain();
        }
        // A method whose reference is renewed has no scores.
        self.reference.iter().map(|log| self.problem.tau_leader * log).collect()
    }
}

/// Runs at one step.
#[derive(Debug)]
pub(crate) struct TensorBatch {
    rules: Rules,
    place: Place,
    pub(crate) runs: Vec<TensorRun>,
    step: u64,
    leader: Policies,
    /// Absent for a method with one policy.
    follower: Option<Policies>,
    constants: Constants,
    /// By run: the first step that found something not finite, or infinity.
    first_bad: Tensor,
    host: Host,
    /// One a run; empty for a method that has none.
    engines: Vec<Engine>,
}

/// What does not change from step to step.
#[derive(Debug)]
struct Constants {
    /// `[runs, n, n]`: [`Problem::follower_cost`].
    cost: Option<Tensor>,
    /// `[runs, n]`: [`Problem::leader_gain`].
    gain: Tensor,
    /// `[runs, 1]`
    tau_leader: Tensor,
    /// `[runs, 1, 1]`
    tau_follower: Tensor,
    /// `[runs, n]`
    log_reference_leader: Tensor,
    /// `[runs]`, infinities.
    never: Tensor,
}

impl TensorBatch {
    pub(crate) fn new(
        rules: Rules,
        place: Place,
        step: u64,
        runs: Vec<TensorRun>,
        states: &[RunState],
    ) -> Result<Self, LearnError> {
        let (count, n) = (extent(runs.len()), extent(rules.actions));
        let leaders: Vec<_> = states.iter().map(|state| &state.leader).collect();
        let followers: Vec<_> = states.iter().map(|state| &state.follower).collect();
        let constants = Constants::of(rules, place, &runs)?;
        Ok(Self {
            rules,
            place,
            step,
            leader: Policies::upload(place, &[count, n], &leaders)?,
            follower: if rules.has_follower() {
                Some(Policies::upload(place, &[count, n, n], &followers)?)
            } else {
                None
            },
            first_bad: constants.never.f_full_like(f64::INFINITY).map_err(torch("preparing a batch"))?,
            constants,
            host: Host::default(),
            engines: vec![Engine::default(); runs.len()],
            runs,
        })
    }

    pub(crate) fn updates(&self, run: usize) -> [u64; 2] {
        [self.leader.updates[run], self.follower.as_ref().map_or(0, |follower| follower.updates[run])]
    }

    /// The states of all runs; those of failed runs say nothing.
    pub(crate) fn states(&mut self) -> Result<Vec<RunState>, LearnError> {
        let leaders = self.leader.download()?;
        let followers = match &self.follower {
            Some(follower) => follower.download()?,
            None => vec![PolicyState::default(); leaders.len()],
        };
        let states = leaders.into_iter().zip(followers).zip(&self.runs).map(|((leader, follower), run)| RunState {
            step: self.step,
            leader,
            follower,
            adaptive: run.adaptive,
            averages: [None; 2],
            baseline: None,
            mean: run.mean.clone(),
            reference: run.reference.clone(),
            remembered: run.remembered.clone(),
            reached: None,
        });
        Ok(states.collect())
    }

    /// All runs go on to step `to`. A run that fails computes on, harmlessly, until its batch is made anew.
    pub(crate) fn advance(&mut self, to: u64) -> Result<(), LearnError> {
        let _no_grad = tch::no_grad_guard();
        while self.step < to {
            if self.rules.has_follower() {
                self.stackelberg_step()?;
            } else if self.runs.iter().any(|run| run.course.finite.is_some()) {
                self.finite_step()?;
            } else {
                self.one_policy_step()?;
            }
            self.step += 1;
            self.renew_references()?;
        }
        self.find_failures()
    }

    /// Policies take the places of their references, of the runs for which it is time.
    fn renew_references(&mut self) -> Result<(), LearnError> {
        if !self.runs.iter().any(|run| run.course.renews_after(self.step)) {
            return Ok(());
        }
        let logarithms = Place::download(&self.leader.softmax()?.logarithms)?;
        for (run, own) in self.runs.iter_mut().zip(logarithms.chunks_exact(self.rules.actions)) {
            if run.course.renews_after(self.step) {
                run.reference = own.to_vec();
            }
        }
        self.constants.hold(self.rules, self.place, &self.runs)
    }

    fn find_failures(&mut self) -> Result<(), LearnError> {
        let bad = Place::download(&self.first_bad)?;
        let leaders = finite_rows(&self.leader.logits)?;
        let followers = match &self.follower {
            Some(follower) => finite_rows(&follower.logits)?,
            None => vec![true; leaders.len()],
        };
        for (index, run) in self.runs.iter_mut().enumerate() {
            if run.failure.is_none() && bad[index].is_finite() {
                run.failure = Some(Failure::NotFinite { step: bad[index] as u64 });
            } else if run.failure.is_none() && !(leaders[index] && followers[index]) {
                run.failure = Some(Failure::NotFinite { step: self.step });
            }
        }
        Ok(())
    }

    fn stackelberg_step(&mut self) -> Result<(), LearnError> {
        let step = self.step + 1;
        let Some(mut follower) = self.follower.take() else { return Ok(()) };
        let answers = follower.softmax()?;
        let commitment = self.leader.softmax()?;
        let (costs, means) = self.constants.answer_costs(&answers)?;
        let values = self.constants.leader_values(&commitment, Some(&means))?;
        let (exact, mean) = advantage(&values, &commitment.probabilities, self.rules.is_natural())?;
        self.note_bad(&mean)?;
        self.read_signals(step, &commitment, &means)?;
        for run in &mut self.runs {
            run.speeds = Some(run.course.speeds(step, run.adaptive));
        }
        let speeds: Vec<Speeds> = self.runs.iter().filter_map(|run| run.speeds).collect();
        let leader_rates: Vec<f64> = speeds.iter().map(|s| s.leader_rate).collect();
        let follower_rates: Vec<f64> = speeds.iter().map(|s| s.follower_rate).collect();
        let everyone = vec![true; speeds.len()];

        let leader_direction = if self.rules.is_sampled() {
            self.host.sample_leader(self.rules, self.place, step, &mut self.runs, &commitment, Some(&answers))?
        } else {
            exact
        };
        let mut direction = self.follower_direction(step, 0, &speeds, &commitment, &answers, (&costs, &means))?;
        self.leader.ascend(self.place, &leader_direction, &leader_rates, &everyone)?;
        follower.ascend(self.place, &direction, &follower_rates, &everyone)?;

        let rounds = speeds.iter().map(|s| s.follower_updates).max().unwrap_or(1);
        if rounds > 1 {
            let commitment = self.leader.softmax()?;
            for round in 1..rounds {
                let active: Vec<bool> = speeds.iter().map(|s| round < s.follower_updates).collect();
                let answers = follower.softmax()?;
                let (costs, means) = self.constants.answer_costs(&answers)?;
                direction = self.follower_direction(step, round, &speeds, &commitment, &answers, (&costs, &means))?;
                follower.ascend(self.place, &direction, &follower_rates, &active)?;
            }
        }
        self.follower = Some(follower);
        Ok(())
    }

    fn follower_direction(
        &mut self,
        step: u64,
        round: u32,
        speeds: &[Speeds],
        commitment: &Softmax,
        answers: &Softmax,
        (costs, means): (&Tensor, &Tensor),
    ) -> Result<Tensor, LearnError> {
        if self.rules.is_sampled() {
            let (rules, place) = (self.rules, self.place);
            return self.host.sample_follower(
                (rules, place),
                (step, round),
                &mut self.runs,
                speeds,
                commitment,
                answers,
            );
        }
        let natural = self.rules.is_natural();
        let direction = || -> Result<Tensor, tch::TchError> {
            let mut advantage = means.f_unsqueeze(-1)?.f_sub(costs)?;
            if !natural {
                let scale = commitment.probabilities.f_unsqueeze(-1)?;
                advantage = advantage.f_mul_(&answers.probabilities)?.f_mul_(&scale)?;
            }
            Ok(advantage)
        };
        let mut direction = direction().map_err(torch("computing the Follower's gradient"))?;
        if self.rules.realisation == Realisation::LossWeight {
            let weights = self.host.weights.get(self.place, speeds.iter().map(|s| s.follower_weight), 2)?;
            direction = direction.f_mul_(weights).map_err(torch("weighing the Follower's gradient"))?;
        }
        Ok(direction)
    }

    fn read_signals(&mut self, step: u64, commitment: &Softmax, means: &Tensor) -> Result<(), LearnError> {
        if !self.runs.iter().any(|run| run.course.reads_signal(step)) {
            return Ok(());
        }
        let (pi, means) = (Place::download(&commitment.probabilities)?, Place::download(means)?);
        let n = self.rules.actions;
        for ((run, pi), means) in self.runs.iter_mut().zip(pi.chunks_exact(n)).zip(means.chunks_exact(n)) {
            if run.course.reads_signal(step) {
                let gaps = means.iter().zip(run.problem.leader_values()).zip(pi);
                let signal = gaps.map(|((mean, best), pi)| pi * (mean - best)).sum();
                run.course.read_signal(&mut run.adaptive, signal);
            }
        }
        Ok(())
    }

    fn one_policy_step(&mut self) -> Result<(), LearnError> {
        let step = self.step + 1;
        let commitment = self.leader.softmax()?;
        for run in &mut self.runs {
            run.speeds = Some(run.course.speeds(step, None));
        }
        let opponent = match &self.constants.cost {
            Some(_) => Some(self.mixed_opponent(step, &commitment)?),
            None => None,
        };
        let payoffs = match (&self.constants.cost, &opponent) {
            (Some(payoff), Some(opponent)) => Some(expected_payoffs(payoff, opponent)?),
            _ => None,
        };
        let values = self.constants.leader_values(&commitment, payoffs.as_ref())?;
        let (exact, mean) = advantage(&values, &commitment.probabilities, self.rules.is_natural())?;
        self.note_bad(&mean)?;
        let direction = if self.rules.is_sampled() {
            let opponents = opponent.as_ref().map(|opponent| Softmax {
                logarithms: opponent.shallow_clone(),
                probabilities: opponent.shallow_clone(),
            });
            self.host.sample_leader(self.rules, self.place, step, &mut self.runs, &commitment, opponents.as_ref())?
        } else {
            exact
        };
        let rates: Vec<f64> = self.runs.iter().filter_map(|run| run.speeds).map(|s| s.leader_rate).collect();
        let everyone = vec![true; rates.len()];
        self.leader.ascend(self.place, &direction, &rates, &everyone)
    }

    /// Nash-MD's opponent `π_m ∝ π^(1−m) · π_ref^m`, held fixed within the step: `[runs, n]`.
    fn mixed_opponent(&mut self, step: u64, commitment: &Softmax) -> Result<Tensor, LearnError> {
        let weights: Vec<f64> = self.runs.iter().map(|run| run.course.mixture.at(step, run.course.steps)).collect();
        let doing = torch("mixing the opponent");
        let own = commitment.probabilities.shallow_clone();
        if weights.iter().all(|&m| m == 0.0) {
            return Ok(own);
        }
        let place = self.place;
        let kept = self.host.kept.get(place, weights.iter().map(|m| 1.0 - m), 1)?;
        let logits = commitment.logarithms.f_mul(kept).map_err(&doing)?;
        let mixed = self.host.weights.get(place, weights.iter().copied(), 1)?;
        let pull = self.constants.log_reference_leader.f_mul(mixed).map_err(&doing)?;
        let mixture = softmax(&logits.f_add(&pull).map_err(&doing)?)?.probabilities;
        if weights.iter().all(|&m| m != 0.0) {
            return Ok(mixture);
        }
        // A run without mixing plays against its own bits, in a group as alone.
        let mixes = mixed.f_gt(0.0).map_err(&doing)?;
        mixture.f_where_self(&mixes, &own).map_err(&doing)
    }

    /// Remembers runs whose mean value is not finite: what was finite before the last step is not after it.
    fn note_bad(&mut self, mean: &Tensor) -> Result<(), LearnError> {
        let note = || -> Result<Tensor, tch::TchError> {
            let now = self.constants.never.f_full_like(self.step as f64)?;
            let found = self.constants.never.f_where_self(&mean.f_squeeze_dim(-1)?.f_isfinite()?, &now)?;
            self.first_bad.f_minimum(&found)
        };
        self.first_bad = note().map_err(torch("looking for values that are not finite"))?;
        Ok(())
    }
}

impl Constants {
    fn of(rules: Rules, place: Place, runs: &[TensorRun]) -> Result<Self, LearnError> {
        let (count, n) = (extent(runs.len()), extent(rules.actions));
        let join =
            |part: &dyn Fn(&Problem) -> Vec<f64>| runs.iter().flat_map(|run| part(&run.problem)).collect::<Vec<_>>();
        let pairs = runs.iter().any(|run| matches!(run.problem.payoff, Payoff::Pairs(_)));
        Ok(Self {
            cost: if pairs { Some(place.upload(&join(&Problem::follower_cost), &[count, n, n])?) } else { None },
            gain: upload_leaders(rules, place, runs, TensorRun::leader_gain)?,
            tau_leader: place.upload(&join(&|p| vec![p.tau_leader]), &[count, 1])?,
            tau_follower: place.upload(&join(&|p| vec![p.tau_follower]), &[count, 1, 1])?,
            log_reference_leader: upload_leaders(rules, place, runs, |run| run.log_reference().to_vec())?,
            never: Tensor::f_full([count], f64::INFINITY, (Kind::Double, place.device))
                .map_err(torch("preparing a batch"))?,
        })
    }

    /// Takes in what the references have become.
    fn hold(&mut self, rules: Rules, place: Place, runs: &[TensorRun]) -> Result<(), LearnError> {
        self.gain = upload_leaders(rules, place, runs, TensorRun::leader_gain)?;
        self.log_reference_leader = upload_leaders(rules, place, runs, |run| run.log_reference().to_vec())?;
        Ok(())
    }

    /// The Follower's cost of each answer, `[runs, n, n]`, and its mean under ω, `[runs, n]`.
    fn answer_costs(&self, answers: &Softmax) -> Result<(Tensor, Tensor), LearnError> {
        let compute = || -> Result<(Tensor, Tensor), tch::TchError> {
            let mut costs = answers.logarithms.f_mul(&self.tau_follower)?;
            if let Some(cost) = &self.cost {
                costs = costs.f_add_(cost)?;
            }
            let means = answers.probabilities.f_mul(&costs)?.f_sum_dim_intlist([-1_i64].as_slice(), false, None)?;
            Ok((costs, means))
        };
        compute().map_err(torch("computing the Follower's costs"))
    }

    /// The value of each of the Leader's actions, `[runs, n]`.
    fn leader_values(&self, commitment: &Softmax, payoffs: Option<&Tensor>) -> Result<Tensor, LearnError> {
        let compute = || -> Result<Tensor, tch::TchError> {
            let values = self.gain.f_sub(&commitment.logarithms.f_mul(&self.tau_leader)?)?;
            match payoffs {
                Some(payoffs) => payoffs.f_add(&values),
                None => Ok(values),
            }
        };
        compute().map_err(torch("computing the Leader's values"))
    }
}

/// What every run has for its Leader: `[runs, n]`.
fn upload_leaders(
    rules: Rules,
    place: Place,
    runs: &[TensorRun],
    part: impl Fn(&TensorRun) -> Vec<f64>,
) -> Result<Tensor, LearnError> {
    let values: Vec<f64> = runs.iter().flat_map(part).collect();
    place.upload(&values, &[extent(runs.len()), extent(rules.actions)])
}

/// `Σ_j P[i][j]·opponent(j)`: `[runs, n]`.
fn expected_payoffs(payoff: &Tensor, opponent: &Tensor) -> Result<Tensor, LearnError> {
    let compute = || payoff.f_mul(&opponent.f_unsqueeze(1)?)?.f_sum_dim_intlist([-1_i64].as_slice(), false, None);
    compute().map_err(torch("computing the payoffs against the opponent"))
}

/// The Leader's direction of ascent, and the mean value `[runs, 1]`.
fn advantage(values: &Tensor, probabilities: &Tensor, natural: bool) -> Result<(Tensor, Tensor), LearnError> {
    let compute = || -> Result<(Tensor, Tensor), tch::TchError> {
        let mean = values.f_mul(probabilities)?.f_sum_dim_intlist([-1_i64].as_slice(), true, None)?;
        let mut direction = values.f_sub(&mean)?;
        if !natural {
            direction = direction.f_mul_(probabilities)?;
        }
        Ok((direction, mean))
    };
    compute().map_err(torch("computing the Leader's gradient"))
}

/// Whether every entry of each run is finite.
fn finite_rows(tensor: &Tensor) -> Result<Vec<bool>, LearnError> {
    let doing = torch("looking for values that are not finite");
    let runs = tensor.size().first().copied().unwrap_or(0);
    let finite = tensor.f_isfinite().and_then(|t| t.f_view([runs, -1])).and_then(|t| t.f_all_dim(1, false));
    let finite = finite.and_then(|t| t.f_to_device(Device::Cpu)).map_err(&doing)?;
    Ok(Place::download(&finite)?.into_iter().map(|value| value > 0.5).collect())
}

//! Sampled gradients of a batch: the few sampled pairs are drawn and weighed on the host, by the code that the scalar
//! path uses; what they make of the logits is computed on the device.

use tch::Tensor;

use super::TensorRun;
use super::host::Host;
use super::place::Place;
use super::policy::Softmax;
use crate::LearnError;
use crate::error::torch;
use crate::rules::Rules;
use crate::sampling::{Answers, Commitment, Draw, Sample};
use crate::scalar::Failure;
use crate::schedule::Speeds;

/// Probabilities and log-ratios of a batch, on the host.
struct Downloaded {
    probabilities: Vec<f64>,
    log_ratios: Vec<f64>,
}

impl Downloaded {
    fn of(policy: &Softmax, reference: impl Fn(usize) -> Vec<f64>, runs: usize) -> Result<Self, LearnError> {
        let mut log_ratios = Place::download(&policy.logarithms)?;
        let entries = log_ratios.len() / runs.max(1);
        for (run, ratios) in log_ratios.chunks_exact_mut(entries.max(1)).enumerate() {
            for (ratio, reference) in ratios.iter_mut().zip(reference(run)) {
                *ratio -= reference;
            }
        }
        Ok(Self { probabilities: Place::download(&policy.probabilities)?, log_ratios })
    }

    fn share(values: &[f64], run: usize, runs: usize) -> &[f64] {
        let entries = values.len() / runs;
        &values[run * entries..(run + 1) * entries]
    }

    fn commitment(&self, run: usize, runs: usize) -> Commitment<'_> {
        Commitment {
            probabilities: Self::share(&self.probabilities, run, runs),
            log_ratios: Self::share(&self.log_ratios, run, runs),
        }
    }

    /// ω by rows; or, where there is no Follower, the one opponent that answers everything.
    fn answers(&self, run: usize, runs: usize, rules: Rules) -> Answers<'_> {
        let probabilities = Self::share(&self.probabilities, run, runs);
        if rules.has_follower() {
            let log_ratios = Self::share(&self.log_ratios, run, runs);
            Answers { probabilities, log_ratios, row_stride: rules.actions, column_stride: 1 }
        } else {
            Answers { probabilities, log_ratios: &[], row_stride: 0, column_stride: 1 }
        }
    }
}

impl Host {
    /// Draws every run's pairs (those that Leader and Follower share), and gives the Leaders' direction `[runs, n]`.
    pub(super) fn sample_leader(
        &mut self,
        rules: Rules,
        place: Place,
        step: u64,
        runs: &mut [TensorRun],
        commitment: &Softmax,
        answers: Option<&Softmax>,
    ) -> Result<Tensor, LearnError> {
        let count = runs.len();
        self.samples.resize_with(count, Sample::default);
        let leaders = Downloaded::of(commitment, |run| runs[run].log_reference().to_vec(), count)?;
        let followers = match answers {
            Some(answers) => {
                Some(Downloaded::of(answers, |run| runs[run].problem.log_reference_follower.clone(), count)?)
            }
            None => None,
        };
        let mut coefficients = vec![0.0; count * rules.actions];
        for (index, run) in runs.iter_mut().enumerate() {
            let commitment = leaders.commitment(index, count);
            let answers = followers.as_ref().map(|followers| followers.answers(index, count, rules));
            let draw = Draw { seed: run.course.seed, step, round: 0 };
            let sample = &mut self.samples[index];
            sample.draw(draw, rules.generations, commitment, answers);
            let own = &mut coefficients[index * rules.actions..(index + 1) * rules.actions];
            let views = (commitment, answers);
            if let Err(cause) = sample.leader(step, &run.problem, views, &mut run.control, own) {
                run.failure.get_or_insert(Failure::Baseline { step, cause });
                own.fill(0.0);
            }
        }
        centred(place, &coefficients, &commitment.probabilities)
    }

    /// The Followers' direction `[runs, n, n]`; in a further round of the same step from pairs of its own.
    pub(super) fn sample_follower(
        &mut self,
        (rules, place): (Rules, Place),
        (step, round): (u64, u32),
        runs: &mut [TensorRun],
        speeds: &[Speeds],
        commitment: &Softmax,
        answers: &Softmax,
    ) -> Result<Tensor, LearnError> {
        let count = runs.len();
        let square = rules.actions * rules.actions;
        let leaders = Downloaded::of(commitment, |_| Vec::new(), count)?;
        let followers = Downloaded::of(answers, |run| runs[run].problem.log_reference_follower.clone(), count)?;
        let mut coefficients = vec![0.0; count * square];
        for (index, run) in runs.iter_mut().enumerate() {
            if round >= speeds[index].follower_updates {
                continue;
            }
            let answers = followers.answers(index, count, rules);
            let sample = &mut self.samples[index];
            if round > 0 {
                let draw = Draw { seed: run.course.seed, step, round };
                sample.draw(draw, rules.generations, leaders.commitment(index, count), Some(answers));
            }
            let own = &mut coefficients[index * square..(index + 1) * square];
            if let Err(cause) = sample.follower(step, &run.problem, answers, &mut run.control, own) {
                run.failure.get_or_insert(Failure::Baseline { step, cause });
                own.fill(0.0);
            }
            for coefficient in own {
                *coefficient *= speeds[index].follower_weight;
            }
        }
        centred(place, &coefficients, &answers.probabilities)
    }
}

/// c − (Σc)·π over the last dimension.
fn centred(place: Place, coefficients: &[f64], probabilities: &Tensor) -> Result<Tensor, LearnError> {
    let coefficients = place.upload(coefficients, &probabilities.size())?;
    let compute = || {
        let sums = coefficients.f_sum_dim_intlist([-1_i64].as_slice(), true, None)?;
        coefficients.f_sub(&probabilities.f_mul(&sums)?)
    };
    compute().map_err(torch("computing a sampled gradient"))
}

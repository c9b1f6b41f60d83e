//! The logits of a batch's policies on the device, with their moments.

use tch::Tensor;

use super::place::{PerRun, Place, extent};
use crate::LearnError;
use crate::adam::{Correction, EPSILON, FIRST_DECAY, SECOND_DECAY};
use crate::error::torch;
use crate::state::PolicyState;

/// One role's policies: `[runs, n]` for Leaders, `[runs, n, n]` for Followers.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) logits: Tensor,
    moments: Option<[Tensor; 2]>,
    /// Updates so far, by run.
    pub(super) updates: Vec<u64>,
    rates: PerRun,
    roots: PerRun,
}

/// log-probabilities and probabilities of a batch.
#[derive(Debug)]
pub(super) struct Softmax {
    pub(super) logarithms: Tensor,
    pub(super) probabilities: Tensor,
}

impl Policies {
    pub(super) fn upload(place: Place, shape: &[i64], states: &[&PolicyState]) -> Result<Self, LearnError> {
        let join = |part: fn(&PolicyState) -> &[f64]| states.iter().flat_map(|s| part(s)).copied().collect::<Vec<_>>();
        let adam = states.iter().any(|state| !state.first_moments.is_empty());
        let moments = if adam {
            Some([
                place.upload(&join(|s| &s.first_moments), shape)?,
                place.upload(&join(|s| &s.second_moments), shape)?,
            ])
        } else {
            None
        };
        Ok(Self {
            logits: place.upload(&join(|s| &s.logits), shape)?,
            moments,
            updates: states.iter().map(|s| s.updates).collect(),
            rates: PerRun::new(),
            roots: PerRun::new(),
        })
    }

    /// The states, run by run.
    pub(super) fn download(&self) -> Result<Vec<PolicyState>, LearnError> {
        let runs = self.updates.len();
        let logits = Place::download(&self.logits)?;
        let moments = match &self.moments {
            Some([first, second]) => [Place::download(first)?, Place::download(second)?],
            None => [Vec::new(), Vec::new()],
        };
        let share = |values: &[f64], run: usize| {
            let entries = values.len() / runs;
            values[run * entries..(run + 1) * entries].to_vec()
        };
        let state = |run: usize| PolicyState {
            logits: share(&logits, run),
            first_moments: share(&moments[0], run),
            second_moments: share(&moments[1], run),
            updates: self.updates[run],
        };
        Ok((0..runs).map(state).collect())
    }

    /// Row by row over the last dimension. libtorch computes each row by itself, whatever the batch is.
    pub(super) fn softmax(&self) -> Result<Softmax, LearnError> {
        softmax(&self.logits)
    }

    /// Where a plain update along `direction` would lead.
    pub(super) fn ahead(&mut self, place: Place, direction: &Tensor, rates: &[f64]) -> Result<Softmax, LearnError> {
        let rates = self.rates.get(place, rates.iter().copied(), self.logits.dim() - 1)?;
        softmax(&plain(&self.logits, direction, rates).map_err(torch("looking a step ahead"))?)
    }

    /// One ascending update along `direction`, of those runs whose `active` is true. `rates` are the learning rates.
    pub(super) fn ascend(
        &mut self,
        place: Place,
        direction: &Tensor,
        rates: &[f64],
        active: &[bool],
    ) -> Result<(), LearnError> {
        for (updates, &active) in self.updates.iter_mut().zip(active) {
            *updates += u64::from(active);
        }
        let mask = if active.iter().all(|&active| active) {
            None
        } else {
            let flags: Vec<f64> = active.iter().map(|&active| f64::from(u8::from(active))).collect();
            let mut shape = vec![1; self.logits.dim()];
            shape[0] = extent(active.len());
            Some(place.upload(&flags, &shape)?.f_gt(0.5).map_err(torch("choosing the runs that are updated"))?)
        };
        let trailing = self.logits.dim() - 1;
        match self.moments.take() {
            None => {
                let rates = self.rates.get(place, rates.iter().copied(), trailing)?;
                let mut logits = plain(&self.logits, direction, rates).map_err(torch("updating the logits"))?;
                keep_inactive(&mut logits, &self.logits, mask.as_ref())?;
                self.logits = logits;
            }
            Some([first, second]) => {
                let corrections: Vec<_> =
                    rates.iter().zip(&self.updates).map(|(&rate, &t)| Correction::of(rate, t.max(1))).collect();
                let rates = self.rates.get(place, corrections.iter().map(|c| c.rate), trailing)?;
                let roots = self.roots.get(place, corrections.iter().map(|c| c.root), trailing)?;
                let updated = adam(&self.logits, [&first, &second], direction, rates, roots);
                let [mut logits, mut new_first, mut new_second] = updated.map_err(torch("updating the logits"))?;
                keep_inactive(&mut logits, &self.logits, mask.as_ref())?;
                keep_inactive(&mut new_first, &first, mask.as_ref())?;
                keep_inactive(&mut new_second, &second, mask.as_ref())?;
                self.logits = logits;
                self.moments = Some([new_first, new_second]);
            }
        }
        Ok(())
    }
}

pub(super) fn softmax(logits: &Tensor) -> Result<Softmax, LearnError> {
    let doing = torch("computing a softmax");
    Ok(Softmax {
        logarithms: logits.f_log_softmax(-1, None).map_err(&doing)?,
        probabilities: logits.f_softmax(-1, None).map_err(&doing)?,
    })
}

fn keep_inactive(new: &mut Tensor, old: &Tensor, mask: Option<&Tensor>) -> Result<(), LearnError> {
    if let Some(mask) = mask {
        *new = new.f_where_self(mask, old).map_err(torch("choosing the runs that are updated"))?;
    }
    Ok(())
}

fn plain(logits: &Tensor, direction: &Tensor, rates: &Tensor) -> Result<Tensor, tch::TchError> {
    direction.f_mul(rates)?.f_add_(logits)
}

/// As [`crate::adam::ascend`], without the fused operations, whose rounding depends on where in a vector register an
/// entry lies.
fn adam(
    logits: &Tensor,
    [first, second]: [&Tensor; 2],
    gradient: &Tensor,
    rates: &Tensor,
    roots: &Tensor,
) -> Result<[Tensor; 3], tch::TchError> {
    let share = gradient.f_mul_scalar(1.0 - FIRST_DECAY)?;
    let first = first.f_mul_scalar(FIRST_DECAY)?.f_add_(&share)?;
    let share = gradient.f_mul(gradient)?.f_mul_scalar_(1.0 - SECOND_DECAY)?;
    let second = second.f_mul_scalar(SECOND_DECAY)?.f_add_(&share)?;
    let denominator = second.f_sqrt()?.f_mul_(roots)?.f_add_scalar_(EPSILON)?;
    let logits = first.f_mul(rates)?.f_div_(&denominator)?.f_add_(logits)?;
    Ok([logits, first, second])
}

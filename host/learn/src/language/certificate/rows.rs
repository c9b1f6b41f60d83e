//! Certificates as the record has them.

use slhf_plan::{CertificateFigure, CertificatePlan, EvaluationName, EvaluationRow};
use slhf_statistics::{FollowerCertificate, Interval, LeaderCertificate, UpperEnd};

use super::certified::CertificatePlace;

/// Whom a certificate is about: the held-out prompts.
const SUBJECT: &str = "held_out";

#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) place: CertificatePlace,
    pub(super) prompts: usize,
}

impl Rows {
    /// The gap, then what it is made of, each part with bounds of a third of the risk.
    pub(super) fn of_follower(self, found: &FollowerCertificate) -> Vec<EvaluationRow> {
        let part = |figure, (value, interval): (f64, Interval)| {
            self.row(figure, value.clamp(interval.low, interval.high), Some((interval.low, interval.high)))
        };
        let of_values = found.values.iter().map(|value| value.estimate).sum::<f64>() / self.prompts.max(1) as f64;
        vec![
            part(CertificateFigure::FollowerGap, (found.estimate, found.gap)),
            part(CertificateFigure::Preference, (found.preference_estimate, found.preference)),
            part(CertificateFigure::FollowerKl, (found.divergence_estimate, found.divergence)),
            part(CertificateFigure::CommittedValue, (of_values, found.value)),
        ]
    }

    /// The gap; and how many responses of the reference would bound it from above, where it is not.
    pub(super) fn of_leader(self, found: &LeaderCertificate) -> Vec<EvaluationRow> {
        let mut rows = vec![self.row(CertificateFigure::LeaderGap, found.estimate, Some((found.low, found.most)))];
        if let UpperEnd::NotBounded { samples_needed } = found.high
            && samples_needed.is_finite()
        {
            rows.push(self.row(CertificateFigure::LeaderSamplesNeeded, samples_needed, None));
        }
        rows
    }

    /// What would bound it from above.
    pub(super) fn not_bounded(self, found: &LeaderCertificate, plan: CertificatePlan) -> Option<String> {
        let UpperEnd::NotBounded { samples_needed } = found.high else { return None };
        let (step, samples) = (self.place.step, plan.leader_samples);
        let would_do = if samples_needed <= f64::from(CertificatePlan::SAMPLES_MAX) {
            format!("evaluation.certificate.leader_samples = {samples_needed} or so would do")
        } else {
            format!("no number of them that is allowed would do ({} at most)", CertificatePlan::SAMPLES_MAX)
        };
        Some(format!(
            "the Leader's gap at step {step} is bounded from below only: the best response may be one that {samples} responses of its reference \
             a prompt did not show; {would_do}"
        ))
    }

    fn row(self, figure: CertificateFigure, value: f64, interval: Option<(f64, f64)>) -> EvaluationRow {
        EvaluationRow {
            run: self.place.run,
            step: self.place.step,
            name: EvaluationName::Certificate(figure),
            subject: SUBJECT.to_owned(),
            value,
            interval,
            n: self.prompts as u64,
        }
    }
}

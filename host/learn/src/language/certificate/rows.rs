//! Certificates as the record has them.

use slhf_plan::{CertificateFigure, EvaluationName, EvaluationRow};
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
        let middle = |interval: Interval| (f64::midpoint(interval.low, interval.high), interval);
        let part = |figure, (value, interval): (f64, Interval)| self.row(figure, value, (interval.low, interval.high));
        let of_values = found.values.iter().map(|value| value.estimate).sum::<f64>() / self.prompts.max(1) as f64;
        vec![
            self.row(CertificateFigure::FollowerGap, found.estimate, (found.gap.low, found.gap.high)),
            part(CertificateFigure::Preference, middle(found.preference)),
            part(CertificateFigure::FollowerKl, middle(found.divergence)),
            part(CertificateFigure::CommittedValue, (of_values.clamp(found.value.low, found.value.high), found.value)),
        ]
    }

    pub(super) fn of_leader(self, found: &LeaderCertificate) -> EvaluationRow {
        self.row(CertificateFigure::LeaderGap, found.estimate, (found.low, found.most))
    }

    /// What would bound it from above.
    pub(super) fn not_bounded(self, found: &LeaderCertificate, leader_samples: u32) -> Option<String> {
        let UpperEnd::NotBounded { samples_needed } = found.high else { return None };
        let step = self.place.step;
        Some(format!(
            "the Leader's gap at step {step} is bounded from below only: the best response may be one that {leader_samples} responses of its \
             reference a prompt did not show; evaluation.certificate.leader_samples = {samples_needed} would do"
        ))
    }

    fn row(self, figure: CertificateFigure, value: f64, interval: (f64, f64)) -> EvaluationRow {
        EvaluationRow {
            run: self.place.run,
            step: self.place.step,
            name: EvaluationName::Certificate(figure),
            subject: SUBJECT.to_owned(),
            value,
            interval: Some(interval),
            n: self.prompts as u64,
        }
    }
}

//! What the parts of a piece of work may take, each against the others: what progress is counted in. A guess for people, by the
//! same fixed models as the estimates of a plan; nothing is decided by it.

/// Guessed seconds of the parts of a batch group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// The worker starts, and reads what it needs.
    pub start: f64,
    /// One step of one run.
    pub step: f64,
    /// One evaluation on the way.
    pub evaluation: f64,
    /// The evaluation after the last step.
    pub last_evaluation: f64,
    /// Steps between evaluations; 0: none on the way.
    pub every: u64,
    /// Whether there is one before the first step.
    pub evaluates_first: bool,
}

impl Phases {
    /// Guessed seconds of the evaluations of a run of so many `steps` that goes on after step `from`, up to the one at `step`.
    #[must_use]
    pub fn evaluations(&self, from: u64, step: u64, steps: u64) -> f64 {
        let until = |step: u64| step.min(steps.saturating_sub(1)).checked_div(self.every).unwrap_or(0);
        let first = u64::from(self.evaluates_first && from == 0);
        let on_the_way = first + until(step).saturating_sub(until(from));
        let last = if step >= steps { self.last_evaluation } else { 0.0 };
        on_the_way as f64 * self.evaluation + last
    }
}

/// Parameters of the model that was measured.
pub(crate) const MEASURED_PARAMETERS: f64 = 134.5e6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_are_counted_from_where_a_run_stands() {
        let phases =
            Phases { every: 10, evaluates_first: true, evaluation: 1.0, last_evaluation: 100.0, ..Phases::default() };
        for (from, step, seconds) in
            [(0, 0, 1.0), (0, 9, 1.0), (0, 10, 2.0), (0, 30, 103.0), (1, 30, 102.0), (10, 29, 1.0), (20, 30, 100.0)]
        {
            assert_eq!(phases.evaluations(from, step, 30), seconds, "{from} to {step}");
        }
        assert_eq!(Phases::default().evaluations(0, 100, 100), 0.0);
        assert_eq!(Phases { last_evaluation: 5.0, ..Phases::default() }.evaluations(0, 0, 100), 0.0);
    }
}

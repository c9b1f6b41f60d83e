//! Trained reward models.

use super::language::check_adapter;
use super::schedule::check_rate;
use crate::methods::ROWS_MAX;
use crate::reward_training::{HEAD_LABELS_MAX, RewardHeadPlan, RewardTraining};
use crate::settings::Problems;
use crate::{AdapterPlan, AttributeLoss};

/// Steps beyond which a run is refused.
const STEPS_MAX: u64 = 100_000_000;

/// One cell of a grid that trains reward models.
#[derive(Clone, Copy, Debug)]
pub struct RewardCell<'a> {
    /// Which parameters are trained.
    pub adapter: &'a AdapterPlan,
    /// The head.
    pub head: &'a RewardHeadPlan,
    /// How it is trained.
    pub training: &'a RewardTraining,
}

/// Everything that is wrong with a cell.
#[must_use]
pub fn check_reward(cell: &RewardCell<'_>) -> Problems {
    let mut problems = Problems::default();
    check_adapter(cell.adapter, &mut problems);
    check_head(cell.head, &mut problems);
    let training = cell.training;
    problems.whole("training.steps", training.steps, 1, STEPS_MAX);
    problems.whole("training.pairs_per_step", u64::from(training.pairs_per_step), 1, ROWS_MAX);
    problems.whole("training.micro_batch_size", u64::from(training.micro_batch_size), 1, ROWS_MAX);
    training.optimizer.check("training", &mut problems);
    problems.not_negative("training.max_grad_norm", training.max_grad_norm);
    check_rate("schedule.learning_rate", &training.learning_rate, training.steps, &mut problems);
    problems.require(training.warmup_steps <= training.steps, "schedule.warmup_steps", || {
        format!("{} of {} steps; expected no more than the run has", training.warmup_steps, training.steps)
    });
    problems
}

fn check_head(head: &RewardHeadPlan, problems: &mut Problems) {
    match head {
        RewardHeadPlan::BradleyTerry { margin, centering } => {
            problems.not_negative("head.margin", *margin);
            problems.not_negative("head.centering", *centering);
        }
        RewardHeadPlan::Attributes { labels, loss, centering } => {
            problems.not_negative("head.centering", *centering);
            if *loss == AttributeLoss::Regression && *centering != 0.0 {
                problems.push(
                    "head.centering",
                    "given beside loss = \"regression\", which fixes where 0 is: remove it, or use loss = \"bradley_terry\"",
                );
            }
            let many = labels.len();
            problems.require((1..=HEAD_LABELS_MAX).contains(&many), "head.labels", || {
                format!("{many} labels; expected 1 to {HEAD_LABELS_MAX}")
            });
            let twice = labels.iter().enumerate().find(|(index, label)| labels[..*index].contains(label));
            if let Some((_, label)) = twice {
                problems.push("head.labels", format!("\"{label}\" stands there twice; expected each label once"));
            }
            if labels.iter().any(|label| label.trim().is_empty()) {
                problems.push("head.labels", "a label is empty; expected a name");
            }
        }
        RewardHeadPlan::GeneralPreference { blocks, tau } => {
            problems.whole("head.blocks", u64::from(*blocks), 1, HEAD_LABELS_MAX as u64 / 2);
            problems.above_zero("head.tau", *tau);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, ModelOptimizer};

    #[test]
    fn what_no_head_can_be_is_refused_by_its_key() {
        let training = RewardTraining {
            steps: 10,
            pairs_per_step: 4,
            micro_batch_size: 4,
            optimizer: ModelOptimizer::Sgd,
            max_grad_norm: 1.0,
            learning_rate: Curve::Constant { value: 1e-3 },
            warmup_steps: 0,
        };
        let attributes = |labels: &[&str], loss, centering| RewardHeadPlan::Attributes {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            loss,
            centering,
        };
        let (regression, pairs) = (AttributeLoss::Regression, AttributeLoss::BradleyTerry);
        for (head, expected) in [
            (RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.01 }, None),
            (RewardHeadPlan::BradleyTerry { margin: -1.0, centering: 0.01 }, Some("head.margin")),
            (RewardHeadPlan::GeneralPreference { blocks: 0, tau: 1.0 }, Some("head.blocks")),
            (RewardHeadPlan::GeneralPreference { blocks: 1, tau: 0.0 }, Some("head.tau")),
            (attributes(&["a", "b"], regression, 0.0), None),
            (attributes(&["a", "b"], pairs, 0.01), None),
            (attributes(&["a", "b"], regression, 0.01), Some("head.centering")),
            (attributes(&[], regression, 0.0), Some("head.labels")),
            (attributes(&["a", "a"], regression, 0.0), Some("head.labels")),
            (attributes(&[" "], regression, 0.0), Some("head.labels")),
        ] {
            let cell = RewardCell { adapter: &AdapterPlan::Full, head: &head, training: &training };
            let found: Vec<String> = check_reward(&cell).into_iter().map(|problem| problem.key).collect();
            assert_eq!(found, Vec::from_iter(expected.map(str::to_owned)), "{head:?}");
        }
        let idle = RewardTraining { steps: 0, warmup_steps: 3, ..training };
        let head = RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 };
        let found = check_reward(&RewardCell { adapter: &AdapterPlan::Full, head: &head, training: &idle });
        let found: Vec<String> = found.into_iter().map(|problem| problem.key).collect();
        assert_eq!(found, ["training.steps", "schedule.warmup_steps"]);
    }
}

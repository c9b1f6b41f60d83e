//! What a reader must know of a comparison that stopped early, in sentences.

use slhf_plan::StopAtPlan;
use slhf_words::number;

/// What a rule to stop at left unasked, and what was found.
#[derive(Clone, Copy, Debug)]
pub struct StoppingSaid {
    /// The rule.
    pub rule: StopAtPlan,
    /// Verdicts that were asked for, and those that there would have been.
    pub verdicts: (usize, usize),
    /// Pairs whose win rate differs from the rule's, of those that are asked about.
    pub differ: (usize, usize),
    /// The win rate that they are said to differ from.
    pub differs_from: f64,
}

/// What was saved by asking no more than was needed, what is known of these policies, and what that does to all other numbers.
#[must_use]
pub fn stopping_sentences(said: &StoppingSaid) -> [String; 3] {
    let (StoppingSaid { rule, differs_from, .. }, (asked, all), (differ, family)) = (said, said.verdicts, said.differ);
    let saved = 100.0 * (1.0 - asked as f64 / all.max(1) as f64);
    [
        format!("stopped at {rule}: {asked} of {all} verdicts were asked for, which saves {saved:.1} % of all"),
        format!(
            "these trained policies on these prompts: {differ} of {family} win rates differ from {} (e-BH, 5 % of such claims may be wrong)",
            number(*differs_from)
        ),
        match rule {
            StopAtPlan::Width(_) => {
                "win rates, scores and cycles are of the prompts that were asked; intervals over seeds and p-values are made for a fixed \
                 number of prompts"
            }
            StopAtPlan::DifferenceFrom(_) => {
                "win rates, scores and cycles are of the prompts that were asked, and a pair that stopped early looks farther from the \
                 rule's rate than it is: its interval on these prompts is right; intervals over seeds and p-values are made for a fixed \
                 number of prompts, and are a little too sure"
            }
        }
        .to_owned(),
    ]
}

//! Which evaluation it is: of which run, at which step.

use slhf_plan::LanguageEvaluationPlan;

use crate::language::answering::Standing;
use crate::language::certificate::CertifiedGame;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) run: i64,
    pub(crate) seed: u64,
    pub(crate) step: u64,
    pub(crate) plan: &'a LanguageEvaluationPlan,
    pub(crate) has_follower: bool,
    /// Whether there is a judge besides those of the plan's `judges`.
    pub(crate) is_judged: bool,
    /// Who is called the Leader.
    pub(crate) standing: Standing,
    /// What the last one bounds the gaps of.
    pub(crate) certified: Option<CertifiedGame>,
}

//! What a certificate of the gaps costs, in the last evaluation.

use slhf_plan::{CertificatePlan, FollowerReference, LanguageMethod, Parameters};

use super::flow::Flow;
use super::judging::Asked;
use super::language::Pricing;
use super::price::PriceError;

/// Comparisons of a pair that are asked for twice.
const REPEATED: f64 = 4.0;

impl Pricing<'_> {
    /// Of so many prompts.
    pub(super) fn certificate(&mut self, plan: CertificatePlan, prompts: f64) -> Result<(), PriceError> {
        let answer = f64::from(self.plan.method.training().sampling.max_new_tokens);
        let (many, reference) = (f64::from(plan.samples), f64::from(plan.leader_samples));
        let own = if plan.leader_samples == 0 { 1.0 } else { many };
        let first = self.of_each(1.0, own + reference, answer);
        self.sample(first.times(prompts), self.in_evaluation(prompts * (own + reference) * answer));
        // Both Followers to one response of the Leader, its reference to each of its reference's, and one of each to the Leader's others.
        let to_one = self.to_one(many, answer);
        let groups = 2.0 + reference;
        self.sample(to_one.times(prompts * groups), self.in_evaluation(prompts * groups * many * answer));
        let others = 2.0 * (own - 1.0);
        let anew = self.improved_anew(answer);
        self.sample(anew.times(prompts * others), self.in_evaluation(prompts * others * answer));
        let passed = self.scored(answer).times(prompts * (many + own - 1.0));
        self.read(passed);
        let verdicts = groups * many + others + REPEATED.min(many);
        let responses = own + reference + groups * many + others;
        let asked = Asked { responses, pairs: groups * many + others, verdicts }.times(prompts);
        self.ask_training_judge(asked, answer)
    }

    /// So many responses to one: what they have in common is read once a batch.
    fn to_one(&self, many: f64, answer: f64) -> Flow {
        let context = self.prompt + answer + self.turn;
        let batches = (many / f64::from(self.plan.evaluation.batch_size).max(1.0)).ceil();
        Flow::of(context, 1.0).times(batches).and(Flow::after(context, answer - 1.0, answer - 1.0).times(many))
    }

    /// A pass of policies and reference over a pair.
    fn scored(&self, answer: f64) -> Flow {
        let leader = Flow::of(self.prompt + answer, answer);
        let both = Flow::of(self.prompt + self.turn + 2.0 * answer, 2.0 * answer);
        let LanguageMethod::StackelbergGda(game) = &self.plan.method else { return both };
        let policy = match game.players.parameters {
            Parameters::Shared => both,
            Parameters::Separate => leader.and(Flow { predicted: answer, ..both }),
        };
        policy.and(match game.players.follower_reference {
            FollowerReference::Context => both,
            FollowerReference::Prompt => leader.and(leader),
        })
    }
}

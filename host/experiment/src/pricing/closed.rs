//! Closed sets of responses: trees of tokens, in which what texts begin with is there once.

use slhf_foreign::SetSizes;
use slhf_plan::LanguagePlan;

use super::flow::Flow;

/// Responses of a row, and tokens of a response, where nobody has read one yet.
const RESPONSES: f64 = 4.0;
const RESPONSE_TOKENS: f64 = 6.0;

/// One prompt with its closed set.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetFlows {
    /// Every response after the prompt.
    pub(super) leader: Flow,
    /// Every response after every other, and the turn between them, the first responses not scored.
    pub(super) follower: Flow,
    /// Both in one tree.
    pub(super) both: Flow,
}

impl SetFlows {
    /// Of a prompt and a turn of so many tokens. A response's last token is read only where something follows it.
    pub(super) fn of(prompt: f64, turn: f64, sets: &SetSizes) -> Self {
        let (n, response) = (sets.responses, sets.response_tokens);
        let root = Flow::of(prompt, 0.0);
        let leader = root.and(Flow::after(prompt, response - 1.0, response).times(n));
        let commitment = Flow::after(prompt, response + turn, 0.0).times(n);
        let context = prompt + response + turn;
        let refined = Flow::after(context, response - 1.0, response).times(sets.pairs);
        let follower = root.and(commitment).and(refined);
        let both = Flow { predicted: follower.predicted + n * response, ..follower };
        Self { leader, follower, both }
    }
}

/// Where the prompts or the model's tokenizer are not here. How many prompts there are beside the held-out ones is not known.
pub(super) fn roughly(plan: &LanguagePlan) -> Option<SetSizes> {
    let given = plan.answers.as_ref()?.given.len() as f64;
    let responses = if given > 0.0 { given } else { RESPONSES };
    Some(SetSizes {
        prompts: f64::from(plan.data.held_out),
        responses,
        pairs: responses * responses,
        response_tokens: RESPONSE_TOKENS,
    })
}

//! What judges and rewards that ask models cost.

use slhf_plan::{GrantedModel, PluginPlan};

use super::flow::{Flow, Pass};
use super::price::{Price, PriceError};
use crate::shapes::Shapes;

/// Tokens of the question around a prompt and two responses, and of a chat template around all.
const QUESTION_TOKENS: f64 = 60.0;
/// Tokens of a chat template around a prompt and a response.
const TEMPLATE_TOKENS: f64 = 20.0;

/// How long texts are, in tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts {
    pub(super) prompt: f64,
    pub(super) answer: f64,
}

/// What a plugin is asked, each thing once: a model's reply to it is known from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// Responses.
    pub(super) responses: f64,
    /// Pairs of responses, whichever stands first.
    pub(super) pairs: f64,
    /// Pairs in an order: verdicts.
    pub(super) verdicts: f64,
}

impl Asked {
    pub(super) fn times(self, count: f64) -> Self {
        Self { responses: count * self.responses, pairs: count * self.pairs, verdicts: count * self.verdicts }
    }
}

/// What a plugin makes a model read.
enum Reads {
    /// Every response after its prompt.
    Responses,
    /// Every response alone.
    ResponsesAlone,
    /// So many questions about pairs, each with a prediction.
    Questions(f64),
}

/// Adds what a plugin and those that it wraps ask their models.
pub(super) fn add(
    price: &mut Price,
    plugin: &PluginPlan,
    (asked, texts): (Asked, Texts),
    shapes: &mut Shapes,
) -> Result<(), PriceError> {
    if let Some(inner) = plugin.upstream.as_deref() {
        // In both orders at most: whoever wraps a judge may turn pairs round.
        let both = Asked { verdicts: 2.0 * asked.pairs, ..asked };
        add(price, inner, (both, texts), shapes)?;
    }
    for model in plugin.models.values() {
        let reads = reads(price, plugin, asked);
        let flow = match reads {
            Reads::Responses => Flow::of(texts.prompt + texts.answer + TEMPLATE_TOKENS, 0.0).times(asked.responses),
            Reads::ResponsesAlone => Flow::of(texts.answer, 0.0).times(asked.responses),
            Reads::Questions(count) => Flow::of(texts.prompt + 2.0 * texts.answer + QUESTION_TOKENS, 1.0).times(count),
        };
        match model {
            GrantedModel::Device(model) => {
                price.read_tokens += flow.tokens;
                price.pass_operations +=
                    flow.operations(&shapes.of(&model.path).map_err(PriceError::Model)?, Pass::Read);
            }
            GrantedModel::Served(_) => price.server_tokens += flow.tokens + flow.predicted,
        }
    }
    Ok(())
}

fn reads(price: &mut Price, plugin: &PluginPlan, asked: Asked) -> Reads {
    let parameter = |key: &str| plugin.parameters.get(key);
    let in_both_orders = parameter("orders").is_none_or(|orders| orders == "both");
    let questions = if in_both_orders { 2.0 * asked.pairs } else { asked.verdicts };
    match plugin.name.as_str() {
        "attribute-committee" | "general-preference" | "reward-model" => Reads::Responses,
        "similarity" => Reads::ResponsesAlone,
        "llm-judge" => Reads::Questions(questions),
        "rubric-judge" => {
            let criteria = parameter("criteria").and_then(|criteria| criteria.as_array()).map_or(1, Vec::len);
            Reads::Questions(questions * criteria as f64)
        }
        other => {
            price.note(format!(
                "\"{other}\" is taken to ask each model once about every pair in each order, with the prompt and both responses"
            ));
            Reads::Questions(2.0 * asked.pairs)
        }
    }
}

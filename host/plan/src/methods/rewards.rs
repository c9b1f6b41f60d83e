//! Where the rewards come from of methods that learn from rewards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GamePlace;
use crate::PluginPlan;
use crate::settings::{Key, NameOr, PluginUse, Problems, Reader, RewardOr, kind, reward};

/// Over which pairs Bradley–Terry scores are fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PairDistribution {
    /// Every ordered pair i ≠ j weighted equally.
    Uniform,
    /// As often as each pair was compared in the data the game was counted from.
    Counts,
    /// Weights written out, one row an action, n × n, non-negative; the diagonal is ignored.
    Weights {
        /// The weights.
        weights: Vec<Vec<f64>>,
    },
}

/// The reward of an answer, for a method that learns from rewards on a game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GameReward {
    /// Bradley–Terry scores of the preference matrix.
    BradleyTerry {
        /// Over which pairs they are fitted.
        pairs: PairDistribution,
    },
    /// Written out, one an action.
    Scores {
        /// The rewards.
        scores: Vec<f64>,
    },
    /// The mean verdict against the other samples, as on language models without a reward plugin.
    Verdicts,
}

/// `reward` of a game as a TOML writes it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum GivenReward {
    /// Bradley–Terry scores of the preference matrix, fitted over `method.pairs`.
    BradleyTerry {},
    /// Written out.
    Scores {
        /// One an action.
        scores: Vec<f64>,
    },
    /// The mean verdict against the other samples, as on language models without a reward plugin.
    Verdicts {},
}

/// Rewards on a game.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GameRewards {
    /// Where they come from.
    pub reward: GameReward,
}

const PAIRS: Key = Key::new(
    "pairs",
    "With Bradley–Terry scores: over which pairs they are fitted: `\"uniform\"`, `\"counts\"`, or `{ kind = \"weights\", weights = [...] }`.",
).example(r#""counts""#);

const GAME_REWARD: Key = Key::new(
    "reward",
    "`\"bradley_terry\"`, `\"verdicts\"` (the mean verdict against the other samples), or a list of rewards, one an action.",
).example(r#""verdicts""#)
.why_not("the others learn from the judge's verdicts on pairs");

/// `pairs`, uniform unless given.
pub(super) fn pairs(reader: &mut Reader<'_>) -> PairDistribution {
    let found = reader.expanded::<PairDistribution, NameOr<PairDistribution>>(PAIRS, Some("uniform".into()), kind);
    found.unwrap_or(PairDistribution::Uniform)
}

/// What the pairs of a Bradley–Terry fit must be.
pub(super) fn check_pairs(pairs: &PairDistribution, place: &GamePlace<'_>, problems: &mut Problems) {
    let n = place.actions.len();
    match pairs {
        PairDistribution::Counts if !place.is_counted => problems.push(
            "method.pairs",
            "\"counts\" needs a game that was counted from data; this one is a matrix of probabilities: use \
             \"uniform\", or { kind = \"weights\", weights = [...] }",
        ),
        PairDistribution::Uniform | PairDistribution::Counts => {}
        PairDistribution::Weights { weights } if weights.len() != n => {
            problems.push("method.pairs.weights", format!("{} rows; expected {n}, one for each action", weights.len()));
        }
        PairDistribution::Weights { weights } => {
            if let Err(error) = slhf_game::PairWeights::from_rows(weights) {
                problems.push("method.pairs.weights", error.to_string());
            }
        }
    }
}

impl GameRewards {
    /// Why a reference may not be renewed beside these rewards.
    pub(super) fn keep_the_reference(&self) -> Option<&'static str> {
        (self.reward != GameReward::Verdicts).then_some(
            "whose reward has no opponent: the policy would go to the best action alone; use reward = \"verdicts\", or no reference",
        )
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let has_pairs = reader.is_given(PAIRS);
        let given =
            reader.expanded::<GivenReward, RewardOr<GivenReward>>(GAME_REWARD, Some("bradley_terry".into()), reward);
        let pairs = pairs(reader);
        let reward = match given {
            None | Some(GivenReward::BradleyTerry {}) => return Self { reward: GameReward::BradleyTerry { pairs } },
            Some(GivenReward::Scores { scores }) => GameReward::Scores { scores },
            Some(GivenReward::Verdicts {}) => GameReward::Verdicts,
        };
        if has_pairs {
            reader.problem(PAIRS, "only a Bradley–Terry fit has it: remove it, or use reward = \"bradley_terry\"");
        }
        Self { reward }
    }

    pub(super) fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        let n = place.actions.len();
        match &self.reward {
            GameReward::Verdicts => {}
            GameReward::BradleyTerry { pairs } => check_pairs(pairs, place, problems),
            GameReward::Scores { scores } if scores.len() != n => {
                problems.push("method.reward", format!("{} rewards; expected {n}, one for each action", scores.len()));
            }
            GameReward::Scores { scores } => {
                if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
                    let action = &place.actions[index].name;
                    let problem = format!("{} for \"{action}\"; expected a finite number", scores[index]);
                    problems.push("method.reward", problem);
                }
            }
        }
    }
}

/// A linear Bradley–Terry reward model (Bradley & Terry 1952; Christiano et al., arXiv 1706.03741), fit to the judge's verdicts on
/// the reference's responses before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardModelPlan {
    /// Pairs of responses that it is fit to, each judged in both orders, at least 2.
    #[serde(default = "RewardModelPlan::usual_pairs")]
    pub pairs: u32,
    /// λ of the penalty λ · ½ |w|² beside the mean loss, above 0; default: by 5-fold cross-validation over prompts, of 10, 1, 0.1,
    /// 0.01, 0.001 and 0.0001 times the mean squared length of a pair's difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
}

/// Pairs of a reward model beyond which nobody means it.
const REWARD_MODEL_PAIRS_MAX: u64 = 1 << 14;

impl RewardModelPlan {
    fn usual_pairs() -> u32 {
        256
    }

    fn check(self, problems: &mut Problems) {
        problems.whole("method.reward_model.pairs", u64::from(self.pairs), 2, REWARD_MODEL_PAIRS_MAX);
        if let Some(l2) = self.l2 {
            problems.above_zero("method.reward_model.l2", l2);
        }
    }
}

/// Rewards on language models; without either, the mean label, of both orders, against the other samples of the prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LanguageRewards {
    /// A plugin's scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<PluginPlan>,
    /// In its place, a model that is fit to the judge's verdicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<RewardModelPlan>,
}

pub(super) const REWARD: Key = Key::new(
    "reward",
    "A `reward` plugin; without one, the mean of the judge's verdicts, in both orders, against the other samples of the prompt.",
).example(r#"{ plugin = "attribute-sum" }"#)
.why_not("the others learn from the judge's verdicts on pairs");

const REWARD_MODEL: Key = Key::new(
    "reward_model",
    "In the place of `reward`, RLHF's own: a linear Bradley–Terry model of the reference's last hidden states, fit to the judge's \
     verdicts on pairs of the reference's responses before the first step; `{}` takes its defaults.",
).example("{ pairs = 96 }")
.why_not("the others are trained on no reward");

impl LanguageRewards {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let both = reader.is_given(REWARD) && reader.is_given(REWARD_MODEL);
        let found =
            Self { reward: reader.plugin(REWARD, PluginUse::Reward), reward_model: reader.optional(REWARD_MODEL) };
        if both {
            reader.problem(REWARD_MODEL, BOTH);
        }
        found
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.reward.is_some() && self.reward_model.is_some() {
            problems.push("method.reward_model", BOTH);
        }
        if let Some(model) = self.reward_model {
            model.check(problems);
        }
    }
}

const BOTH: &str = "given beside method.reward, which is a reward already: remove one of the two";

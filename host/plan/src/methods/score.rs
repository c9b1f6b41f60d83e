//! SCoRe (Kumar et al., arXiv 2409.12917): one policy answers twice, the second time to improve the first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stackelberg_gda::{check_instruction, instruction};
use super::{GameTraining, LanguageRewards, LanguageTraining, LanguageUses, Learned, Named, OnLanguageModels, Shared};
use crate::PluginPlan;
use crate::model_settings::KlGradient;
use crate::settings::{Key, Problems, Reader};

/// What the tokens of the first turn are credited with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnCredit {
    /// The reward of the first response alone: each turn is a policy gradient of its own (equation 2 of the paper for each turn).
    #[default]
    OwnTurn,
    /// What becomes of the second turn, too: the gradient of the objectives as a whole (equations 3 and 4).
    Objective,
}

/// SCoRe (Kumar et al., arXiv 2409.12917) on rewards of a plugin, a fitted model, or verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score<S: Shared = GameTraining> {
    /// Where rewards come from.
    #[serde(flatten)]
    pub rewards: S::Rewards,
    /// Steps of stage I, from the first.
    pub stage_one_steps: u64,
    /// α: weight of the second response's progress over the first in stage II.
    pub alpha: f64,
    /// `β_2`: what is added to β for the first turn in stage I.
    pub first_turn_beta: f64,
    /// What the first turn's tokens are credited with.
    pub credit: TurnCredit,
    /// The user turn between the two responses.
    pub instruction: String,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const TURNS: &str = "the others have no stages and no second turn of the same policy";
const STAGE_ONE_STEPS: Key = Key::new(
    "stage_one_steps",
    "Steps of stage I, in which the second response alone is rewarded and the first is held to the reference; default: half of `steps`.",
)
.example("20")
.why_not(TURNS);
const ALPHA: Key =
    Key::new("alpha", "α: weight of the second response's progress over the first in stage II, as in the paper.")
        .example("2.0")
        .why_not(TURNS);
const FIRST_TURN_BETA: Key = Key::new(
    "first_turn_beta",
    "β₂: weight of a further KL divergence of the first turn in stage I, beside `beta`, which holds both turns in both stages.",
)
.example("0.25")
.why_not(TURNS);
const CREDIT: Key =
    Key::new("credit", "What the first turn's tokens are credited with.").example(r#""objective""#).why_not(TURNS);

/// α in the paper.
const ALPHA_USUAL: f64 = 10.0;
/// `β_2` in the paper (MATH; 0.25 for programs).
const FIRST_TURN_BETA_USUAL: f64 = 0.1;

impl<S: Shared> Named for Score<S> {
    const ABOUT: &'static str = "One policy responds, and responds again to improve it, by policy gradients in two stages (SCoRe, arXiv 2409.12917).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[(
        &["self-correction", "self-correct", "scorer", "two-turn"],
        "one policy that responds twice, by policy gradients in two stages",
    )];
}

impl OnLanguageModels for Score<LanguageTraining> {
    const USES: LanguageUses = LanguageUses {
        kl_gradient: Some(KlGradient::RewardToGo),
        needs_whole_groups: false,
        learned: Learned::TwoTurns,
        ..LanguageUses::COMPARING
    };

    fn read(reader: &mut Reader<'_>) -> Self {
        let rewards = LanguageRewards::read(reader);
        let training = LanguageTraining::read(reader, &Self::USES);
        Self {
            rewards,
            stage_one_steps: reader.or(STAGE_ONE_STEPS, training.steps / 2),
            alpha: reader.or(ALPHA, ALPHA_USUAL),
            first_turn_beta: reader.or(FIRST_TURN_BETA, FIRST_TURN_BETA_USUAL),
            credit: reader.or(CREDIT, TurnCredit::default()),
            instruction: instruction(reader),
            training,
        }
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        let steps = self.training.steps;
        problems.require(self.stage_one_steps <= steps, "method.stage_one_steps", || {
            format!("{} of {steps} steps; expected no more than the run has", self.stage_one_steps)
        });
        problems.not_negative("method.alpha", self.alpha);
        problems.not_negative("method.first_turn_beta", self.first_turn_beta);
        check_instruction(&self.instruction, problems);
        self.rewards.check(problems);
    }

    fn rewards(&self) -> Option<&LanguageRewards> {
        Some(&self.rewards)
    }

    fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        self.rewards.reward.as_mut()
    }

    fn instruction(&self) -> Option<&str> {
        Some(&self.instruction)
    }
}

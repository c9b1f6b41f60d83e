//! GRPO: rewards relative to those of a group, clipped ratios (Shao et al., arXiv 2402.03300).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::{check_num_iterations, num_iterations};
use super::{
    GamePlace, GameReward, GameRewards, GameTraining, GameUses, LanguageRewards, LanguageTraining, LanguageUses, Named,
    OnGames, OnLanguageModels, OverlongPenalty, Shared,
};
use crate::PluginPlan;
use crate::model_settings::KlGradient;
use crate::settings::{Key, Problems, Reader};

/// By what GRPO divides the advantages of a prompt's responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRewards {
    /// The standard deviation of the prompt's rewards, as GRPO does.
    #[default]
    Group,
    /// Nothing, as Dr. GRPO does (arXiv 2503.20783).
    None,
}

/// How GRPO is held to the reference on a finite game, whose responses are one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoKl {
    /// By KL(π ‖ `π_ref`), as every other method: gradient `τ log(π/π_ref)`.
    #[default]
    RewardToGo,
    /// As published, k3 in the loss: gradient `τ (1 − π_ref/π)`, in expectation that of KL(`π_ref` ‖ π).
    DifferentiatedK3,
}

/// By what GRPO divides the loss of a response's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpoLossType {
    /// The response's own length: the published loss, which makes the tokens of a short response count for more.
    #[default]
    Grpo,
    /// `max_new_tokens`, the same for every response (Dr. GRPO, arXiv 2503.20783).
    DrGrpo,
    /// The mean length of the prompt's responses, so that each of their tokens counts alike (DAPO, arXiv 2503.14476).
    Dapo,
}

/// What has one probability ratio `π / π_old`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceSamplingLevel {
    /// A token, as in GRPO.
    #[default]
    Token,
    /// A response, `(π(y) / π_old(y))^(1/|y|)`, as in GSPO (arXiv 2507.18071).
    Sequence,
}

/// What becomes of a prompt whose responses all have the same reward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DynamicSampling {
    /// It counts: by its KL term, and in the number of responses that the loss is divided by.
    #[default]
    None,
    /// It is left out of both (DAPO, arXiv 2503.14476); no other prompt is sampled in its place.
    Drop,
}

/// Whether a setting has the meaning that it had before there was a choice; plans leave it out then.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What GRPO has on games, or on language models, alone.
pub trait GrpoOn: Shared {
    /// Its settings.
    type Own: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned;
}

/// GRPO's own on games.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpoOnGames {
    /// By which divergence the policy is held to the reference. Absent in plans from before the choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kl_gradient: GrpoKl,
}

/// GRPO's own on language models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpoOnLanguageModels {
    /// By what a sum over tokens is divided.
    pub loss_type: GrpoLossType,
    /// What has one ratio.
    #[serde(default, skip_serializing_if = "is_default")]
    pub importance_sampling_level: ImportanceSamplingLevel,
    /// What becomes of prompts whose responses all have the same reward.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dynamic_sampling: DynamicSampling,
    /// What long responses lose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlong_penalty: Option<OverlongPenalty>,
}

impl GrpoOn for GameTraining {
    type Own = GrpoOnGames;
}

impl GrpoOn for LanguageTraining {
    type Own = GrpoOnLanguageModels;
}

/// GRPO (Shao et al., arXiv 2402.03300).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grpo<S: GrpoOn = GameTraining> {
    /// Where rewards come from.
    #[serde(flatten)]
    pub rewards: S::Rewards,
    /// By what advantages are divided.
    pub scale_rewards: ScaleRewards,
    /// What it has here alone.
    #[serde(flatten)]
    pub own: S::Own,
    /// A ratio `π / π_old` (on language models, of a token) outside [1 − ε, 1 + ε] is learned from no further; above 0.
    pub epsilon: f64,
    /// In the place of ε above 1; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon_high: Option<f64>,
    /// Updates on the same samples.
    pub num_iterations: u32,
    /// Common settings.
    #[serde(flatten)]
    pub training: S,
}

const SCALE_REWARDS: Key = Key::new("scale_rewards", "By what the advantages of a prompt's responses are divided.")
    .example(r#""none""#)
    .why_not("the others do not divide rewards");
const KL_GRADIENT: Key = Key::new(
    "kl_gradient",
    "By which divergence the policy is held to the reference; the default is the published one.",
)
.example(r#""reward_to_go""#);
const LOSS_TYPE: Key = Key::new("loss_type", "By what the loss of a response's tokens is divided.")
    .example(r#""dr_grpo""#)
    .why_not("the others do not divide by lengths");
const EPSILON: Key = Key::new("epsilon", "A probability ratio is learned from within [1 − ε, 1 + ε]; above 0.")
    .example("0.2")
    .why_not("the others clip no ratio");
const EPSILON_HIGH: Key = Key::new(
    "epsilon_high",
    "In the place of ε above 1 (clip-higher, DAPO, arXiv 2503.14476): within [1 − ε, 1 + epsilon_high]; above 0; absent: ε. It needs \
     `num_iterations` of at least 2.",
)
.example("0.28")
.why_not("the others clip no ratio");
const IMPORTANCE_SAMPLING_LEVEL: Key = Key::new(
    "importance_sampling_level",
    "What has one probability ratio π/π_old; `sequence` is GSPO, and needs `num_iterations` of at least 2.",
)
.example(r#""sequence""#)
.why_not("the others clip no ratio");
const DYNAMIC_SAMPLING: Key =
    Key::new("dynamic_sampling", "What becomes of a prompt whose responses all have the same reward.")
        .example(r#""drop""#)
        .why_not("the others count every prompt alike");

/// What does nothing where every ratio is 1.
fn refuse_idle_ratio(reader: &mut Reader<'_>, key: Key) {
    reader.problem(
        key,
        "given with num_iterations = 1, where it does nothing: at the first update on its samples every ratio π/π_old is 1 and none is \
         clipped; remove it, or use num_iterations of at least 2",
    );
}

impl<S: GrpoOn> Named for Grpo<S> {
    const ABOUT: &'static str =
        "Rewards relative to those of a prompt's other responses, clipped ratios (arXiv 2402.03300).";
    const KNOWN_AS: &'static [(&'static [&'static str], &'static str)] = &[
        (&["gspo"], "GSPO is its importance_sampling_level = \"sequence\""),
        (&["dapo"], "DAPO is its loss_type = \"dapo\" with epsilon_high, dynamic_sampling and overlong_penalty"),
        (&["dr-grpo", "cispo", "gpg"], "rewards relative to those of a group"),
    ];
}

impl<S: GrpoOn> Grpo<S> {
    fn read_with(reader: &mut Reader<'_>, (rewards, own, training): (S::Rewards, S::Own, S)) -> Self {
        let grpo = Self {
            rewards,
            scale_rewards: reader.or(SCALE_REWARDS, ScaleRewards::default()),
            own,
            epsilon: reader.or(EPSILON, 0.2),
            epsilon_high: reader.optional(EPSILON_HIGH),
            num_iterations: num_iterations(reader),
            training,
        };
        if grpo.num_iterations == 1 && grpo.epsilon_high.is_some() {
            refuse_idle_ratio(reader, EPSILON_HIGH);
        }
        grpo
    }

    fn check_own(&self, problems: &mut Problems) {
        problems.above_zero("method.epsilon", self.epsilon);
        if let Some(epsilon_high) = self.epsilon_high {
            problems.above_zero("method.epsilon_high", epsilon_high);
        }
        check_num_iterations(self.num_iterations, problems);
    }
}

impl OnGames for Grpo {
    const USES: GameUses = GameUses { renews: true, ..GameUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let rewards = GameRewards::read(reader);
        let own = GrpoOnGames { kl_gradient: reader.or(KL_GRADIENT, GrpoKl::DifferentiatedK3) };
        let training = GameTraining::read(reader, &Self::USES);
        Self::read_with(reader, (rewards, own, training))
    }

    fn training(&self) -> &GameTraining {
        &self.training
    }

    fn check(&self, place: &GamePlace<'_>, problems: &mut Problems) {
        self.check_own(problems);
        self.rewards.check(place, problems);
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn plays_itself(&self) -> bool {
        self.rewards.reward == GameReward::Verdicts
    }

    fn keeps_its_reference(&self) -> Option<&'static str> {
        let is_plain = self.scale_rewards == ScaleRewards::None && self.own.kl_gradient == GrpoKl::RewardToGo;
        let own = (!is_plain).then_some(
            "whose fixed point is the regularized Nash policy only with scale_rewards = \"none\" and kl_gradient = \"reward_to_go\": \
             use both, or no reference",
        );
        self.rewards.keep_the_reference().or(own)
    }
}

impl Grpo<LanguageTraining> {
    /// Closed sets of responses take what means the same there, and nothing else.
    pub(crate) fn check_closed_sets(&self, problems: &mut Problems) {
        let GrpoOnLanguageModels { importance_sampling_level, dynamic_sampling, overlong_penalty, .. } = self.own;
        let is_token = importance_sampling_level == ImportanceSamplingLevel::Token;
        problems.require(is_token, "method.importance_sampling_level", || {
            "\"sequence\" with closed response sets, where a response is one action: its ratio is already that of the whole response, \
             and it has no length to take a root by; remove it"
                .to_owned()
        });
        problems.require(dynamic_sampling == DynamicSampling::None, "method.dynamic_sampling", || {
            "\"drop\" with closed response sets, whose solutions and gaps are means over all prompts, decided or not; remove it".to_owned()
        });
        problems.require(overlong_penalty.is_none(), "method.overlong_penalty", || {
            "given with closed response sets, where a response is one action without a length: remove it, or let the judge or the \
             reward prefer short responses"
                .to_owned()
        });
    }
}

impl OnLanguageModels for Grpo<LanguageTraining> {
    const USES: LanguageUses =
        LanguageUses { kl_gradient: Some(KlGradient::DifferentiatedK3), has_k3: true, ..LanguageUses::COMPARING };

    fn read(reader: &mut Reader<'_>) -> Self {
        let rewards = LanguageRewards::read(reader);
        let loss_type = reader.or(LOSS_TYPE, GrpoLossType::default());
        let importance_sampling_level = reader.or(IMPORTANCE_SAMPLING_LEVEL, ImportanceSamplingLevel::default());
        let dynamic_sampling = reader.or(DYNAMIC_SAMPLING, DynamicSampling::default());
        let training = LanguageTraining::read(reader, &Self::USES);
        let overlong_penalty = OverlongPenalty::read(reader, training.sampling.max_new_tokens);
        let own = GrpoOnLanguageModels { loss_type, importance_sampling_level, dynamic_sampling, overlong_penalty };
        let grpo = Self::read_with(reader, (rewards, own, training));
        if grpo.num_iterations == 1 && importance_sampling_level == ImportanceSamplingLevel::Sequence {
            refuse_idle_ratio(reader, IMPORTANCE_SAMPLING_LEVEL);
        }
        grpo
    }

    fn training(&self) -> &LanguageTraining {
        &self.training
    }

    fn check(&self, problems: &mut Problems) {
        self.check_own(problems);
        self.rewards.check(problems);
        if let Some(penalty) = self.own.overlong_penalty {
            penalty.check(self.training.sampling.max_new_tokens, problems);
        }
    }

    fn num_iterations(&self) -> u32 {
        self.num_iterations
    }

    fn rewards(&self) -> Option<&LanguageRewards> {
        Some(&self.rewards)
    }

    fn reward_mut(&mut self) -> Option<&mut PluginPlan> {
        self.rewards.reward.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{LanguageMethod, LanguageMethodTable};
    use crate::settings::Placeholders;

    #[test]
    fn a_plan_from_before_the_choice_of_a_divergence_means_what_it_meant() {
        let before = r#"{"reward":{"kind":"verdicts"},"scale_rewards":"none","epsilon":0.2,"num_iterations":1,"steps":5,
            "gradient":"exact","preconditioner":"none","optimizer":"sgd","num_generations":16,
            "score_baseline":{"kind":"constant","value":0.5},"initial":{"logit_scale":1.0}}"#;
        let mut grpo: Grpo = serde_json::from_str(before).unwrap();
        assert_eq!(grpo.own.kl_gradient, GrpoKl::RewardToGo);
        let same: serde_json::Value = serde_json::from_str(before).unwrap();
        assert_eq!(serde_json::to_value(&grpo).unwrap(), same);
        grpo.own.kl_gradient = GrpoKl::DifferentiatedK3;
        assert_eq!(serde_json::to_value(&grpo).unwrap()["kl_gradient"], "differentiated_k3");
    }

    /// As plans of language models were recorded before GSPO's and DAPO's settings.
    const BEFORE: &str = r#"{"scale_rewards":"group","loss_type":"grpo","epsilon":0.2,"num_iterations":2,"steps":5,"prompts_per_step":8,"num_generations":2,"micro_batch_size":8,"sampling":{"temperature":1.0,"top_k":0,"top_p":1.0,"max_new_tokens":64},"beta":0.001,"kl_gradient":"differentiated_k3","kl_estimator":"k1","score_baseline":{"kind":"constant","value":0.5},"missing_eos_penalty":0.0,"optimizer":{"kind":"sgd"},"max_grad_norm":1.0}"#;

    #[test]
    fn a_plan_without_the_settings_of_gspo_and_dapo_is_written_as_it_was() {
        let mut grpo: Grpo<LanguageTraining> = serde_json::from_str(BEFORE).unwrap();
        let own = grpo.own;
        assert_eq!(own.importance_sampling_level, ImportanceSamplingLevel::Token);
        assert_eq!((own.dynamic_sampling, own.overlong_penalty), (DynamicSampling::None, None));
        assert_eq!(grpo.epsilon_high, None);
        assert_eq!(serde_json::to_string(&grpo).unwrap(), BEFORE);

        grpo.epsilon_high = Some(0.28);
        grpo.own.importance_sampling_level = ImportanceSamplingLevel::Sequence;
        grpo.own.dynamic_sampling = DynamicSampling::Drop;
        grpo.own.overlong_penalty = Some(OverlongPenalty { max_tokens: 64, cache_tokens: 16 });
        let written = serde_json::to_string(&grpo).unwrap();
        for part in [
            r#""epsilon":0.2,"epsilon_high":0.28,"#,
            r#""importance_sampling_level":"sequence","dynamic_sampling":"drop","overlong_penalty":{"max_tokens":64,"cache_tokens":16}"#,
        ] {
            assert!(written.contains(part), "{written}");
        }
        assert_eq!(serde_json::from_str::<Grpo<LanguageTraining>>(&written).unwrap(), grpo);
    }

    #[test]
    fn gspo_and_dapo_are_read_and_their_bad_values_refused() {
        let read = |text: &str| {
            let table = LanguageMethodTable(toml::from_str(&format!("name = 'grpo'\n{text}")).unwrap());
            let (method, mut problems) = table.read(&mut Placeholders);
            let Some(LanguageMethod::Grpo(grpo)) = method else { panic!("no grpo") };
            OnLanguageModels::check(&grpo, &mut problems);
            (grpo, problems.into_iter().map(|one| format!("{}: {}", one.key, one.problem)).collect::<Vec<_>>())
        };
        let (grpo, problems) = read("max_new_tokens = 32\noverlong_penalty = { cache_tokens = 8 }\nloss_type = 'dapo'");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(grpo.own.overlong_penalty, Some(OverlongPenalty { max_tokens: 32, cache_tokens: 8 }));
        assert_eq!(grpo.own.loss_type, GrpoLossType::Dapo);
        let (grpo, problems) = read(
            "num_iterations = 2\nepsilon_high = 0.3\nimportance_sampling_level = 'sequence'\ndynamic_sampling = 'drop'",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(grpo.own.importance_sampling_level, ImportanceSamplingLevel::Sequence);

        let idle = "given with num_iterations = 1, where it does nothing: at the first update on its samples every ratio π/π_old is 1 and \
                    none is clipped; remove it, or use num_iterations of at least 2";
        for (text, expected) in [
            ("epsilon_high = 0.3", vec![format!("method.epsilon_high: {idle}")]),
            (
                "importance_sampling_level = 'sequence'",
                vec![format!("method.importance_sampling_level: {idle}")],
            ),
            ("importance_sampling_level = 'token'", vec![]),
            (
                "num_iterations = 2\nepsilon_high = 0",
                vec!["method.epsilon_high: 0; expected a finite number above 0".to_owned()],
            ),
            (
                "max_new_tokens = 32\noverlong_penalty = { cache_tokens = 0, max_tokens = 33 }",
                vec![
                    "method.overlong_penalty.max_tokens: 33; expected 1 to method.max_new_tokens (32): no response is longer"
                        .to_owned(),
                    "method.overlong_penalty.cache_tokens: 0; expected 1 to max_tokens (33), below which the penalty begins"
                        .to_owned(),
                ],
            ),
        ] {
            assert_eq!(read(text).1, expected, "{text}");
        }
        for text in ["overlong_penalty = {}", "overlong_penalty = { cache = 3 }", "dynamic_sampling = true"] {
            assert_eq!(read(text).1.len(), 1, "{text}");
        }
    }
}

//! What an evaluation evaluates: the `name` of the record's evaluations.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MetricKey;

/// What is evaluated of a policy, or of two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EvaluationName {
    /// A final probability of a finite game.
    Probability,
    /// How often one's responses are preferred to the other's.
    WinRate {
        /// A judge that nobody is trained on; `None`: the one of training.
        judge: Option<String>,
    },
    /// How far the judge's two orders of presentation are from each other.
    OrderBias,
    /// A criterion of the judge's verdicts.
    Attribute(String),
    /// The mean length in tokens.
    MeanLength,
    /// The share of responses that end by themselves.
    EosRate,
    /// What a plugin says of single responses.
    Measure {
        /// What the plan calls it.
        measure: String,
        /// One of its attributes; `None`: its score.
        attribute: Option<String>,
    },
    /// How well a fitted reward model predicts what it has not seen.
    RewardModel(RewardModelFigure),
    /// How far trained policies may be from their equilibrium.
    Certificate(CertificateFigure),
    /// A name of another version.
    Other(String),
}

/// What is said of a fitted reward model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RewardModelFigure {
    /// The share of pairs whose preferred side it names.
    Accuracy,
    /// The mean log loss in nats.
    LogLoss,
    /// The weight of the penalty that it was held by.
    Penalty,
    /// Expected calibration error: the mean distance of confidence and accuracy over ten bins.
    CalibrationError,
    /// A bin of the reliability table: the share of labels that agree.
    Reliability,
    /// A bin of the reliability table: the mean probability of what is preferred.
    Confidence,
    /// The mean squared distance from ratings.
    SquaredError,
    /// The mean value of held-out responses.
    Mean,
    /// How far that mean has moved from where it was before the first step.
    Drift,
}

/// A bounded number of a certificate, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateFigure {
    /// What the Follower loses against its best response.
    FollowerGap,
    /// What the Leader loses against its best policy.
    LeaderGap,
    /// How often the Leader's response is preferred to the Follower's.
    Preference,
    /// The Follower's KL divergence from its reference, in nats.
    FollowerKl,
    /// f: what the Leader's response is worth where the Follower is at its best.
    CommittedValue,
    /// Responses of the Leader's reference a prompt that would bound the Leader's gap from above; there where fewer were sampled.
    LeaderSamplesNeeded,
}

const WIN_RATE: &str = "win_rate";
const ATTRIBUTE: &str = "attribute/";
const MEASURE: &str = "measure[";
const REWARD_MODEL: &str = "reward_model/";
const CERTIFICATE: &str = "certificate/";

impl EvaluationName {
    /// By the judge of training.
    pub const WIN_RATE: Self = Self::WinRate { judge: None };

    /// A measure's score.
    #[must_use]
    pub fn measure(measure: &str) -> Self {
        Self::Measure { measure: measure.to_owned(), attribute: None }
    }

    /// As the record writes it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "probability" => Self::Probability,
            "order_bias" => Self::OrderBias,
            "mean_length" => Self::MeanLength,
            "eos_rate" => Self::EosRate,
            other => Self::parse_parts(other).unwrap_or_else(|| Self::Other(other.to_owned())),
        }
    }

    fn parse_parts(text: &str) -> Option<Self> {
        if let Some(judge) = text.strip_prefix(WIN_RATE) {
            let in_brackets = |judge: &str| Some(judge.strip_prefix('[')?.strip_suffix(']')?.to_owned());
            let judge = if judge.is_empty() { None } else { Some(in_brackets(judge)?) };
            return Some(Self::WinRate { judge });
        }
        if let Some(criterion) = text.strip_prefix(ATTRIBUTE) {
            return Some(Self::Attribute(criterion.to_owned()));
        }
        if let Some(measured) = text.strip_prefix(MEASURE) {
            return Some(match measured.split_once("]/") {
                Some((measure, attribute)) => {
                    Self::Measure { measure: measure.to_owned(), attribute: Some(attribute.to_owned()) }
                }
                None => Self::measure(measured.strip_suffix(']')?),
            });
        }
        if let Some(figure) = text.strip_prefix(CERTIFICATE) {
            return CertificateFigure::ALL.into_iter().find(|known| known.as_str() == figure).map(Self::Certificate);
        }
        let figure = text.strip_prefix(REWARD_MODEL)?;
        RewardModelFigure::ALL.into_iter().find(|known| known.as_str() == figure).map(Self::RewardModel)
    }

    /// The name and the subject of a key as comparisons write it: `name subject`. A name in brackets may hold spaces itself.
    #[must_use]
    pub fn split_key(key: &str) -> (Self, &str) {
        let bracketed =
            key.starts_with(MEASURE) || key.strip_prefix(WIN_RATE).is_some_and(|rest| rest.starts_with('['));
        let begin = if bracketed { key.find(']').unwrap_or(0) } else { 0 };
        match key[begin..].find(' ') {
            Some(space) => (Self::parse(&key[..begin + space]), &key[begin + space + 1..]),
            None => (Self::parse(key), ""),
        }
    }

    /// The key of a subject in comparisons: `name subject`.
    #[must_use]
    pub fn key(&self, subject: &str) -> String {
        format!("{self} {subject}")
    }

    /// Whether it is a share of prompts or of pairs wherever its values lie in [0, 1], so that its interval is one of a share.
    #[must_use]
    pub fn is_share(&self) -> bool {
        match self {
            Self::WinRate { .. }
            | Self::EosRate
            | Self::Measure { .. }
            | Self::RewardModel(RewardModelFigure::Accuracy | RewardModelFigure::Reliability) => true,
            Self::Other(name) => name == MetricKey::RewardsAccuracies.name(),
            _ => false,
        }
    }
}

impl CertificateFigure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FollowerGap,
        Self::LeaderGap,
        Self::Preference,
        Self::FollowerKl,
        Self::CommittedValue,
        Self::LeaderSamplesNeeded,
    ];

    /// As the record writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FollowerGap => "follower_gap",
            Self::LeaderGap => "leader_gap",
            Self::Preference => "preference",
            Self::FollowerKl => "kl_follower",
            Self::CommittedValue => "value_committed",
            Self::LeaderSamplesNeeded => "leader_samples_needed",
        }
    }
}

impl RewardModelFigure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Accuracy,
        Self::LogLoss,
        Self::Penalty,
        Self::CalibrationError,
        Self::Reliability,
        Self::Confidence,
        Self::SquaredError,
        Self::Mean,
        Self::Drift,
    ];

    /// As the record writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::LogLoss => "log_loss",
            Self::Penalty => "l2",
            Self::CalibrationError => "ece",
            Self::Reliability => "reliability",
            Self::Confidence => "confidence",
            Self::SquaredError => "squared_error",
            Self::Mean => "mean",
            Self::Drift => "drift",
        }
    }
}

impl fmt::Display for EvaluationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probability => formatter.write_str("probability"),
            Self::WinRate { judge: None } => formatter.write_str(WIN_RATE),
            Self::WinRate { judge: Some(judge) } => write!(formatter, "{WIN_RATE}[{judge}]"),
            Self::OrderBias => formatter.write_str("order_bias"),
            Self::Attribute(criterion) => write!(formatter, "{ATTRIBUTE}{criterion}"),
            Self::MeanLength => formatter.write_str("mean_length"),
            Self::EosRate => formatter.write_str("eos_rate"),
            Self::Measure { measure, attribute: None } => write!(formatter, "{MEASURE}{measure}]"),
            Self::Measure { measure, attribute: Some(attribute) } => {
                write!(formatter, "{MEASURE}{measure}]/{attribute}")
            }
            Self::RewardModel(figure) => write!(formatter, "{REWARD_MODEL}{}", figure.as_str()),
            Self::Certificate(figure) => write!(formatter, "{CERTIFICATE}{}", figure.as_str()),
            Self::Other(name) => formatter.write_str(name),
        }
    }
}

impl FromStr for EvaluationName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::parse(text))
    }
}

impl From<String> for EvaluationName {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<EvaluationName> for String {
    fn from(name: EvaluationName) -> Self {
        name.to_string()
    }
}

/// As it is recorded.
impl PartialEq<&str> for EvaluationName {
    fn eq(&self, text: &&str) -> bool {
        *self == Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names as people choose them, with what the texts are cut at.
    fn chosen() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                Just("]/"),
                Just("["),
                Just("]"),
                Just("/"),
                Just(" "),
                Just("win_rate"),
                Just("é"),
                Just("a1")
            ],
            0..5,
        )
        .prop_map(|parts| parts.concat())
    }

    fn name() -> impl Strategy<Value = EvaluationName> {
        let figure = prop::sample::select(RewardModelFigure::ALL.to_vec());
        let fixed = [
            EvaluationName::Probability,
            EvaluationName::OrderBias,
            EvaluationName::MeanLength,
            EvaluationName::EosRate,
        ];
        let measure = chosen().prop_filter("cut elsewhere", |name| !format!("{name}]").contains("]/"));
        prop_oneof![
            prop::sample::select(fixed.to_vec()),
            prop::option::of(chosen()).prop_map(|judge| EvaluationName::WinRate { judge }),
            chosen().prop_map(EvaluationName::Attribute),
            (measure, prop::option::of(chosen()))
                .prop_map(|(measure, attribute)| EvaluationName::Measure { measure, attribute }),
            figure.prop_map(EvaluationName::RewardModel),
            prop::sample::select(CertificateFigure::ALL.to_vec()).prop_map(EvaluationName::Certificate),
        ]
    }

    proptest! {
        #[test]
        fn a_name_is_read_as_it_is_written(name in name()) {
            prop_assert_eq!(EvaluationName::parse(&name.to_string()), name);
        }

        /// Whatever an earlier or a later version recorded stays what it is.
        #[test]
        fn every_text_is_written_as_it_was_read(
            text in prop_oneof![chosen(), chosen().prop_map(|rest| format!("measure[{rest}")), any::<String>()],
        ) {
            prop_assert_eq!(EvaluationName::parse(&text).to_string(), text.as_str());
            let (name, subject) = EvaluationName::split_key(&text);
            prop_assert!(name.key(subject) == text || (subject.is_empty() && name.to_string() == text));
        }
    }

    #[test]
    fn names_of_old_records_are_known() {
        let measured = |measure: &str, attribute: Option<&str>| EvaluationName::Measure {
            measure: measure.to_owned(),
            attribute: attribute.map(str::to_owned),
        };
        for (text, name) in [
            ("probability", EvaluationName::Probability),
            ("win_rate", EvaluationName::WIN_RATE),
            ("win_rate[brief one]", EvaluationName::WinRate { judge: Some("brief one".to_owned()) }),
            ("measure[words]", measured("words", None)),
            ("measure[checks]/followed/strictly", measured("checks", Some("followed/strictly"))),
            ("attribute/taste", EvaluationName::Attribute("taste".to_owned())),
            ("reward_model/l2", EvaluationName::RewardModel(RewardModelFigure::Penalty)),
            ("win_rates", EvaluationName::Other("win_rates".to_owned())),
            // A game's metric.
            ("win_rate/reference", EvaluationName::Other("win_rate/reference".to_owned())),
        ] {
            assert_eq!((EvaluationName::parse(text), name.to_string().as_str()), (name.clone(), text));
        }
        let key = EvaluationName::WinRate { judge: Some("brief one".to_owned()) }.key("leader/reference");
        assert_eq!(EvaluationName::split_key(&key).1, "leader/reference");
    }

    #[test]
    fn a_name_in_json_is_its_text() {
        let name = EvaluationName::measure("words");
        assert_eq!(serde_json::to_string(&name).expect("JSON"), "\"measure[words]\"");
        assert_eq!(serde_json::from_str::<EvaluationName>("\"measure[words]\"").expect("a name"), name);
    }
}

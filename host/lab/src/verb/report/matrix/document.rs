//! What `slhf-lab evaluate` left in the record, as a page reads it.

use serde::Deserialize;
use slhf_plan::{ComparisonFamily, StopAtPlan};
use slhf_statistics::{Interval, Level, STATISTICS_VERSION};

use crate::verb::report::text::inline;

/// The parts of an evaluation's document that a page shows.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    /// The statistics that made it; documents before they had a number are of 1.
    #[serde(default = "first_statistics")]
    pub(super) statistics: u32,
    pub(super) judge: String,
    pub(super) parameters: serde_json::Value,
    pub(super) is_training_judge: bool,
    pub(super) seeds: Vec<i64>,
    pub(super) prompts: usize,
    #[serde(default)]
    pub(super) over: Over,
    #[serde(default)]
    pub(super) family: ComparisonFamily,
    pub(super) policies: Vec<Policy>,
    pub(super) matchups: Vec<Matchup>,
    pub(super) scale: Option<Scale>,
    pub(super) cycles: Option<Cycles>,
    /// Documents of earlier versions have none.
    pub(super) answer_triples: Option<AnswerTriples>,
    pub(super) length_correlation: Option<f64>,
    pub(super) order_bias: f64,
    pub(super) failed_verdicts: u64,
    /// Where a rule ended the asking.
    pub(super) stopped: Option<Stopped>,
}

/// What was saved by it.
#[derive(Debug, Deserialize)]
pub(super) struct Stopped {
    pub(super) rule: StopAtPlan,
    pub(super) differs_from: f64,
    pub(super) verdicts: usize,
    pub(super) all_verdicts: usize,
}

/// What is known of these trained policies on these prompts.
#[derive(Debug, Deserialize)]
pub(super) struct ThesePolicies {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) asked: usize,
    pub(super) prompts: usize,
    pub(super) differs: Option<bool>,
}

fn first_statistics() -> u32 {
    1
}

/// As documents name it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) enum Over {
    #[serde(rename = "prompts")]
    Prompts,
    #[default]
    #[serde(rename = "seeds and prompts")]
    SeedsAndPrompts,
}

impl From<Over> for slhf_statistics::Over {
    fn from(over: Over) -> Self {
        match over {
            Over::Prompts => Self::Prompts,
            Over::SeedsAndPrompts => Self::SeedsAndPrompts,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    #[serde(default)]
    pub(super) also: Vec<String>,
    pub(super) elo: f64,
    /// Nothing where nothing is known: one prompt and one seed.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) mean_tokens: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Matchup {
    pub(super) first: String,
    pub(super) second: String,
    pub(super) win_rate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Nothing outside of the family.
    pub(super) p_holm: Option<f64>,
    pub(super) is_significant: bool,
    pub(super) these_policies: Option<ThesePolicies>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Scale {
    pub(super) converged: bool,
    pub(super) misfit_p_value: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cycles {
    pub(super) triples: usize,
    pub(super) found: Vec<Cycle>,
    pub(super) strongest: Option<Cycle>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Cycle {
    pub(super) policies: [String; 3],
    pub(super) p_holm: f64,
    #[serde(default)]
    pub(super) over: Over,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct AnswerTriples {
    pub(super) share: Option<f64>,
    pub(super) total: usize,
    pub(super) intransitive: usize,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    #[serde(default)]
    pub(super) over: Over,
    pub(super) prompts: usize,
    pub(super) prompts_with_circle: usize,
}

impl From<AnswerTriples> for slhf_statistics::AnswerTriples {
    fn from(found: AnswerTriples) -> Self {
        let AnswerTriples { share, total, intransitive, low, high, over, prompts, prompts_with_circle } = found;
        let interval = low.zip(high).map(|(low, high)| Interval { low, high, level: Level::PERCENT_95, n: prompts });
        Self { total, intransitive, share, interval, over: over.into(), prompts, prompts_with_circle }
    }
}

/// A pair, turned so that the one who is asked about is the first.
#[derive(Clone, Copy)]
pub(super) struct Against {
    pub(super) rate: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) p_holm: Option<f64>,
    pub(super) is_significant: bool,
}

impl Against {
    /// `0.681 [0.625, 0.737]`
    pub(super) fn text(self) -> String {
        format!("{:.3} [{:.3}, {:.3}]", self.rate, self.low, self.high)
    }
}

impl Policy {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.also.iter().any(|also| also == name)
    }

    /// `leader = copy` where both are one.
    pub(super) fn label(&self) -> String {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str).collect::<Vec<_>>().join(" = ")
    }
}

impl Document {
    /// The judge, and its part.
    pub(super) fn short_label(&self) -> String {
        let role = if self.is_training_judge { "training judge" } else { "held-out judge" };
        format!("{} ({role})", inline(&self.judge))
    }

    /// The judge with its parameters: two evaluations may differ in nothing else. No Markdown.
    pub(super) fn plain_label(&self) -> String {
        let mut settings = Vec::new();
        settings_of(&self.parameters, &mut settings);
        let judge = &self.judge;
        if settings.is_empty() { judge.clone() } else { format!("{judge} ({})", settings.join(", ")) }
    }

    /// A policy's rate over another.
    pub(super) fn over(&self, first: &str, second: &str) -> Option<Against> {
        self.matchups.iter().find_map(|matchup| {
            let Matchup { win_rate: rate, low, high, p_holm, is_significant, .. } = *matchup;
            if (matchup.first.as_str(), matchup.second.as_str()) == (first, second) {
                Some(Against { rate, low, high, p_holm, is_significant })
            } else if (matchup.second.as_str(), matchup.first.as_str()) == (first, second) {
                Some(Against { rate: 1.0 - rate, low: 1.0 - high, high: 1.0 - low, p_holm, is_significant })
            } else {
                None
            }
        })
    }

    /// A policy's rate over the one reference, under whatever name that has here.
    pub(super) fn over_reference(&self, policy: &str) -> Option<Against> {
        let reference = self.policies.iter().find(|policy| policy.is_called("reference"))?;
        self.over(policy, &reference.name)
    }

    /// As `--judge` takes it; `None` for the training judge, and where the judge has a name of its own in the TOML: `evaluate`
    /// without `--judge` asks these.
    pub(super) fn judge_argument(&self) -> Option<String> {
        let mut parts = Vec::new();
        let mut rest = Some(&self.parameters);
        for name in self.judge.split(" over ") {
            let own = rest?;
            let (own, inner) = match (own.get("parameters"), own.get("upstream")) {
                (Some(outer), Some(inner)) => (outer, Some(inner)),
                _ => (own, None),
            };
            let is_empty = own.as_object().is_some_and(serde_json::Map::is_empty);
            parts.push(if is_empty { name.to_owned() } else { format!("{name}={own}") });
            rest = inner;
        }
        (rest.is_none() && !self.is_training_judge).then(|| parts.join(" over "))
    }

    /// Whether other statistics made it than would make it today.
    pub(super) fn is_outdated(&self) -> bool {
        self.statistics != STATISTICS_VERSION
    }

    /// `win rates [95 % over …]`
    pub(super) fn about(&self) -> &'static str {
        slhf_statistics::Over::from(self.over).name()
    }
}

/// `key value` of every parameter; those of a wrapped judge after those of the one that wraps it.
fn settings_of(parameters: &serde_json::Value, settings: &mut Vec<String>) {
    let Some(fields) = parameters.as_object() else { return };
    if let (Some(outer), Some(inner)) = (fields.get("parameters"), fields.get("upstream")) {
        settings_of(outer, settings);
        settings_of(inner, settings);
        return;
    }
    settings.extend(fields.iter().map(|(key, value)| format!("{key} {value}")));
}

//! Pairs of training with what two judges said of them.

use std::collections::BTreeMap;

use slhf_comparison::{AskedVerdict, TrainingPairs};
use slhf_judge::{ItemFailure, Verdict};
use slhf_statistics::{Agreement, AuditSettings, Estimate, TwoVerdicts, ratio_of_sums};

/// A pair of responses of one step, whichever order it was judged in.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) asked: &'a AskedVerdict,
    /// Of the response with the lower position; the means over the orders in which both judges have a verdict.
    pub(super) verdicts: TwoVerdicts,
}

/// How far two judges agree.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Pairs with a verdict of both.
    pub(super) pairs: Vec<Pair<'a>>,
    /// `None` without such a pair.
    pub(super) agreement: Option<Agreement>,
    /// Mean |p − p|.
    pub(super) difference: Option<Estimate>,
    /// Recorded verdicts that had failed.
    pub(super) failed_then: usize,
    /// Verdicts that fail now.
    pub(super) failed_now: usize,
    /// Why the first one does.
    pub(super) first_failure: Option<String>,
    /// Of the recorded attributes, in the order in which they are met.
    pub(super) attributes: Vec<AttributeFound>,
}

/// One criterion of the recorded judge.
#[derive(Debug)]
pub(super) struct AttributeFound {
    pub(super) name: String,
    /// What it is compared with.
    pub(super) with: ComparedWith,
    pub(super) agreement: Agreement,
}

/// What the other judge says of one verdict's question.
pub(super) type Said = Result<Verdict, ItemFailure>;

/// What a recorded attribute is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ComparedWith {
    /// The attribute of the same name.
    Attribute,
    /// The whole verdict: the other judge has no such attribute.
    Verdict,
}

/// Sums over the orders of one pair.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    then: f64,
    now: f64,
    many: u32,
}

impl Orders {
    fn add(&mut self, then: f64, now: f64, is_turned: bool) {
        let (then, now) = if is_turned { (1.0 - then, 1.0 - now) } else { (then, now) };
        self.then += then;
        self.now += now;
        self.many += 1;
    }

    fn verdicts(self) -> TwoVerdicts {
        let many = f64::from(self.many);
        TwoVerdicts { probability: self.now / many, label: self.then / many }
    }
}

/// Step, the lower position, the higher one.
type Place = (i64, i64, i64);

fn place(asked: &AskedVerdict) -> (Place, bool) {
    let (first, second) = (asked.said.first, asked.said.second);
    ((asked.step, first.min(second), first.max(second)), first > second)
}

/// Compares what is recorded with what was said now, verdict by verdict.
pub(super) fn compare<'a>(recorded: &'a TrainingPairs, now: &[Said]) -> Found<'a> {
    let mut orders: BTreeMap<Place, (Orders, &AskedVerdict)> = BTreeMap::new();
    let mut found = Found {
        pairs: Vec::new(),
        agreement: None,
        difference: None,
        failed_then: 0,
        failed_now: 0,
        first_failure: None,
        attributes: Vec::new(),
    };
    for (asked, now) in recorded.verdicts.iter().zip(now) {
        found.failed_then += usize::from(asked.said.probability.is_none());
        match (asked.said.probability, now) {
            (Some(then), Ok(now)) => {
                let (place, is_turned) = place(asked);
                orders.entry(place).or_insert((Orders::default(), asked)).0.add(then, now.probability, is_turned);
            }
            (_, Err(failure)) => {
                found.failed_now += 1;
                found.first_failure.get_or_insert_with(|| failure.reason.clone());
            }
            (None, Ok(_)) => {}
        }
    }
    found.pairs = orders.into_values().map(|(orders, asked)| Pair { asked, verdicts: orders.verdicts() }).collect();
    let pairs = found.pairs.iter().map(|pair| (pair.asked.prompt, pair.verdicts));
    let by_prompt = by_prompt(recorded, pairs);
    found.agreement = Agreement::between(&by_prompt, settings());
    let distance = |pairs: &Vec<TwoVerdicts>| {
        (pairs.iter().map(|pair| (pair.probability - pair.label).abs()).sum(), pairs.len() as f64)
    };
    let distances: Vec<(f64, f64)> = by_prompt.iter().filter(|pairs| !pairs.is_empty()).map(distance).collect();
    found.difference = ratio_of_sums(&distances);
    found.attributes = attributes(recorded, now);
    found
}

/// Calibration is not shown: one judge's probability is no truth for another.
fn settings() -> AuditSettings {
    AuditSettings { simulations: 1, ..AuditSettings::default() }
}

fn by_prompt(recorded: &TrainingPairs, pairs: impl Iterator<Item = (usize, TwoVerdicts)>) -> Vec<Vec<TwoVerdicts>> {
    let mut prompts = vec![Vec::new(); recorded.prompts.len()];
    for (prompt, verdicts) in pairs {
        prompts[prompt].push(verdicts);
    }
    prompts
}

fn attributes(recorded: &TrainingPairs, now: &[Said]) -> Vec<AttributeFound> {
    let mut names: Vec<&str> = Vec::new();
    for (name, ..) in recorded.verdicts.iter().flat_map(|asked| &asked.said.attributes) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.into_iter().filter_map(|name| attribute(recorded, now, name)).collect()
}

fn attribute(recorded: &TrainingPairs, now: &[Said], name: &str) -> Option<AttributeFound> {
    let own = |verdict: &Verdict| verdict.attributes.iter().find(|one| one.name == name).map(|one| one.value);
    let has_own = now.iter().flatten().any(|verdict| own(verdict).is_some());
    let with = if has_own { ComparedWith::Attribute } else { ComparedWith::Verdict };
    let mut orders: BTreeMap<Place, (Orders, usize)> = BTreeMap::new();
    for (asked, now) in recorded.verdicts.iter().zip(now) {
        let then = asked.said.attributes.iter().find(|(known, ..)| known == name).and_then(|(_, value, _)| *value);
        let now = now.as_ref().ok().and_then(|now| match with {
            ComparedWith::Attribute => own(now),
            ComparedWith::Verdict => Some(now.probability),
        });
        let (Some(then), Some(now)) = (then, now) else { continue };
        let (place, is_turned) = place(asked);
        orders.entry(place).or_insert((Orders::default(), asked.prompt)).0.add(then, now, is_turned);
    }
    let pairs = orders.into_values().map(|(orders, prompt)| (prompt, orders.verdicts()));
    let agreement = Agreement::between(&by_prompt(recorded, pairs), settings())?;
    Some(AttributeFound { name: name.to_owned(), with, agreement })
}

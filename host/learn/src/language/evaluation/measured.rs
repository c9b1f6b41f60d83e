//! What else is measured of every answer: reward plugins that nobody is trained on, and their attributes.

use std::collections::BTreeMap;

use slhf_plan::{EvaluationName, EvaluationRow};
use slhf_random::Purpose;
use slhf_statistics::{Estimate, ratio_of_sums};

use super::super::asking::draw;
use super::super::failure::StepError;
use super::super::traits::{Candidate, Players, Prompt};
use super::answers::Answers;
use super::which::Evaluation;

impl Evaluation<'_> {
    /// `measure[name]`, the mean score of everybody's answers, and `measure[name]/attribute` for every attribute: its mean over
    /// all of its occurrences, so that an attribute that a prompt has twice counts twice (instruction-level accuracy). Answers
    /// that a plugin declares failed are left out, and their reasons added to `failures`.
    pub(super) fn measures(
        &self,
        players: &mut Players<'_>,
        prompts: &[Prompt],
        everyone: &[Answers],
        failures: &mut Vec<String>,
    ) -> Result<Vec<EvaluationRow>, StepError> {
        let mut rows = Vec::new();
        for (measure, plan) in players.evaluators.measures.iter_mut().zip(&self.plan.measures) {
            for who in everyone {
                let row = |prompt: &Prompt| self.stream_row(who.place, Purpose::MeasureDraw, prompt);
                let asked: Vec<Candidate<'_>> = prompts
                    .iter()
                    .zip(&who.given)
                    .map(|(prompt, answer)| Candidate { prompt, answer, draw: draw(self.seed, row(prompt), 0) })
                    .collect();
                let found = measure.measure(&asked).map_err(StepError::Judge)?;
                if found.len() != asked.len() {
                    return Err(StepError::Verdicts { what: "measures", found: found.len(), expected: asked.len() });
                }
                let mut scores = Vec::with_capacity(found.len());
                let mut sums: BTreeMap<String, BTreeMap<usize, (f64, f64)>> = BTreeMap::new();
                for (prompt, measured) in found.into_iter().enumerate() {
                    match measured {
                        Ok(measured) => {
                            scores.push(measured.value);
                            for (name, value) in measured.attributes {
                                let sum = sums.entry(name).or_default().entry(prompt).or_insert((0.0, 0.0));
                                *sum = (sum.0 + value, sum.1 + 1.0);
                            }
                        }
                        Err(why) => failures.push(format!("{} says {why}", plan.name)),
                    }
                }
                let name = |attribute| EvaluationName::Measure { measure: plan.name.clone(), attribute };
                rows.extend(self.row(name(None), &who.who.to_string(), &scores));
                for (attribute, of_prompts) in sums {
                    let sums: Vec<(f64, f64)> = of_prompts.into_values().collect();
                    rows.extend(self.ratio(name(Some(attribute)), &who.who.to_string(), &sums));
                }
            }
        }
        Ok(rows)
    }

    fn ratio(&self, name: EvaluationName, subject: &str, sums: &[(f64, f64)]) -> Option<EvaluationRow> {
        let Estimate { value, interval, .. } = ratio_of_sums(sums)?;
        Some(EvaluationRow {
            run: self.run,
            step: self.step,
            name,
            subject: subject.to_owned(),
            value,
            interval: interval.map(|interval| (interval.low, interval.high)),
            n: sums.len() as u64,
        })
    }
}

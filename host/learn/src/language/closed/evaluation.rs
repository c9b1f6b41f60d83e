//! Where the policies stand on closed sets, exactly: gaps, distances and values, on training and on held-out prompts.

use slhf_plan::{AnswerSetScores, EvaluationName, EvaluationRow, LanguageEvaluationPlan};
use slhf_statistics::{FollowerPair, LeaderPrompt, Level, Sample};

use super::certificate::Drawing;
use super::sets::ClosedSets;
use crate::language::certificate::{CertificateFound, CertificatePlace, CertifiedGame, uncertified};
use crate::language::failure::StepError;
use crate::language::prompts::PromptSource;
use crate::language::traits::{LanguagePolicies, Prompt, ScoredBy};

/// Whose evaluation.
pub(crate) struct ClosedEvaluation<'a> {
    pub(crate) run: i64,
    pub(crate) step: u64,
    pub(crate) plan: &'a LanguageEvaluationPlan,
    pub(crate) sets: &'a ClosedSets,
}

/// Which prompts a number is of, as the subject of an evaluation.
const TRAINING: &str = "train";
const HELD_OUT: &str = "held_out";

/// Values by name, one a prompt.
type Values = Vec<(String, Vec<f64>)>;

impl ClosedEvaluation<'_> {
    /// A row a figure and kind of prompts: the mean over prompts, with Student's interval over them. `most`: so many prompts of each
    /// kind, the first ones. With the tokens that it took.
    pub(crate) fn rows(
        &self,
        policies: &mut dyn LanguagePolicies,
        source: &PromptSource,
        most: Option<usize>,
    ) -> Result<(Vec<EvaluationRow>, u64), StepError> {
        let (mut rows, mut tokens) = (Vec::new(), 0);
        for (subject, prompts) in [(TRAINING, &source.training), (HELD_OUT, &source.held_out)] {
            let prompts = &prompts[..most.unwrap_or(prompts.len()).min(prompts.len())];
            for (name, values) in self.values(policies, prompts, &mut tokens)? {
                rows.extend(self.row(name, subject, values));
            }
        }
        Ok((rows, tokens))
    }

    /// Bounds of the gaps on held-out prompts from samples of the policies, as if nothing else were known of them. What goes wrong becomes a
    /// note: the exact figures are there, and stay.
    pub(crate) fn certificate(
        &self,
        policies: &mut dyn LanguagePolicies,
        source: &PromptSource,
        (certified, place): (&CertifiedGame, CertificatePlace),
    ) -> CertificateFound {
        let mut found = CertificateFound::default();
        match self.sampled(policies, source, (certified, place), &mut found.tokens) {
            Ok(sampled) => certified.conclude(sampled, place, &mut found),
            Err(why) => found.notes.push(uncertified(place, &slhf_words::chain(&why))),
        }
        found
    }

    /// One entry a held-out prompt.
    fn sampled(
        &self,
        policies: &mut dyn LanguagePolicies,
        source: &PromptSource,
        (certified, place): (&CertifiedGame, CertificatePlace),
        tokens: &mut u64,
    ) -> Result<Vec<(FollowerPair, Option<LeaderPrompt>)>, StepError> {
        let mut sampled = Vec::with_capacity(source.held_out.len());
        let prompts: Vec<&Prompt> = source.held_out.iter().collect();
        for batch in prompts.chunks(place.batch_size) {
            let (scores, passed) = self.sets.scores(policies, batch, ScoredBy::Policies)?;
            *tokens += passed.tokens;
            for (prompt, scores) in batch.iter().zip(&scores) {
                let game = self.sets.game(prompt)?;
                let policies = &game.standing(scores);
                sampled.push(Drawing { certified, place, prompt: prompt.id, game, policies }.samples());
            }
        }
        Ok(sampled)
    }

    fn values(
        &self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[Prompt],
        tokens: &mut u64,
    ) -> Result<Values, StepError> {
        let mut found: Values = Vec::new();
        let prompts: Vec<&Prompt> = prompts.iter().collect();
        for batch in prompts.chunks((self.plan.batch_size as usize).max(1)) {
            let (scores, passed) = self.sets.scores(policies, batch, ScoredBy::Policies)?;
            *tokens += passed.tokens;
            for (prompt, scores) in batch.iter().zip(&scores) {
                for (place, (name, value)) in self.of_prompt(prompt, scores)?.into_iter().enumerate() {
                    if found.len() <= place {
                        found.push((name, Vec::new()));
                    }
                    found[place].1.push(value);
                }
            }
        }
        Ok(found)
    }

    fn of_prompt(&self, prompt: &Prompt, scores: &AnswerSetScores) -> Result<Vec<(String, f64)>, StepError> {
        let game = self.sets.game(prompt)?;
        let policies = game.standing(scores);
        let measured = game.measurement(&policies);
        let mut values: Vec<(String, f64)> =
            measured.keys.iter().map(|key| key.name().to_owned()).zip(measured.values).collect();
        let distances = game.distances(&policies);
        values.extend(distances.into_iter().map(|(concept, distance)| (format!("tv_to_{concept}"), distance)));
        Ok(values)
    }

    /// None where a value is not finite.
    fn row(&self, name: String, subject: &str, values: Vec<f64>) -> Option<EvaluationRow> {
        let n = values.len() as u64;
        let sample = Sample::new(values).ok()?;
        let interval = sample.mean_interval(Level::PERCENT_95);
        Some(EvaluationRow {
            run: self.run,
            step: self.step,
            name: EvaluationName::Other(name),
            subject: subject.to_owned(),
            value: sample.mean(),
            interval: interval.map(|interval| (interval.low, interval.high)),
            n,
        })
    }
}

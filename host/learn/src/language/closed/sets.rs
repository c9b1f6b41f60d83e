//! The closed sets of a run: answers, and once they were judged, a game for each prompt.

use std::collections::HashMap;
use std::sync::Arc;

use slhf_plan::{AnswerReference, AnswerSetScores, AnswerSetsPlan, LanguageMethod, LanguagePlan, Passed};
use slhf_random::{Purpose, Row, Stream};

use super::game::{Judged, PromptGame, References};
use super::gradient::Rule;
use super::method::on_a_game;
use super::mirror::{MirrorStep, Prediction};
use crate::finite;
use crate::language::asking::{compare, draw};
use crate::language::failure::StepError;
use crate::language::prompts::PromptSource;
use crate::language::traits::{
    Answer, AnswerSet, Candidate, Comparison, LanguagePolicies, PairJudge, Players, Prompt, ScoredBy,
};
use crate::{LearnError, problem::Problem};

/// The closed sets of a run.
#[derive(Debug)]
pub(crate) struct ClosedSets {
    plan: LanguagePlan,
    pub(super) settings: AnswerSetsPlan,
    pub(super) rule: Rule,
    answers: HashMap<u32, Arc<[Answer]>>,
    games: HashMap<u32, PromptGame>,
}

/// What it cost to judge all sets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judging {
    pub(crate) verdicts: u64,
    pub(crate) operations: f64,
}

impl ClosedSets {
    /// The sets of a plan that has any; every prompt must have its own.
    pub(crate) fn of(plan: &LanguagePlan, source: &PromptSource) -> Result<Option<Self>, LearnError> {
        let Some(settings) = &plan.answers else { return Ok(None) };
        let answers: HashMap<u32, Arc<[Answer]>> = source.answers.clone();
        if let Some(prompt) = source.training.iter().chain(&source.held_out).find(|one| !answers.contains_key(&one.id))
        {
            let problem = format!("says nothing of prompt {}: every prompt needs a set of responses", prompt.id);
            return Err(LearnError::Setting { run: plan.run, key: "data.answers".to_owned(), problem });
        }
        let rule = rule(&plan.method, settings);
        Ok(Some(Self { plan: plan.clone(), settings: settings.clone(), rule, answers, games: HashMap::new() }))
    }

    /// Asks the judge for all pairs of all prompts, and the model for the references where they are its own: once a run.
    pub(crate) fn prepare(&mut self, players: &mut Players<'_>, source: &PromptSource) -> Result<Judging, StepError> {
        let mut judging = Judging::default();
        let all: Vec<&Prompt> = source.training.iter().chain(&source.held_out).collect();
        for prompts in all.chunks((self.plan.evaluation.batch_size as usize).max(1)) {
            let references = self.references(players.policies, prompts, &mut judging)?;
            for (prompt, references) in prompts.iter().zip(&references) {
                if self.games.contains_key(&prompt.id) {
                    continue;
                }
                let game = self.judged(players.judge, prompt, references, &mut judging)?;
                self.games.insert(prompt.id, game);
            }
        }
        Ok(judging)
    }

    fn references(
        &self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[&Prompt],
        judging: &mut Judging,
    ) -> Result<Vec<References>, StepError> {
        match self.settings.reference {
            AnswerReference::Uniform => {
                Ok(prompts.iter().map(|prompt| References::uniform(self.answers(prompt).len())).collect())
            }
            AnswerReference::Model => {
                let (scores, passed) = self.scores(policies, prompts, ScoredBy::Reference)?;
                judging.operations += passed.operations;
                Ok(scores.iter().map(References::of_model).collect())
            }
        }
    }

    fn judged(
        &self,
        judge: &mut dyn PairJudge,
        prompt: &Prompt,
        references: &References,
        judging: &mut Judging,
    ) -> Result<PromptGame, StepError> {
        let answers = self.answers(prompt);
        let n = answers.len();
        let row = |purpose, sample: usize| Row {
            purpose,
            prompt: prompt.id,
            step: 0,
            stream: Stream::Leader,
            round: 0,
            sample: sample as u16,
        };
        let seed = self.plan.seed;
        let comparison = |pair: usize| {
            let (i, j) = (pair / n, pair % n);
            let draw = draw(seed, row(Purpose::Draw, i), j as u32);
            Comparison { prompt, first: &answers[i], second: &answers[j], draw }
        };
        let comparisons: Vec<Comparison<'_>> = (0..n * n).map(comparison).collect();
        let mut verdicts = Vec::with_capacity(n * n);
        for (comparison, verdict) in comparisons.iter().zip(compare(judge, &comparisons)?) {
            verdicts.push(verdict.map_err(|reason| unjudged(comparison, reason))?.probability);
        }
        judging.verdicts += verdicts.len() as u64;
        let scores = if self.plan.method.reward().is_some() {
            let drawn = |(i, answer): (usize, &Answer)| (draw(seed, row(Purpose::RewardDraw, i), 0), answer.clone());
            let drawn: Vec<(u64, Answer)> = answers.iter().enumerate().map(drawn).collect();
            Some(scores(judge, prompt, &drawn)?)
        } else {
            None
        };
        let judged = Judged { prompt, answers, references, verdicts, scores };
        PromptGame::new(&self.plan, self.settings.gradient, judged)
            .map_err(|source| StepError::ClosedGame { prompt: prompt.id, source: Box::new(source) })
    }

    /// ℓ of every prompt's set, and what it cost.
    pub(super) fn scores(
        &self,
        policies: &mut dyn LanguagePolicies,
        prompts: &[&Prompt],
        by: ScoredBy,
    ) -> Result<(Vec<AnswerSetScores>, Passed), StepError> {
        let sets: Vec<AnswerSet<'_>> = prompts.iter().map(|prompt| self.set(prompt)).collect();
        let (scores, passed) = policies
            .score_sets(&sets, by)
            .map_err(|source| StepError::Policies { doing: "scoring closed sets of responses", source })?;
        self.check(prompts, &scores)?;
        Ok((scores, passed))
    }

    /// One set a prompt, of its size, and finite.
    pub(super) fn check(&self, prompts: &[&Prompt], scores: &[AnswerSetScores]) -> Result<(), StepError> {
        if scores.len() != prompts.len() {
            return Err(StepError::Count { what: "scored sets", found: scores.len(), expected: prompts.len() });
        }
        for (prompt, scores) in prompts.iter().zip(scores) {
            let n = self.answers(prompt).len();
            // Who refines without training has a Follower's reference, too.
            let followers = if self.plan.method.instruction().is_some() { n * n } else { 0 };
            for (what, values, expected) in
                [("Leader scores", &scores.leader, n), ("Follower scores", &scores.follower, followers)]
            {
                if values.len() != expected {
                    return Err(StepError::Count { what, found: values.len(), expected });
                }
                if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                    return Err(StepError::SetScore { prompt: prompt.id, value: *value });
                }
            }
        }
        Ok(())
    }

    pub(super) fn set<'a>(&'a self, prompt: &'a Prompt) -> AnswerSet<'a> {
        AnswerSet { prompt, answers: self.answers(prompt) }
    }

    /// Of a prompt of the source, which has some.
    pub(super) fn answers(&self, prompt: &Prompt) -> &[Answer] {
        self.answers.get(&prompt.id).map_or(&[], |answers| answers)
    }

    /// Of a prompt of the source, once all were judged.
    pub(super) fn game(&self, prompt: &Prompt) -> Result<&PromptGame, StepError> {
        self.games.get(&prompt.id).ok_or(StepError::UnpreparedSet { prompt: prompt.id })
    }

    pub(super) fn problem(&self, prompt: &Prompt) -> Result<&Problem, StepError> {
        Ok(&self.game(prompt)?.problem)
    }
}

fn rule(method: &LanguageMethod, settings: &AnswerSetsPlan) -> Rule {
    match method {
        LanguageMethod::StackelbergGda(_) => Rule::Stackelberg,
        LanguageMethod::NashMd(own) => Rule::NashMd(own.mixture_coef),
        LanguageMethod::Egpo(own) => {
            Rule::Mirror(MirrorStep { eta: own.step.eta, prediction: Prediction::Extragradient })
        }
        LanguageMethod::Omwu(own) => Rule::Mirror(MirrorStep { eta: own.step.eta, prediction: Prediction::Optimistic }),
        // What is learned does not depend on the scores.
        method => on_a_game(method, settings.gradient, None)
            .and_then(|method| finite::of(&method))
            .map_or(Rule::Untrained, Rule::Finite),
    }
}

fn scores(judge: &mut dyn PairJudge, prompt: &Prompt, drawn: &[(u64, Answer)]) -> Result<Vec<f64>, StepError> {
    let candidates: Vec<Candidate<'_>> =
        drawn.iter().map(|(draw, answer)| Candidate { prompt, answer, draw: *draw }).collect();
    let rewards = judge.score(&candidates).map_err(StepError::Judge)?;
    if rewards.len() != drawn.len() {
        return Err(StepError::Verdicts { what: "rewards", found: rewards.len(), expected: drawn.len() });
    }
    let value = |((_, answer), reward): (&(u64, Answer), Result<crate::language::Reward, String>)| match reward {
        Ok(reward) if reward.value.is_finite() => Ok(reward.value),
        Ok(reward) => {
            let expected = "a finite number";
            Err(StepError::Verdict { what: "reward", prompt: prompt.id, value: reward.value, expected })
        }
        Err(reason) => Err(StepError::Unscored { prompt: prompt.id, answer: answer.text.to_string(), reason }),
    };
    drawn.iter().zip(rewards).map(value).collect()
}

fn unjudged(comparison: &Comparison<'_>, reason: String) -> StepError {
    StepError::Unjudged {
        prompt: comparison.prompt.id,
        first: comparison.first.text.to_string(),
        second: comparison.second.text.to_string(),
        reason,
    }
}

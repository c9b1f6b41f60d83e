//! A language model as a table: one row of logits a context, everything in f64, every gradient by hand.

use std::collections::BTreeMap;

use slhf_learn::Cause;
use slhf_learn::language::{
    Agents, Answer, AnswerSet, Draw, ExactKl, Features, Generation, GradientNorms, LanguagePolicies, Pair, PolicyName,
    Prompt, Request, ScoredBy, Update,
};
use slhf_plan::{
    AnswerSetScores, AnswerSetWeights, PairScores, PairWeights, Passed, Sampling, TokenScores, TokenWeights,
};

/// (prompt, the answer to be improved or nothing, the tokens so far).
type Context = (u32, Option<Vec<u32>>, Vec<u32>);

/// What an answer of the language can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Language {
    pub(crate) vocabulary: u32,
    pub(crate) length_max: usize,
    /// The token that ends an answer; without one every answer has `length_max` tokens and counts as finished.
    pub(crate) end: Option<u32>,
}

/// Three answers of one token.
pub(crate) const ONE_TOKEN: Language = Language { vocabulary: 3, length_max: 1, end: None };
/// Seven answers: the end alone, or one of two tokens and any second one.
pub(crate) const TWO_TOKENS: Language = Language { vocabulary: 3, length_max: 2, end: Some(0) };

impl Language {
    pub(crate) fn answer(self, tokens: &[u32]) -> Answer {
        let finished = self.end.is_none_or(|end| tokens.last() == Some(&end));
        Answer { tokens: tokens.into(), finished, text: format!("{tokens:?}").into(), draws: [].into() }
    }

    /// Every answer.
    pub(crate) fn answers(self) -> Vec<Answer> {
        let mut open = vec![Vec::new()];
        let mut closed = Vec::new();
        while let Some(prefix) = open.pop() {
            for token in 0..self.vocabulary {
                let mut next: Vec<u32> = prefix.clone();
                next.push(token);
                let ends = next.len() == self.length_max || self.end == Some(token);
                if ends { &mut closed } else { &mut open }.push(next);
            }
        }
        closed.sort();
        closed.iter().map(|tokens| self.answer(tokens)).collect()
    }
}

/// Leader and Follower (rows of their own) and the reference.
#[derive(Clone, Debug)]
pub(crate) struct Tabular {
    pub(crate) language: Language,
    rows: BTreeMap<Context, usize>,
    pub(crate) parameters: Vec<f64>,
    pub(crate) reference: Vec<f64>,
    pub(crate) gradient: Vec<f64>,
    /// Gradients of both agents are of one set of parameters: clipped and moved together.
    pub(crate) shared: bool,
    /// The weights of every pass so far.
    pub(crate) told: Vec<PairWeights>,
    /// The tokens that they are of: the Leader's, and the Follower's.
    pub(crate) passed: Vec<[Vec<u32>; 2]>,
    /// By how much more likely than it is a token's draw is said to be, as another engine would say it.
    pub(crate) drawn_from: fn(u32) -> f64,
    /// Breaks the log-probability of a pass from that step on.
    pub(crate) nan_from_step: Option<u64>,
    /// What stands for 1 in a one-hot vector of features.
    pub(crate) feature: f32,
    /// Answers whose features were asked for.
    pub(crate) read: u64,
    /// Refuses an update from that one on, as an engine does whose gradient is not finite.
    pub(crate) refuse_update: Option<u64>,
    updates: u64,
    /// Whether closed sets are scored for a Follower, too.
    pub(crate) has_follower: bool,
    /// Parameters that were kept, the last first.
    pub(crate) kept: Vec<Vec<f64>>,
}

impl Tabular {
    /// Seeded logits: the reference's, and the policies' at a distance of `spread`.
    pub(crate) fn new(language: Language, prompts: u32, spread: f64) -> Self {
        let answers = language.answers();
        let mut rows = BTreeMap::new();
        for prompt in 0..prompts {
            let previous = std::iter::once(None).chain(answers.iter().map(|answer| Some(answer.tokens.to_vec())));
            for previous in previous {
                for prefix in
                    answers.iter().flat_map(|answer| (0..answer.tokens.len()).map(|end| &answer.tokens[..end]))
                {
                    let place = rows.len();
                    rows.entry((prompt, previous.clone(), prefix.to_vec())).or_insert(place);
                }
            }
        }
        let entries = rows.len() * language.vocabulary as usize;
        let noise = |index: usize, salt: usize| {
            let hash = ((index + 1) * 2_654_435_761 + salt * 40_503) % 1_000_003;
            2.0 * (hash as f64 / 1_000_003.0) - 1.0
        };
        let reference: Vec<f64> = (0..entries).map(|index| 0.8 * noise(index, 1)).collect();
        let parameters = reference.iter().enumerate().map(|(index, logit)| logit + spread * noise(index, 2)).collect();
        Self {
            language,
            rows,
            parameters,
            reference,
            gradient: vec![0.0; entries],
            shared: false,
            told: Vec::new(),
            passed: Vec::new(),
            drawn_from: |_| 0.0,
            nan_from_step: None,
            feature: 1.0,
            read: 0,
            refuse_update: None,
            updates: 0,
            has_follower: true,
            kept: Vec::new(),
        }
    }

    /// As it was when it was kept so many times ago.
    fn past(&self, times_ago: usize) -> Result<Self, Cause> {
        let parameters = self.kept.get(times_ago - 1).ok_or("nothing was kept so long ago")?.clone();
        Ok(Self { parameters, ..self.clone() })
    }

    fn range(&self, prompt: u32, previous: Option<&Answer>, prefix: &[u32]) -> std::ops::Range<usize> {
        let key = (prompt, previous.map(|answer| answer.tokens.to_vec()), prefix.to_vec());
        let width = self.language.vocabulary as usize;
        let start = self.rows[&key] * width;
        start..start + width
    }

    /// Which parameters are the Leader's.
    pub(crate) fn is_leaders(&self) -> Vec<bool> {
        let mut leaders = vec![false; self.parameters.len()];
        let width = self.language.vocabulary as usize;
        for ((_, previous, _), row) in &self.rows {
            leaders[row * width..(row + 1) * width].fill(previous.is_none());
        }
        leaders
    }

    /// Gives every prompt the logits of prompt 0.
    pub(crate) fn repeat_first_prompt(&mut self) {
        let width = self.language.vocabulary as usize;
        for ((_, previous, prefix), row) in &self.rows {
            let first = self.rows[&(0, previous.clone(), prefix.clone())] * width;
            self.parameters.copy_within(first..first + width, row * width);
            self.reference.copy_within(first..first + width, row * width);
        }
    }

    /// Logits of the policy such that its distribution over one-token answers is the one given.
    pub(crate) fn set(&mut self, prompt: u32, previous: Option<&Answer>, log_probabilities: &[f64]) {
        let range = self.range(prompt, previous, &[]);
        self.parameters[range].copy_from_slice(log_probabilities);
    }

    /// log π of every token at one place.
    pub(crate) fn logs(&self, of_reference: bool, prompt: u32, previous: Option<&Answer>, prefix: &[u32]) -> Vec<f64> {
        let table = if of_reference { &self.reference } else { &self.parameters };
        let row = &table[self.range(prompt, previous, prefix)];
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|logit| (logit - largest).exp()).sum();
        row.iter().map(|logit| logit - largest - sum.ln()).collect()
    }

    /// The same, of any policy.
    fn logs_of(&self, policy: PolicyName, prompt: u32, previous: Option<&Answer>, prefix: &[u32]) -> Vec<f64> {
        let own = self.logs(policy == PolicyName::Reference, prompt, previous, prefix);
        let PolicyName::Mixture { reference_share } = policy else { return own };
        let reference = self.logs(true, prompt, previous, prefix);
        let mixed = |(own, reference): (&f64, &f64)| (1.0 - reference_share) * own + reference_share * reference;
        let mixed: Vec<f64> = own.iter().zip(&reference).map(mixed).collect();
        let sum: f64 = mixed.iter().map(|log| log.exp()).sum();
        mixed.into_iter().map(|log| log - sum.ln()).collect()
    }

    /// log π of a whole answer.
    pub(crate) fn log(&self, of_reference: bool, prompt: u32, previous: Option<&Answer>, answer: &Answer) -> f64 {
        let tokens = answer.tokens.iter().enumerate();
        tokens.map(|(t, token)| self.logs(of_reference, prompt, previous, &answer.tokens[..t])[*token as usize]).sum()
    }

    pub(crate) fn scores(&self, prompt: u32, previous: Option<&Answer>, answer: &Answer) -> TokenScores {
        let mut scores = TokenScores::default();
        for (t, &token) in answer.tokens.iter().enumerate() {
            let policy = self.logs(false, prompt, previous, &answer.tokens[..t]);
            let reference = self.logs(true, prompt, previous, &answer.tokens[..t]);
            scores.policy.push(policy[token as usize]);
            scores.reference.push(reference[token as usize]);
            scores.exact_kl.push(policy.iter().zip(&reference).map(|(p, r)| p.exp() * (p - r)).sum());
            scores.entropy.push(-policy.iter().map(|p| p.exp() * p).sum::<f64>());
        }
        scores
    }

    /// Scores of a pair.
    pub(crate) fn pair_scores(&self, pair: &Pair<'_>) -> PairScores {
        let prompt = pair.prompt.id;
        PairScores {
            leader: self.scores(prompt, None, pair.leader),
            follower: pair.follower.map(|answer| self.scores(prompt, Some(pair.leader), answer)),
        }
    }

    /// Adds `factor` times the gradient that the weights stand for.
    pub(crate) fn accumulate(
        &mut self,
        prompt: u32,
        previous: Option<&Answer>,
        answer: &Answer,
        (weights, factor): (&TokenWeights, f64),
    ) {
        for (t, &token) in answer.tokens.iter().enumerate() {
            let policy = self.logs(false, prompt, previous, &answer.tokens[..t]);
            let reference = self.logs(true, prompt, previous, &answer.tokens[..t]);
            let kl: f64 = policy.iter().zip(&reference).map(|(p, r)| p.exp() * (p - r)).sum();
            let exact = weights.exact_kl.get(t).copied().unwrap_or(0.0);
            let start = self.range(prompt, previous, &answer.tokens[..t]).start;
            for (k, (p, r)) in policy.iter().zip(&reference).enumerate() {
                let chosen = if k == token as usize { 1.0 } else { 0.0 };
                let derivative = weights.score[t] * (chosen - p.exp()) + exact * p.exp() * ((p - r) - kl);
                self.gradient[start + k] += factor * derivative;
            }
        }
    }

    /// Adds the gradient of `weight` times an answer's log π.
    fn accumulate_answer(&mut self, prompt: u32, previous: Option<&Answer>, answer: &Answer, weight: f64) {
        let weights = TokenWeights { score: vec![weight; answer.tokens.len()], exact_kl: Vec::new() };
        self.accumulate(prompt, previous, answer, (&weights, 1.0));
    }

    /// Adds `factor` times a pair's gradient.
    pub(crate) fn accumulate_pair(&mut self, pair: &Pair<'_>, weights: &PairWeights, factor: f64) {
        self.accumulate(pair.prompt.id, None, pair.leader, (&weights.leader, factor));
        if let (Some(answer), Some(weights)) = (pair.follower, &weights.follower) {
            self.accumulate(pair.prompt.id, Some(pair.leader), answer, (weights, factor));
        }
    }

    fn norm(&self, mine: &dyn Fn(usize) -> bool) -> f64 {
        let squares = self.gradient.iter().enumerate().filter(|(index, _)| mine(*index)).map(|(_, g)| g * g);
        squares.sum::<f64>().sqrt()
    }
}

impl LanguagePolicies for Tabular {
    fn generate(&mut self, requests: &[Request<'_>], seed: u64, _: &Sampling) -> Result<Generation, Cause> {
        let answer = |request: &Request<'_>| {
            let (mut tokens, mut draws) = (Vec::new(), Vec::new());
            while tokens.len() < self.language.length_max
                && tokens.last().copied().is_none_or(|last| self.language.end != Some(last))
            {
                let logs = self.logs_of(request.policy, request.prompt.id, request.previous, &tokens);
                let mut left = request.row.uniform(seed, tokens.len() as u32);
                let token = logs.iter().position(|log| {
                    left -= log.exp();
                    left < 0.0
                });
                let token = token.map_or(self.language.vocabulary - 1, |token| token as u32);
                draws.push(Draw { log_probability: logs[token as usize] + (self.drawn_from)(token), support: 0 });
                tokens.push(token);
            }
            Answer { draws: draws.into(), ..self.language.answer(&tokens) }
        };
        let answers: Vec<Answer> = requests.iter().map(answer).collect();
        let operations = 2.0 * answers.iter().map(|answer| answer.tokens.len() as f64).sum::<f64>();
        Ok(Generation { answers, operations })
    }

    fn pass(
        &mut self,
        pairs: &[Pair<'_>],
        step: u64,
        _: u32,
        weigh: &mut dyn FnMut(&[PairScores]) -> Result<Vec<PairWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        let mut scores: Vec<PairScores> = pairs.iter().map(|pair| self.pair_scores(pair)).collect();
        if self.nan_from_step.is_some_and(|from| step >= from)
            && let Some(follower) = &mut scores[0].follower
        {
            follower.policy[0] = f64::NAN;
        }
        let weights = weigh(&scores)?;
        assert_eq!(weights.len(), pairs.len());
        for (pair, weights) in pairs.iter().zip(&weights) {
            self.accumulate_pair(pair, weights, 1.0);
        }
        self.told.extend(weights);
        let tokens_of = |answer: &Answer| answer.tokens.to_vec();
        self.passed
            .extend(pairs.iter().map(|pair| [tokens_of(pair.leader), pair.follower.map_or(Vec::new(), tokens_of)]));
        let tokens = |pair: &Pair<'_>| pair.leader.tokens.len() + pair.follower.map_or(0, |answer| answer.tokens.len());
        let tokens = pairs.iter().map(tokens).sum::<usize>() as u64;
        Ok(Passed { tokens, operations: 6.0 * tokens as f64, forward_passes: 1 })
    }

    fn score(&mut self, pairs: &[Pair<'_>], _: ExactKl) -> Result<(Vec<PairScores>, Passed), Cause> {
        let tokens = pairs.iter().map(|pair| pair.leader.tokens.len() as u64).sum();
        let passed = Passed { tokens, operations: 2.0 * tokens as f64, forward_passes: 1 };
        Ok((pairs.iter().map(|pair| self.pair_scores(pair)).collect(), passed))
    }

    fn keep(&mut self, most: usize) -> Result<(), Cause> {
        self.kept.insert(0, self.parameters.clone());
        self.kept.truncate(most);
        Ok(())
    }

    fn score_by_kept(&mut self, times_ago: usize, pairs: &[Pair<'_>]) -> Result<(Vec<f64>, Passed), Cause> {
        let past = self.past(times_ago)?;
        let (_, passed) = self.score(pairs, ExactKl::LeftOut)?;
        Ok((pairs.iter().map(|pair| past.log(false, pair.prompt.id, None, pair.leader)).collect(), passed))
    }

    /// One-hot: which answer to which prompt.
    fn features(&mut self, answers: &[(&Prompt, &Answer)]) -> Result<Features, Cause> {
        let all = self.language.answers();
        let prompts = self.rows.keys().map(|(prompt, ..)| *prompt as usize + 1).max().unwrap_or(0);
        let one_hot = |(prompt, answer): &(&Prompt, &Answer)| {
            let mut vector = vec![0.0; prompts * all.len()];
            let place = all.iter().position(|other| other.tokens == answer.tokens).unwrap();
            vector[prompt.id as usize * all.len() + place] = self.feature;
            vector
        };
        self.read += answers.len() as u64;
        Ok(Features { vectors: answers.iter().map(one_hot).collect(), operations: 5.0 * answers.len() as f64 })
    }

    fn pass_sets(
        &mut self,
        sets: &[AnswerSet<'_>],
        _: u64,
        _: u32,
        weigh: &mut dyn FnMut(&[AnswerSetScores]) -> Result<Vec<AnswerSetWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        let (scores, passed) = self.score_sets(sets, ScoredBy::Policies)?;
        let weights = weigh(&scores)?;
        assert_eq!(weights.len(), sets.len());
        for (set, weights) in sets.iter().zip(&weights) {
            for (a, weight) in set.answers.iter().zip(&weights.leader) {
                self.accumulate_answer(set.prompt.id, None, a, *weight);
            }
            let pairs = set.answers.iter().flat_map(|a| set.answers.iter().map(move |b| (a, b)));
            for ((a, b), weight) in pairs.zip(&weights.follower) {
                self.accumulate_answer(set.prompt.id, Some(a), b, *weight);
            }
        }
        Ok(passed)
    }

    fn score_sets(&mut self, sets: &[AnswerSet<'_>], by: ScoredBy) -> Result<(Vec<AnswerSetScores>, Passed), Cause> {
        if let ScoredBy::Kept(times_ago) = by {
            return self.past(times_ago)?.score_sets(sets, ScoredBy::Policies);
        }
        let is_reference = by == ScoredBy::Reference;
        let scores = |set: &AnswerSet<'_>| {
            let log = |previous, answer| self.log(is_reference, set.prompt.id, previous, answer);
            let pairs = set.answers.iter().flat_map(|a| set.answers.iter().map(move |b| (a, b)));
            AnswerSetScores {
                leader: set.answers.iter().map(|a| log(None, a)).collect(),
                follower: pairs.filter(|_| self.has_follower).map(|(a, b)| log(Some(a), b)).collect(),
            }
        };
        let tokens = sets.iter().map(|set| set.answers.len() as u64).sum();
        let passed = Passed { tokens, operations: tokens as f64, forward_passes: 1 };
        Ok((sets.iter().map(scores).collect(), passed))
    }

    fn update(&mut self, update: &Update) -> Result<GradientNorms, Cause> {
        self.updates += 1;
        if self.refuse_update.is_some_and(|from| self.updates >= from) {
            return Err("the gradient of the Follower is not finite, first in layers.0.q_proj.lora_A".into());
        }
        let leaders = self.is_leaders();
        let norms = if self.shared {
            GradientNorms { leader: self.norm(&|_| true), follower: self.norm(&|_| true) }
        } else {
            GradientNorms { leader: self.norm(&|i| leaders[i]), follower: self.norm(&|i| !leaders[i]) }
        };
        let clip = |norm: f64| match update.max_grad_norm {
            most if most > 0.0 && norm > most => most / norm,
            _ => 1.0,
        };
        for (index, &is_leaders) in leaders.iter().enumerate() {
            let moves = self.shared || update.agents == Agents::Both || (update.agents == Agents::Leader) == is_leaders;
            let rate = match (self.shared || is_leaders, moves) {
                (_, false) => 0.0,
                (true, true) => update.leader_learning_rate * clip(norms.leader),
                (false, true) => update.follower_learning_rate * clip(norms.follower),
            };
            self.parameters[index] -= rate * self.gradient[index];
        }
        self.gradient.fill(0.0);
        Ok(norms)
    }

    fn save(&self) -> Result<Vec<u8>, Cause> {
        Ok(postcard::to_stdvec(&(&self.parameters, self.updates, &self.kept))?)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        (self.parameters, self.updates, self.kept) = postcard::from_bytes(state)?;
        Ok(())
    }
}

//! Closed sets of answers: what a policy thinks of each answer of a prompt, and the pass that trains on all of them.
//!
//! The Leader scores every answer a after x, the Follower every a′ after x, a and its instruction turn: n + n² answers a prompt, as
//! one tree of tokens through the model once. With separate adapters the Leader reads `[x][a]` and the Follower the whole tree.

use slhf_plan::{AnswerSetScores, AnswerSetWeights, FollowerReference, Passed};
use tch::{TchError, no_grad};

use crate::PolicyError;
use crate::agent_pass::{AgentBatch, AgentPass, PassSettings, check_temperature};
use crate::decoder::{Adapters, PlainModel};
use crate::engine::{Engine, Player};
use crate::forest::{AnswerTree, Forest, Scored, ScoredAnswers};
use crate::head::{HeadInput, HeadScores, HeadSettings};
use crate::parameters::Agent;

/// What a method makes of the scores: called once, one entry a tree, in order.
pub type WeighTrees<'a, E> = dyn FnMut(&[AnswerSetScores]) -> Result<Vec<AnswerSetWeights>, E> + 'a;

/// A pass of closed sets that went forward, and waits for the weights of what it found.
#[derive(Debug)]
pub struct BegunTrees {
    forwarded: Vec<(ScoredAnswers, AgentPass)>,
    scores: Vec<AnswerSetScores>,
    passed: Passed,
    settings: PassSettings,
}

impl BegunTrees {
    /// One entry a tree, in order.
    #[must_use]
    pub fn scores(&self) -> &[AnswerSetScores] {
        &self.scores
    }

    /// What both halves of the pass cost.
    #[must_use]
    pub fn passed(&self) -> Passed {
        self.passed
    }
}

impl Engine {
    /// Forward pass, `weigh` on the scores (called once, one entry a tree, in order), backward pass: gradients accumulate in the
    /// parameters, as with [`Engine::pass`]. With shared parameters both players' answers act in one pass. Scores are those of the
    /// policies without dropout. No reference is asked: `exact_kl` and `follower_reference` say nothing here.
    ///
    /// # Errors
    /// The engine trains nothing; the temperature is not above 0; a tree cannot be read ([`Engine::score_trees`]); weights are not laid
    /// out as the scores; `weigh` fails; libtorch does, or has no memory.
    pub fn pass_trees<E: From<PolicyError>>(
        &mut self,
        trees: &[AnswerTree],
        settings: &PassSettings,
        weigh: &mut WeighTrees<'_, E>,
    ) -> Result<Passed, E> {
        let begun = self.begin_trees(trees, settings)?;
        let weights = weigh(&begun.scores)?;
        Ok(self.end_trees(begun, &weights)?)
    }

    /// The first half of [`Engine::pass_trees`], as [`Engine::begin_pass`].
    ///
    /// # Errors
    /// As [`Engine::pass_trees`].
    pub fn begin_trees(&mut self, trees: &[AnswerTree], settings: &PassSettings) -> Result<BegunTrees, PolicyError> {
        // As before every pass: what was generated is worth less than its memory.
        self.forget();
        self.check_predicts()?;
        self.check_trains(settings.temperature)?;
        self.check_trees(trees)?;
        let settings = PassSettings { exact_kl: false, ..*settings };
        let doing = || PolicyError::torch(format!("run the forward pass of {} trees of responses", trees.len()));
        let (mut scores, mut passed, mut forwarded) = (blank(trees), Passed::default(), Vec::new());
        for (pass, (agent, forest)) in (0..).zip(self.forests(trees)) {
            self.count(&forest.extent(), true, &mut passed);
            let batch = forest.padded(self.device()).map_err(doing())?;
            let of = AgentBatch { agent, batch, reference: None, supports: None, pass };
            let pass = self.forward(of, &settings).map_err(doing())?;
            if pass.was_read_twice() {
                self.count(&forest.extent(), false, &mut passed);
            }
            forest.gather(&pass.told().policy, &mut scores);
            forwarded.push((forest.into_scored(), pass));
        }
        Ok(BegunTrees { forwarded, scores, passed, settings })
    }

    /// The second half of [`Engine::pass_trees`]. `weights`: one entry a tree, in order.
    ///
    /// # Errors
    /// As [`Engine::pass_trees`].
    pub fn end_trees(&mut self, begun: BegunTrees, weights: &[AnswerSetWeights]) -> Result<Passed, PolicyError> {
        let BegunTrees { forwarded, scores, passed, settings } = begun;
        check_weights(&scores, weights)?;
        for (scored, pass) in forwarded {
            let by_token = scored.weights_of_tokens(weights);
            let doing = PolicyError::torch(format!("run the backward pass of {} trees of responses", scores.len()));
            self.backward(pass, &by_token, &[], &settings).map_err(doing)?;
        }
        Ok(passed)
    }

    /// Scores without gradients, of the policies as they stand: the Leader's by the Leader's parameters, the Follower's by the
    /// Follower's. All trees go through the model at once.
    ///
    /// # Errors
    /// A tree has no answers, or neither one instruction turn an answer nor none; a part has no tokens, or some outside the
    /// vocabulary; its longest text has more tokens than the model has positions; the temperature is not above 0; libtorch fails, or
    /// has no memory.
    pub fn score_trees(
        &mut self,
        trees: &[AnswerTree],
        temperature: f64,
    ) -> Result<(Vec<AnswerSetScores>, Passed), PolicyError> {
        self.check_scoring(trees, temperature)?;
        let (leader, follower) = (self.agent(Player::Leader), self.agent(Player::Follower));
        let of_both = [(Player::Leader, Scored::Both)];
        let of_each = [(Player::Leader, Scored::Leader), (Player::Follower, Scored::Follower)];
        self.scored_trees(trees, if leader == follower { &of_both } else { &of_each }, temperature)
    }

    /// Scores without gradients, of the frozen start of both, adapters off. `follower_reference`: whether the Follower's reference reads
    /// x, a and the instruction turn, or x alone (then each of its rows is the Leader's).
    ///
    /// # Errors
    /// As [`Engine::score_trees`].
    pub fn score_trees_of_reference(
        &mut self,
        trees: &[AnswerTree],
        temperature: f64,
        follower_reference: FollowerReference,
    ) -> Result<(Vec<AnswerSetScores>, Passed), PolicyError> {
        self.check_scoring(trees, temperature)?;
        let scored = match follower_reference {
            FollowerReference::Context => Scored::Both,
            FollowerReference::Prompt => Scored::Leader,
        };
        let (mut scores, passed) = self.scored_trees(trees, &[(Player::Reference, scored)], temperature)?;
        if follower_reference == FollowerReference::Prompt {
            for scores in scores.iter_mut().filter(|scores| !scores.follower.is_empty()) {
                scores.follower = scores.leader.repeat(scores.leader.len());
            }
        }
        Ok((scores, passed))
    }

    fn scored_trees(
        &self,
        trees: &[AnswerTree],
        players: &[(Player, Scored)],
        temperature: f64,
    ) -> Result<(Vec<AnswerSetScores>, Passed), PolicyError> {
        let (mut scores, mut passed) = (blank(trees), Passed::default());
        for &(player, scored) in players {
            let forest = Forest::new(trees, scored, &self.config);
            if forest.is_empty() {
                continue;
            }
            self.count(&forest.extent(), false, &mut passed);
            if player != Player::Reference && self.parameters().is_some() {
                passed.tokens += forest.extent().tokens as u64;
            }
            let found = no_grad(|| self.read_forest(&forest, self.answering(player)?, temperature))
                .map_err(PolicyError::torch(format!("score {} trees of responses", trees.len())))?;
            forest.gather(&found.policy, &mut scores);
        }
        Ok((scores, passed))
    }

    fn read_forest(
        &self,
        forest: &Forest<'_>,
        (model, adapters): (PlainModel, Option<Adapters>),
        temperature: f64,
    ) -> Result<HeadScores, TchError> {
        let batch = forest.padded(self.device())?;
        let hidden = self.forward_of(&model, adapters.as_ref(), &batch, None).whole()?.hidden;
        let input =
            HeadInput { head: &model.head, hidden: &hidden, reference: None, targets: &batch.targets, supports: None };
        input.scores(HeadSettings { temperature, exact_kl: false, gradients: false })
    }

    /// What each set of parameters reads.
    fn forests(&self, trees: &[AnswerTree]) -> Vec<(Agent, Forest<'_>)> {
        let of = |agent, scored| (agent, Forest::new(trees, scored, &self.config));
        let forests = if self.is_shared() {
            vec![of(Agent::Shared, Scored::Both)]
        } else {
            vec![of(Agent::Leader, Scored::Leader), of(Agent::Follower, Scored::Follower)]
        };
        forests.into_iter().filter(|(_, forest)| !forest.is_empty()).collect()
    }

    fn check_scoring(&self, trees: &[AnswerTree], temperature: f64) -> Result<(), PolicyError> {
        self.check_predicts()?;
        check_temperature(temperature, "to score closed sets of responses")?;
        self.check_trees(trees)
    }

    fn check_trees(&self, trees: &[AnswerTree]) -> Result<(), PolicyError> {
        for (index, tree) in trees.iter().enumerate() {
            let AnswerTree { prompt, answers, follow_ups } = tree;
            let wrong = |problem| Err(PolicyError::Request { what: format!("the tree of prompt {index}"), problem });
            if answers.is_empty() {
                return wrong("has no responses, but a closed set has at least one".to_owned());
            }
            if !(follow_ups.is_empty() || follow_ups.len() == answers.len()) {
                let (answers, turns) = (answers.len(), follow_ups.len());
                return wrong(format!(
                    "has {answers} responses and {turns} instruction turns; give one for each response, or none where there is one policy"
                ));
            }
            let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
            let further = |(at, answer): (usize, &Vec<u32>)| {
                answer.len() + follow_ups.get(at).map_or(0, |follow_up| follow_up.len() + longest)
            };
            let further = answers.iter().enumerate().map(further).max().unwrap_or(0);
            self.check_tokens(&format!("prompt {index}"), prompt, further)?;
            for (at, answer) in answers.iter().enumerate() {
                self.check_tokens(&format!("response {at} of prompt {index}"), answer, 0)?;
            }
            for (at, follow_up) in follow_ups.iter().enumerate() {
                self.check_tokens(
                    &format!("the instruction turn after response {at} of prompt {index}"),
                    follow_up,
                    0,
                )?;
            }
        }
        Ok(())
    }
}

/// Zeros, laid out as the scores.
fn blank(trees: &[AnswerTree]) -> Vec<AnswerSetScores> {
    let of = |tree: &AnswerTree| AnswerSetScores {
        leader: vec![0.0; tree.answers.len()],
        follower: vec![0.0; tree.follow_ups.len() * tree.answers.len()],
    };
    trees.iter().map(of).collect()
}

fn check_weights(scores: &[AnswerSetScores], weights: &[AnswerSetWeights]) -> Result<(), PolicyError> {
    if scores.len() != weights.len() {
        let problem = format!("of {} trees of responses got the weights of {}", scores.len(), weights.len());
        return Err(PolicyError::Request { what: "a pass".to_owned(), problem });
    }
    for (index, (scores, weights)) in scores.iter().zip(weights).enumerate() {
        let counts = [("Leader", &scores.leader, &weights.leader), ("Follower", &scores.follower, &weights.follower)];
        for (player, scores, weights) in counts {
            if scores.len() != weights.len() {
                let problem = format!("has {} scores of the {player} and {} weights", scores.len(), weights.len());
                return Err(PolicyError::Request { what: format!("the tree of prompt {index}"), problem });
            }
        }
    }
    Ok(())
}

//! Prompts with closed sets of answers as trees of tokens, one a row, and which of their tokens are scored.
//!
//! Whatever texts of a prompt begin alike is there once: the prompt, each answer with its instruction turn, and what answers
//! themselves begin with. An answer's last token is there only if something follows it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use slhf_model::ModelConfig;
use slhf_plan::{AnswerSetScores, AnswerSetWeights};
use tch::{Device, TchError, Tensor};

use crate::batch::{Extent, Padded};
use crate::decoder::{Branches, Tree};

/// One prompt with its closed set of answers, as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerTree {
    /// x, rendered, up to where the answer begins.
    pub prompt: Vec<u32>,
    /// The set A(x), each answer as it would be sampled, with the token that ends it.
    pub answers: Vec<Vec<u32>>,
    /// What stands between each answer and the Follower's: one an answer; empty for a method with one policy.
    pub follow_ups: Vec<Vec<u32>>,
}

/// Whose answers are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scored {
    Leader,
    Follower,
    Both,
}

/// A scored answer of a tree.
#[derive(Clone, Copy, Debug)]
enum Place {
    Leader(usize),
    Follower(usize),
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    tree: usize,
    place: Place,
    tokens: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Forest<'a> {
    config: &'a ModelConfig,
    rows: Vec<Row>,
    answers: Vec<Answer>,
    /// Row and place of the token before each scored one.
    read: Vec<(usize, usize)>,
    targets: Vec<i64>,
}

/// Rotary positions of one text may depend on how long it is: only texts that turn alike share a row.
type Stretch = (usize, usize);

#[derive(Debug)]
struct Row {
    tree: usize,
    stretch: Stretch,
    /// Tokens of one of its texts.
    text: usize,
    tokens: Vec<u32>,
    parents: Vec<Option<usize>>,
    children: HashMap<(Option<usize>, u32), usize>,
}

impl Row {
    /// The place of a token behind another, which becomes one where it is not there yet.
    fn step(&mut self, parent: Option<usize>, token: u32) -> usize {
        *self.children.entry((parent, token)).or_insert_with(|| {
            self.tokens.push(token);
            self.parents.push(parent);
            self.tokens.len() - 1
        })
    }
}

impl<'a> Forest<'a> {
    /// Prompts and answers have a token at least; trees without instruction turns have no Follower.
    pub(crate) fn new(trees: &[AnswerTree], scored: Scored, config: &'a ModelConfig) -> Self {
        let mut forest = Self { config, rows: Vec::new(), answers: Vec::new(), read: Vec::new(), targets: Vec::new() };
        for (index, tree) in trees.iter().enumerate() {
            for (at, answer) in tree.answers.iter().enumerate() {
                if scored != Scored::Follower {
                    forest.push(index, Place::Leader(at), &[&tree.prompt], answer);
                }
                let Some(follow_up) = tree.follow_ups.get(at).filter(|_| scored != Scored::Leader) else { continue };
                for (column, reply) in tree.answers.iter().enumerate() {
                    let place = Place::Follower(at * tree.answers.len() + column);
                    forest.push(index, place, &[&tree.prompt, answer, follow_up], reply);
                }
            }
        }
        forest
    }

    fn push(&mut self, tree: usize, place: Place, context: &[&[u32]], answer: &[u32]) {
        let text = context.iter().map(|part| part.len()).sum::<usize>() + answer.len();
        let at = self.row(tree, text);
        let row = &mut self.rows[at];
        row.text = row.text.max(text);
        let mut node = None;
        for &token in context.iter().copied().flatten() {
            node = Some(row.step(node, token));
        }
        for (number, &token) in answer.iter().enumerate() {
            self.read.push((at, node.unwrap_or(0)));
            self.targets.push(i64::from(token));
            if number + 1 < answer.len() {
                node = Some(row.step(node, token));
            }
        }
        self.answers.push(Answer { tree, place, tokens: answer.len() });
    }

    /// The row of a tree's texts of this length.
    fn row(&mut self, tree: usize, text: usize) -> usize {
        let window = self.config.windows.as_ref().map_or(0, |windows| windows.rope.stretch(text));
        let stretch = (self.config.rope.stretch(text), window);
        let of_tree = self.rows.iter().rposition(|row| row.tree == tree && row.stretch == stretch);
        of_tree.unwrap_or_else(|| {
            let (tokens, parents, children) = (Vec::new(), Vec::new(), HashMap::new());
            self.rows.push(Row { tree, stretch, text, tokens, parents, children });
            self.rows.len() - 1
        })
    }

    /// Whether nothing is scored.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What a pass counts.
    pub(crate) fn extent(&self) -> Extent {
        let mut squares = 0.0;
        for row in &self.rows {
            let mut depths: Vec<f64> = Vec::with_capacity(row.parents.len());
            for parent in &row.parents {
                let depth = parent.map_or(0.0, |parent| depths[parent] + 1.0);
                // Of a single text: the square of its length.
                squares += 2.0 * depth + 1.0;
                depths.push(depth);
            }
        }
        Extent { tokens: self.rows.iter().map(|row| row.tokens.len()).sum(), scored: self.targets.len(), squares }
    }

    /// On a device, to be read before each scored token.
    pub(crate) fn padded(&self, device: Device) -> Result<Padded, TchError> {
        let length = self.rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let mut tokens = vec![0_i64; self.rows.len() * length];
        for (row, padded) in self.rows.iter().zip(tokens.chunks_exact_mut(length.max(1))) {
            for (into, &token) in padded.iter_mut().zip(&row.tokens) {
                *into = i64::from(token);
            }
        }
        let read: Vec<i64> = self.read.iter().map(|&(row, at)| (row * length + at) as i64).collect();
        let trees: Vec<Tree<'_>> = self.rows.iter().map(|row| Tree { parents: &row.parents, text: row.text }).collect();
        let window = self.config.windows.as_ref().map(|windows| windows.positions);
        let on_device = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Padded {
            tokens: on_device(&tokens)?,
            rows: self.rows.len() as i64,
            length: length as i64,
            lengths: self.rows.iter().map(|row| row.tokens.len()).collect(),
            read: on_device(&read)?,
            targets: on_device(&self.targets)?,
            branches: Some(Branches::new(&trees, window, device)?),
        })
    }

    /// Adds up what the tokens of each answer got, in their order, `scores` having the shapes of the trees.
    pub(crate) fn gather(&self, tokens: &[f64], scores: &mut [AnswerSetScores]) {
        let mut rest = tokens;
        for answer in &self.answers {
            let (own, others) = rest.split_at(answer.tokens.min(rest.len()));
            rest = others;
            let scores = &mut scores[answer.tree];
            match answer.place {
                Place::Leader(at) => scores.leader[at] = own.iter().sum(),
                Place::Follower(at) => scores.follower[at] = own.iter().sum(),
            }
        }
    }

    /// What is left when nothing more is read.
    pub(crate) fn into_scored(self) -> ScoredAnswers {
        ScoredAnswers { answers: self.answers }
    }
}

/// Which answers a forest scores, in the order of its scored tokens.
#[derive(Debug)]
pub(crate) struct ScoredAnswers {
    answers: Vec<Answer>,
}

impl ScoredAnswers {
    /// Of each scored token its answer's weight.
    pub(crate) fn weights_of_tokens(&self, weights: &[AnswerSetWeights]) -> Vec<f64> {
        let mut by_token = Vec::with_capacity(self.answers.iter().map(|answer| answer.tokens).sum());
        for answer in &self.answers {
            let weights = &weights[answer.tree];
            let weight = match answer.place {
                Place::Leader(at) => weights.leader[at],
                Place::Follower(at) => weights.follower[at],
            };
            by_token.extend(std::iter::repeat_n(weight, answer.tokens));
        }
        by_token
    }
}

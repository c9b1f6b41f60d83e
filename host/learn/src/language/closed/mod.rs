//! Closed answer sets: each prompt is a finite game whose policies a language model parametrizes.
//!
//! With a finite set of answers to prompt x the Leader is `π(a | x) ∝ exp ℓ(a | x)`, ℓ the sum of an answer's token
//! log-probabilities, and the Follower `ω(a′ | x, a) ∝ exp ℓ(a′ | x, a)`. So ℓ are the logits of the finite game with the judge's
//! matrix `P_x`: gradients, targets and gaps are those of [`crate::finite`] and [`crate::problem`], and ∂loss/∂ℓ(a) is the number that
//! every token of a gets. The matrix, the references and the solution of a prompt never change: they are made once.

mod certificate;
mod evaluation;
mod game;
mod gradient;
mod method;
mod mirror;
mod sets;
mod step;

pub(crate) use evaluation::ClosedEvaluation;
pub(crate) use sets::ClosedSets;
pub(crate) use step::{ClosedResult, ClosedStep};

//! Closed sets of answers as tokens.

use super::Tokens;
use crate::ModelError;

/// Why a closed set cannot be answered by a model. A message names the answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerSetError {
    /// Sampling would never end.
    #[error("the tokenizer has no token that ends a response, so that no response of a closed set can end")]
    NoEnd,
    /// The tokenizer refuses a text.
    #[error("the response \"{answer}\" cannot be encoded")]
    Encoding {
        /// The text.
        answer: String,
        /// Why.
        source: ModelError,
    },
    /// A text would end before it is over.
    #[error("the response \"{answer}\" contains \"{piece}\", which ends a response; remove it")]
    EndWithin {
        /// The text.
        answer: String,
        /// The token.
        piece: String,
    },
    /// A text is longer than a response may be.
    #[error(
        "the response \"{answer}\" has {found} tokens with the one that ends it, and method.max_new_tokens is {most}; shorten it, or \
         raise that"
    )]
    TooLong {
        /// The text.
        answer: String,
        /// Its tokens.
        found: usize,
        /// The most.
        most: u32,
    },
    /// Two texts are one answer.
    #[error("the responses \"{first}\" and \"{second}\" are the same tokens; remove one")]
    Same {
        /// The earlier one.
        first: String,
        /// The later one.
        second: String,
    },
}

impl Tokens {
    /// The tokens of each answer of a closed set: those of the text, and the one token that ends sampling.
    pub fn answer_set(&self, answers: &[String], max_new_tokens: u32) -> Result<Vec<Vec<u32>>, AnswerSetError> {
        let end = *self.end_tokens().first().ok_or(AnswerSetError::NoEnd)?;
        let mut found: Vec<Vec<u32>> = Vec::with_capacity(answers.len());
        for answer in answers {
            let encoded = self.encode(answer);
            let mut tokens = encoded.map_err(|source| AnswerSetError::Encoding { answer: answer.clone(), source })?;
            if let Some(inner) = tokens.iter().find(|token| self.end_tokens().contains(token)) {
                let piece = self.pieces(&[*inner]).concat();
                return Err(AnswerSetError::EndWithin { answer: answer.clone(), piece });
            }
            tokens.push(end);
            if tokens.len() > max_new_tokens as usize {
                let (found, most) = (tokens.len(), max_new_tokens);
                return Err(AnswerSetError::TooLong { answer: answer.clone(), found, most });
            }
            if let Some(earlier) = found.iter().position(|other| *other == tokens) {
                let (first, second) = (answers[earlier].clone(), answer.clone());
                return Err(AnswerSetError::Same { first, second });
            }
            found.push(tokens);
        }
        Ok(found)
    }
}

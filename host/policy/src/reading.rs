//! What a model makes of a whole text: the values of its reward head, and the text as a vector.

use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::batch::Sequences;
use crate::engine::{Engine, Player};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean, the usual one: in a decoder that was not trained to embed, the last token's vector is about the next token.
    #[default]
    Mean,
    /// The last token's.
    Last,
}

impl Pooling {
    /// As plugins are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Last => "last",
        }
    }
}

impl Engine {
    /// The values of the reward head for one text, in the order of its labels: those at the last token that is no padding, as
    /// transformers finds it. A pass of its own, so that the values depend on the text alone.
    pub fn values(&mut self, player: Player, tokens: &[u32]) -> Result<Vec<f64>, PolicyError> {
        if self.config.reward.is_none() {
            let problem = "has no values: the model has no reward head (`score.weight`)".to_owned();
            return Err(PolicyError::Request { what: "the text".to_owned(), problem });
        }
        let place = last_that_counts(tokens, self.config.padding_token);
        let values = |hidden: &Tensor, head: &Tensor| {
            hidden.f_to_kind(Kind::Float)?.f_linear::<&Tensor>(&head.f_to_kind(Kind::Float)?, None)
        };
        let values = self.read(player, tokens, &[place as i64], values)?;
        let labels = self.config.reward.iter().flat_map(|head| &head.labels);
        match labels.zip(&values).find(|(_, value)| !value.is_finite()) {
            None => Ok(values),
            Some((label, value)) => {
                let problem = format!("is {value}; expected a finite number: look at the model's weights");
                Err(PolicyError::Request { what: format!("the value of \"{label}\""), problem })
            }
        }
    }

    /// A text as a vector of the hidden size, out of its tokens' hidden states after the final norm. A pass of its own.
    pub fn embedding(&mut self, player: Player, tokens: &[u32], pooling: Pooling) -> Result<Vec<f64>, PolicyError> {
        let places: Vec<i64> = match pooling {
            Pooling::Mean => (0..tokens.len() as i64).collect(),
            Pooling::Last => vec![tokens.len() as i64 - 1],
        };
        let mean = |hidden: &Tensor, _: &Tensor| hidden.f_mean_dim([0].as_slice(), false, Kind::Float);
        let vector = self.read(player, tokens, &places, mean)?;
        if vector.iter().all(|value| value.is_finite()) {
            return Ok(vector);
        }
        let problem = "has numbers that are not finite: look at the model's weights".to_owned();
        Err(PolicyError::Request { what: "the text's vector".to_owned(), problem })
    }

    /// Numbers made of the final hidden states at some places of a text, and of the head's matrix.
    fn read(
        &mut self,
        player: Player,
        tokens: &[u32],
        places: &[i64],
        made: impl Fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Vec<f64>, PolicyError> {
        self.check_tokens("the text", tokens, 0)?;
        let mut sequences = Sequences::default();
        sequences.push(&[(tokens, None)]);
        let numbers = || -> Result<Vec<f64>, TchError> {
            let (model, adapters) = self.answering(player)?;
            let batch = sequences.padded_to(self.device(), places)?;
            let hidden = self.forward_of(&model, adapters.as_ref(), &batch, None).whole()?.hidden;
            let made = made(&hidden, &model.head.numbers)?
                .f_to_kind(Kind::Double)?
                .f_to_device(Device::Cpu)?
                .f_reshape([-1])?;
            Vec::try_from(made)
        };
        no_grad(numbers).map_err(PolicyError::torch(format!("read a text of {} tokens", tokens.len())))
    }

    /// A reward model predicts no tokens: its head stands where others have an output matrix.
    pub(crate) fn check_predicts(&self) -> Result<(), PolicyError> {
        if self.config.reward.is_none() {
            return Ok(());
        }
        let problem =
            "is a reward model: it scores texts, and has no output matrix to generate or to give probabilities \
                       with; take the model that it was trained from"
                .to_owned();
        Err(PolicyError::Request { what: "the model".to_owned(), problem })
    }
}

/// As transformers' `…ForSequenceClassification` finds it: by the tokens, not by the attention mask. A padding token that the text
/// itself ends with does not count, one within it does no harm; in a text of nothing else the first token counts.
pub(crate) fn last_that_counts(tokens: &[u32], padding: Option<u32>) -> usize {
    let counts = |token: &u32| Some(*token) != padding;
    match padding {
        Some(_) => tokens.iter().rposition(counts).unwrap_or(0),
        None => tokens.len().saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::last_that_counts;

    #[test]
    fn the_last_token_is_found_by_its_number_alone() {
        for (tokens, padding, place) in [
            (&[5, 6, 7][..], Some(2), 2),
            (&[5, 6, 2, 2], Some(2), 1),
            (&[2, 2, 5, 6], Some(2), 3),
            (&[5, 2, 6, 2], Some(2), 2),
            (&[2, 2, 2], Some(2), 0),
            (&[5, 6, 2, 2], None, 3),
            (&[], None, 0),
        ] {
            assert_eq!(last_that_counts(tokens, padding), place, "{tokens:?} {padding:?}");
        }
    }
}

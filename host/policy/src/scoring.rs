//! What a policy thinks of answers that are there: passes without gradients.

use slhf_plan::Passed;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::PolicyError;
use crate::batch::{Key, Sequences};
use crate::decoder::{Adapters, PlainModel};
use crate::engine::{Engine, Player};
use crate::head::{HeadInput, HeadScores, HeadSettings};

/// The final hidden states of sequences, and what the pass cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HiddenStates {
    /// One a sequence, `[hidden]` each: after the final norm, before the output matrix.
    pub states: Vec<Vec<f32>>,
    /// One forward pass; the output matrix is not in it.
    pub passed: Passed,
}

impl Engine {
    /// log-probabilities of answers at temperature 1, token by token; each entry is (context, answer).
    pub fn log_probabilities(
        &mut self,
        player: Player,
        answers: &[(&[u32], &[u32])],
    ) -> Result<Vec<Vec<f64>>, PolicyError> {
        self.log_probabilities_at(player, 1.0, answers)
    }

    /// [`Engine::log_probabilities`] at a temperature above 0.
    ///
    /// # Errors
    /// As there.
    pub fn log_probabilities_at(
        &mut self,
        player: Player,
        temperature: f64,
        answers: &[(&[u32], &[u32])],
    ) -> Result<Vec<Vec<f64>>, PolicyError> {
        self.check_predicts()?;
        self.check_answers(answers)?;
        if answers.is_empty() {
            return Ok(Vec::new());
        }
        let mut sequences = Sequences::default();
        for (pair, (context, answer)) in answers.iter().enumerate() {
            sequences.push(&[(*context, None), (*answer, Some(Key { pair, follower: false }))]);
        }
        let scores = || -> Result<HeadScores, TchError> {
            let (model, adapters) = self.answering(player)?;
            let batch = sequences.padded(self.device())?;
            let hidden = self.forward_of(&model, adapters.as_ref(), &batch, None).whole()?.hidden;
            let input = HeadInput {
                head: &model.head,
                hidden: &hidden,
                reference: None,
                targets: &batch.targets,
                supports: None,
            };
            input.scores(HeadSettings { temperature, exact_kl: false, gradients: false })
        };
        let scores = no_grad(scores).map_err(PolicyError::torch(format!("score {} responses", answers.len())))?;
        let mut rest = scores.policy.as_slice();
        let mut taken = Vec::with_capacity(answers.len());
        for (_, answer) in answers {
            let (mine, others) = rest.split_at(answer.len().min(rest.len()));
            taken.push(mine.to_vec());
            rest = others;
        }
        Ok(taken)
    }

    /// The hidden state at the last token of each answer; each entry is (context, answer). One forward pass of all of them:
    /// what a state is depends on its own context and answer, and by rounding on the shape of the batch.
    pub fn last_hidden_states(
        &mut self,
        player: Player,
        answers: &[(&[u32], &[u32])],
    ) -> Result<HiddenStates, PolicyError> {
        // As before a training pass: the memory of what was generated is worth more than its contents.
        self.forget();
        self.check_answers(answers)?;
        let mut found = HiddenStates::default();
        if answers.is_empty() {
            return Ok(found);
        }
        let mut sequences = Sequences::default();
        for (context, answer) in answers {
            sequences.push(&[(*context, None), (*answer, None)]);
        }
        let states = || -> Result<Tensor, TchError> {
            let (model, adapters) = self.answering(player)?;
            let batch = sequences.padded_to_ends(self.device())?;
            let states = self.forward_of(&model, adapters.as_ref(), &batch, None).whole()?.hidden;
            states.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?.f_contiguous()
        };
        let doing = || PolicyError::torch(format!("read {} responses", answers.len()));
        let states = no_grad(states).map_err(doing())?;
        let mut numbers = vec![0.0_f32; states.numel()];
        states.f_copy_data(&mut numbers, states.numel()).map_err(doing())?;
        found.states = numbers.chunks_exact(self.config.hidden_size).map(<[f32]>::to_vec).collect();
        self.count(&sequences.extent(), false, &mut found.passed);
        Ok(found)
    }

    fn check_answers(&self, answers: &[(&[u32], &[u32])]) -> Result<(), PolicyError> {
        for (index, (context, answer)) in answers.iter().enumerate() {
            self.check_tokens(&format!("context {index}"), context, answer.len())?;
            self.check_tokens(&format!("response {index}"), answer, 0)?;
        }
        Ok(())
    }

    /// The weights and adapters with which a player answers.
    pub(crate) fn answering(&self, player: Player) -> Result<(PlainModel, Option<Adapters>), TchError> {
        let (model, adapters) = match self.agent(player) {
            Some(agent) => self.policy(agent)?,
            None => (self.base.plain(&self.config)?, None),
        };
        Ok((model, adapters.map(|adapters| adapters.without_dropout())))
    }
}

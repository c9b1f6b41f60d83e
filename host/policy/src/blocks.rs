//! Contexts that are read in blocks, so that texts with the same beginning share what was read of it.
//!
//! A block is [`BLOCK_TOKENS`] tokens, counted from the beginning of a context, and is read in a pass of its own after the blocks
//! before it. What a pass gives is then a function of the tokens up to its end alone: whether the blocks before it were read now or
//! are kept from another context changes no bit. What is left of a context is a last, shorter pass.

use std::collections::HashMap;

use slhf_plan::Sampling;
use tch::{Device, Kind, TchError, Tensor, no_grad_guard};

use crate::PolicyError;
use crate::cache::Cache;
use crate::engine::{Engine, Player};
use crate::generate::{GenerateCounts, Generator};

/// Tokens of a block: as many rows as the product for few rows takes.
pub const BLOCK_TOKENS: usize = 48;

/// A hash of a block together with all before it.
type Chain = String;

/// Layer by layer.
type KeysAndValues = Vec<(Tensor, Tensor)>;

/// Blocks that were read under one model's weights, up to a number of bytes; those that nobody asked for the longest go first.
#[derive(Debug)]
pub struct ReadBlocks {
    blocks: HashMap<Chain, Block>,
    bytes: u64,
    bytes_max: u64,
    /// Counts the contexts.
    clock: u64,
}

#[derive(Debug)]
struct Block {
    keys_and_values: KeysAndValues,
    /// After its last token, `[1, hidden]`, before the final norm.
    last_state: Tensor,
    bytes: u64,
    used: u64,
}

/// What reading cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Tokens that went through the model.
    pub read: u64,
    /// Tokens of contexts that were read before.
    pub reused: u64,
}

impl ReadBlocks {
    /// None yet. `bytes_max`: of keys and values, 0 keeps none.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self { blocks: HashMap::new(), bytes: 0, bytes_max, clock: 0 }
    }

    /// Bytes of keys and values that are kept.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn keep(&mut self, chain: Chain, keys_and_values: KeysAndValues, last_state: Tensor) {
        let size = |tensor: &Tensor| tensor.numel() as u64 * tensor.kind().elt_size_in_bytes() as u64;
        let bytes =
            size(&last_state) + keys_and_values.iter().map(|(keys, values)| size(keys) + size(values)).sum::<u64>();
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            // A later block is of no use without those before it: of equally old ones any may go.
            let Some(oldest) = self.blocks.iter().min_by_key(|(_, block)| block.used).map(|(chain, _)| chain.clone())
            else {
                break;
            };
            self.bytes -= self.blocks.remove(&oldest).map_or(0, |block| block.bytes);
        }
        let block = Block { keys_and_values, last_state, bytes, used: self.clock };
        self.bytes += bytes;
        self.bytes -= self.blocks.insert(chain, block).map_or(0, |before| before.bytes);
    }
}

/// The chains of a context's whole blocks.
fn chains(context: &[u32]) -> Vec<Chain> {
    let mut before = Chain::default();
    let next = |block: &[u32]| {
        let mut bytes = std::mem::take(&mut before).into_bytes();
        bytes.extend(block.iter().flat_map(|token| token.to_le_bytes()));
        before = slhf_files::sha256_hex(bytes);
        before.clone()
    };
    context.chunks_exact(BLOCK_TOKENS).map(next).collect()
}

impl Engine {
    /// Log-probabilities of continuations of one context at temperature 1, token by token, of the model without adapters; every
    /// continuation has a token at least. They are a function of the context and the continuation alone, whatever `blocks` holds,
    /// which must be of this engine.
    pub fn continuations(
        &mut self,
        blocks: &mut ReadBlocks,
        context: &[u32],
        continuations: &[&[u32]],
    ) -> Result<(Vec<Vec<f64>>, ReadCounts), PolicyError> {
        self.check_predicts()?;
        let longest = continuations.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        self.check_tokens("a context", context, longest)?;
        for (number, tokens) in continuations.iter().enumerate() {
            self.check_tokens(&format!("continuation {number}"), tokens, 0)?;
        }
        let _guard = no_grad_guard();
        let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, max_new_tokens: 1 };
        let generator = self.generator(self.decoder(self.agent(Player::Reference)), 0, &sampling);
        let mut reading = Reading { generator: &generator, blocks, counts: GenerateCounts::default(), reused: 0 };
        let scores = reading
            .scores(context, continuations, longest)
            .map_err(PolicyError::torch(format!("score {} continuations of one context", continuations.len())))?;
        Ok((scores, ReadCounts { read: reading.counts.read, reused: reading.reused }))
    }
}

/// One context under way.
struct Reading<'a> {
    generator: &'a Generator<'a>,
    blocks: &'a mut ReadBlocks,
    counts: GenerateCounts,
    reused: u64,
}

impl Reading<'_> {
    fn scores(&mut self, context: &[u32], continuations: &[&[u32]], longest: usize) -> Result<Vec<Vec<f64>>, TchError> {
        let room = (context.len() + longest) as i64;
        let mut cache = Cache::new(self.generator.config, self.generator.place(), 1, room)?;
        let last = self.context(&mut cache, context)?;
        let first = self.log_softmax(&last)?;
        let mut scores = Vec::with_capacity(continuations.len());
        for tokens in continuations {
            let Some((last, before)) = tokens.split_last() else { continue };
            let mut own = vec![first.double_value(&[0, i64::from(tokens[0])])];
            if !before.is_empty() {
                let states = self.generator.read_states(&mut cache, &[before], before.len(), &mut self.counts)?;
                let log_probabilities = self.log_softmax(&states)?;
                let after = before[1..].iter().chain([last]);
                own.extend(
                    (0..).zip(after).map(|(at, token)| log_probabilities.double_value(&[at, i64::from(*token)])),
                );
                cache.rewind(context.len())?;
            }
            scores.push(own);
        }
        Ok(scores)
    }

    /// Reads a context; gives the hidden state of its last token, `[1, hidden]`.
    fn context(&mut self, cache: &mut Cache, context: &[u32]) -> Result<Tensor, TchError> {
        self.blocks.clock += 1;
        let mut last_state = None;
        for (chain, tokens) in chains(context).into_iter().zip(context.chunks_exact(BLOCK_TOKENS)) {
            if let Some(block) = self.blocks.blocks.get_mut(&chain) {
                block.used = self.blocks.clock;
                cache.put(tokens, &block.keys_and_values)?;
                last_state = Some(block.last_state.shallow_clone());
                self.reused += tokens.len() as u64;
                continue;
            }
            // What was put there is not yet in the mask.
            cache.rebuild_mask()?;
            let slots = cache.cursor..cache.cursor + tokens.len() as i64;
            let states = self.generator.read_states(cache, &[tokens], tokens.len(), &mut self.counts)?;
            let last = states.f_narrow(0, tokens.len() as i64 - 1, 1)?.f_mul_scalar(1.0)?;
            self.blocks.keep(chain, cache.copies(&slots)?, last.shallow_clone());
            last_state = Some(last);
        }
        cache.rebuild_mask()?;
        let rest = context.chunks_exact(BLOCK_TOKENS).remainder();
        match last_state {
            Some(last) if rest.is_empty() => Ok(last),
            _ => {
                let states = self.generator.read_states(cache, &[rest], rest.len(), &mut self.counts)?;
                states.f_narrow(0, rest.len() as i64 - 1, 1)
            }
        }
    }

    /// `[n, hidden]` → `[n, vocabulary]`, on the CPU in f64.
    fn log_softmax(&self, states: &Tensor) -> Result<Tensor, TchError> {
        let logits = self.generator.decoder.logits(self.generator.config, states)?;
        logits.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_log_softmax(-1, None)
    }
}

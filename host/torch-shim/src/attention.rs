//! Attention over whole sequences, on a CPU in f32, through which gradients go: of texts, and of trees of texts.

use std::ops::Range;

use tch::Tensor;

use crate::ShimError;
use crate::foreign::{SlhfCausal, slhf_causal_attention};
use crate::one_token::{Operands, made};

const DOING: &str = "attend over whole sequences";

/// What [`causal_attention`] reads.
#[derive(Clone, Copy, Debug)]
pub struct CausalAttention<'a> {
    /// `[sequences · length, heads, size]`
    pub queries: &'a Tensor,
    /// `[sequences · length, pairs, size]`; each serves `heads / pairs` queries.
    pub keys: &'a Tensor,
    /// Likewise.
    pub values: &'a Tensor,
    /// Tokens of each sequence; what is behind them is padding.
    pub lengths: &'a [usize],
    /// Tokens of each, padding included.
    pub length: i64,
    /// Keys that a query sees, its own included; `None`: all up to its own.
    pub window: Option<i64>,
}

/// What [`tree_attention`] reads.
#[derive(Clone, Copy, Debug)]
pub struct TreeAttention<'a> {
    /// `[sequences · length, heads, size]`
    pub queries: &'a Tensor,
    /// `[sequences · length, pairs, size]`; each serves `heads / pairs` queries.
    pub keys: &'a Tensor,
    /// Likewise.
    pub values: &'a Tensor,
    /// Tokens of each sequence; what is behind them is padding.
    pub lengths: &'a [usize],
    /// Tokens of each, padding included.
    pub length: i64,
    /// What each token sees, `sequences · length` of them.
    pub seen: &'a SeenKeys,
}

/// Which keys of its own sequence each token sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenKeys {
    runs: Vec<[i64; 2]>,
    /// Of each token, and behind the last one's.
    firsts: Vec<i64>,
}

impl Default for SeenKeys {
    fn default() -> Self {
        Self { runs: Vec::new(), firsts: vec![0] }
    }
}

impl SeenKeys {
    /// Adds the next token, which sees these places of its sequence, ascending; padding sees none.
    pub fn push(&mut self, runs: &[Range<usize>]) {
        // A place beyond any sequence is refused where it is read.
        let number = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
        self.runs.extend(runs.iter().map(|run| [number(run.start), number(run.end)]));
        self.firsts.push(self.runs.len() as i64);
    }

    /// Tokens so far.
    fn tokens(&self) -> usize {
        self.firsts.len() - 1
    }

    fn of(&self, token: usize) -> &[[i64; 2]] {
        let place = |first: i64| usize::try_from(first).unwrap_or(usize::MAX);
        &self.runs[place(self.firsts[token])..place(self.firsts[token + 1])]
    }

    /// The first token that would read beside its sequence, or nothing at all.
    fn misfit(&self, lengths: &[usize], length: usize) -> Option<usize> {
        let fits = |token: usize| {
            let tokens = lengths[token / length];
            let mut next = 0;
            let ascends = self.of(token).iter().all(|&[begin, end]| {
                let is_next = begin >= next && begin < end && end <= tokens as i64;
                next = end;
                is_next
            });
            ascends && (self.of(token).is_empty() != (token % length < tokens))
        };
        (0..self.tokens()).find(|&token| !fits(token))
    }
}

/// `softmax(q kᵀ / √size) v` over what each query sees of its own sequence: → `[sequences · length, heads · size]`, 0 where padding is.
/// Gradients go to all three. A token's result depends neither on other sequences nor on what follows it.
///
/// # Errors
/// Shapes do not go together, or the processor has no such operator.
pub fn causal_attention(attention: &CausalAttention<'_>) -> Result<Tensor, ShimError> {
    let CausalAttention { queries, keys, values, lengths, length, window } = *attention;
    let list = [queries, keys, values];
    let operands = Operands::new(DOING, &list)?;
    check_shapes(&operands, list, lengths, length)?;
    if window.is_some_and(|window| window < 1) {
        return Err(operands.refused(0, "seen through an empty window".to_owned(), "a window of 1 or more".to_owned()));
    }
    attend(list, lengths, length, Sight::Before(window.unwrap_or(0)))
}

/// Likewise of sequences that are trees of texts: each token sees the runs that `seen` gives it.
///
/// # Errors
/// Shapes do not go together; a token sees nothing, runs that do not ascend or what is not of its sequence, or padding sees anything; the
/// processor has no such operator.
pub fn tree_attention(attention: &TreeAttention<'_>) -> Result<Tensor, ShimError> {
    let TreeAttention { queries, keys, values, lengths, length, seen } = *attention;
    let list = [queries, keys, values];
    let operands = Operands::new(DOING, &list)?;
    let tokens = check_shapes(&operands, list, lengths, length)?;
    if seen.tokens() as i64 != tokens {
        let found = format!("of {tokens} tokens, of which {} are said what they see", seen.tokens());
        return Err(operands.refused(0, found, "as many of both".to_owned()));
    }
    if let Some(token) = seen.misfit(lengths, usize::try_from(length).unwrap_or(usize::MAX)) {
        let found = format!("seen by token {token} in the runs {:?}", seen.of(token));
        return Err(operands.refused(1, found, "ascending runs within its sequence, none for padding".to_owned()));
    }
    attend(list, lengths, length, Sight::Runs(seen))
}

/// What tokens see.
#[derive(Clone, Copy)]
enum Sight<'a> {
    /// Keys up to their own, so many of them; 0: all.
    Before(i64),
    /// Checked.
    Runs(&'a SeenKeys),
}

/// Tokens, padding included.
fn check_shapes(
    operands: &Operands<'_>,
    [queries, keys, _]: [&Tensor; 3],
    lengths: &[usize],
    length: i64,
) -> Result<i64, ShimError> {
    let sequences = lengths.len() as i64;
    let Some(tokens) = sequences.checked_mul(length).filter(|_| length >= 0) else {
        let found = format!("for {sequences} sequences of {length} tokens");
        return Err(operands.refused(0, found, "as many as memory holds".to_owned()));
    };
    operands.shape(0, &[tokens, -1, -1])?;
    let (heads, size) = (queries.size()[1], queries.size()[2]);
    operands.shape(1, &[tokens, -1, size])?;
    operands.shape(2, &keys.size())?;
    let pairs = keys.size()[1];
    if pairs == 0 || heads % pairs != 0 || size == 0 {
        let found = format!("of {heads} heads of size {size} on {pairs}");
        return Err(operands.refused(0, found, "whole heads, as many for each key".to_owned()));
    }
    let is_too_long = |tokens: usize| i64::try_from(tokens).map_or(true, |tokens| tokens > length);
    if let Some(tokens) = lengths.iter().find(|&&tokens| is_too_long(tokens)) {
        return Err(operands.refused(0, format!("of {length} tokens a sequence"), format!("room for {tokens}")));
    }
    Ok(tokens)
}

/// Of shapes that were checked.
fn attend(
    [queries, keys, values]: [&Tensor; 3],
    lengths: &[usize],
    length: i64,
    sight: Sight<'_>,
) -> Result<Tensor, ShimError> {
    let lengths: Vec<i64> = lengths.iter().map(|&tokens| tokens as i64).collect();
    let (window, runs, firsts) = match sight {
        Sight::Before(window) => (window, std::ptr::null(), std::ptr::null()),
        Sight::Runs(seen) => (0, seen.runs.as_ptr(), seen.firsts.as_ptr()),
    };
    let foreign = SlhfCausal {
        queries: queries.as_ptr(),
        keys: keys.as_ptr(),
        values: values.as_ptr(),
        lengths: lengths.as_ptr(),
        sequences: lengths.len() as i64,
        length,
        window,
        runs,
        firsts,
    };
    made(DOING, |output, message, capacity| {
        // SAFETY: all tensors live for the whole call, contiguous f32 on the CPU, their shapes checked by the callers; `lengths` has one number
        // a sequence, none above `length`. Where runs are given, `firsts` has one number a token and one more, ascending up to the number of
        // runs, which lie within their sequences. What the gradient needs is copied, or held by libtorch's own counted references. `output`
        // and `message` are written within their bounds.
        unsafe { slhf_causal_attention(&raw const foreign, output, message, capacity) }
    })
}

//! Token sequences side by side, and which of their tokens are answers.

use tch::{Device, TchError, Tensor};

use crate::decoder::Branches;

/// Which answer of which pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pair: usize,
    pub(crate) follower: bool,
}

/// An answer within a sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) key: Key,
    row: usize,
    start: usize,
    pub(crate) length: usize,
}

/// Sequences and the answers in them that are scored.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    rows: Vec<Vec<u32>>,
    pub(crate) spans: Vec<Span>,
}

/// What a pass over them is counted by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    /// Without padding.
    pub(crate) tokens: usize,
    pub(crate) scored: usize,
    /// Σ length²: twice the pairs of tokens of which one sees the other, one's own counted once.
    pub(crate) squares: f64,
}

/// The same on a device, padded on the right.
#[derive(Debug)]
pub(crate) struct Padded {
    /// `[rows · length]`
    pub(crate) tokens: Tensor,
    pub(crate) rows: i64,
    pub(crate) length: i64,
    /// Tokens of each row, without padding.
    pub(crate) lengths: Vec<usize>,
    /// Where the hidden states stand that are read: of the token before each scored one, which decides, of each
    /// sequence's last token, or where somebody asked. `[n]`
    pub(crate) read: Tensor,
    /// The scored tokens, `[n]`; none where nothing is scored.
    pub(crate) targets: Tensor,
    /// Of rows that are trees of texts; `None`: each is one text.
    pub(crate) branches: Option<Branches>,
}

impl Sequences {
    /// Adds a sequence, part by part; a part with a key is an answer to be scored. The first part is never one.
    pub(crate) fn push(&mut self, parts: &[(&[u32], Option<Key>)]) {
        let mut tokens = Vec::new();
        for &(part, key) in parts {
            if let Some(key) = key {
                self.spans.push(Span { key, row: self.rows.len(), start: tokens.len(), length: part.len() });
            }
            tokens.extend_from_slice(part);
        }
        self.rows.push(tokens);
    }

    /// What a pass counts.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            tokens: self.rows.iter().map(Vec::len).sum(),
            scored: self.scored(),
            squares: self.rows.iter().map(|row| (row.len() as f64).powi(2)).sum(),
        }
    }

    /// Scored tokens.
    fn scored(&self) -> usize {
        self.spans.iter().map(|span| span.length).sum()
    }

    /// Tokens of the longest sequence.
    fn length(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// To be read before each scored token.
    pub(crate) fn padded(&self, device: Device) -> Result<Padded, TchError> {
        let length = self.length();
        let mut before = Vec::with_capacity(self.scored());
        let mut targets = Vec::with_capacity(self.scored());
        for span in &self.spans {
            for at in span.start..span.start + span.length {
                before.push((span.row * length + at - 1) as i64);
                targets.push(i64::from(self.rows[span.row][at]));
            }
        }
        self.on(device, &before, &targets)
    }

    /// To be read at the last token of each sequence, of which none is empty.
    pub(crate) fn padded_to_ends(&self, device: Device) -> Result<Padded, TchError> {
        let length = self.length();
        let end = |(row, list): (usize, &Vec<u32>)| (row * length + list.len() - 1) as i64;
        let ends: Vec<i64> = self.rows.iter().enumerate().map(end).collect();
        self.on(device, &ends, &[])
    }

    /// To be read at these places of the tokens, padding counted.
    pub(crate) fn padded_to(&self, device: Device, places: &[i64]) -> Result<Padded, TchError> {
        self.on(device, places, &[])
    }

    fn on(&self, device: Device, read: &[i64], targets: &[i64]) -> Result<Padded, TchError> {
        let length = self.length();
        let mut tokens = vec![0_i64; self.rows.len() * length];
        for (row, list) in self.rows.iter().enumerate() {
            for (at, &token) in list.iter().enumerate() {
                tokens[row * length + at] = i64::from(token);
            }
        }
        let on_device = |values: &[i64]| Tensor::f_from_slice(values)?.f_to_device(device);
        Ok(Padded {
            tokens: on_device(&tokens)?,
            rows: self.rows.len() as i64,
            length: length as i64,
            lengths: self.rows.iter().map(Vec::len).collect(),
            read: on_device(read)?,
            targets: on_device(targets)?,
            branches: None,
        })
    }

    /// Where each scored token of `wanted` stands among the scored tokens of these sequences (and of `others`, which
    /// come after them); `None` if one of its answers is in neither.
    pub(crate) fn places(&self, others: Option<&Self>, wanted: &Self) -> Option<Vec<i64>> {
        let mut starts = Vec::new();
        let mut next = 0;
        for span in self.spans.iter().chain(others.iter().flat_map(|others| &others.spans)) {
            starts.push((span.key, next));
            next += span.length as i64;
        }
        let mut places = Vec::new();
        for span in &wanted.spans {
            let &(_, start) = starts.iter().find(|(key, _)| *key == span.key)?;
            places.extend(start..start + span.length as i64);
        }
        Some(places)
    }
}

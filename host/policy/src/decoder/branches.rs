//! Rows that are trees of tokens: where each token stands in its text, and what it sees of its row.
//!
//! Texts that begin alike share what they begin with. A token comes after its parent in the row, stands at its depth, and sees
//! its ancestors and itself: of the sliding layers the last of these only, counted along the path.

use std::cell::OnceCell;
use std::ops::Range;

use slhf_torch_shim::SeenKeys;
use tch::{Device, TchError, Tensor};

use super::rope::Rope;
use slhf_model::Reach;

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'a> {
    /// Of each token, before it in the row; `None`: the first of a text.
    pub(crate) parents: &'a [Option<usize>],
    /// Tokens of one of the row's texts, all of which turn alike.
    pub(crate) text: usize,
}

/// Rows side by side, padded on the right to `length`.
#[derive(Debug)]
pub(crate) struct Branches {
    rows: i64,
    length: i64,
    /// `[rows, length]`, 0 where padding is.
    depths: Tensor,
    /// Tokens of the longest text.
    deepest: i64,
    /// Of each row, see [`Tree::text`].
    texts: Vec<usize>,
    full: Seen,
    window: Option<Seen>,
}

/// What the tokens of all rows see.
#[derive(Debug)]
struct Seen {
    /// Of each token, padding counted: places in its own row, ascending. Padding sees nothing.
    runs: Vec<Vec<Range<usize>>>,
    keys: SeenKeys,
    mask: OnceCell<Tensor>,
}

impl Seen {
    fn new(runs: Vec<Vec<Range<usize>>>) -> Self {
        let mut keys = SeenKeys::default();
        for path in &runs {
            keys.push(path);
        }
        Self { runs, keys, mask: OnceCell::new() }
    }
}

impl Branches {
    /// `window`: positions that sliding layers see.
    pub(crate) fn new(trees: &[Tree<'_>], window: Option<usize>, device: Device) -> Result<Self, TchError> {
        let length = trees.iter().map(|tree| tree.parents.len()).max().unwrap_or(0);
        let mut depths = vec![0_i64; trees.len() * length];
        let mut runs: Vec<Vec<Range<usize>>> = Vec::with_capacity(trees.len() * length);
        for (row, tree) in trees.iter().enumerate() {
            let first = row * length;
            for (at, parent) in tree.parents.iter().enumerate() {
                let (depth, path) = match parent {
                    Some(parent) => (depths[first + parent] + 1, continued(&runs[first + parent], at)),
                    None => (0, std::iter::once(at..at + 1).collect()),
                };
                depths[first + at] = depth;
                runs.push(path);
            }
            runs.resize_with(first + length, Vec::new);
        }
        let of_window = |positions| runs.iter().map(|path| last_of(path, positions)).collect();
        let window = window.map(|positions| Seen::new(of_window(positions)));
        let (rows, length) = (trees.len() as i64, length as i64);
        Ok(Self {
            rows,
            length,
            deepest: depths.iter().max().map_or(0, |depth| depth + 1),
            depths: Tensor::f_from_slice(&depths)?.f_view([rows, length])?.f_to_device(device)?,
            texts: trees.iter().map(|tree| tree.text).collect(),
            full: Seen::new(runs),
            window,
        })
    }

    /// Cosines and sines of each token's depth, `[rows, length, head]`.
    pub(super) fn tables(&self, rope: &Rope) -> Result<(Tensor, Tensor), TchError> {
        let (cosines, sines) = rope.tables_of(&self.texts, self.deepest)?;
        let places = if cosines.dim() == 2 {
            self.depths.f_view([-1])?
        } else {
            let firsts = Tensor::f_arange_start_step(0, self.rows * self.deepest, self.deepest, self.kind())?;
            self.depths.f_add(&firsts.f_unsqueeze(1)?)?.f_view([-1])?
        };
        let at = |table: &Tensor| -> Result<Tensor, TchError> {
            let size = table.size().last().copied().unwrap_or(0);
            table.f_reshape([-1, size])?.f_index_select(0, &places)?.f_view([self.rows, self.length, size])
        };
        Ok((at(&cosines)?, at(&sines)?))
    }

    /// What each token sees in layers that see as far.
    pub(super) fn keys(&self, reach: Reach) -> &SeenKeys {
        &self.seen(reach).keys
    }

    /// Whether a token sees another in layers that see as far: `[rows, 1, length, length]`.
    pub(super) fn mask(&self, reach: Reach) -> Result<&Tensor, TchError> {
        let seen = self.seen(reach);
        if let Some(mask) = seen.mask.get() {
            return Ok(mask);
        }
        let width = usize::try_from(self.length).unwrap_or(0);
        let mut numbers = vec![false; seen.runs.len() * width];
        for (token, (row, runs)) in numbers.chunks_exact_mut(width.max(1)).zip(&seen.runs).enumerate() {
            for run in runs {
                row[run.clone()].fill(true);
            }
            // A softmax over nothing is not a number: padding sees itself.
            row[token % width] = true;
        }
        let shape = [self.rows, 1, self.length, self.length];
        let mask = Tensor::f_from_slice(&numbers)?.f_view(shape)?.f_to_device(self.depths.device())?;
        Ok(seen.mask.get_or_init(|| mask))
    }

    fn seen(&self, reach: Reach) -> &Seen {
        match (reach, &self.window) {
            (Reach::Window, Some(window)) => window,
            _ => &self.full,
        }
    }

    fn kind(&self) -> (tch::Kind, Device) {
        (self.depths.kind(), self.depths.device())
    }
}

/// A path, and one token behind it.
fn continued(path: &[Range<usize>], at: usize) -> Vec<Range<usize>> {
    let mut path = path.to_vec();
    match path.last_mut() {
        Some(last) if last.end == at => last.end += 1,
        _ => path.push(at..at + 1),
    }
    path
}

/// The last tokens of a path, `positions` at most.
fn last_of(path: &[Range<usize>], positions: usize) -> Vec<Range<usize>> {
    let mut hidden = path.iter().map(Range::len).sum::<usize>().saturating_sub(positions);
    let mut seen = Vec::with_capacity(path.len());
    for run in path {
        let of_run = hidden.min(run.len());
        hidden -= of_run;
        if of_run < run.len() {
            seen.push(run.start + of_run..run.end);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0 1 2`, then `3 4` and `5` behind it, `6` behind `4`.
    const PARENTS: [Option<usize>; 7] = [None, Some(0), Some(1), Some(2), Some(3), Some(2), Some(4)];

    fn seen(branches: &Branches, reach: Reach, token: i64) -> Vec<i64> {
        let row = branches.mask(reach).expect("a mask").select(0, 1).select(0, 0).select(0, token);
        (0..row.size()[0]).filter(|&at| row.int64_value(&[at]) != 0).collect()
    }

    #[test]
    fn a_token_sees_its_ancestors_and_itself() {
        let trees = [Tree { parents: &[None; 1], text: 1 }, Tree { parents: &PARENTS, text: 6 }];
        let branches = Branches::new(&trees, Some(3), Device::Cpu).expect("branches");
        assert_eq!(Vec::<i64>::try_from(branches.depths.select(0, 1)).expect("depths"), [0, 1, 2, 3, 4, 3, 5]);
        assert_eq!(branches.deepest, 6);
        assert_eq!(seen(&branches, Reach::Full, 6), [0, 1, 2, 3, 4, 6]);
        assert_eq!(seen(&branches, Reach::Full, 5), [0, 1, 2, 5]);
        assert_eq!(seen(&branches, Reach::Window, 6), [3, 4, 6]);
        assert_eq!(seen(&branches, Reach::Window, 5), [1, 2, 5]);
        assert_eq!(seen(&branches, Reach::Window, 1), [0, 1]);
    }
}

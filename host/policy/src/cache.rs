//! Keys and values of what was read so far.
//!
//! All rows share one cursor: new tokens go to the same slot of every row. A row whose text is shorter has holes, which
//! its mask hides; positions are counted row by row, so that a hole never shifts one. Rows that take part are the first
//! `active` ones: a row that has finished changes places with the last active one and keeps what it holds, so that it
//! can be continued.

use std::ops::Range;

use tch::{Device, Kind, TchError, Tensor};

use slhf_model::ModelConfig;

/// What one row holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct CachedRow {
    /// Tokens whose keys and values are there, in order: the next one has the position `tokens.len()`.
    pub(crate) tokens: Vec<u32>,
    /// The slots they lie in, in order.
    pub(crate) slots: Vec<Range<i64>>,
}

impl CachedRow {
    /// Notes that `tokens` lie from `slot` on.
    pub(crate) fn extend(&mut self, tokens: &[u32], slot: i64) {
        self.tokens.extend_from_slice(tokens);
        let end = slot + tokens.len() as i64;
        match self.slots.last_mut() {
            Some(last) if last.end == slot => last.end = end,
            _ => self.slots.push(slot..end),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cache {
    /// By layer, `[rows, key heads, capacity, head]`.
    keys: Vec<Tensor>,
    values: Vec<Tensor>,
    /// 0 where a slot holds a token of the row, −∞ elsewhere: `[rows, 1, 1, capacity]`.
    mask: Tensor,
    pub(crate) rows: Vec<CachedRow>,
    /// Rows that take part in a step.
    pub(crate) active: usize,
    /// The next slot.
    pub(crate) cursor: i64,
    capacity: i64,
    place: (Kind, Device),
}

impl Cache {
    /// An empty one.
    pub(crate) fn new(
        config: &ModelConfig,
        place: (Kind, Device),
        rows: usize,
        capacity: i64,
    ) -> Result<Self, TchError> {
        let shape = [rows as i64, config.key_value_heads as i64, capacity, config.head_size as i64];
        // Zeros, not whatever memory holds: a hidden slot's value is multiplied by 0, and 0 · NaN is NaN.
        let layer = || Tensor::f_zeros(shape, place);
        let keys = (0..config.layers).map(|_| layer()).collect::<Result<_, _>>()?;
        let values = (0..config.layers).map(|_| layer()).collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            values,
            mask: hidden_slots(rows, capacity, place)?,
            rows: vec![CachedRow::default(); rows],
            active: rows,
            cursor: 0,
            capacity,
            place,
        })
    }

    /// Writes new keys and values `[active, key heads, new, head]` at the cursor and gives all of the layer up to them.
    pub(crate) fn append(&self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let new = keys.size()[2];
        let into = |store: &Tensor, what: &Tensor| -> Result<Tensor, TchError> {
            let rows = store.f_narrow(0, 0, self.active as i64)?;
            rows.f_narrow(2, self.cursor, new)?.f_copy_(what)?;
            rows.f_narrow(2, 0, self.cursor + new)
        };
        Ok((into(&self.keys[layer], keys)?, into(&self.values[layer], values)?))
    }

    /// All of a layer's keys and values, and the mask: `[rows, 1, 1, capacity]`.
    pub(crate) fn stores(&self, layer: usize) -> (&Tensor, &Tensor, &Tensor) {
        (&self.keys[layer], &self.values[layer], &self.mask)
    }

    /// What one new token of each active row may see, itself included: `[active, 1, 1, cursor + 1]`.
    pub(crate) fn open_slot(&mut self) -> Result<Tensor, TchError> {
        let rows = self.mask.f_narrow(0, 0, self.active as i64)?;
        let _ = rows.f_narrow(3, self.cursor, 1)?.f_zero_()?;
        rows.f_narrow(3, 0, self.cursor + 1)
    }

    /// What `new` new tokens of each row may see: `[rows, 1, new, cursor + new]`.
    pub(crate) fn chunk_mask(&self, new: i64) -> Result<Tensor, TchError> {
        let rows = self.rows.len() as i64;
        let past = self.mask.f_narrow(3, 0, self.cursor)?.f_expand([rows, 1, new, self.cursor], false)?;
        let causal = Tensor::f_full([new, new], f64::NEG_INFINITY, (Kind::Float, self.place.1))?
            .f_triu(1)?
            .f_to_kind(self.place.0)?;
        Tensor::f_cat(&[past, causal.f_expand([rows, 1, new, new], false)?], 3)
    }

    /// What one new token of each row may see where a layer sees `positions` only, itself included: up to the cursor
    /// for the active rows, `[active, 1, 1, cursor + 1]`, and all of it, `[rows, 1, 1, capacity]`.
    pub(crate) fn window_of_one(&self, positions: i64) -> Result<(Tensor, Tensor), TchError> {
        let next: Vec<i64> = self.rows.iter().map(|row| row.tokens.len() as i64).collect();
        let all = self.window(positions, &next, 1, self.capacity)?;
        let masked = all.f_narrow(0, 0, self.active as i64)?.f_narrow(3, 0, self.cursor + 1)?;
        Ok((masked, all))
    }

    /// What `new` new tokens of each row at `places` (`[rows · new]`) may see where a layer sees `positions` only:
    /// `[rows, 1, new, cursor + new]`.
    pub(crate) fn window_of_chunk(&self, positions: i64, places: &[i64], new: i64) -> Result<Tensor, TchError> {
        self.window(positions, places, new, self.cursor + new)
    }

    fn window(&self, positions: i64, places: &[i64], new: i64, width: i64) -> Result<Tensor, TchError> {
        let size = |value: i64| usize::try_from(value).unwrap_or(0);
        let (width, count) = (size(width), size(new));
        let mut values = vec![f32::NEG_INFINITY; places.len() * width];
        for (row, cached) in self.rows.iter().enumerate() {
            for token in 0..count {
                let seen = &mut values[(row * count + token) * width..][..width];
                let place = places[row * count + token];
                for (position, slot) in (0_i64..).zip(cached.slots.iter().flat_map(Clone::clone)) {
                    if position > place - positions {
                        seen[size(slot)] = 0.0;
                    }
                }
                // New tokens lie side by side from the cursor on. A row's padding follows its tokens, and is seen by
                // itself at least: a softmax over nothing is not a number.
                let first = token.saturating_sub(size(positions) - 1);
                seen[size(self.cursor) + first..=size(self.cursor) + token].fill(0.0);
            }
        }
        Tensor::f_from_slice(&values)?
            .f_view([self.rows.len() as i64, 1, new, width as i64])?
            .f_to_kind(self.place.0)?
            .f_to_device(self.place.1)
    }

    /// Writes the mask anew from what the rows hold.
    pub(crate) fn rebuild_mask(&mut self) -> Result<(), TchError> {
        let (rows, width) = (self.rows.len(), usize::try_from(self.capacity).unwrap_or(0));
        let mut values = vec![f32::NEG_INFINITY; rows * width];
        for (row, cached) in self.rows.iter().enumerate() {
            for range in &cached.slots {
                let at = |slot: i64| row * width + usize::try_from(slot).unwrap_or(0);
                values[at(range.start)..at(range.end)].fill(0.0);
            }
        }
        self.mask = Tensor::f_from_slice(&values)?
            .f_view([rows as i64, 1, 1, self.capacity])?
            .f_to_kind(self.place.0)?
            .f_to_device(self.place.1)?;
        Ok(())
    }

    /// Rows `order` (a row may stand there several times), in that order, with room for `capacity` slots. Layer by
    /// layer, so that only one layer is ever there twice.
    pub(crate) fn rearrange(&mut self, order: &[usize], capacity: i64) -> Result<(), TchError> {
        let same = order.len() == self.rows.len() && order.iter().enumerate().all(|(at, &row)| at == row);
        if !same || capacity > self.capacity {
            let capacity = capacity.max(self.capacity);
            let index: Vec<i64> = order.iter().map(|&row| row as i64).collect();
            let index = Tensor::f_from_slice(&index)?.f_to_device(self.place.1)?;
            for store in self.keys.iter_mut().chain(&mut self.values) {
                let mut shape = store.size();
                (shape[0], shape[2]) = (order.len() as i64, capacity);
                let moved = Tensor::f_zeros(shape.as_slice(), self.place)?;
                let known = store.f_narrow(2, 0, self.cursor)?;
                moved.f_narrow(2, 0, self.cursor)?.f_copy_(&known.f_index_select(0, &index)?)?;
                *store = moved;
            }
            self.rows = order.iter().map(|&row| self.rows[row].clone()).collect();
            self.capacity = capacity;
        }
        self.active = self.rows.len();
        self.rebuild_mask()
    }

    /// Copies of what the first row holds in these slots, layer by layer: keys and values, `[1, key heads, slots, head]`.
    pub(crate) fn copies(&self, slots: &Range<i64>) -> Result<Vec<(Tensor, Tensor)>, TchError> {
        let of = |store: &Tensor| -> Result<Tensor, TchError> {
            let row = store.f_narrow(0, 0, 1)?.f_narrow(2, slots.start, slots.end - slots.start)?;
            // In a place of its own, whatever the rest of the store becomes.
            row.f_mul_scalar(1.0)
        };
        self.keys.iter().zip(&self.values).map(|(keys, values)| Ok((of(keys)?, of(values)?))).collect()
    }

    /// Puts copies of `tokens` at the cursor of the first row, and moves it behind them.
    pub(crate) fn put(&mut self, tokens: &[u32], copies: &[(Tensor, Tensor)]) -> Result<(), TchError> {
        let into = |store: &Tensor, what: &Tensor| -> Result<(), TchError> {
            store.f_narrow(0, 0, 1)?.f_narrow(2, self.cursor, tokens.len() as i64)?.f_copy_(what)
        };
        for ((keys, values), (kept_keys, kept_values)) in self.keys.iter().zip(&self.values).zip(copies) {
            into(keys, kept_keys)?;
            into(values, kept_values)?;
        }
        self.rows[0].extend(tokens, self.cursor);
        self.cursor += tokens.len() as i64;
        Ok(())
    }

    /// Forgets what the only row holds beyond its first `tokens` tokens, which lie side by side from the first slot on.
    pub(crate) fn rewind(&mut self, tokens: usize) -> Result<(), TchError> {
        let known = self.rows[0].tokens[..tokens].to_vec();
        self.rows[0] = CachedRow::default();
        self.rows[0].extend(&known, 0);
        self.cursor = tokens as i64;
        self.rebuild_mask()
    }

    /// Rows `one` and `other` change places.
    pub(crate) fn swap(&mut self, one: usize, other: usize) -> Result<(), TchError> {
        if one == other {
            return Ok(());
        }
        self.rows.swap(one, other);
        for store in self.keys.iter().chain(&self.values).chain(std::iter::once(&self.mask)) {
            let (mut first, mut second) = (store.f_select(0, one as i64)?, store.f_select(0, other as i64)?);
            let kept = first.f_mul_scalar(1.0)?;
            first.f_copy_(&second)?;
            second.f_copy_(&kept)?;
        }
        Ok(())
    }
}

fn hidden_slots(rows: usize, capacity: i64, place: (Kind, Device)) -> Result<Tensor, TchError> {
    Tensor::f_full([rows as i64, 1, 1, capacity], f64::NEG_INFINITY, place)
}

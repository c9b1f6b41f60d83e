//! Sampling answers, row by row of one batch.

use serde::{Deserialize, Serialize};
use slhf_plan::Sampling;
use slhf_random::Row;
use tch::{Kind, TchError, Tensor};

use crate::cache::Cache;
use crate::decoder::{Decoder, Ropes, Sight, StepInput};
use crate::sampler::{Draw, choose};
use slhf_model::{ModelConfig, Reach};

/// Rows that may have finished before the batch is made smaller, as a share of it: one in eight.
const FINISHED_SHARE: usize = 8;

/// What one row is to continue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GenerateRow {
    /// Everything before the answer, at least one token.
    pub context: Vec<u32>,
    /// The row's random stream.
    pub row: Row,
}

/// A sampled answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generated {
    /// As sampled, the end token included. Never empty.
    pub tokens: Vec<u32>,
    /// How each of them was drawn.
    pub draws: Vec<Draw>,
    /// Whether the last token is an end token.
    pub finished: bool,
}

/// What generating cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateCounts {
    /// Context tokens that went through the model: less than the contexts have where a cache was continued or rows
    /// share a context.
    pub prefilled: u64,
    /// Context tokens that were found in the cache.
    pub reused: u64,
    /// Steps of the batch.
    pub steps: u64,
    /// Tokens sampled.
    pub sampled: u64,
    /// Tokens that went through a model, each in every model that read it (a mixture has two), padding not counted.
    pub read: u64,
    /// Places whose logits were computed.
    pub predicted: u64,
    /// Σ (`after² − before²`) over reads that took a row from `before` to `after` tokens, for counting attention's
    /// operations.
    pub squares: u64,
}

impl GenerateCounts {
    /// Counts what another part of the same rows cost, which was computed beside it: its steps are no steps more.
    pub fn add(&mut self, other: &Self) {
        self.prefilled += other.prefilled;
        self.reused += other.reused;
        self.steps = self.steps.max(other.steps);
        self.sampled += other.sampled;
        self.read += other.read;
        self.predicted += other.predicted;
        self.squares += other.squares;
    }

    fn count_read(&mut self, before: usize, after: usize) {
        let (before, after) = (before as u64, after as u64);
        self.read += after - before;
        self.predicted += 1;
        self.squares += after * after - before * before;
    }
}

/// Where the tokens of some rows lie in a cache. It is chosen for all rows at once, because where a row's tokens lie decides in which order sums
/// over them are taken: parts of one batch that are computed apart get the bits of the whole by one layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateLayout {
    /// Whether every row goes on from what the last call has read.
    continues: bool,
    /// Where that ends.
    cursor: i64,
    /// Tokens of the longest context.
    longest: usize,
    /// Of those that the last call has not read.
    longest_new: usize,
}

impl GenerateLayout {
    /// Of no rows.
    pub const NONE: Self = Self { continues: true, cursor: 0, longest: 0, longest_new: 0 };

    /// Of a new cache.
    pub(crate) fn anew(rows: &[GenerateRow]) -> Self {
        let longest = rows.iter().map(|row| row.context.len()).max().unwrap_or(0);
        Self { continues: false, longest, ..Self::NONE }
    }

    pub(crate) fn of(kept: Option<&Cache>, rows: &[GenerateRow]) -> Self {
        if rows.is_empty() {
            return Self::NONE;
        }
        let anew = Self::anew(rows);
        let found = kept.and_then(|cache| Some((cache, continued(cache, rows)?)));
        let Some((cache, order)) = found else { return anew };
        let new = |(&kept, row): (&usize, &GenerateRow)| row.context.len() - cache.rows[kept].tokens.len();
        let longest_new = order.iter().zip(rows).map(new).max().unwrap_or(0);
        Self { continues: true, cursor: cache.cursor, longest_new, ..anew }
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Of these rows and others.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        Self {
            continues: self.continues && other.continues,
            cursor: self.cursor.max(other.cursor),
            longest: self.longest.max(other.longest),
            longest_new: self.longest_new.max(other.longest_new),
        }
    }
}

/// A model that generates.
#[derive(Debug)]
pub(crate) struct Generator<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) decoder: &'a Decoder,
    pub(crate) ropes: &'a Ropes,
    pub(crate) end_tokens: &'a [u32],
    pub(crate) sampling: &'a Sampling,
    pub(crate) seed: u64,
}

/// A model that reads every sampled token.
pub(crate) struct Reader<'a> {
    pub(crate) generator: &'a Generator<'a>,
    /// What it has read.
    pub(crate) cache: &'a mut Cache,
    /// The weight of its logits; 1 for a model that answers alone.
    pub(crate) share: f64,
}

/// An answer under way, in the order of the cache's rows.
struct Answering {
    request: usize,
    row: Row,
    tokens: Vec<u32>,
    draws: Vec<Draw>,
    finished: bool,
    done: bool,
}

impl Generator<'_> {
    /// Answers every row. `kept` is the cache of the last call under the same weights, and becomes the one of this.
    pub(crate) fn generate(
        &self,
        rows: &[GenerateRow],
        layout: &GenerateLayout,
        kept: &mut Option<Cache>,
    ) -> Result<(Vec<Generated>, GenerateCounts), TchError> {
        let mut counts = GenerateCounts::default();
        let found = kept.as_ref().filter(|_| layout.continues).and_then(|cache| continued(cache, rows));
        let (mut cache, logits) = match (kept.take(), found) {
            (Some(mut cache), Some(order)) => {
                cache.cursor = cache.cursor.max(layout.cursor);
                let logits = self.resume(&mut cache, (&order, rows), layout.longest_new, &mut counts)?;
                (cache, logits)
            }
            (old, _) => {
                // Gone before the new one is made.
                drop(old);
                self.prefill(rows, layout.longest, &mut counts)?
            }
        };
        let generated =
            self.answer(rows, &mut [Reader { generator: self, cache: &mut cache, share: 1.0 }], logits, &mut counts)?;
        *kept = Some(cache);
        Ok((generated, counts))
    }

    /// Samples until every row is done, from the `logits` after the contexts that the readers have read. Several
    /// readers go in lockstep, and the weighted sum of their logits is sampled from.
    pub(crate) fn answer(
        &self,
        rows: &[GenerateRow],
        readers: &mut [Reader<'_>],
        mut logits: Tensor,
        counts: &mut GenerateCounts,
    ) -> Result<Vec<Generated>, TchError> {
        let mut active = rows.len();
        let mut answers: Vec<Answering> = rows
            .iter()
            .enumerate()
            .map(|(request, row)| Answering {
                request,
                row: row.row,
                tokens: vec![],
                draws: vec![],
                finished: false,
                done: false,
            })
            .collect();
        for position in 0..self.sampling.max_new_tokens {
            self.sample(&logits, position, &mut answers[..active])?;
            active = compact(active, readers, &mut answers)?;
            if active == 0 {
                break;
            }
            logits = advance_all(readers, &answers, counts)?;
            counts.steps += 1;
        }
        counts.sampled += answers.iter().map(|answer| answer.tokens.len() as u64).sum::<u64>();
        answers.sort_by_key(|answer| answer.request);
        let generated =
            |answer: Answering| Generated { tokens: answer.tokens, draws: answer.draws, finished: answer.finished };
        Ok(answers.into_iter().map(generated).collect())
    }

    /// Reads the contexts into a new cache, each different one once; there is room for a context of `longest` tokens.
    pub(crate) fn prefill(
        &self,
        rows: &[GenerateRow],
        longest: usize,
        counts: &mut GenerateCounts,
    ) -> Result<(Cache, Tensor), TchError> {
        let mut contexts: Vec<&[u32]> = Vec::new();
        let mut order = Vec::with_capacity(rows.len());
        for row in rows {
            let known = contexts.iter().position(|context| *context == row.context);
            order.push(known.unwrap_or(contexts.len()));
            if known.is_none() {
                contexts.push(&row.context);
            }
        }
        let width = contexts.iter().map(|context| context.len()).max().unwrap_or(0).max(longest);
        let longest = width as i64;
        let room = if contexts.len() == rows.len() { longest + self.room() } else { longest };
        let mut cache = Cache::new(self.config, self.place(), contexts.len(), room)?;
        let logits = self.read(&mut cache, &contexts, width, counts)?;
        cache.rearrange(&order, longest + self.room())?;
        let index: Vec<i64> = order.iter().map(|&row| row as i64).collect();
        let index = Tensor::f_from_slice(&index)?.f_to_device(self.place().1)?;
        Ok((cache, logits.f_index_select(0, &index)?))
    }

    /// Reads what the contexts have beyond the cache.
    fn resume(
        &self,
        cache: &mut Cache,
        (order, rows): (&[usize], &[GenerateRow]),
        longest_new: usize,
        counts: &mut GenerateCounts,
    ) -> Result<Tensor, TchError> {
        let news: Vec<&[u32]> =
            order.iter().zip(rows).map(|(&kept, row)| &row.context[cache.rows[kept].tokens.len()..]).collect();
        let width = news.iter().map(|new| new.len()).max().unwrap_or(0).max(longest_new);
        counts.reused += order.iter().map(|&kept| cache.rows[kept].tokens.len() as u64).sum::<u64>();
        cache.rearrange(order, cache.cursor + width as i64 + self.room())?;
        self.read(cache, &news, width, counts)
    }

    /// Slots that sampling needs: the last token is never read.
    fn room(&self) -> i64 {
        i64::from(self.sampling.max_new_tokens.max(1)) - 1
    }

    pub(crate) fn place(&self) -> (Kind, tch::Device) {
        (self.decoder.embedding.kind(), self.decoder.embedding.device())
    }

    /// Reads new tokens, one list of at most `new` a row of the cache, and gives the logits after the last of each, `[rows, vocabulary]`.
    fn read(
        &self,
        cache: &mut Cache,
        news: &[&[u32]],
        new: usize,
        counts: &mut GenerateCounts,
    ) -> Result<Tensor, TchError> {
        let last: Vec<i64> = news.iter().enumerate().map(|(row, list)| (row * new + list.len() - 1) as i64).collect();
        let hidden = self.read_states(cache, news, new, counts)?;
        let last = Tensor::f_from_slice(&last)?.f_to_device(self.place().1)?;
        self.decoder.logits(self.config, &hidden.f_index_select(0, &last)?)
    }

    /// Likewise; gives the hidden states of all new tokens, `[rows · new, hidden]`, before the final norm.
    pub(crate) fn read_states(
        &self,
        cache: &mut Cache,
        news: &[&[u32]],
        new: usize,
        counts: &mut GenerateCounts,
    ) -> Result<Tensor, TchError> {
        let rows = news.len() as i64;
        let device = self.place().1;
        let mut tokens = vec![0_i64; news.len() * new];
        let mut positions = vec![0_i64; news.len() * new];
        for (row, list) in news.iter().enumerate() {
            let first = cache.rows[row].tokens.len();
            for (at, &token) in list.iter().enumerate() {
                tokens[row * new + at] = i64::from(token);
                positions[row * new + at] = (first + at) as i64;
            }
        }
        let mask = match (new, cache.cursor) {
            // The operator for one new token a row looks at the cache's own mask.
            (1, _) => Some(cache.open_slot()?),
            (_, 0) => None,
            _ => Some(cache.chunk_mask(new as i64)?),
        };
        let tokens = Tensor::f_from_slice(&tokens)?.f_to_device(device)?;
        let (full, window) = self.sights(cache, &positions, [rows, new as i64], mask)?;
        let input = StepInput { tokens: &tokens, full: &full, window: window.as_ref(), rows, new: new as i64 };
        let hidden = self.decoder.step(self.config, cache, &input)?;
        for (row, list) in news.iter().enumerate() {
            let slot = cache.cursor;
            let before = cache.rows[row].tokens.len();
            cache.rows[row].extend(list, slot);
            counts.prefilled += list.len() as u64;
            counts.count_read(before, before + list.len());
        }
        cache.cursor += new as i64;
        cache.rebuild_mask()?;
        Ok(hidden)
    }

    /// Reads the last sampled token of each active row.
    fn advance(
        &self,
        cache: &mut Cache,
        answers: &[Answering],
        counts: &mut GenerateCounts,
    ) -> Result<Tensor, TchError> {
        let active = &answers[..cache.active];
        let tokens: Vec<i64> = active.iter().map(|answer| answer.tokens.last().map_or(0, |&t| i64::from(t))).collect();
        let positions: Vec<i64> = cache.rows[..cache.active].iter().map(|row| row.tokens.len() as i64).collect();
        let rows = active.len() as i64;
        let mask = cache.open_slot()?;
        let tokens = Tensor::f_from_slice(&tokens)?.f_to_device(self.place().1)?;
        let (full, window) = self.sights(cache, &positions, [rows, 1], Some(mask))?;
        let input = StepInput { tokens: &tokens, full: &full, window: window.as_ref(), rows, new: 1 };
        let hidden = self.decoder.step(self.config, cache, &input)?;
        let slot = cache.cursor;
        for (answer, row) in active.iter().zip(&mut cache.rows) {
            // A row that is done but still in the batch reads nothing that counts.
            if let (false, Some(&token)) = (answer.done, answer.tokens.last()) {
                counts.count_read(row.tokens.len(), row.tokens.len() + 1);
                row.extend(&[token], slot);
            }
        }
        cache.cursor += 1;
        self.decoder.logits(self.config, &hidden)
    }

    /// Of both kinds of layers. `positions` `[rows · new]`; `mask` is the one of layers that see everything.
    fn sights(
        &self,
        cache: &Cache,
        positions: &[i64],
        shape: [i64; 2],
        mask: Option<Tensor>,
    ) -> Result<(Sight, Option<Sight>), TchError> {
        let (cosines, sines) = self.turns(Reach::Full, positions, shape)?;
        let Some(windows) = &self.config.windows else {
            return Ok((Sight { cosines, sines, mask, all_slots: None }, None));
        };
        let seen = windows.positions as i64;
        let is_cut = positions.iter().any(|&position| position >= seen);
        let (window_mask, all_slots) = match (is_cut, shape[1]) {
            (false, _) => (mask.as_ref().map(Tensor::shallow_clone), None),
            (true, 1) => {
                let (masked, all) = cache.window_of_one(seen)?;
                (Some(masked), Some(all))
            }
            (true, new) => (Some(cache.window_of_chunk(seen, positions, new)?), None),
        };
        let (window_cosines, window_sines) = self.turns(Reach::Window, positions, shape)?;
        let window = Sight { cosines: window_cosines, sines: window_sines, mask: window_mask, all_slots };
        Ok((Sight { cosines, sines, mask, all_slots: None }, Some(window)))
    }

    fn turns(&self, reach: Reach, positions: &[i64], [rows, new]: [i64; 2]) -> Result<(Tensor, Tensor), TchError> {
        let past = positions.iter().max().map_or(1, |&last| last + 1);
        let (cosines, sines) = self.ropes.of(reach).tables(past)?;
        let index = Tensor::f_from_slice(positions)?.f_to_device(self.place().1)?;
        let head = self.config.head_size as i64;
        let of = |table: &Tensor| table.f_index_select(0, &index)?.f_view([rows, new, 1, head]);
        Ok((of(&cosines)?, of(&sines)?))
    }

    fn sample(&self, logits: &Tensor, position: u32, answers: &mut [Answering]) -> Result<(), TchError> {
        let uniforms: Vec<f64> = answers.iter().map(|answer| answer.row.uniform(self.seed, position)).collect();
        let chosen = choose(logits, &uniforms, self.sampling)?;
        for (answer, (token, draw)) in answers.iter_mut().zip(chosen.tokens.into_iter().zip(chosen.draws)) {
            if answer.done {
                continue;
            }
            answer.tokens.push(token);
            answer.draws.push(draw);
            answer.finished = self.end_tokens.contains(&token);
            answer.done = answer.finished || position + 1 >= self.sampling.max_new_tokens;
        }
        Ok(())
    }
}

fn advance_all(
    readers: &mut [Reader<'_>],
    answers: &[Answering],
    counts: &mut GenerateCounts,
) -> Result<Tensor, TchError> {
    let mut read = Vec::with_capacity(readers.len());
    for reader in readers.iter_mut() {
        read.push((reader.share, reader.generator.advance(reader.cache, answers, counts)?));
    }
    weighted_sum(read)
}

/// Of `[rows, vocabulary]` each.
pub(crate) fn weighted_sum(logits: Vec<(f64, Tensor)>) -> Result<Tensor, TchError> {
    let mut parts = logits.into_iter();
    match (parts.next(), parts.as_slice()) {
        (Some((1.0, alone)), []) => Ok(alone),
        (Some((share, first)), _) => {
            let scaled = first.f_mul_scalar(share)?;
            parts.try_fold(scaled, |mut sum, (share, next)| sum.f_add_(&next.f_mul_scalar(share)?))
        }
        (None, _) => Err(TchError::Convert("no model gave logits".into())),
    }
}

/// Moves rows that are done behind those that are not, once they are a good share of the `active` ones; gives how many
/// rows are active then. All readers hold the rows in the same order.
fn compact(active: usize, readers: &mut [Reader<'_>], answers: &mut [Answering]) -> Result<usize, TchError> {
    let done = answers[..active].iter().filter(|answer| answer.done).count();
    if done == 0 || done * FINISHED_SHARE < active {
        return Ok(active);
    }
    let remaining = active - done;
    let mut behind = active;
    for row in 0..remaining {
        if answers[row].done {
            loop {
                behind -= 1;
                if !answers[behind].done {
                    break;
                }
            }
            for reader in readers.iter_mut() {
                reader.cache.swap(row, behind)?;
            }
            answers.swap(row, behind);
        }
    }
    for reader in readers.iter_mut() {
        reader.cache.active = remaining;
    }
    Ok(remaining)
}

/// For each row the cached row that is the longest beginning of its context; `None` unless all have one of their own.
fn continued(cache: &Cache, rows: &[GenerateRow]) -> Option<Vec<usize>> {
    let mut free: Vec<bool> = cache.rows.iter().map(|row| !row.tokens.is_empty()).collect();
    rows.iter()
        .map(|row| {
            let begins = |kept: &usize| {
                let tokens = &cache.rows[*kept].tokens;
                free[*kept] && tokens.len() < row.context.len() && row.context.starts_with(tokens)
            };
            let longest = (0..free.len()).filter(begins).max_by_key(|&kept| cache.rows[kept].tokens.len())?;
            free[longest] = false;
            Some(longest)
        })
        .collect()
}

//! Rotary positions.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tch::{Device, Kind, TchError, Tensor};

use slhf_model::{ModelConfig, Reach, RopeConfig};

/// Cosines and signed sines of all positions that were asked for so far.
#[derive(Debug)]
pub(crate) struct Rope {
    config: RopeConfig,
    head_size: usize,
    device: Device,
    /// By stretch: `[positions, head]` each, f32.
    tables: RefCell<BTreeMap<usize, (Tensor, Tensor)>>,
}

/// Tables that are kept besides that of stretch 0: a text of another length is rare, and may have one of its own.
const STRETCHES_MAX: usize = 8;

/// By what a layer sees.
#[derive(Debug)]
pub(crate) struct Ropes {
    full: Rope,
    window: Option<Rope>,
}

impl Ropes {
    pub(crate) fn new(config: &ModelConfig, device: Device) -> Self {
        let of = |rope: &RopeConfig| Rope::new(rope, config.head_size, device);
        Self { full: of(&config.rope), window: config.windows.as_ref().map(|windows| of(&windows.rope)) }
    }

    /// Of the layers that see as far.
    pub(crate) fn of(&self, reach: Reach) -> &Rope {
        match (reach, &self.window) {
            (Reach::Window, Some(window)) => window,
            _ => &self.full,
        }
    }
}

impl Rope {
    fn new(rope: &RopeConfig, head_size: usize, device: Device) -> Self {
        Self { config: rope.clone(), head_size, device, tables: RefCell::new(BTreeMap::new()) }
    }

    /// Cosines and sines of the positions `0 .. positions`, `[positions, head]` each, of texts that all turn alike. The
    /// sines of the first half are negated, so that rotating the halves is one `roll`.
    pub(crate) fn tables(&self, positions: i64) -> Result<(Tensor, Tensor), TchError> {
        self.tables_of_stretch(positions, 0)
    }

    /// Likewise of texts side by side, padded to `positions`: `[positions, head]` where all of them turn alike, else
    /// `[texts, positions, head]`. What a text is turned by depends on its own length only.
    pub(crate) fn tables_of(&self, lengths: &[usize], positions: i64) -> Result<(Tensor, Tensor), TchError> {
        let stretches: Vec<usize> = lengths.iter().map(|&length| self.config.stretch(length)).collect();
        if stretches.iter().all(|&stretch| stretch == 0) {
            return self.tables(positions);
        }
        let mut cosines = Vec::with_capacity(stretches.len());
        let mut sines = Vec::with_capacity(stretches.len());
        for stretch in stretches {
            let (cosine, sine) = self.tables_of_stretch(positions, stretch)?;
            cosines.push(cosine);
            sines.push(sine);
        }
        Ok((Tensor::f_stack(&cosines, 0)?, Tensor::f_stack(&sines, 0)?))
    }

    fn tables_of_stretch(&self, positions: i64, stretch: usize) -> Result<(Tensor, Tensor), TchError> {
        let narrow = |(cosines, sines): &(Tensor, Tensor)| -> Result<(Tensor, Tensor), TchError> {
            Ok((cosines.f_narrow(0, 0, positions)?, sines.f_narrow(0, 0, positions)?))
        };
        let known = self.tables.borrow().get(&stretch).map_or(0, |(cosines, _)| cosines.size()[0]);
        if let Some(tables) = self.tables.borrow().get(&stretch).filter(|_| known >= positions) {
            return narrow(tables);
        }
        let made = self.compute(positions.max(2 * known).max(256), stretch)?;
        let found = narrow(&made);
        let mut tables = self.tables.borrow_mut();
        if tables.len() > STRETCHES_MAX {
            tables.retain(|&stretch, _| stretch == 0);
        }
        tables.insert(stretch, made);
        found
    }

    /// Angles are computed in f64: at position 100,000 an f32 angle is off by a hundredth.
    fn compute(&self, positions: i64, stretch: usize) -> Result<(Tensor, Tensor), TchError> {
        let frequencies = self.config.inverse_frequencies(self.head_size, stretch);
        let factor = self.config.attention_factor();
        let half = frequencies.len();
        let count = usize::try_from(positions).unwrap_or(0);
        let mut cosines = Vec::with_capacity(count * half * 2);
        let mut sines = Vec::with_capacity(count * half * 2);
        for position in 0..count {
            for copy in 0..2 {
                let sign = if copy == 0 { -1.0 } else { 1.0 };
                for frequency in &frequencies {
                    // Hugging Face rounds the frequency to f32 first: so do we, or long contexts drift apart.
                    let angle = f64::from(position as f32 * *frequency as f32);
                    cosines.push((factor * angle.cos()) as f32);
                    sines.push((sign * factor * angle.sin()) as f32);
                }
            }
        }
        let shape = [positions, (half * 2) as i64];
        let table = |values: &[f32]| Tensor::f_from_slice(values)?.f_view(shape)?.f_to_device(self.device);
        Ok((table(&cosines)?, table(&sines)?))
    }
}

/// Turns the last dimension by the angles: `x ⊙ cos + (−x₂, x₁) ⊙ sin`, in f32.
pub(crate) fn rotate(input: &Tensor, cosines: &Tensor, sines: &Tensor) -> Result<Tensor, TchError> {
    let half = input.size().last().copied().unwrap_or(0) / 2;
    let rolled = input.f_roll([half], [-1])?;
    let turned = input.f_mul(cosines)?.f_addcmul(&rolled, sines)?;
    if input.kind() == Kind::Float { Ok(turned) } else { turned.f_to_kind(input.kind()) }
}

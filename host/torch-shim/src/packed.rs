//! Weights that stay as their file packs them, and products with them: a block is unpacked in registers and multiplied in
//! f32, so that the function is that of the f32 weights, to rounding of sums. On a CPU only, and without gradients.

use half::f16;
use tch::{Device, Kind, Tensor};

use crate::ShimError;
use crate::foreign::{
    SlhfPackedFormat, SlhfPackedPart, SlhfPackedProduct, slhf_pack, slhf_packed_linear, slhf_transposed_linear,
    slhf_unpack,
};
use crate::one_token::{Operands, has_one_token_operators, made, pointer};

/// Outputs of a panel: see `cpp/packed/packed.h`.
const PANEL: i64 = 32;
/// Codes of a row come in whole blocks.
const BLOCK: usize = 32;

const CODES_HALF: i32 = 16;
const CODES_BFLOAT: i32 = 17;
const CODES_FLOAT: i32 = 32;

/// What is packed: rows of `inputs` numbers, as many as `outputs`.
#[derive(Clone, Copy, Debug)]
pub enum PackedSource<'a> {
    /// `scale · (code − offset) + minimum`, in f32 and in this order.
    Codes {
        /// Of a code: 4, 5, 6, or 8, which are signed.
        bits: u32,
        /// Neighbours that share a scale: 32, or 16 where codes have 6 bits.
        group: usize,
        /// What is taken from a code.
        offset: i32,
        /// One a weight.
        codes: &'a [u8],
        /// One a group.
        scales: &'a [f32],
        /// One a group, or none at all.
        minima: &'a [f32],
    },
    /// Bits of f16.
    Halves(&'a [u16]),
    /// Bits of bf16.
    Bfloats(&'a [u16]),
    /// Floats: nothing is packed, but laid out for the same products.
    Floats(&'a [f32]),
}

/// A packed weight `[outputs, inputs]`.
#[derive(Debug)]
pub struct PackedMatrix {
    pub(crate) bytes: Tensor,
    pub(crate) format: SlhfPackedFormat,
    pub(crate) outputs: i64,
    pub(crate) inputs: i64,
}

impl PackedMatrix {
    const DOING: &'static str = "pack a weight";

    /// `None` where there is no product for such numbers: codes of another kind, or in rows that are not whole blocks; another processor.
    ///
    /// # Errors
    /// There are more or fewer numbers than the shape says, or libtorch has no memory.
    pub fn pack(source: PackedSource<'_>, outputs: usize, inputs: usize) -> Result<Option<Self>, ShimError> {
        let Some(format) = format_of(source).filter(|_| has_one_token_operators()) else { return Ok(None) };
        let is_in_blocks = Self::is_in_blocks(inputs) || !matches!(source, PackedSource::Codes { .. });
        if inputs == 0 || outputs == 0 || !is_in_blocks {
            return Ok(None);
        }
        check_lengths(source, outputs * inputs)?;
        let (codes, scales, minima): (*const u8, &[f32], &[f32]) = match source {
            PackedSource::Codes { codes, scales, minima, .. } => (codes.as_ptr(), scales, minima),
            PackedSource::Halves(words) | PackedSource::Bfloats(words) => (words.as_ptr().cast(), &[], &[]),
            PackedSource::Floats(values) => (values.as_ptr().cast(), &[], &[]),
        };
        let (outputs, inputs) = (outputs as i64, inputs as i64);
        let bytes = made(Self::DOING, |bytes, message, capacity| {
            // SAFETY: the slices live for the whole call and are as long as the format and the shape need (checked above),
            // where they are read at all; `bytes` and `message` are written within their bounds.
            unsafe {
                let (scales, minima) = (scales.as_ptr(), minima.as_ptr());
                slhf_pack(&raw const format, codes, scales, minima, outputs, inputs, bytes, message, capacity)
            }
        })?;
        Ok(Some(Self { bytes, format, outputs, inputs }))
    }

    /// Whether rows of so many numbers are whole blocks.
    #[must_use]
    pub fn is_in_blocks(inputs: usize) -> bool {
        inputs.is_multiple_of(BLOCK)
    }

    /// Rows.
    #[must_use]
    pub fn outputs(&self) -> i64 {
        self.outputs
    }

    /// Numbers of a row.
    #[must_use]
    pub fn inputs(&self) -> i64 {
        self.inputs
    }

    /// Memory that a product reads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.numel() as u64
    }

    /// Where it lies: two that share their memory have the same.
    #[must_use]
    pub fn address(&self) -> usize {
        self.bytes.data_ptr() as usize
    }

    /// The numbers themselves, `[outputs, inputs]` in f32: what the file means, to the bit.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn unpacked(&self) -> Result<Tensor, ShimError> {
        made("unpack a weight", |output, message, capacity| {
            // SAFETY: `bytes` was made by `slhf_pack` for this format and shape and never changed since; `output` and
            // `message` are written within their bounds.
            unsafe {
                let format = &raw const self.format;
                slhf_unpack(format, self.bytes.as_ptr(), self.outputs, self.inputs, output, message, capacity)
            }
        })
    }

    /// Shares its memory.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self { bytes: self.bytes.shallow_clone(), ..*self }
    }
}

fn format_of(source: PackedSource<'_>) -> Option<SlhfPackedFormat> {
    let plain = |codes| SlhfPackedFormat { codes, high_bits: 0, group: 32, has_minima: 0, wide_scales: 0, offset: 0 };
    let (bits, group, offset, scales, minima) = match source {
        PackedSource::Halves(_) => return Some(plain(CODES_HALF)),
        PackedSource::Bfloats(_) => return Some(plain(CODES_BFLOAT)),
        PackedSource::Floats(_) => return Some(plain(CODES_FLOAT)),
        PackedSource::Codes { bits, group, offset, scales, minima, .. } => (bits, group, offset, scales, minima),
    };
    let is_half = |value: &f32| f16::from_f32(*value).to_f32().to_bits() == value.to_bits();
    let has_minima = !minima.is_empty();
    let wide = !(scales.iter().all(is_half) && minima.iter().all(is_half));
    let (codes, high_bits) = match (bits, group, has_minima) {
        (4, 32, _) => (4, 0),
        (5, 32, _) => (4, 1),
        (6, 16, false) => (4, 2),
        (8, 32, false) => (8, 0),
        _ => return None,
    };
    Some(SlhfPackedFormat {
        codes,
        high_bits,
        group: group as i32,
        has_minima: i32::from(has_minima),
        wide_scales: i32::from(wide || high_bits == 2),
        offset,
    })
}

fn check_lengths(source: PackedSource<'_>, expected: usize) -> Result<(), ShimError> {
    let check = |list, found: usize, expected: usize| {
        if found == expected {
            return Ok(());
        }
        Err(ShimError::Length { doing: PackedMatrix::DOING, list, found, expected })
    };
    match source {
        PackedSource::Halves(words) | PackedSource::Bfloats(words) => check("numbers", words.len(), expected),
        PackedSource::Floats(values) => check("numbers", values.len(), expected),
        PackedSource::Codes { group, codes, scales, minima, .. } => {
            check("codes", codes.len(), expected)?;
            check("scales", scales.len(), expected / group)?;
            if minima.is_empty() { Ok(()) } else { check("minima", minima.len(), expected / group) }
        }
    }
}

/// A of all adapters beside some packed matrices, below each other: `[ranks, inputs]`.
#[derive(Debug)]
pub struct Lower(PackedMatrix);

/// B of an adapter beside one packed matrix, which takes some of the ranks of a [`Lower`].
#[derive(Debug)]
pub struct Raise {
    /// `[panels, its ranks, 32]`
    panels: Tensor,
    /// Its first rank.
    first: i64,
    outputs: i64,
}

fn failed(doing: &'static str) -> impl Fn(tch::TchError) -> ShimError {
    move |error| ShimError::Torch { doing, reason: error.to_string() }
}

impl Lower {
    /// `a` is `[ranks, inputs]`, f32, on the CPU. `None` as in [`PackedMatrix::pack`].
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn new(a: &Tensor) -> Result<Option<Self>, ShimError> {
        const DOING: &str = "lay out an adapter";
        let (ranks, inputs) = (a.size()[0] as usize, a.size()[1] as usize);
        let mut values = vec![0.0_f32; ranks * inputs];
        let contiguous = a.f_contiguous().map_err(failed(DOING))?;
        contiguous.f_copy_data(&mut values, ranks * inputs).map_err(failed(DOING))?;
        Ok(PackedMatrix::pack(PackedSource::Floats(&values), ranks, inputs)?.map(Self))
    }

    /// Memory that a product reads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Shares its memory.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

impl Raise {
    /// `b` is `[outputs, rank]`, f32, on the CPU, and takes the ranks from `first` on.
    ///
    /// # Errors
    /// libtorch has no memory.
    pub fn new(b: &Tensor, first: i64) -> Result<Self, ShimError> {
        let (outputs, rank) = (b.size()[0], b.size()[1]);
        let count = (outputs + PANEL - 1) / PANEL;
        let laid_out = || -> Result<Tensor, tch::TchError> {
            let whole = Tensor::f_zeros([count * PANEL, rank], (Kind::Float, Device::Cpu))?;
            whole.f_narrow(0, 0, outputs)?.f_copy_(b)?;
            whole.f_view([count, PANEL, rank])?.f_transpose(1, 2)?.f_contiguous()
        };
        Ok(Self { panels: laid_out().map_err(failed("lay out an adapter"))?, first, outputs })
    }

    /// How many ranks it takes.
    pub(crate) fn ranks(&self) -> i64 {
        self.panels.size()[1]
    }

    /// Behind its last rank.
    fn end(&self) -> i64 {
        self.first + self.ranks()
    }

    /// Memory that a product reads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.panels.numel() as u64 * 4
    }

    /// Shares its memory.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self { panels: self.panels.shallow_clone(), ..*self }
    }
}

/// One matrix of several side by side.
#[derive(Clone, Copy, Debug)]
pub struct PackedPart<'a> {
    /// Its outputs follow those of the parts before it.
    pub weight: &'a PackedMatrix,
    /// What of [`PackedLinear::lower`] is raised to its outputs.
    pub raise: Option<&'a Raise>,
}

/// What [`packed_linear`] reads.
#[derive(Clone, Copy, Debug)]
pub struct PackedLinear<'a> {
    /// `[rows, inputs]`
    pub input: &'a Tensor,
    /// Matrices that take the same input, at least one.
    pub parts: &'a [PackedPart<'a>],
    /// `[outputs of all parts]`
    pub bias: Option<&'a Tensor>,
    /// `[rows, outputs of all parts]`
    pub add: Option<&'a Tensor>,
    /// A of the adapters of all parts.
    pub lower: Option<&'a Lower>,
}

/// `input · weightᵀ + input · Aᵀ · Bᵀ + bias + add`, part beside part: → `[rows, outputs]`. A row's result depends on that row alone,
/// not on how many there are, and is the same to the bit on every processor that has these products.
///
/// # Errors
/// Shapes do not go together, or the processor has no such product.
pub fn packed_linear(product: &PackedLinear<'_>) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply with packed weights";
    with_foreign(DOING, product, &[], |product| {
        made(DOING, |output, message, capacity| {
            // SAFETY: `with_foreign` has checked what `product` points to, and all of it lives for the whole call; `output` and `message`
            // are written within their bounds.
            unsafe { slhf_packed_linear(product, output, message, capacity) }
        })
    })
}

/// Calls with the product as C++ reads it: numbers are contiguous f32 on the CPU, `further` ones too, shapes go together, and packed bytes are
/// those that `slhf_pack` made for their format and shape. What it points to lives for the call.
pub(crate) fn with_foreign<R>(
    doing: &'static str,
    product: &PackedLinear<'_>,
    further: &[&Tensor],
    call: impl FnOnce(&SlhfPackedProduct) -> Result<R, ShimError>,
) -> Result<R, ShimError> {
    let PackedLinear { input, parts, bias, add, lower } = *product;
    let list: Vec<&Tensor> = std::iter::once(input).chain(bias).chain(add).chain(further.iter().copied()).collect();
    let operands = Operands::new(doing, &list)?;
    operands.shape(0, &[-1, -1])?;
    let (rows, inputs) = (input.size()[0], input.size()[1]);
    let width: i64 = parts.iter().map(|part| part.weight.outputs).sum();
    let mut index = 0;
    for (operand, shape) in [(bias, vec![width]), (add, vec![rows, width])] {
        if operand.is_some() {
            index += 1;
            operands.shape(index, &shape)?;
        }
    }
    check_parts(&operands, inputs, parts, lower)?;
    let foreign: Vec<SlhfPackedPart> = parts.iter().map(foreign).collect();
    call(&SlhfPackedProduct { input: input.as_ptr(), add: pointer(add), ..foreign_product(&foreign, bias, lower) })
}

/// Whether matrices and what stands beside them go with rows of `inputs` numbers; an error names the first operand.
pub(crate) fn check_parts(
    operands: &Operands<'_>,
    inputs: i64,
    parts: &[PackedPart<'_>],
    lower: Option<&Lower>,
) -> Result<(), ShimError> {
    let lower = lower.map(|Lower(lower)| lower);
    let ranks = lower.map_or(0, |lower| lower.outputs);
    for PackedPart { weight, raise } in parts {
        let is_raised = |raise: &Raise| raise.outputs == weight.outputs && raise.first >= 0 && raise.end() <= ranks;
        let fits = weight.inputs == inputs && lower.is_none_or(|lower| lower.inputs == inputs);
        if !fits || !raise.is_none_or(is_raised) {
            let found = format!("met as rows of {inputs} columns");
            let expected = format!("{} columns, and adapters of its shape", weight.inputs);
            return Err(operands.refused(0, found, expected));
        }
    }
    if parts.is_empty() {
        return Err(operands.refused(0, "multiplied with nothing".to_owned(), "a weight".to_owned()));
    }
    Ok(())
}

/// Matrices as C++ reads them, without the rows that meet them.
pub(crate) fn foreign_product(
    parts: &[SlhfPackedPart],
    bias: Option<&Tensor>,
    lower: Option<&Lower>,
) -> SlhfPackedProduct {
    let lower = lower.map(|Lower(lower)| lower);
    SlhfPackedProduct {
        input: std::ptr::null(),
        bias: pointer(bias),
        add: std::ptr::null(),
        lower: pointer(lower.map(|lower| &lower.bytes)),
        ranks: lower.map_or(0, |lower| lower.outputs),
        parts: parts.as_ptr(),
        count: parts.len(),
    }
}

/// `input` `[rows, outputs]` · the weight `[outputs, inputs]` → `[rows, inputs]`: what the gradient goes through, and as independent of
/// the number of rows and of the processor as [`packed_linear`].
///
/// # Errors
/// Shapes do not go together, or the processor has no such product.
pub fn transposed_linear(input: &Tensor, weight: &PackedMatrix) -> Result<Tensor, ShimError> {
    const DOING: &str = "multiply with packed weights the other way";
    let list = [input];
    let operands = Operands::new(DOING, &list)?;
    operands.shape(0, &[-1, weight.outputs])?;
    made(DOING, |output, message, capacity| {
        // SAFETY: both live for the whole call; `input` is contiguous f32 on the CPU with a column an output, and the bytes are those
        // that `slhf_pack` made for this format and shape. `output` and `message` are written within their bounds.
        unsafe {
            let (bytes, format) = (weight.bytes.as_ptr(), &raw const weight.format);
            slhf_transposed_linear(input.as_ptr(), bytes, format, weight.inputs, output, message, capacity)
        }
    })
}

pub(crate) fn foreign(PackedPart { weight, raise }: &PackedPart<'_>) -> SlhfPackedPart {
    SlhfPackedPart {
        bytes: weight.bytes.as_ptr(),
        format: weight.format,
        outputs: weight.outputs,
        raise: pointer(raise.map(|raise| &raise.panels)),
        first_rank: raise.map_or(0, |raise| raise.first),
        end_rank: raise.map_or(0, Raise::end),
    }
}

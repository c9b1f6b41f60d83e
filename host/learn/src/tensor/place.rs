//! Between host and device: what is uploaded, what comes back.

use slhf_plan::Precision;
use tch::{Device, Kind, Tensor};

use crate::LearnError;
use crate::error::torch;

/// Device and floating-point type of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) kind: Kind,
}

impl Place {
    pub(crate) fn of(device: &str, precision: Precision) -> Option<Self> {
        let kind = match precision {
            Precision::F64 => Kind::Double,
            Precision::F32 => Kind::Float,
        };
        Some(Self { device: parse_device(device)?, kind })
    }

    /// A tensor of the given shape from host values.
    pub(super) fn upload(&self, values: &[f64], shape: &[i64]) -> Result<Tensor, LearnError> {
        let doing = torch("copying the runs' state to the device");
        let flat = Tensor::f_from_slice(values).map_err(&doing)?;
        let typed = flat.f_to_kind(self.kind).map_err(&doing)?;
        typed.f_to_device(self.device).map_err(&doing)?.f_view(shape).map_err(&doing)
    }

    /// The values of a tensor, row-major.
    pub(super) fn download(tensor: &Tensor) -> Result<Vec<f64>, LearnError> {
        let doing = torch("copying the runs' state from the device");
        let host = tensor.f_to_device(Device::Cpu).map_err(&doing)?.f_to_kind(Kind::Double).map_err(&doing)?;
        let host = host.f_contiguous().map_err(&doing)?;
        let mut values = vec![0.0; host.numel()];
        host.f_copy_data(&mut values, host.numel()).map_err(&doing)?;
        Ok(values)
    }
}

/// A dimension as libtorch wants it.
pub(super) fn extent(entries: usize) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}

/// `cpu`, `cuda`, `cuda:1`; `None` for anything else. Whether the device is there is not asked.
#[must_use]
pub fn parse_device(name: &str) -> Option<Device> {
    match name.split_once(':') {
        None if name == "cpu" => Some(Device::Cpu),
        None if name == "cuda" => Some(Device::Cuda(0)),
        Some(("cuda", index)) => index.parse().ok().map(Device::Cuda),
        _ => None,
    }
}

/// A tensor with one value a run, kept on the device while the values stay the same.
#[derive(Debug)]
pub(super) struct PerRun {
    values: Vec<f64>,
    tensor: Option<Tensor>,
}

impl PerRun {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), tensor: None }
    }

    /// The tensor of these values, with `trailing` dimensions of size one.
    pub(super) fn get(
        &mut self,
        place: Place,
        values: impl Iterator<Item = f64>,
        trailing: usize,
    ) -> Result<&Tensor, LearnError> {
        let values: Vec<f64> = values.collect();
        let unchanged = self.tensor.is_some()
            && self.values.len() == values.len()
            && self.values.iter().zip(&values).all(|(old, new)| old.to_bits() == new.to_bits());
        if !unchanged {
            self.tensor = None;
        }
        let tensor = if let Some(tensor) = self.tensor.take() {
            tensor
        } else {
            let mut shape = vec![1; trailing + 1];
            shape[0] = extent(values.len());
            place.upload(&values, &shape)?
        };
        self.values = values;
        Ok(self.tensor.insert(tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed_and_nothing_else() {
        let check = |name, expected| assert_eq!(parse_device(name), expected, "{name}");
        check("cpu", Some(Device::Cpu));
        check("cuda", Some(Device::Cuda(0)));
        check("cuda:3", Some(Device::Cuda(3)));
        check("cuda:x", None);
        check("auto", None);
        check("cpu:0", None);
    }
}

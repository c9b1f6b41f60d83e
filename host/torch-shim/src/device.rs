//! Generators, precision and memory of a device.

use tch::Device;

use crate::ShimError;
use crate::foreign::{SlhfMemory, checked, slhf_cuda_memory, slhf_cuda_reset_peak, slhf_matmul_precision, slhf_seed};

/// How exactly f32 matrices are multiplied: torch's `set_float32_matmul_precision`, for the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Float32Matmul {
    /// In f32.
    #[default]
    Highest,
    /// In TF32 on CUDA: 10 bits of mantissa.
    High,
    /// In bf16 where the device is faster with it, CPUs included: 7 bits of mantissa.
    Medium,
}

/// What libtorch's caching allocator holds of a CUDA device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceMemory {
    /// In tensors.
    pub allocated_bytes: u64,
    /// The most there was in tensors since the start or [`reset_peak_memory`].
    pub peak_allocated_bytes: u64,
    /// Taken from the driver.
    pub reserved_bytes: u64,
    /// The most that was taken from the driver.
    pub peak_reserved_bytes: u64,
}

/// Multiplies f32 matrices so from now on, in the whole process.
pub fn set_float32_matmul(precision: Float32Matmul) -> Result<(), ShimError> {
    let name = match precision {
        Float32Matmul::Highest => c"highest",
        Float32Matmul::High => c"high",
        Float32Matmul::Medium => c"medium",
    };
    checked("set the precision of f32 matrices", |message, capacity| {
        // SAFETY: `name` is a static string that ends in a zero byte; `message` has `capacity` bytes.
        unsafe { slhf_matmul_precision(name.as_ptr(), message, capacity) }
    })
}

/// Seeds the default generator of one device and of no other (tch's `manual_seed` seeds all of them).
pub fn seed_generator(device: Device, seed: u64) -> Result<(), ShimError> {
    let device = number(device)?;
    checked("seed a generator", |message, capacity| {
        // SAFETY: only numbers go in; `message` has `capacity` bytes.
        unsafe { slhf_seed(device, seed, message, capacity) }
    })
}

/// What the device's tensors take; `None` on a CPU, where libtorch does not count and the process's own peak says it.
pub fn device_memory(device: Device) -> Result<Option<DeviceMemory>, ShimError> {
    let number = number(device)?;
    if number < 0 {
        return Ok(None);
    }
    let mut found = SlhfMemory::default();
    checked("read the memory of a CUDA device", |message, capacity| {
        // SAFETY: `found` is a struct of the layout that the C++ declares; `message` has `capacity` bytes.
        unsafe { slhf_cuda_memory(number, &raw mut found, message, capacity) }
    })?;
    Ok(Some(DeviceMemory {
        allocated_bytes: found.allocated_bytes.max(0).cast_unsigned(),
        peak_allocated_bytes: found.peak_allocated_bytes.max(0).cast_unsigned(),
        reserved_bytes: found.reserved_bytes.max(0).cast_unsigned(),
        peak_reserved_bytes: found.peak_reserved_bytes.max(0).cast_unsigned(),
    }))
}

/// Peaks are counted from now on. Nothing on a CPU.
pub fn reset_peak_memory(device: Device) -> Result<(), ShimError> {
    let device = number(device)?;
    if device < 0 {
        return Ok(());
    }
    checked("reset the peak memory of a CUDA device", |message, capacity| {
        // SAFETY: only numbers go in; `message` has `capacity` bytes.
        unsafe { slhf_cuda_reset_peak(device, message, capacity) }
    })
}

/// −1 for the CPU, else the number of the CUDA device. libtorch counts devices in 8 bits: a larger number would wrap.
fn number(device: Device) -> Result<i32, ShimError> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) if i8::try_from(index).is_ok() => Ok(i32::try_from(index).unwrap_or(i32::MAX)),
        other => Err(ShimError::Device { device: format!("{other:?}") }),
    }
}

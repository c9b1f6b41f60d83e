//! What the worker runs on. All of it goes into the record: it is what "same bits" depends on.

use std::fs;

use slhf_plan::{Environment, ModelPrecision};
use tch::{Cuda, Device};

use crate::error::WorkerError;

/// Resolves the device, sets the threads, and tells both.
pub(crate) fn probe(device: &str, threads: u32) -> Result<Environment, WorkerError> {
    let threads = threads.max(1);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    let device = resolve(device)?;
    Ok(Environment {
        device: device_name(device),
        device_description: match device {
            Device::Cuda(index) => gpu_model(index),
            _ => cpu_model(),
        },
        cpu_capability: cpu_capability(),
        threads,
        libtorch_version: libtorch_version(),
        worker_sha256: own_sha256(),
        mkl_cbwr: std::env::var("MKL_CBWR").unwrap_or_default(),
    })
}

/// A device that is really there.
pub(crate) fn resolve(name: &str) -> Result<Device, WorkerError> {
    if name == "auto" {
        return Ok(if Cuda::is_available() { Device::Cuda(0) } else { Device::Cpu });
    }
    let device = slhf_learn::parse_device(name).ok_or_else(|| WorkerError::UnknownDevice { name: name.to_owned() })?;
    if let Device::Cuda(index) = device {
        let found = if Cuda::is_available() { Cuda::device_count() } else { 0 };
        if !usize::try_from(found).is_ok_and(|found| index < found) {
            return Err(WorkerError::NoCuda { name: name.to_owned(), found });
        }
    }
    Ok(device)
}

/// What weights and activations are where nobody says it.
pub(crate) fn usual_precision(device: Device) -> ModelPrecision {
    if device.is_cuda() { ModelPrecision::Bf16 } else { ModelPrecision::F32 }
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// The value of the first line `key : value` of a file of the kernel's.
fn value_in(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let values = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() == key);
    values.map(|(_, value)| value.trim().to_owned()).next()
}

fn cpu_model() -> String {
    value_in("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn gpu_model(index: usize) -> String {
    let mut folders: Vec<_> =
        fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let information = folders.get(index).map(|folder| folder.join("information"));
    let model = information.and_then(|path| value_in(&path.to_string_lossy(), "Model"));
    model.unwrap_or_else(|| "a CUDA device".to_owned())
}

/// The instruction set that libtorch chooses its kernels by, as it names them.
fn cpu_capability() -> String {
    if let Ok(forced) = std::env::var("ATEN_CPU_CAPABILITY") {
        return forced;
    }
    detected_capability().to_owned()
}

#[cfg(target_arch = "x86_64")]
fn detected_capability() -> &'static str {
    let fused = is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    match (fused, wide) {
        (true, true) => "avx512",
        (true, false) => "avx2",
        _ => "default",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detected_capability() -> &'static str {
    "default"
}

/// The version of the libtorch that is loaded, which on a CUDA machine need not be the one that was built against.
fn libtorch_version() -> String {
    // torch-sys 0.24 refuses to be built against another one.
    const BUILT_AGAINST: &str = "2.11.0";
    let loaded = || {
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
        let root = std::path::Path::new(&line[line.find('/')?..]).parent()?.parent()?.to_owned();
        if let Ok(version) = slhf_files::read_text(&root.join("build-version"), slhf_files::SETTINGS_BYTES_MAX) {
            return Some(version.trim().to_owned());
        }
        let python = slhf_files::read_text(&root.join("version.py"), slhf_files::SETTINGS_BYTES_MAX).ok()?;
        let line = python.lines().find(|line| line.starts_with("__version__"))?;
        line.split(['\'', '"']).nth(1).map(str::to_owned)
    };
    loaded().unwrap_or_else(|| BUILT_AGAINST.to_owned())
}

fn own_sha256() -> String {
    let own = std::env::current_exe().and_then(|path| slhf_files::digest_file(&path));
    own.map_or_else(|_| "unknown".to_owned(), |own| own.sha256)
}

/// Highest resident memory of this process so far, in bytes; 0 where the kernel does not tell.
pub(crate) fn peak_memory_bytes() -> u64 {
    let kib = value_in("/proc/self/status", "VmHWM").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

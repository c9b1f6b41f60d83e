//! What this machine's processors multiply bfloat16 with, and whether a graphics driver is there.

use std::path::Path;

/// A processor's entry has some kilobytes.
const CPUINFO_BYTES_MAX: u64 = 64 << 20;

/// Instructions for products of bfloat16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bf16Products {
    /// Tiles (Intel's Sapphire Rapids and later).
    Amx,
    /// `vdpbf16ps` (Intel's Cooper Lake and later, AMD's Zen 4 and later).
    Avx512,
    /// Neither: they are emulated.
    None,
}

/// Of this machine's processor, as the kernel lets programs use it.
pub fn bf16_products() -> Bf16Products {
    of_flags(&slhf_files::read_text(Path::new("/proc/cpuinfo"), CPUINFO_BYTES_MAX).unwrap_or_default())
}

/// Of what the kernel tells of processors.
fn of_flags(cpuinfo: &str) -> Bf16Products {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has = |flag: &str| flags.split_whitespace().any(|found| found == flag);
    if has("amx_bf16") && has("amx_tile") {
        Bf16Products::Amx
    } else if has("avx512_bf16") {
        Bf16Products::Avx512
    } else {
        Bf16Products::None
    }
}

/// Whether NVIDIA's driver is here: the kernel's own, or Windows' under WSL.
pub fn has_nvidia_driver() -> bool {
    ["/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1"].iter().any(|path| Path::new(path).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_what_counts() {
        let check = |flags: &str, expect: Bf16Products| {
            let cpuinfo = format!("processor\t: 0\nmodel name\t: X\nflags\t\t: {flags}\nbugs\t\t:\n");
            assert_eq!(of_flags(&cpuinfo), expect, "{flags}");
        };
        check("fpu avx2 avx512f", Bf16Products::None);
        check("fpu avx512_bf16 avx512f", Bf16Products::Avx512);
        check("fpu avx512_bf16 amx_tile amx_bf16", Bf16Products::Amx);
        // Tiles that the kernel does not save are of no use.
        check("fpu amx_bf16", Bf16Products::None);
        assert_eq!(of_flags(""), Bf16Products::None);
    }
}

//! The wheels of each build: what torch 2.11.0 names as its own requirements, by version and hash.

use super::release::{BYTES, Build};
use crate::Bytes;
use crate::wheel::Wheel;

const TORCH: Wheel = Wheel {
    requirement: "torch==2.11.0",
    platform: "manylinux_2_28_x86_64",
    sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
    bytes: Some(Bytes(BYTES[0])),
    members: &["torch/include/", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1"],
};

const RUNTIME: Wheel = Wheel {
    requirement: "nvidia-cuda-runtime==13.0.96",
    platform: "manylinux2014_x86_64",
    sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    bytes: Some(Bytes(BYTES[1])),
    members: &["nvidia/cu13/lib/libcudart.so.13"],
};

const CUPTI: Wheel = Wheel {
    requirement: "nvidia-cuda-cupti==13.0.85",
    platform: "manylinux_2_25_x86_64",
    sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    bytes: Some(Bytes(BYTES[2])),
    members: &["nvidia/cu13/lib/libcupti.so.13"],
};

/// A wheel of NVIDIA's, all of whose libraries are kept.
const fn nvidia(
    requirement: &'static str,
    platform: &'static str,
    sha256: &'static str,
    bytes: u64,
    members: &'static [&'static str],
) -> Wheel {
    Wheel { requirement, platform, sha256, bytes: Some(Bytes(bytes)), members }
}

const TOOLKIT: &[&str] = &["nvidia/cu13/lib/"];

static CPU: [Wheel; 3] = [TORCH, RUNTIME, CUPTI];

static CUDA: [Wheel; 15] = [
    Wheel { members: &["torch/include/", "torch/lib/"], ..TORCH },
    RUNTIME,
    CUPTI,
    nvidia(
        "nvidia-cudnn-cu13==9.19.0.56",
        "manylinux_2_27_x86_64",
        "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf",
        366_066_321,
        &["nvidia/cudnn/lib/"],
    ),
    nvidia(
        "nvidia-cusparselt-cu13==0.8.0",
        "manylinux2014_x86_64",
        "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd",
        169_884_119,
        &["nvidia/cusparselt/lib/"],
    ),
    nvidia(
        "nvidia-nccl-cu13==2.28.9",
        "manylinux_2_18_x86_64",
        "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42",
        196_493_177,
        &["nvidia/nccl/lib/"],
    ),
    nvidia(
        "nvidia-nvshmem-cu13==3.4.5",
        "manylinux2014_x86_64",
        "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
        60_412_546,
        &["nvidia/nvshmem/lib/"],
    ),
    nvidia(
        "nvidia-cublas==13.1.0.3",
        "manylinux_2_27_x86_64",
        "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        423_133_236,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-cuda-nvrtc==13.0.88",
        "manylinux2010_x86_64",
        "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
        90_215_200,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-cufile==1.15.1.6",
        "manylinux2014_x86_64",
        "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
        1_223_672,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-cufft==12.0.0.61",
        "manylinux2014_x86_64",
        "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
        214_085_489,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-curand==10.4.0.35",
        "manylinux_2_27_x86_64",
        "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        59_544_258,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-cusolver==12.0.4.66",
        "manylinux_2_27_x86_64",
        "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
        200_941_980,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-cusparse==12.6.3.3",
        "manylinux2014_x86_64",
        "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
        145_942_937,
        TOOLKIT,
    ),
    nvidia(
        "nvidia-nvjitlink==13.0.88",
        "manylinux2010_x86_64",
        "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b",
        40_713_933,
        TOOLKIT,
    ),
];

/// In the order in which they are fetched.
pub(super) fn wheels(build: Build) -> &'static [Wheel] {
    match build {
        Build::Cpu => &CPU,
        Build::Cuda => &CUDA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_fetched_is_the_sum_of_the_wheels() {
        for build in [Build::Cpu, Build::Cuda] {
            let sum: u64 = wheels(build).iter().filter_map(|wheel| wheel.bytes).map(|Bytes(bytes)| bytes).sum();
            assert_eq!(build.download(), Bytes(sum), "{build:?}");
            assert!(wheels(build).iter().all(|wheel| wheel.bytes.is_some() && wheel.sha256.len() == 64), "{build:?}");
        }
    }
}

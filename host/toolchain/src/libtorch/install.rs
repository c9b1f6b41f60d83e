//! Makes a CPU libtorch out of Python wheels, fetched by pip.
//!
//! The wheel of the CUDA build is used because that is the libtorch of the CUDA machines: a binary built
//! against this runs there. Of it only the headers and the CPU libraries are kept, so no CUDA library is;
//! `libtorch_cpu.so` itself needs two small ones, which come from wheels of their own and must lie where
//! its RPATH looks (`../../nvidia/cu13/lib`).

use std::fs;
use std::path::Path;

use super::release::{BYTES, DOWNLOAD, DOWNLOAD_BYTES, ON_DISK, VERSION};
use crate::environment::{Task, run};
use crate::prerequisites::{CxxCompiler, cxx_compiler, python};
use crate::wheel::{Pip, Wheel};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

const WHEELS: [Wheel; 3] = [
    Wheel {
        requirement: "torch==2.11.0",
        platform: "manylinux_2_28_x86_64",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        bytes: Some(Bytes(BYTES[0])),
        members: &["torch/include/", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1"],
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        platform: "manylinux2014_x86_64",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        bytes: Some(Bytes(BYTES[1])),
        members: &["nvidia/cu13/lib/libcudart.so.13"],
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        platform: "manylinux_2_25_x86_64",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        bytes: Some(Bytes(BYTES[2])),
        members: &["nvidia/cu13/lib/libcupti.so.13"],
    },
];

/// While installing, a wheel lies twice on the disk (pip copies it), and then once beside its content.
const PEAK: Bytes = Bytes(2 * DOWNLOAD_BYTES + 100_000_000);

/// Libraries whose sizes are in the manifest, so that one cut short is noticed without reading it.
pub(super) const LIBRARIES: [&str; 4] = ["libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1"];

pub(super) fn size_key(library: &str) -> String {
    format!("bytes of {library}")
}

const PIP_MEND: &str = "check the network and pip's index, or set LIBTORCH to a libtorch 2.11.0 that you have";

/// Everything that can be missing was looked for: only the network can fail now.
pub(super) struct Prepared<'a> {
    environment: &'a Environment,
    pip: Pip<'a>,
    compiler: CxxCompiler,
}

impl<'a> Prepared<'a> {
    /// Looks for the prerequisites before anything is fetched.
    pub(super) fn of(environment: &'a Environment, cache: &Cache) -> Result<Self, Error> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(Error::UnsupportedMachine {
                what: "libtorch",
                machine: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
                mend: "set LIBTORCH to a libtorch 2.11.0 for it",
            });
        }
        let compiler = cxx_compiler(environment)?;
        let pip = Pip { environment, python: python(environment)? };
        space::require("setting up libtorch", cache.root(), PEAK)?;
        Ok(Self { environment, pip, compiler })
    }

    /// Fetches, checks and unpacks the wheels into `folder`, and completes them to a libtorch.
    pub(super) fn build(&self, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "libtorch {VERSION} for the worker: downloads {DOWNLOAD} with {}, keeps {ON_DISK} in the cache folder",
            self.pip.python.pip
        ));
        self.try_linker(folder)?;
        let mut manifest = Manifest::default().with("libtorch", VERSION);
        for wheel in &WHEELS {
            wheel.fetch_into(folder, &self.pip, PIP_MEND, say)?;
            manifest = manifest.with(wheel.requirement, format!("sha256:{}", wheel.sha256));
        }
        let torch = folder.join("torch");
        self.link_stub(&torch)?;
        let stated = torch.join("build-version");
        fs::write(&stated, format!("{VERSION}\n")).map_err(Error::file("write", &stated))?;
        for library in LIBRARIES {
            let path = torch.join("lib").join(library);
            let size = fs::metadata(&path).map_err(Error::file("measure", &path))?.len();
            manifest = manifest.with(size_key(library), size.to_string());
        }
        Ok(manifest)
    }

    /// Links an empty library, so that a compiler that cannot is found out before the download.
    fn try_linker(&self, folder: &Path) -> Result<(), Error> {
        let trial = folder.join("trial.so");
        self.link_empty(&trial, &[])?;
        fs::remove_file(&trial).map_err(Error::file("remove", &trial))
    }

    /// `libtorch.so` of the wheel needs the CUDA libraries; an empty one that needs the CPU library takes
    /// its place. On a CUDA machine the real one is put before it by the library path.
    fn link_stub(&self, torch: &Path) -> Result<(), Error> {
        let library = torch.join("lib");
        let search = format!("-L{}", library.display());
        let arguments = [
            "-Wl,-soname,libtorch.so",
            "-Wl,--no-as-needed",
            &search,
            "-ltorch_cpu",
            "-Wl,-rpath,$ORIGIN",
            "-Wl,--allow-shlib-undefined",
        ];
        self.link_empty(&library.join("libtorch.so"), &arguments)
    }

    fn link_empty(&self, library: &Path, arguments: &[&str]) -> Result<(), Error> {
        let mut command = self.environment.command(&self.compiler.program);
        command
            .args(&self.compiler.arguments)
            .args(["-shared", "-fPIC", "-nostdlib", "-x", "c++", "/dev/null", "-o"])
            .arg(library)
            .args(arguments);
        let task = Task {
            doing: "linking an empty library with the C++ compiler",
            mend: "mend the compiler (Debian and Ubuntu: `apt-get install g++`), or set CXX to one that works",
        };
        run(&mut command, task)?;
        Ok(())
    }
}

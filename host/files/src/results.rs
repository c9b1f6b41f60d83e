//! Writing a file whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::check_kind;

/// Of a temporary file beside its place.
const PREFIX: &str = ".slhf-lab-partial-";

/// Writes a file, in the place of an earlier one or where there is none: into a temporary file beside it, which is flushed to
/// the disk and renamed, and then the folder is flushed. Whatever goes wrong before the renaming leaves the earlier file as it
/// was, and no other behind.
///
/// A link is followed, so that it stays one. What is no regular file is refused. An earlier file's permissions stay; a new
/// one's are the user's usual ones.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let place = place_of(path)?;
    if !place.exists() {
        match create_new(&place, content) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
    let permissions = fs::metadata(&place).map_or_else(|_| Permissions::from_mode(USUAL), |about| about.permissions());
    put_beside(&place, content, permissions)
}

/// Writes a file that is the program's own, such as a checkpoint, whole or not at all, in the place of whatever has its name but a
/// folder: a link itself is replaced, not what it leads to, and so is a pipe or a device's name.
pub fn replace_own(path: &Path, content: &[u8]) -> io::Result<()> {
    match create_new(path, content) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            put_beside(path, content, Permissions::from_mode(USUAL))
        }
        created => created,
    }
}

/// Through a temporary file that is flushed and renamed.
fn put_beside(path: &Path, content: &[u8], permissions: Permissions) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        // As of any new file: the umask takes away what the user does not give.
        .permissions(permissions)
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// As of any new file: the umask takes away what the user does not give.
const USUAL: u32 = 0o666;

/// Writes a file where there is none, whole or not at all: one without a name, which is flushed to the disk and then given its name, so
/// that not even a process that is killed leaves anything half-written behind. Where the file system has no files without names, into a
/// temporary file beside it. An error of the kind `AlreadyExists` says that there is something.
pub fn create_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::from_raw_mode(USUAL)) {
        Ok(unnamed) => {
            let mut file = File::from(unnamed);
            file.write_all(content)?;
            file.sync_all()?;
            let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            match rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW) {
                Ok(()) => sync_folder(folder),
                // No /proc, or a file system that gives such files no names.
                Err(Errno::NOENT | Errno::XDEV | Errno::OPNOTSUPP | Errno::PERM) => create_new_beside(path, content),
                Err(error) => Err(error.into()),
            }
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => create_new_beside(path, content),
        Err(error) => Err(error.into()),
    }
}

fn create_new_beside(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let permissions = Permissions::from_mode(USUAL);
    let mut file = tempfile::Builder::new().prefix(PREFIX).permissions(permissions).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Waits until the disk knows which files a folder has.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a path's file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a folder holds, in bytes. Links are not followed, and what cannot be read counts as nothing.
#[must_use]
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |about| about.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

/// Whether two paths lead to one file, whatever they are called.
pub fn is_same_file(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| match fs::metadata(path) {
        Ok(about) => Ok(Some((about.dev(), about.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let (one, other) = (identity(one)?, identity(other)?);
    Ok(one.is_some() && one == other)
}

/// Where a file's bytes lie, or will.
fn place_of(path: &Path) -> io::Result<PathBuf> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
        Ok(_) => {
            check_kind(path)?;
            fs::canonicalize(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("old"), "old").expect("written");
        fs::set_permissions(path("old"), Permissions::from_mode(0o640)).expect("set");
        symlink("old", path("link")).expect("linked");
        replace(&path("link"), b"new").expect("replaced");
        replace(&path("fresh"), b"fresh").expect("written");
        assert_eq!(fs::read_to_string(path("old")).expect("there"), "new");
        assert_eq!(fs::metadata(path("old")).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(path("link").is_symlink());
        assert!(is_same_file(&path("link"), &path("old")).expect("looked at"));
        assert!(!is_same_file(&path("none"), &path("none")).expect("looked at"));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 3);
        symlink("/dev/null", path("device")).expect("linked");
        assert!(replace(&path("device"), b"new").is_err() && replace(folder.path(), b"new").is_err());
    }

    #[test]
    fn an_own_file_takes_the_place_of_whatever_has_its_name_but_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("elsewhere"), "somebody's").expect("written");
        symlink("elsewhere", path("link")).expect("linked");
        symlink("/dev/zero", path("device")).expect("linked");
        symlink("nowhere", path("dangling")).expect("linked");
        assert!(Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo").success());
        fs::write(path("file"), "old").expect("written");
        for name in ["link", "device", "dangling", "pipe", "file", "none"] {
            replace_own(&path(name), b"new").expect(name);
            assert!(fs::symlink_metadata(path(name)).expect("there").is_file(), "{name}");
            assert_eq!(fs::read_to_string(path(name)).expect("there"), "new", "{name}");
        }
        assert_eq!(fs::read_to_string(path("elsewhere")).expect("there"), "somebody's");
        assert!(!path("nowhere").exists());
        fs::create_dir(path("folder")).expect("made");
        assert!(replace_own(&path("folder"), b"new").is_err());
    }

    #[test]
    fn a_new_file_takes_nobodys_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for (name, create) in [("unnamed", create_new as fn(&Path, &[u8]) -> _), ("beside", create_new_beside)] {
            create(&path(name), b"first").expect("written");
            let error: io::Error = create(&path(name), b"second").expect_err("it is there");
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}");
            assert_eq!(fs::read(path(name)).expect("there"), b"first");
        }
        assert!(create_new(&path("none/file"), b"").is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 2);
    }

    const FULL: &str = "SLHF_FILES_TEST_OF_A_FULL_DISK";

    /// Run by the next test, in a process that may write no more than a kilobyte into a file.
    #[test]
    #[ignore = "the next test runs it"]
    fn on_a_full_disk() {
        let path = std::env::var_os(FULL).expect("the next test sets it");
        let error = replace(Path::new(&path), &[b'n'; 5000]).expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn on_a_full_disk_the_earlier_file_survives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("result");
        fs::write(&path, "earlier").expect("written");
        let script = "ulimit -f 1; trap '' XFSZ; exec \"$0\" --exact results::tests::on_a_full_disk --ignored";
        let own = std::env::current_exe().expect("known");
        let output = Command::new("bash").args(["-c", script]).arg(own).env(FULL, &path).output().expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(fs::read_to_string(&path).expect("there"), "earlier");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing half-written is left");
    }
}

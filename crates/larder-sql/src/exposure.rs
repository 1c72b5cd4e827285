//! Files that hold secrets, such as a SQLite database with password hashes: they are created for their owner alone, and
//! [`mode`] says which files others may read.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What SQLite appends to the name of a database for the files beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The permissions with which others than its owner can read or write a file; `None` if they cannot, if there is no such
/// file, and on systems without such permissions.
pub fn mode(path: &Path) -> Option<u32> {
    permissions(path).filter(|mode| mode & 0o066 != 0)
}

/// The permissions with which others than its owner can replace the files in a folder. A sticky folder such as `/tmp` does
/// not let them.
pub fn folder_mode(path: &Path) -> Option<u32> {
    permissions(path).filter(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0)
}

#[cfg(unix)]
fn permissions(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<u32> {
    None
}

/// Creates the file of a database, and its folder, unless they exist: with 0600 and 0700. SQLite gives the files beside a
/// database the permissions of the database.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    let (mut folders, mut file) = (DirBuilder::new(), OpenOptions::new());
    folders.recursive(true);
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folders.mode(0o700);
        file.mode(0o600);
    }
    folders.create(folder(path))?;
    match file.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// The files of a database, and its folder, that others can read or replace.
pub(crate) fn of_database(path: &Path) -> Vec<(PathBuf, u32)> {
    let beside = BESIDE.map(|suffix| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    });
    let files = std::iter::once(path.to_owned()).chain(beside);
    let files = files.filter_map(|file| mode(&file).map(|mode| (file, mode)));
    let folder = folder(path).to_owned();
    files.chain(folder_mode(&folder).map(|mode| (folder, mode))).collect()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

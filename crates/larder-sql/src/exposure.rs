//! The permissions of files that hold secrets, such as a SQLite database with password hashes. larder creates a
//! database file for its owner alone; [`mode`] and [`folder_mode`] find files and folders that other users can read or
//! change.

use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The suffixes of the two files that SQLite creates beside a database file while the database is open in WAL mode.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Returns the permissions of a file if other users than its owner can read or write it. `None` if they cannot, if
/// there is no such file, or if the system is not Unix.
pub fn mode(path: &Path) -> Option<u32> {
    permissions(path).filter(|mode| mode & 0o066 != 0)
}

/// Returns the permissions of a folder if other users than its owner can replace the files in it. `None` as for
/// [`mode`], and for a folder with the sticky bit, such as `/tmp`: there each user can replace only their own files.
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

/// Creates the file of a database with the permissions 0600, and its missing folders with 0700. What exists stays as it
/// is. SQLite gives the files beside a database the permissions of the database file.
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

/// Returns the files of a database that other users can read or write, and its folder if other users can replace the
/// files in it; each with its permissions.
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

//! Distinguishes a SQLite file from a copy of it, which has the same bytes.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::Row as _;

use crate::connecting::connection::SqlConnection;
use crate::error::Error;

/// The identity of the file that `connection` has open: device, inode number, creation time, and the boot id of the
/// system.
///
/// Processes that share a SQLite file run on one kernel, because the file's lock and its shared memory (`-shm`) work on
/// one kernel only. So all these processes see the same identity.
///
/// Two files differ in at least one of the four parts:
/// - On one system they differ in device or inode number. If the inode number of a deleted file was used again, they
///   differ in the creation time.
/// - On two systems they differ in the boot id, which each kernel draws at random. So a snapshot of a disk that is
///   started on another system is another database.
///
/// If two processes over one file saw different identities, each would have its own keys in Redis, and a fresh read of
/// one would see a write of the other only within the staleness bound. A reboot changes the identity, so all keys in
/// Redis are new and have to be filled again.
pub(super) async fn identity(connection: &mut SqlConnection) -> Result<String, Error> {
    let list = sqlx::query("PRAGMA database_list").fetch_all(&mut *connection).await?;
    let main = list.iter().find(|row| row.try_get::<String, _>("name").is_ok_and(|name| name == "main"));
    let file: String = main.map_or(Ok(String::new()), |row| row.try_get("file"))?;
    // These blocking calls only ask the kernel and take microseconds, so they need no thread of their own.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Ok(format!("{}-{}", place(Path::new(&file)), boot.trim()))
}

/// Whether two paths are of one file, now.
#[cfg(feature = "sqlite")]
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    one == other || place(one) == place(other) && !place(one).is_empty()
}

/// Device, inode number and creation time of `file`. A part that the system does not report is empty. Even then the id
/// in the file (`larder_identity`) distinguishes databases that were created separately.
fn place(file: &Path) -> String {
    let Ok(about) = fs::metadata(file) else { return String::new() };
    let born = about.created().ok().and_then(|born: SystemTime| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map(|born| format!("{:x}", born.as_nanos())).unwrap_or_default();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        format!("{:x}-{:x}-{born}", about.dev(), about.ino())
    }
    #[cfg(not(unix))]
    born
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_another_file_and_a_second_name_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.db"), "the same").unwrap();
        fs::copy(at("a.db"), at("b.db")).unwrap();
        fs::hard_link(at("a.db"), at("c.db")).unwrap();
        let before = place(&at("a.db"));
        assert_ne!(before, place(&at("b.db")));
        assert_eq!(before, place(&at("c.db")));
        fs::write(at("a.db"), "written").unwrap();
        fs::rename(at("a.db"), at("d.db")).unwrap();
        assert_eq!(before, place(&at("d.db")), "it stays itself when it is written or moved");
        assert_eq!(place(&at("gone.db")), "");
    }
}

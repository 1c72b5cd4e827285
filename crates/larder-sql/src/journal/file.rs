//! What tells a file of SQLite from a copy of it, which holds the same bytes.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::Row as _;

use crate::connecting::connection::SqlConnection;
use crate::error::Error;

/// The file that `connection` has open: its device, its number there and its time of birth, on the running system.
///
/// Processes that share a file of SQLite run on one kernel, because the file's lock and its `-shm` do not reach further: they
/// all see the same four. Two files differ in one of them: on one system by device and number, which a file that was deleted may
/// leave to another of another birth; on two systems by the name that each kernel draws when it boots, so that a snapshot of a
/// whole disk is another database too. Should two processes over one file not agree, each has keys of its own, and a fresh read of one
/// sees a write of the other as a bounded read does. After a reboot the keys in Redis are others: they are filled anew.
pub(super) async fn identity(connection: &mut SqlConnection) -> Result<String, Error> {
    let list = sqlx::query("PRAGMA database_list").fetch_all(&mut *connection).await?;
    let main = list.iter().find(|row| row.try_get::<String, _>("name").is_ok_and(|name| name == "main"));
    let file: String = main.map_or(Ok(String::new()), |row| row.try_get("file"))?;
    // Three calls that ask the kernel alone: not worth a thread.
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Ok(format!("{}-{}", place(Path::new(&file)), boot.trim()))
}

/// Empty parts where the system does not say: what is in the file still tells databases apart that were created each for itself.
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

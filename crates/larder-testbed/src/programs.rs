//! Finds the programs of other packages, and names their Debian packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The variable of the environment with the path of another redis-server, such as a newer one or a valkey-server.
const REDIS_SERVER: &str = "LARDER_TEST_REDIS_SERVER";

/// Debian's folder of PostgreSQL's programs, with one folder for each version. They are not on the PATH.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// A program that the testbed starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `redis-server`.
    RedisServer,
    /// `initdb`, which creates a PostgreSQL data folder.
    Initdb,
    /// `postgres`, the server itself.
    Postgres,
    /// `psql`, the writer in PostgreSQL tests that does not use larder.
    Psql,
    /// `pg_basebackup`, which copies a running server to a standby.
    PgBasebackup,
    /// `pgbouncer`, a pooler in front of PostgreSQL.
    PgBouncer,
    /// `sqlite3`, the writer in SQLite tests that does not use larder.
    Sqlite3,
    /// `aiosmtpd`, a mail server in Python.
    Aiosmtpd,
    /// `openssl`, which makes certificates.
    Openssl,
    /// `nginx`, a load balancer.
    Nginx,
    /// `prometheus`, which scrapes metrics and answers queries.
    Prometheus,
    /// `promtool`, which checks rules and runs their unit tests.
    Promtool,
    /// `chromium`, a browser.
    Chromium,
}

impl Program {
    /// The name of the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::RedisServer => "redis-server",
            Self::Initdb => "initdb",
            Self::Postgres => "postgres",
            Self::Psql => "psql",
            Self::PgBasebackup => "pg_basebackup",
            Self::PgBouncer => "pgbouncer",
            Self::Sqlite3 => "sqlite3",
            Self::Aiosmtpd => "aiosmtpd",
            Self::Openssl => "openssl",
            Self::Nginx => "nginx",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
            Self::Chromium => "chromium",
        }
    }

    /// The Debian package to install for it.
    pub fn package(self) -> &'static str {
        match self {
            Self::RedisServer => "redis-server",
            Self::Initdb | Self::Postgres | Self::Psql | Self::PgBasebackup => "postgresql",
            Self::PgBouncer => "pgbouncer",
            Self::Sqlite3 => "sqlite3",
            Self::Aiosmtpd => "python3-aiosmtpd",
            Self::Openssl => "openssl",
            Self::Nginx => "nginx-light",
            Self::Prometheus | Self::Promtool => "prometheus",
            Self::Chromium => "chromium",
        }
    }

    fn folders(self) -> Vec<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = match self {
            // Search here before the PATH: Debian's psql on the PATH is a Perl script that takes three times as
            // long, and initdb and postgres must have the same version.
            Self::Initdb | Self::Postgres | Self::Psql | Self::PgBasebackup => {
                newest_first(Path::new(POSTGRES_VERSIONS))
            }
            // This folder is not on the PATH of an ordinary user.
            Self::PgBouncer | Self::Nginx => vec![PathBuf::from("/usr/sbin")],
            Self::RedisServer
            | Self::Sqlite3
            | Self::Aiosmtpd
            | Self::Openssl
            | Self::Prometheus
            | Self::Promtool
            | Self::Chromium => Vec::new(),
        };
        folders.extend(env::split_paths(&path));
        folders
    }
}

/// The path of a program: from the highest version in `/usr/lib/postgresql`, else from the PATH. For
/// [`RedisServer`](Program::RedisServer), the variable `LARDER_TEST_REDIS_SERVER` of the environment can hold another path.
///
/// # Errors
///
/// If it is not installed. The error names its Debian package.
pub fn find(program: Program) -> Result<PathBuf> {
    if let (Program::RedisServer, Some(path)) = (program, env::var_os(REDIS_SERVER)) {
        return Ok(PathBuf::from(path));
    }
    match program.folders().iter().map(|folder| folder.join(program.name())).find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => {
            bail!("{} is not installed; on Debian: apt-get install {}", program.name(), program.package())
        }
    }
}

/// The `bin` folders below `root`, the highest version first: 15 is before 9.6.
fn newest_first(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut versions: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((major_version(entry.file_name().to_str()?)?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn major_version(folder: &str) -> Option<u32> {
    folder.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "9", "notes"] {
            fs::create_dir(root.path().join(version)).unwrap();
        }
        let found = newest_first(root.path());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], root.path().join("15/bin"));
    }

    #[test]
    fn a_missing_folder_holds_no_version() {
        assert!(newest_first(Path::new("/nowhere")).is_empty());
    }
}

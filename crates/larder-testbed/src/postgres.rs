//! A throw-away PostgreSQL server, or the one this run of the tests shares.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tempfile::TempDir;

use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// Durability is worth nothing to a database that lives for minutes, and costs most of the time of a write.
const SETTINGS: [&str; 5] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC"];

/// A PostgreSQL server on 127.0.0.1 with trust authentication and no durability; dropped, it is gone.
pub struct Postgres {
    // Fields drop in this order: the server ends before its folder is removed.
    process: Process,
    folder: TempDir,
    account: Option<Account>,
    port: u16,
    settings: Vec<String>,
}

/// Where a PostgreSQL server is: `postgres://postgres@127.0.0.1:PORT`, without a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// The URL of one of the server's databases.
    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Where the same server is for whoever comes by this port.
    pub(crate) fn through(&self, port: u16) -> Self {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        Self(format!("{host}:{port}"))
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Postgres {
    /// The environment variable that names the server to share, such as
    /// `postgres://postgres@127.0.0.1:20001`.
    pub const SHARED: &str = "LARDER_TEST_POSTGRES";

    /// Makes a data folder and starts a server on it: about two seconds, so share one where a test allows.
    ///
    /// Run by root, the server runs as the user `postgres`, for PostgreSQL refuses to run as root.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed (the error names the package) or does not boot (it quotes the log).
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Like [`start`](Self::start), with settings such as `fsync=on`, which win over the defaults for tests.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); a setting PostgreSQL refuses keeps it from booting.
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-postgres-").tempdir()?;
        let account = if geteuid().is_root() { Some(Account::named("postgres")?) } else { None };
        if let Some(account) = &account {
            chown(folder.path(), Some(account.uid), Some(account.gid))?;
        }
        init(folder.path(), account.as_ref())?;
        boot_on(free_port, |port| Ok((boot(folder.path(), port, account.as_ref(), settings)?, port)))
            .map(|(process, port)| Self { process, folder, account, port, settings: owned(settings) })
    }

    /// Ends the server as a crash would, and waits for the end. Transactions committed with `synchronous_commit=on`
    /// survive; by default it is off here, and the last ones may be lost.
    ///
    /// # Errors
    ///
    /// When the server has ended already.
    pub fn crash(&mut self) -> Result<()> {
        self.process.end()
    }

    /// Starts a crashed server again: same port, same data.
    ///
    /// # Errors
    ///
    /// When it does not boot, or somebody else took the port.
    pub fn restart(&mut self) -> Result<()> {
        let port = self.port;
        self.process = boot_on(
            || Ok(port),
            |port| boot(self.folder.path(), port, self.account.as_ref(), &self.settings),
        )?;
        Ok(())
    }

    /// The server `LARDER_TEST_POSTGRES` names; without it, one server for the whole of this process, started
    /// at the first call.
    ///
    /// `cargo xtask test` sets the variable, for nextest gives every test a process of its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<PostgresUrl> {
        // A static is never dropped; the server's watchdog ends it together with this process.
        static STARTED: Mutex<Option<Postgres>> = Mutex::new(None);
        if let Some(url) = env::var(Self::SHARED).ok().filter(|url| !url.is_empty()) {
            return Ok(PostgresUrl(url.trim_end_matches('/').to_owned()));
        }
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *started {
            Some(server) => Ok(server.url()),
            none => Ok(none.insert(Self::start()?).url()),
        }
    }

    /// Where the server is.
    pub fn url(&self) -> PostgresUrl {
        PostgresUrl(format!("postgres://postgres@127.0.0.1:{}", self.port))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn owned(settings: &[&str]) -> Vec<String> {
    settings.iter().map(|setting| (*setting).to_owned()).collect()
}

/// The user a server runs as.
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    fn named(name: &str) -> Result<Self> {
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        Self::parse(&passwd, name).with_context(|| {
            format!(
                "no user {name}, whom root needs to run PostgreSQL; on Debian: apt-get install postgresql"
            )
        })
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let user = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
        Some(Self { uid: user.get(2)?.parse().ok()?, gid: user.get(3)?.parse().ok()? })
    }
}

/// One of PostgreSQL's programs, run as `account` in a folder that account may enter.
fn program(program: Program, folder: &Path, account: Option<&Account>) -> Result<Command> {
    let mut command = Command::new(find(program)?);
    command.current_dir(folder).arg("-D").arg(folder.join("data"));
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    Ok(command)
}

fn init(folder: &Path, account: Option<&Account>) -> Result<()> {
    // C.UTF-8 exists on every Debian and folds the case of all letters, not of ASCII alone.
    let output = program(Program::Initdb, folder, account)?
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
        .args(["--no-sync", "--no-instructions"])
        .stdin(Stdio::null())
        .output()
        .context("starting initdb")?;
    if !output.status.success() {
        bail!("initdb failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn boot(
    folder: &Path,
    port: u16,
    account: Option<&Account>,
    settings: &[impl AsRef<str>],
) -> Result<Process> {
    let log = folder.join("log");
    let mut command = program(Program::Postgres, folder, account)?;
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(folder);
    // Of two for one thing the later wins.
    for setting in SETTINGS.into_iter().chain(settings.iter().map(AsRef::as_ref)) {
        command.args(["-c", setting]);
    }
    command.stderr(File::create(&log)?);
    let mut process = Process::spawn(&mut command, folder, Ending::Quit)?;
    let pid = process.pid().to_string();
    // pg_ctl's own test: the first line is the server's id and the eighth says `ready`.
    process.wait_ready(&log, || {
        let status = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        let line = |number| status.lines().nth(number).map(str::trim);
        line(0) == Some(&pid) && line(7) == Some("ready")
    })?;
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/sh\n";
        let account = Account::parse(passwd, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(Account::parse(passwd, "nobody").is_none());
    }
}

//! A temporary PostgreSQL server, or the one that a run of the tests shares.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::account::Account;
use crate::authority::Authority;
use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// No durability: a database that lives for minutes does not need it, and durability takes most of the time of a write.
const SETTINGS: [&str; 5] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC"];

/// A PostgreSQL server on 127.0.0.1 with trust authentication and no durability. A drop stops it and removes its data.
pub struct Postgres {
    // Fields drop in this order: the server ends before its folder is removed.
    process: Process,
    folder: TempDir,
    account: Option<Account>,
    port: u16,
    settings: Vec<String>,
}

/// The URL of a PostgreSQL server without a database: `postgres://postgres@127.0.0.1:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// The URL of one of the server's databases.
    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// The server's port.
    pub(crate) fn port(&self) -> Result<u16> {
        let port = self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.with_context(|| format!("{self} names no port"))
    }

    /// The URL of the same server through another port.
    pub fn through(&self, port: u16) -> Self {
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
    /// The environment variable with the URL of the server to share, such as
    /// `postgres://postgres@127.0.0.1:20001`.
    pub const SHARED: &str = "LARDER_TEST_POSTGRES";

    /// Creates a data folder and starts a server on it. It takes about two seconds, so share one if a test allows.
    ///
    /// If this process runs as root, the server runs as the user `postgres`, because PostgreSQL refuses to run as root.
    ///
    /// # Errors
    ///
    /// If PostgreSQL is not installed (the error names the package) or does not boot (the error quotes the log).
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with settings such as `fsync=on`, which override the defaults for tests.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). With an invalid setting the server does not boot.
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-postgres-").tempdir()?;
        let account = Account::for_servers()?;
        if let Some(account) = &account {
            account.own(folder.path())?;
        }
        init(folder.path(), account.as_ref())?;
        Self::on(folder, account, settings, free_port)
    }

    /// As [`start`](Self::start), with TLS: its certificate is for `localhost`. `postgres` needs no TLS; each other user
    /// needs a certificate of `authority` that has the user's name.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`Authority::issue`].
    pub fn start_with_tls(authority: &Authority) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-postgres-").tempdir()?;
        let account = Account::for_servers()?;
        if let Some(account) = &account {
            account.own(folder.path())?;
        }
        init(folder.path(), account.as_ref())?;
        let issued = authority.issue("localhost")?;
        let files = [("ca", authority.certificate()), ("server", issued.certificate), ("key", issued.key)];
        let mut settings = vec!["ssl=on".to_owned()];
        for ((name, from), setting) in files.into_iter().zip(["ssl_ca_file", "ssl_cert_file", "ssl_key_file"])
        {
            let file = folder.path().join(name);
            fs::copy(from, &file)?;
            // PostgreSQL refuses a key that others may read.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            if let Some(account) = &account {
                account.own(&file)?;
            }
            settings.push(format!("{setting}={}", file.display()));
        }
        let access =
            "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 cert\n";
        fs::write(folder.path().join("data/pg_hba.conf"), access)?;
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        Self::on(folder, account, &settings, free_port)
    }

    /// Starts a server on the data in `folder` and the next free one of `ports`.
    pub(crate) fn on(
        folder: TempDir,
        account: Option<Account>,
        settings: &[&str],
        ports: impl FnMut() -> Result<u16>,
    ) -> Result<Self> {
        boot_on(ports, |port| Ok((boot(folder.path(), port, account.as_ref(), settings)?, port)))
            .map(|(process, port)| Self { process, folder, account, port, settings: owned(settings) })
    }

    /// Ends the server as a crash does, and waits for the end. Transactions that committed with `synchronous_commit=on`
    /// survive. By default that setting is off here, so the last transactions may be lost.
    ///
    /// # Errors
    ///
    /// If the server has ended already.
    pub fn crash(&mut self) -> Result<()> {
        self.process.end()
    }

    /// Starts a crashed server again: same port, same data.
    ///
    /// # Errors
    ///
    /// If it does not boot, or another process took the port.
    pub fn restart(&mut self) -> Result<()> {
        let port = self.port;
        self.process = boot_on(
            || Ok(port),
            |port| boot(self.folder.path(), port, self.account.as_ref(), &self.settings),
        )?;
        Ok(())
    }

    /// Longer than larder's default staleness bound (2 s).
    const AGE_MIN: Duration = Duration::from_millis(2_100);

    /// The server that `LARDER_TEST_POSTGRES` names. Without this variable, the first call starts one server for this
    /// process. It returns when the server has run for longer than larder's staleness bound, because larder uses no new
    /// Redis in front of a database that was just started.
    ///
    /// `cargo xtask test` sets the variable, because nextest runs every test in its own process.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared() -> Result<PostgresUrl> {
        // Rust never drops a static, so the server's watchdog ends the server after this process has ended. A thread
        // holds the lock while it starts the server, so that two threads do not start two servers.
        static STARTED: Mutex<Option<Postgres>> = Mutex::new(None);
        if let Some(url) = env::var(Self::SHARED).ok().filter(|url| !url.is_empty()) {
            return Ok(PostgresUrl(url.trim_end_matches('/').to_owned()));
        }
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *started {
            Some(server) => Ok(server.url()),
            none => {
                let url = none.insert(Self::start()?).url();
                std::thread::sleep(Self::AGE_MIN);
                Ok(url)
            }
        }
    }

    /// The URL of the server.
    pub fn url(&self) -> PostgresUrl {
        PostgresUrl(format!("postgres://postgres@127.0.0.1:{}", self.port))
    }

    /// The folder of its socket, for clients that connect without TCP.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn owned(settings: &[&str]) -> Vec<String> {
    settings.iter().map(|setting| (*setting).to_owned()).collect()
}

/// A command for one of PostgreSQL's programs, run as `account` in a folder that the account may enter.
pub(crate) fn program(program: Program, folder: &Path, account: Option<&Account>) -> Result<Command> {
    let mut command = Command::new(find(program)?);
    command.current_dir(folder).arg("-D").arg(folder.join("data"));
    if let Some(account) = account {
        account.run(&mut command);
    }
    Ok(command)
}

fn init(folder: &Path, account: Option<&Account>) -> Result<()> {
    // C.UTF-8 exists on every Debian and converts the case of all letters, not only of ASCII.
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
    // If a setting has two values, PostgreSQL uses the later one.
    for setting in SETTINGS.into_iter().chain(settings.iter().map(AsRef::as_ref)) {
        command.args(["-c", setting]);
    }
    command.stderr(File::create(&log)?);
    let mut process = Process::spawn(&mut command, folder, Ending::Quit)?;
    let pid = process.pid().to_string();
    // The check of pg_ctl: in `postmaster.pid`, the first line is the server's process id and the eighth is `ready`.
    process.wait_ready(&log, || {
        let status = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        let line = |number| status.lines().nth(number).map(str::trim);
        line(0) == Some(&pid) && line(7) == Some("ready")
    })?;
    Ok(process)
}

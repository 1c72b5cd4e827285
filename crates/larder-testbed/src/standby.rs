//! Standbys of a PostgreSQL server, which can be promoted.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::database::psql;
use crate::ports::free_port;
use crate::postgres::{Postgres, program};
use crate::programs::Program;

/// How long a change of the replication may take.
const TIMEOUT: Duration = Duration::from_secs(20);

impl Postgres {
    /// Starts a hot standby that streams from this server. It takes one or two seconds.
    ///
    /// # Errors
    ///
    /// As [`Postgres::start`], and if the server cannot be copied.
    pub fn standby(&self) -> Result<Self> {
        self.backup(&["--write-recovery-conf"], free_port)
    }

    /// Starts a hot standby of this server in the place of `former`, which ends: on the same port, so that clients that
    /// list both servers find it.
    ///
    /// # Errors
    ///
    /// As [`Postgres::standby`], and if another process took the port.
    pub fn standby_in_place_of(&self, former: Self) -> Result<Self> {
        let port = former.port();
        drop(former);
        self.backup(&["--write-recovery-conf"], || Ok(port))
    }

    /// Starts a server on a backup of this one that follows no other server: a primary with the same data, system
    /// identifier and timeline, as if it was created from a snapshot of a volume.
    ///
    /// # Errors
    ///
    /// As [`Postgres::standby`].
    pub fn twin(&self) -> Result<Self> {
        self.backup(&[], free_port)
    }

    fn backup(&self, options: &[&str], port: impl FnMut() -> Result<u16>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-standby-").tempdir()?;
        let account = Account::for_servers()?;
        if let Some(account) = &account {
            account.own(folder.path())?;
        }
        let output = program(Program::PgBasebackup, folder.path(), account.as_ref())?
            .args(["--dbname", &self.url().database("postgres")])
            .args(["--checkpoint=fast", "--no-sync"])
            .args(options)
            .stdin(Stdio::null())
            .output()
            .context("starting pg_basebackup")?;
        if !output.status.success() {
            bail!("pg_basebackup failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Self::on(folder, account, &[], port)
    }

    /// Lets each commit wait until a standby has written it, and returns once a standby does so. A commit that another
    /// transaction sees is then on the standby.
    ///
    /// # Errors
    ///
    /// If no standby streams from this server within 20 s.
    pub fn wait_for_standby(&self) -> Result<()> {
        let url = self.url().database("postgres");
        psql(&url, "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        psql(&url, "SELECT pg_reload_conf()")?;
        // The end of the log is read once the standby is a synchronous one: commits before that did not wait.
        let ask = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("a standby is synchronous", || Ok(psql(&url, ask)? != "0"))?;
        let end = psql(&url, "SELECT pg_current_wal_insert_lsn()")?;
        let ask = format!("SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '{end}'");
        until("a standby has the log", || Ok(psql(&url, &ask)? != "0"))
    }

    /// Lets no commit wait for a standby any more.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub fn commit_alone(&self) -> Result<()> {
        let url = self.url().database("postgres");
        psql(&url, "ALTER SYSTEM RESET synchronous_standby_names")?;
        psql(&url, "SELECT pg_reload_conf()").map(drop)
    }

    /// Lets a standby receive nothing more of its primary's log: what the primary commits from now on is not on it.
    ///
    /// # Errors
    ///
    /// If the standby still receives the log after 20 s.
    pub fn stop_receiving(&self) -> Result<()> {
        let url = self.url().database("postgres");
        psql(&url, "ALTER SYSTEM SET primary_conninfo = ''")?;
        psql(&url, "SELECT pg_reload_conf()")?;
        until("the standby receives nothing", || {
            Ok(psql(&url, "SELECT count(*) FROM pg_stat_wal_receiver")? == "0")
        })
    }

    /// Promotes a standby to a primary with the data that it has received so far, and waits until it accepts writes.
    ///
    /// # Errors
    ///
    /// If it is not a standby, or not promoted after 20 s.
    pub fn promote(&self) -> Result<()> {
        let url = self.url().database("postgres");
        psql(&url, "SELECT pg_promote(false)")?;
        until("the standby is promoted", || Ok(psql(&url, "SELECT pg_is_in_recovery()")? == "f"))
    }
}

/// Asks until the answer is yes.
fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !is_so()? {
        if Instant::now() > deadline {
            bail!("not within {TIMEOUT:?}: {what}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

//! Standbys of a PostgreSQL server, which can be promoted.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::database::psql;
use crate::postgres::{Postgres, program};
use crate::programs::Program;

/// Time-out of a promotion.
const PROMOTION: Duration = Duration::from_secs(20);

impl Postgres {
    /// Starts a hot standby that streams from this server. It takes one or two seconds.
    ///
    /// # Errors
    ///
    /// As [`Postgres::start`], and if the server cannot be copied.
    pub fn standby(&self) -> Result<Self> {
        self.backup(&["--write-recovery-conf"])
    }

    /// Starts a server on a backup of this one that follows no other server: a primary with the same data, system
    /// identifier and timeline, as if it was created from a snapshot of a volume.
    ///
    /// # Errors
    ///
    /// As [`Postgres::standby`].
    pub fn twin(&self) -> Result<Self> {
        self.backup(&[])
    }

    fn backup(&self, options: &[&str]) -> Result<Self> {
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
        Self::on(folder, account, &[])
    }

    /// Promotes a standby to a primary with the data that it has received so far, and waits until it accepts writes.
    ///
    /// # Errors
    ///
    /// If it is not a standby, or not promoted after 20 s.
    pub fn promote(&self) -> Result<()> {
        let url = self.url().database("postgres");
        psql(&url, "SELECT pg_promote(false)")?;
        let deadline = Instant::now() + PROMOTION;
        while psql(&url, "SELECT pg_is_in_recovery()")? != "f" {
            if Instant::now() > deadline {
                bail!("the standby was not promoted after {PROMOTION:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

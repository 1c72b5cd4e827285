//! A temporary PostgreSQL database, and a writer that does not use larder.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ports::unique;
use crate::postgres::PostgresUrl;
use crate::programs::{Program, find};
use crate::proxy::Proxy;

/// An empty database with a unique name. A drop of the value drops the database, even if clients are still connected.
pub struct Database {
    server: PostgresUrl,
    name: String,
}

impl Database {
    /// Creates a database on a server. It takes a few tens of milliseconds.
    ///
    /// # Errors
    ///
    /// If psql is not installed or the server does not answer.
    pub fn fresh(server: &PostgresUrl) -> Result<Self> {
        let name = format!("larder_{:016x}", unique());
        // Copy template0, because template1 cannot be copied while a client is connected to it.
        psql(&server.database("postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(Self { server: server.clone(), name })
    }

    /// `postgres://postgres@127.0.0.1:PORT/NAME`.
    pub fn url(&self) -> String {
        self.server.database(&self.name)
    }

    /// The URL of the database through a proxy of the server.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.server.through(proxy.port()).database(&self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database on another server from now on, such as a standby that was promoted.
    pub fn move_to(&mut self, server: &PostgresUrl) {
        self.server = server.clone();
    }

    /// Runs SQL as a program that does not use larder: in psql, on a separate connection.
    ///
    /// Returns the rows, one a line, columns separated by `|`. Several statements are one transaction.
    ///
    /// # Errors
    ///
    /// If a statement fails. The error contains PostgreSQL's text.
    pub fn sql(&self, statement: &str) -> Result<String> {
        psql(&self.url(), statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Ignore a failure: the server and its data are removed after the tests.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = psql(&self.server.database("postgres"), &drop);
    }
}

/// As [`Database::sql`], for any database that psql can reach by this URL.
///
/// # Errors
///
/// As [`Database::sql`].
pub fn sql(url: &str, statement: &str) -> Result<String> {
    psql(url, statement)
}

pub(crate) fn psql(url: &str, statement: &str) -> Result<String> {
    let output = Command::new(find(Program::Psql)?)
        .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"])
        .args(["--dbname", url, "--command", statement])
        .stdin(Stdio::null())
        .output()
        .context("starting psql")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

//! A PostgreSQL database of one's own, and a foreign writer into it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ports::unique;
use crate::postgres::PostgresUrl;
use crate::programs::{Program, find};
use crate::proxy::Proxy;

/// An empty database with a name nobody else has; dropped, it is dropped, whoever is still connected.
pub struct Database {
    server: PostgresUrl,
    name: String,
}

impl Database {
    /// Creates a database on a server: a few tens of milliseconds.
    ///
    /// # Errors
    ///
    /// When psql is not installed or the server is away.
    pub fn fresh(server: &PostgresUrl) -> Result<Self> {
        let name = format!("larder_{:016x}", unique());
        // template0, for template1 cannot be copied while anybody is connected to it.
        psql(&server.database("postgres"), &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(Self { server: server.clone(), name })
    }

    /// `postgres://postgres@127.0.0.1:PORT/NAME`.
    pub fn url(&self) -> String {
        self.server.database(&self.name)
    }

    /// The same by way of a proxy that leads to the server.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.server.through(proxy.port()).database(&self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL as software that has never heard of larder would: in psql, on a connection of its own.
    ///
    /// Returns the rows, one a line, columns separated by `|`. Several statements are one transaction.
    ///
    /// # Errors
    ///
    /// When a statement fails; the error holds PostgreSQL's words.
    pub fn sql(&self, statement: &str) -> Result<String> {
        psql(&self.url(), statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A failure harms nobody: the whole server is thrown away in the end.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = psql(&self.server.database("postgres"), &drop);
    }
}

/// As [`Database::sql`], on any database that psql can reach by this URL.
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

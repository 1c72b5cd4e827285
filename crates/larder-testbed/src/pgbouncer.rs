//! A temporary PgBouncer in front of a PostgreSQL server.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::account::Account;
use crate::ports::{boot_on, free_port};
use crate::postgres::PostgresUrl;
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// When PgBouncer may give a server connection to another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// After the client has disconnected.
    Session,
    /// After each transaction.
    Transaction,
}

/// A PgBouncer on 127.0.0.1 that accepts every client as `postgres`. A drop stops it and removes its folder.
pub struct PgBouncer {
    // Fields drop in this order: the server ends before its folder is removed.
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of `server`, with at most `connections` to each of its databases.
    ///
    /// PgBouncer refuses clients that send an unknown startup parameter. This one ignores only `extra_float_digits`,
    /// which sqlx sends.
    ///
    /// # Errors
    ///
    /// If pgbouncer is not installed (the error names the package) or does not boot (the error quotes the log).
    pub fn start(server: &PostgresUrl, mode: PoolMode, connections: u16) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-pgbouncer-").tempdir()?;
        let account = Account::for_servers()?;
        boot_on(free_port, |port| {
            write_config(folder.path(), port, server.port()?, mode, connections)?;
            let log = folder.path().join("log");
            let mut command = Command::new(find(Program::PgBouncer)?);
            command.arg(folder.path().join("pgbouncer.ini")).stderr(File::create(&log)?);
            if let Some(account) = &account {
                account.own(folder.path())?;
                account.run(&mut command);
            }
            let mut process = Process::spawn(&mut command, folder.path(), Ending::Kill)?;
            let pid = process.pid().to_string();
            // Check PgBouncer's process id in its log: if another process took the port, that process would answer.
            process.wait_ready(&log, || {
                let said = fs::read_to_string(&log).unwrap_or_default();
                said.contains("process up")
                    && said.contains(&format!("[{pid}]"))
                    && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
            })?;
            Ok((process, port))
        })
        .map(|(process, port)| Self { _process: process, _folder: folder, port })
    }

    /// The URL of a database of the server through this pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn write_config(folder: &Path, port: u16, server: u16, mode: PoolMode, connections: u16) -> Result<()> {
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
    };
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\nadmin_users = postgres\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
         max_client_conn = 200\nignore_startup_parameters = extra_float_digits\n"
    );
    fs::write(folder.join("pgbouncer.ini"), config).context("writing pgbouncer.ini")
}

//! The requests that are measured, and the service that answers them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use larder_testbed::Sqlite;

use crate::http::bare;
use crate::http::process::ServerProcess;
use crate::http::report::Memory;
use crate::site::client::Client;
use crate::site::people::Server;
use crate::site::{EMAIL, PASSWORD};

/// One kind of request.
pub(super) struct Work {
    pub(super) name: &'static str,
    pub(super) requests: Vec<Vec<u8>>,
    /// The size of the first answer's body.
    pub(super) body_bytes: usize,
    paths: Vec<String>,
}

/// A `larder serve` with its database, whose memory holds the answer to each request.
pub(super) struct Installation {
    pub(super) process: ServerProcess,
    pub(super) works: Vec<Work>,
    started_mib: u64,
    _database: Server,
}

impl Installation {
    /// Starts `program`, or else this release, on a database with `users` users, and sends each request once.
    pub(super) async fn open(program: Option<&Path>, users: u64) -> Result<Self> {
        let database = Server::Sqlite(Sqlite::fresh()?);
        let process = ServerProcess::larder(
            program,
            &[
                ("DATABASE_URL", &database.url()),
                ("LARDER_LISTEN", "127.0.0.1:0"),
                ("LARDER_ADMIN_EMAIL", EMAIL),
                ("LARDER_ADMIN_PASSWORD", PASSWORD),
                // Hits alone are measured, so nothing expires meanwhile.
                ("CACHE_DEFAULT_TTL", "3600"),
            ],
        )?;
        let started_mib = resident_mib(process.pid())?;
        database.fill(users)?;
        let ids: Vec<String> = database.sql("SELECT id FROM users")?.lines().map(str::to_owned).collect();
        ensure!(ids.len() as u64 > users, "{} users are there", ids.len());
        let mut admin = Client::login(process.address(), EMAIL, PASSWORD).await?;
        let one = |path: &str| vec![path.to_owned()];
        let named = [
            ("a user", ids.iter().map(|id| format!("/api/v1/users/{id}")).collect()),
            ("a page of 25 users", one("/api/v1/users?limit=25")),
            ("statistics", one("/api/v1/users/statistics")),
            ("the leaderboard", one("/api/v1/leaderboard")),
            ("validation of a token", one("/api/v1/auth/validate")),
        ];
        let mut works = Vec::new();
        for (name, paths) in named {
            let mut body_bytes = None;
            for path in &paths {
                let answer = admin.expect(200, "GET", path, "").await?;
                body_bytes.get_or_insert(answer.body.len());
            }
            let requests = paths.iter().map(|path| request(path, admin.token())).collect();
            let body_bytes = body_bytes.context("a kind of request without paths")?;
            works.push(Work { name, requests, body_bytes, paths });
        }
        Ok(Self { process, works, started_mib, _database: database })
    }

    /// What the process holds after its start, and now.
    pub(super) fn memory(&self, name: &'static str) -> Result<Memory> {
        Ok(Memory { name, started_mib: self.started_mib, now_mib: resident_mib(self.process.pid())? })
    }
}

impl Work {
    /// As many requests to the bare handler of this kind, which is the `number`th of all.
    pub(super) fn bare(&self, handler: &str, number: usize) -> Result<Vec<Vec<u8>>> {
        let token = bare::token()?;
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let paths = self.paths.iter().map(|path| format!("/{handler}/{number}/{}", last(path)));
        Ok(paths.map(|path| request(&path, &token)).collect())
    }
}

fn request(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n")
        .into_bytes()
}

/// The memory of a process that is resident, in MiB.
fn resident_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without memory")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}

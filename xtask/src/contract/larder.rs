//! A separate service for the run, with a separate database.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use larder_testbed::{Database, Postgres, Redis, SmtpOptions, SmtpServer, free_port};

use crate::steps::{command, run as run_command};

/// The first superadmin. The database is removed after the run.
pub(super) const ADMIN: [(&str, &str); 2] =
    [("LARDER_ADMIN_EMAIL", "keeper@example.com"), ("LARDER_ADMIN_PASSWORD", "the first of all passwords")];

/// The audience of the service's tokens.
pub(super) const AUDIENCE: &str = "https://api.example.com";

/// Time-out of the service's start.
const START: Duration = Duration::from_secs(60);

/// Texts that the log must not contain: a panic, and a request that failed because of the service.
const FAILURES: [&str; 3] = ["panicked at", "request failed", "the service failed"];

/// A running service. A drop kills it.
pub(super) struct Larder {
    child: Child,
    port: u16,
    log: PathBuf,
    // A drop of these stops the servers, so keep them as long as the service runs.
    _database: Option<Database>,
    _postgres: Option<Postgres>,
    _redis: Option<Redis>,
    _mails: SmtpServer,
}

impl Larder {
    /// Starts the service on SQLite and memory, with these additional settings.
    pub(super) fn start_with(root: &Path, folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        Self::launch(root, folder, false, false, settings)
    }

    /// Starts the service in an empty folder. Returns when it listens.
    pub(super) fn start(root: &Path, folder: &Path, with_redis: bool, with_postgres: bool) -> Result<Self> {
        Self::launch(root, folder, with_redis, with_postgres, &[])
    }

    fn launch(
        root: &Path,
        folder: &Path,
        with_redis: bool,
        with_postgres: bool,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let redis = with_redis.then(Redis::start).transpose()?;
        let postgres = with_postgres.then(Postgres::start).transpose()?;
        let database = postgres.as_ref().map(|server| Database::fresh(&server.url())).transpose()?;
        let url = match &database {
            Some(database) => database.url(),
            None => format!("sqlite://{}", folder.join("larder.db").display()),
        };
        let mails = SmtpServer::start(SmtpOptions::default())?;
        let (port, log) = (free_port()?, folder.join("larder.log"));
        let output = File::create(&log)?;
        let program = root.join("target/debug/larder");
        let mut service = command(folder, &program.to_string_lossy(), &["serve"]);
        service.env_remove("REDIS_URL").env("DATABASE_URL", url).envs(ADMIN);
        if let Some(redis) = &redis {
            service.env("REDIS_URL", redis.url());
        }
        service.env("LARDER_LISTEN", format!("127.0.0.1:{port}"));
        service.env("LARDER_ISSUER", format!("http://127.0.0.1:{port}")).env("LARDER_AUDIENCE", AUDIENCE);
        service.env("RUST_LOG", "debug,sqlx=info,hyper=info").env("RUST_BACKTRACE", "1");
        service.env("LARDER_MAIL_URL", format!("smtp://127.0.0.1:{}", mails.port()));
        service.env("LARDER_MAIL_FROM", "no-reply@larder.example");
        // Stop at once: there is no load balancer that has to notice the stop first.
        service.env("LARDER_STOP_DELAY", "0");
        // Most requests of schemathesis fail. With the default limits, the service would answer 429 after the first
        // few.
        for limit in ["LARDER_FAILURES_PER_ADDRESS", "LARDER_FAILURES_PER_ACCOUNT"] {
            service.env(limit, "1000000");
        }
        service.envs(settings.iter().copied());
        let child = service.stdout(Stdio::from(output.try_clone()?)).stderr(output).spawn();
        let child = child.with_context(|| format!("starting {}", program.display()))?;
        let (_database, _postgres, _redis, _mails) = (database, postgres, redis, mails);
        let mut larder = Self { child, port, log, _database, _postgres, _redis, _mails };
        larder.listens()?;
        Ok(larder)
    }

    /// The URL of the service.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file of the service's log.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// The port of the service.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn listens(&mut self) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended ({status}); see {}", self.log.display());
            }
            if started.elapsed() > START {
                bail!("the service does not listen after {START:?}; see {}", self.log.display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops the service with SIGTERM. Fails if the service does not exit with success, or if its log has a failure.
    pub(super) fn end(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        run_command(&mut command(Path::new("/"), "kill", &["-TERM", &id]))?;
        let status = self.child.wait()?;
        let text = fs::read(&self.log)?;
        let text = String::from_utf8_lossy(&text);
        let bad: Vec<_> =
            text.lines().filter(|line| FAILURES.iter().any(|failure| line.contains(failure))).collect();
        for line in bad.iter().take(5) {
            println!("  {line}");
        }
        match (bad.len(), status.success()) {
            (0, true) => Ok(()),
            (0, false) => bail!("the service ended with {status}"),
            (count, _) => bail!("{count} lines of {} report a failure", self.log.display()),
        }
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        // Ignore errors: the service may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

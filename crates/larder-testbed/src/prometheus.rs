//! A temporary Prometheus that scrapes instances of a service.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// Time-out of an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A Prometheus on 127.0.0.1. It scrapes `/metrics` each second as the job `larder`, and evaluates its rules as often. A drop
/// stops it and removes its folder.
pub struct Prometheus {
    // Fields drop in this order: the server ends before its folder is removed.
    _process: Process,
    _folder: TempDir,
    port: u16,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes the instances at these addresses with this Bearer token, and has the rules of the
    /// file `rules`.
    ///
    /// # Errors
    ///
    /// If Prometheus is not installed (the error names the package), refuses the rules or does not boot (the error quotes
    /// the log).
    pub fn start(instances: &[SocketAddr], token: &str, rules: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-prometheus-").tempdir()?;
        write_config(folder.path(), instances, token, rules)?;
        let (process, port) = boot_on(free_port, |port| {
            let log = folder.path().join("log");
            let data = folder.path().join(format!("data-{port}"));
            let mut command = Command::new(find(Program::Prometheus)?);
            command.arg(format!("--config.file={}", folder.path().join("config.yaml").display()));
            command.arg(format!("--storage.tsdb.path={}", data.display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command.stderr(File::create(&log)?);
            let mut process = Process::spawn(&mut command, folder.path(), Ending::Kill)?;
            // Its own folder is in its flags: if another process took the port, that one would answer.
            let own = data.display().to_string();
            process.wait_ready(&log, || {
                get(port, "/api/v1/status/flags").is_ok_and(|flags| flags.contains(&own))
                    && get(port, "/-/ready").is_ok()
            })?;
            Ok((process, port))
        })?;
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// The JSON that a path of its API answers, such as `/api/v1/rules`.
    ///
    /// # Errors
    ///
    /// If it does not answer, or with another status than 200.
    pub fn get(&self, path: &str) -> Result<String> {
        get(self.port, path)
    }

    /// The JSON of the present value of an expression.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), or if the expression is wrong.
    pub fn query(&self, expression: &str) -> Result<String> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in expression.bytes() {
            write!(path, "%{byte:02X}")?;
        }
        get(self.port, &path).with_context(|| format!("the expression {expression}"))
    }
}

fn write_config(folder: &Path, instances: &[SocketAddr], token: &str, rules: &Path) -> Result<()> {
    let key = folder.join("key");
    fs::write(&key, token)?;
    let targets: Vec<_> = instances.iter().map(|instance| format!("\"{instance}\"")).collect();
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [ \"{}\" ]\nscrape_configs:\n  \
         - job_name: larder\n    authorization: {{ credentials_file: \"{}\" }}\n    \
         static_configs: [ {{ targets: [ {} ] }} ]\n",
        rules.display(),
        key.display(),
        targets.join(", ")
    );
    fs::write(folder.join("config.yaml"), config).context("writing Prometheus's configuration")
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the answer ends with its connection, and is in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{}: {body}", head.lines().next().unwrap_or_default());
    Ok(body.to_owned())
}

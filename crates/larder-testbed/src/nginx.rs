//! A temporary nginx in front of several instances of a service.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::authority::Issued;
use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// An nginx on 127.0.0.1 that balances requests over servers. It keeps connections to them, and everything else is
/// nginx's default: a server whose port is closed gets no request for 10 s, and a POST that was sent is not sent again. A
/// drop stops it and removes its folder.
pub struct Nginx {
    // Fields drop in this order: the server ends before its folder is removed.
    _process: Process,
    folder: TempDir,
    port: u16,
}

impl Nginx {
    /// Starts an nginx in front of the servers on these ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If nginx is not installed (the error names the package) or does not boot (the error quotes the log).
    pub fn start(servers: &[u16]) -> Result<Self> {
        Self::start_on(servers, None)
    }

    /// As [`start`](Self::start), with TLS for its clients.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_tls(servers: &[u16], certificate: &Issued) -> Result<Self> {
        Self::start_on(servers, Some(certificate))
    }

    fn start_on(servers: &[u16], certificate: Option<&Issued>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-nginx-").tempdir()?;
        let (process, port) = boot_on(free_port, |port| {
            let log = folder.path().join("log");
            // nginx appends: a failed attempt would leave its lines.
            File::create(&log)?;
            write_config(folder.path(), port, servers, certificate)?;
            let mut command = Command::new(find(Program::Nginx)?);
            command.arg("-e").arg(&log).arg("-c").arg(folder.path().join("config"));
            command.stderr(File::options().append(true).open(&log)?);
            let mut process = Process::spawn(&mut command, folder.path(), Ending::Terminate)?;
            // nginx writes its process id once it listens. If another process took the port, nginx ends instead.
            let pid = process.pid().to_string();
            process.wait_ready(&log, || {
                fs::read_to_string(folder.path().join("pid")).is_ok_and(|written| written.trim() == pid)
                    && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
            })?;
            Ok((process, port))
        })?;
        Ok(Self { _process: process, folder, port })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The log of errors so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn write_config(folder: &Path, port: u16, servers: &[u16], certificate: Option<&Issued>) -> Result<()> {
    let shown = folder.display();
    // If nginx runs as root, it starts its workers by default as a user that may not write into the folder.
    let mut config =
        format!("daemon off;\nuser root;\npid {shown}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n");
    for (number, kind) in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().enumerate() {
        writeln!(config, "{kind}_temp_path {shown}/{number};")?;
    }
    config += "upstream instances {\n";
    for server in servers {
        writeln!(config, "server 127.0.0.1:{server};")?;
    }
    let tls = certificate.map_or(String::new(), |Issued { certificate, key }| {
        format!(" ssl;\nssl_certificate {};\nssl_certificate_key {}", certificate.display(), key.display())
    });
    write!(
        config,
        "keepalive 32;\n}}\nserver {{\nlisten 127.0.0.1:{port}{tls};\nlocation / {{\nproxy_pass http://instances;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n}}\n}}\n}}\n"
    )?;
    fs::write(folder.join("config"), config).context("writing nginx's configuration")
}

//! A temporary mail server that keeps what it receives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};

/// Time-out of a connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The server, a program of aiosmtpd. Its arguments are the port, the folder, and `tls`, `auth` or both.
const SERVER: &str = include_str!("smtp_server.py");

/// The configuration for `openssl req`, which makes the certificate one of a server and not of an authority.
const CERTIFICATE: &str = "[req]\ndistinguished_name=name\nx509_extensions=server\nprompt=no\n[name]\nCN=localhost\n\
                           [server]\nbasicConstraints=critical,CA:FALSE\n\
                           subjectAltName=DNS:localhost,IP:127.0.0.1\n";

/// What the server requires of its clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct SmtpOptions {
    /// The server offers STARTTLS, and takes no mail without TLS.
    pub tls: bool,
    /// The server takes no mail before a login as `larder` with the password `a mail password`.
    pub auth: bool,
}

/// A mail server on 127.0.0.1. A recipient whose address begins with `refused` gets 550, and one that begins with
/// `later` gets 451 the first time. A drop stops the server and removes its folder.
pub struct SmtpServer {
    // Fields drop in this order: the server ends before its folder is removed.
    _process: Process,
    folder: TempDir,
    port: u16,
}

impl SmtpServer {
    /// Starts a server on a free port. Returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// If aiosmtpd or openssl is not installed (the error names the package), or the server does not boot.
    pub fn start(options: SmtpOptions) -> Result<Self> {
        boot_on(free_port, |port| Self::start_on(port, options))
    }

    /// Starts a server on this port.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or if another process has the port.
    pub fn start_on(port: u16, options: SmtpOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-smtp-").tempdir()?;
        // Use the interpreter beside aiosmtpd: another python3 on the PATH may not find Debian's package.
        let python = find(Program::Aiosmtpd)?.with_file_name("python3");
        let (script, log) = (folder.path().join("server.py"), folder.path().join("log"));
        fs::write(&script, SERVER)?;
        if options.tls {
            certify(&folder)?;
        }
        let mut command = Command::new(python);
        command.arg(&script).arg(port.to_string()).arg(folder.path());
        command.args(options.tls.then_some("tls")).args(options.auth.then_some("auth"));
        command.stderr(Stdio::from(fs::File::create(&log)?));
        let mut process = Process::spawn(&mut command, folder.path(), Ending::Kill)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        process.wait_ready(&log, || TcpStream::connect_timeout(&address, TIMEOUT).is_ok())?;
        Ok(Self { _process: process, folder, port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the certificate that clients have to trust, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The mails so far, each as a JSON object: `to` and `from` of the envelope, the headers `subject` and `header_from`,
    /// `auto_submitted`, the `text`, whether the connection was encrypted (`tls`), and the `user` that logged in.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn mails(&self) -> Result<Vec<String>> {
        let file = self.folder.path().join("mails");
        if !file.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(file).context("reading the mails")?;
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        Ok(complete.lines().map(str::to_owned).collect())
    }
}

fn certify(folder: &TempDir) -> Result<()> {
    let path = |name: &str| folder.path().join(name);
    fs::write(path("config"), CERTIFICATE)?;
    let made = Command::new(find(Program::Openssl)?)
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .arg("-config")
        .arg(path("config"))
        .arg("-keyout")
        .arg(path("key.pem"))
        .arg("-out")
        .arg(path("certificate.pem"))
        .output()
        .context("starting openssl")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

//! A temporary redis-server that can be paused, killed and restarted.

use std::fs;
use std::io::{BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::ports::{boot_on, free_port};
use crate::process::{Ending, Process};
use crate::programs::{Program, find};
use crate::resp::{read_reply, write_command};

/// Time-out of a connection and of each reply.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A folder with this file belongs to a Sentinel.
const SENTINEL_CONFIG: &str = "sentinel.conf";

/// A redis-server on 127.0.0.1 without persistence. A drop stops it and removes its folder.
pub struct Redis {
    // Fields drop in this order: the server ends before its folder is removed.
    process: Process,
    folder: TempDir,
    port: u16,
    password: Option<String>,
}

impl Redis {
    /// Starts a server with Redis's defaults, but without persistence. Returns when it answers.
    ///
    /// # Errors
    ///
    /// If redis-server is not installed (the error names the package) or does not boot (the error quotes the log).
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with directives of `redis.conf`, such as `("maxmemory", "4mb")`.
    ///
    /// [`url`](Self::url) and [`command`](Self::command) use the password of a `requirepass`, which must have only
    /// letters and digits.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). With an invalid directive the server does not boot.
    pub fn start_with(directives: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-redis-").tempdir()?;
        let password = password_in(directives);
        boot_on(free_port, |port| {
            write_config(folder.path(), port, directives)?;
            Ok((boot(folder.path(), port, password.as_deref())?, port))
        })
        .map(|(process, port)| Self { process, folder, port, password })
    }

    /// As [`start_with`](Self::start_with), and with TLS on a second port, which is returned. The server's certificate is
    /// for the name `localhost`. Clients need no certificate, unless a directive `tls-auth-clients` says otherwise; the
    /// authority for it is the same.
    ///
    /// # Errors
    ///
    /// As [`start_with`](Self::start_with), and if openssl fails.
    pub fn start_tls(authority: &Authority, directives: &[(&str, &str)]) -> Result<(Self, u16)> {
        let issued = authority.issue("localhost")?;
        let files =
            [issued.certificate, issued.key, authority.certificate()].map(|file| file.display().to_string());
        boot_on(free_port, |port| {
            let port_text = port.to_string();
            let mut with_tls = vec![
                ("tls-port", port_text.as_str()),
                ("tls-cert-file", &files[0]),
                ("tls-key-file", &files[1]),
                ("tls-ca-cert-file", &files[2]),
            ];
            if directives.iter().all(|(name, _)| *name != "tls-auth-clients") {
                with_tls.push(("tls-auth-clients", "no"));
            }
            with_tls.extend(directives);
            Ok((Self::start_with(&with_tls)?, port))
        })
    }

    /// Starts a Sentinel with these directives of `sentinel.conf`, such as `("sentinel", "monitor name 127.0.0.1 PORT 2")`.
    /// Without any it monitors no master.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_sentinel(directives: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-redis-").tempdir()?;
        let password = password_in(directives);
        boot_on(free_port, |port| {
            let text = folder.path().display();
            let mut config = format!("port {port}\nbind 127.0.0.1\ndir {text}\nlogfile {text}/log\n");
            for (name, value) in directives {
                config += &format!("{name} {value}\n");
            }
            fs::write(folder.path().join(SENTINEL_CONFIG), config).context("writing sentinel.conf")?;
            Ok((boot(folder.path(), port, password.as_deref())?, port))
        })
        .map(|(process, port)| Self { process, folder, port, password })
    }

    /// The folder of the server's files. It is removed when the value is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `redis://127.0.0.1:PORT/0`, with the password if there is one.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/0", self.port),
            None => format!("redis://127.0.0.1:{}/0", self.port),
        }
    }

    /// The port. [`restart`](Self::restart) keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process id; after [`kill`](Self::kill), the id of the killed server.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGSTOP: connections stay open, and the server does not answer until [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// When the server was killed.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Sends SIGCONT: the server executes the commands that were sent meanwhile.
    ///
    /// # Errors
    ///
    /// When the server was killed.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Sends SIGKILL and waits for the end: connections break and new ones are refused. A second call does nothing.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the signal.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Kills the server if it runs and starts it again: same port, same directives, no data.
    ///
    /// # Errors
    ///
    /// If it does not boot, or another process took the port.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        // Remove the dump: a replica has received one, and `snapshot` leaves one.
        match fs::remove_file(self.dump()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("removing the dump of Redis")
            }
            _ => self.boot_again(),
        }
    }

    /// Starts the killed server again with the dump in its folder, if there is one.
    pub(crate) fn boot_again(&mut self) -> Result<()> {
        let port = self.port;
        self.process = boot_on(|| Ok(port), |port| boot(self.folder.path(), port, self.password.as_deref()))?;
        Ok(())
    }

    /// The path of the server's dump.
    pub(crate) fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    /// Runs one command on a separate connection and returns the reply as text: integers in decimal, a missing
    /// value as `(nil)`, the elements of arrays, also nested ones, one a line.
    ///
    /// # Errors
    ///
    /// If the server replies with an error, does not accept a connection, or takes longer than 5 s.
    pub fn command(&self, args: &[&str]) -> Result<String> {
        let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
        Ok(String::from_utf8_lossy(&self.command_bytes(&args)?).into_owned())
    }

    /// [`command`](Self::command) for arguments and replies that are not text.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub fn command_bytes(&self, args: &[&[u8]]) -> Result<Vec<u8>> {
        ask(self.port, self.password.as_deref(), args)
    }
}

fn password_in(directives: &[(&str, &str)]) -> Option<String> {
    directives.iter().find(|(name, _)| *name == "requirepass").map(|(_, value)| (*value).to_owned())
}

fn write_config(folder: &Path, port: u16, directives: &[(&str, &str)]) -> Result<()> {
    let folder_text = folder.display();
    let mut config = format!(
        "port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\ndir {folder_text}\nlogfile {folder_text}/log\n"
    );
    // Serve a replica at once: by default Redis waits five seconds for more replicas.
    config += "repl-diskless-sync-delay 0\n";
    for (name, value) in directives {
        config += &format!("{name} {value}\n");
    }
    fs::write(folder.join("redis.conf"), config).context("writing redis.conf")
}

fn boot(folder: &Path, port: u16, password: Option<&str>) -> Result<Process> {
    let mut command = Command::new(find(Program::RedisServer)?);
    // Redis prints an invalid directive before it opens its log, so append its output to the log's file.
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let sentinel = folder.join(SENTINEL_CONFIG);
    match sentinel.exists() {
        true => command.arg(sentinel).arg("--sentinel"),
        false => command.arg(folder.join("redis.conf")),
    };
    command.current_dir(folder).stderr(Stdio::from(log));
    let mut process = Process::spawn(&mut command, folder, Ending::Kill)?;
    // PING is not enough: if the port was lost, another process's server answers there.
    let ours = format!("process_id:{}\r\n", process.pid());
    process.wait_ready(&folder.join("log"), || {
        ask(port, password, &[b"PING"]).is_ok_and(|reply| reply == b"PONG")
            && ask(port, password, &[b"INFO", b"server"])
                .is_ok_and(|reply| String::from_utf8_lossy(&reply).contains(&ours))
    })?;
    Ok(process)
}

fn ask(port: u16, password: Option<&str>, args: &[&[u8]]) -> Result<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("connecting to Redis at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    if let Some(password) = password {
        write_command(&mut stream, &[b"AUTH", password.as_bytes()])?;
        read_reply(&mut replies)?;
    }
    write_command(&mut stream, args)?;
    read_reply(&mut replies)
}

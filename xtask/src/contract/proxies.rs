//! Refusals through real proxies with their defaults, and to real clients: an answer that comes before the body was
//! read has to arrive each time.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use larder_testbed::free_port;

use crate::setup;
use crate::steps::{command, run as run_command, succeeds};

/// A proxy: its name and program, the Debian package that has the program, its arguments, and its configuration. In
/// arguments and configuration, `{folder}` means the proxy's folder, `{port}` the proxy's port, and `{larder}` the
/// service's port.
pub(super) struct Proxy {
    pub(super) name: &'static str,
    program: &'static str,
    package: &'static str,
    arguments: &'static [&'static str],
    config: &'static str,
}

/// nginx, as in [`PROXIES`].
pub(super) const NGINX: Proxy = Proxy {
    name: "refusals through nginx",
    program: "nginx",
    package: "nginx-light",
    arguments: &["-e", "{folder}/log", "-c", "{folder}/config"],
    // If nginx runs as root, it starts its worker by default as a user that may not write into the folder.
    config: "daemon off; user root; pid {folder}/pid;\nevents {}\nhttp {\naccess_log off; \
             client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; \
             uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;\nserver { listen 127.0.0.1:{port}; \
             location / { proxy_pass http://127.0.0.1:{larder}; } }\n}\n",
};

/// Each configuration has addresses, paths, and what the program does not start without; every limit is the program's
/// default.
pub(super) const PROXIES: [Proxy; 4] = [
    NGINX,
    Proxy {
        name: "refusals through Apache",
        program: "apache2",
        package: "apache2-bin",
        arguments: &["-f", "{folder}/config", "-DFOREGROUND"],
        // If Apache runs as root, it needs a user for its children.
        config: "ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/log\n\
                 Listen 127.0.0.1:{port}\nUser www-data\nGroup www-data\n\
                 LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
                 LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
                 LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\n\
                 LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n\
                 ProxyPass / http://127.0.0.1:{larder}/\n",
    },
    Proxy {
        name: "refusals through HAProxy",
        program: "haproxy",
        package: "haproxy",
        arguments: &["-db", "-f", "{folder}/config"],
        // HAProxy has no default time-outs. These are the ones of Debian's configuration.
        config: "defaults\n mode http\n timeout connect 5s\n timeout client 50s\n timeout server 50s\n\
                 frontend outside\n bind 127.0.0.1:{port}\n default_backend inside\n\
                 backend inside\n server larder 127.0.0.1:{larder}\n",
    },
    Proxy {
        name: "refusals through Caddy",
        program: "caddy",
        package: "caddy",
        arguments: &["run", "--config", "{folder}/config", "--adapter", "caddyfile"],
        config: "{\n\tadmin off\n\tauto_https off\n}\n:{port} {\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:{larder}\n}\n",
    },
];

/// How often each refusal is provoked.
const TRIES: usize = 100;
/// How many clients provoke refusals at once.
const CLIENTS: usize = 4;

/// For each refusal: the expected status, the request's head, and the size of the request's body.
const REFUSALS: [(u16, &str, usize); 5] = [
    (
        401,
        "PATCH /api/v1/users/me HTTP/1.1\r\nauthorization: Bearer expired\r\ncontent-type: application/json",
        40_000,
    ),
    (
        401,
        "PATCH /api/v1/users/me HTTP/1.1\r\nauthorization: Bearer expired\r\ncontent-type: application/json",
        900_000,
    ),
    (404, "POST /nothing HTTP/1.1\r\ncontent-type: application/json", 900_000),
    (413, "POST /api/v1/auth/login HTTP/1.1\r\ncontent-type: application/json", 900_000),
    (415, "POST /api/v1/auth/login HTTP/1.1\r\ncontent-type: text/plain", 900_000),
];

/// How long a proxy may take to start, and to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

const PYTHON: &str = include_str!("clients.py");
const NODE: &str = include_str!("clients.mjs");

/// A running proxy. A drop kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Send SIGTERM and not SIGKILL, because only then each of these programs ends its children. An error means that
        // the proxy has ended already.
        let _ = run_command(&mut command(Path::new("/"), "kill", &["-TERM", &self.0.id().to_string()]));
        let _ = self.0.wait();
    }
}

impl Proxy {
    /// Starts the proxy in front of the service, and provokes every refusal through it. None may be lost.
    pub(super) fn check(&self, root: &Path, folder: &Path, larder: u16) -> Result<()> {
        if !succeeds(&mut command(root, "which", &[self.program])) {
            setup::install(root, &[self.package])?;
        }
        let folder = folder.join(self.program);
        fs::create_dir_all(&folder)?;
        let (port, shown) = (free_port()?, folder.to_string_lossy());
        let filled = |text: &str| {
            let text = text.replace("{folder}", &shown).replace("{port}", &port.to_string());
            text.replace("{larder}", &larder.to_string())
        };
        fs::write(folder.join("config"), filled(self.config))?;
        let arguments: Vec<_> = self.arguments.iter().map(|argument| filled(argument)).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = File::create(folder.join("output"))?;
        let mut program = command(&folder, self.program, &arguments);
        program.env("HOME", &folder).env("XDG_DATA_HOME", &folder);
        let child = program.stdout(Stdio::from(output.try_clone()?)).stderr(output).spawn();
        let mut running = Running(child.with_context(|| format!("starting {}", self.program))?);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.0.try_wait()? {
                bail!("{} ended ({status}); see {shown}", self.program);
            }
            if started.elapsed() > TIMEOUT {
                bail!("{} does not listen; see {shown}", self.program);
            }
            thread::sleep(Duration::from_millis(50));
        }
        for (status, head, length) in REFUSALS {
            refuses(address, status, head, length)?;
        }
        // After a request whose connection was reset, some proxies serve no request for seconds.
        match answer(address, b"GET /livez HTTP/1.1\r\nhost: larder\r\n\r\n") {
            Some(200) => Ok(()),
            other => bail!("/livez after the refusals: {other:?}"),
        }
    }
}

fn refuses(address: SocketAddr, status: u16, head: &str, length: usize) -> Result<()> {
    let mut wire = format!("{head}\r\nhost: larder\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    wire.resize(wire.len() + length, b' ');
    let wrong: Vec<_> = thread::scope(|scope| {
        let wire = &wire;
        let client = || (0..TRIES / CLIENTS).map(|_| answer(address, wire)).collect::<Vec<_>>();
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let answers = clients.into_iter().flat_map(|client| client.join().unwrap_or_default());
        answers.filter(|answer| *answer != Some(status)).collect()
    });
    println!("  {status} for a body of {length} bytes: {} of {TRIES} lost", wrong.len());
    match wrong.first() {
        None => Ok(()),
        Some(first) => bail!("{} of {TRIES} answers {status} were lost, such as {first:?}", wrong.len()),
    }
}

/// Sends everything, then reads the status. `None`: the answer was lost.
fn answer(address: SocketAddr, wire: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    for part in wire.chunks(64 * 1024) {
        stream.write_all(part).ok()?;
    }
    let mut status = [0; 12];
    stream.read_exact(&mut status).ok()?;
    std::str::from_utf8(&status[9..]).ok()?.parse().ok()
}

/// Provokes refusals with Python's aiohttp, requests and urllib, with node's fetch, and with curl; none may be lost.
pub(super) fn clients(root: &Path, folder: &Path, python: &Path, url: &str) -> Result<()> {
    let missing: Vec<_> = [("node", "nodejs"), ("curl", "curl")]
        .into_iter()
        .filter(|(program, _)| !succeeds(&mut command(root, "which", &[program])))
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        setup::install(root, &missing)?;
    }
    let python = python.to_string_lossy();
    if !succeeds(&mut command(root, &python, &["-c", "import aiohttp, requests"])) {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "aiohttp", "requests"];
        run_command(&mut command(root, &python, &pip))?;
    }
    let (script, module) = (folder.join("clients.py"), folder.join("clients.mjs"));
    fs::write(&script, PYTHON)?;
    fs::write(&module, NODE)?;
    run_command(&mut command(folder, &python, &[&script.to_string_lossy(), url]))?;
    run_command(&mut command(folder, "node", &[&module.to_string_lossy(), url]))
}

//! A server as a process of its own. `taskset` gives servers the first core of the machine, and this process the second.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

/// What each server prints before its address.
const LISTENING: &str = "Listening on http://";

/// A running server. A drop kills it.
pub(super) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// `larder serve` of `program`, or else of this release, with these settings.
    pub(super) fn larder(program: Option<&Path>, settings: &[(&str, &str)]) -> Result<Self> {
        let own = env::current_exe()?;
        Self::start(on_first_core(program.unwrap_or(&own))?.arg("serve").envs(settings.iter().copied()))
    }

    /// Handlers that answer with bodies of these sizes; see [`super::bare`].
    pub(super) fn bare(body_bytes: &[usize]) -> Result<Self> {
        let sizes: Vec<_> = body_bytes.iter().map(usize::to_string).collect();
        Self::start(on_first_core(&env::current_exe()?)?.arg("bare").args(sizes))
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting taskset, of util-linux")?;
        let (printed, log) = (child.stdout.take(), child.stderr.take());
        let (printed, log) = printed.zip(log).context("a server without output")?;
        // Something has to read the log: else the server would wait when the pipe is full.
        let log = thread::spawn(|| io::read_to_string(log).unwrap_or_default());
        for line in BufReader::new(printed).lines() {
            if let Some(address) = line?.strip_prefix(LISTENING) {
                let address = address.parse().context("the address of a server")?;
                return Ok(Self { child, address });
            }
        }
        let (status, log) = (child.wait()?, log.join().unwrap_or_default());
        bail!("a server ended before it listened ({status}): {}", log.trim());
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Errors are ignored: the server may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the first core, with no environment but the path of programs: settings of this shell would be measured too.
/// `taskset` replaces itself by the program, so the process is the same.
fn on_first_core(program: &Path) -> Result<Command> {
    let [first, _] = cores()?;
    let mut command = Command::new("taskset");
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    command.args(["--cpu-list", &first]).arg(program);
    Ok(command)
}

/// The first two cores of this container or machine. This process itself may have left the first one already.
fn cores() -> Result<[String; 2]> {
    let list = fs::read_to_string("/sys/fs/cgroup/cpuset.cpus.effective");
    let list = list.or_else(|_| fs::read_to_string("/sys/devices/system/cpu/online"))?;
    let ranges = list.trim().split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    let cores = ranges.filter_map(|(first, last)| Some(first.parse::<u32>().ok()?..=last.parse().ok()?));
    let mut cores = cores.flatten().map(|core| core.to_string());
    cores.next().zip(cores.next()).map(|(first, second)| [first, second]).context("two cores are needed")
}

/// Moves all threads of this process to the second core.
pub(crate) fn leave_first_core() -> Result<()> {
    let id = std::process::id().to_string();
    let [_, second] = cores()?;
    let moved = Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", &second, &id]).output();
    let moved = moved.context("starting taskset, of util-linux")?;
    ensure!(moved.status.success(), "taskset: {}", String::from_utf8_lossy(&moved.stderr).trim());
    Ok(())
}

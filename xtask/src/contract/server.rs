//! A server that a step starts beside the service.

use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(60);

/// A child process. A drop kills it.
pub(super) struct Running(pub(super) Child);

impl Running {
    /// Starts a server, and returns when it listens on this port of 127.0.0.1.
    pub(super) fn listening(command: &mut Command, port: u16) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut running = Self(command.spawn().with_context(|| format!("starting {program}"))?);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = running.0.try_wait()? {
                bail!("{program} ended ({status}) before it listened");
            }
            if started.elapsed() > START {
                bail!("{program} does not listen after {START:?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ignore errors: the process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! A server as a child process: its own process group, stopped by id, never outliving its parent.
//!
//! Invariant: no server outlives the process that started it, however that process ends. Drop covers the
//! ordinary end and a panic. For SIGKILL there is a watchdog: a shell that waits for the end of a pipe whose
//! other end only the parent holds. The kernel's parent-death signal would not do: it fires when the *thread*
//! that started the child ends, which under a test harness or on a pool of blocking threads is long before
//! the process ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a server may take to boot on a busy machine.
const BOOT: Duration = Duration::from_secs(30);

/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(5);

/// Between two looks at a server that is booting or ending.
const PAUSE: Duration = Duration::from_millis(10);

/// `$1` server id, `$2` signal, `$3` folder. Ends the server as Drop would have, then removes what it left.
const WATCHDOG: &str = r#"
read -r _
kill -"$2" "$1" 2>/dev/null
left=50
while kill -0 "$1" 2>/dev/null; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then kill -KILL "$1"; break; fi
    sleep 0.1
done
rm -rf "$3"
"#;

/// How a server wants to be ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// SIGKILL: nothing to lose.
    Kill,
    /// SIGQUIT, PostgreSQL's immediate shutdown: killed outright it would leave shared memory behind.
    Quit,
}

impl Ending {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// A running server and its watchdog.
pub(crate) struct Process {
    server: Child,
    watchdog: Child,
    ending: Ending,
    /// False once the server was waited for: from then on its id may belong to somebody else.
    running: bool,
}

impl Process {
    /// Starts `command`; if this process dies, its watchdog ends the server and removes `folder`.
    pub(crate) fn spawn(command: &mut Command, folder: &Path, ending: Ending) -> Result<Self> {
        // A group of its own, so that Ctrl-C in a terminal reaches the tests and not their servers.
        let mut server = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &server.id().to_string(), ending.name()])
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            // An inherited output would keep the test runner waiting for its end.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { server, watchdog, ending, running: true }),
            Err(error) => {
                server.kill()?;
                server.wait()?;
                Err(anyhow!(error).context("starting sh, a server's watchdog"))
            }
        }
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// SIGSTOP, and waits until the server stands still: a signal sent is not yet a signal obeyed.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        // NOWAIT leaves the news where it is, so that pausing twice does not wait for a second stop.
        waitid(WaitId::Pid(self.id()?), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)
            .with_context(|| format!("waiting for process {} to stop", self.pid()))?;
        Ok(())
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if !self.running {
            bail!("process {} has ended", self.pid());
        }
        kill_process(self.id()?, signal)
            .with_context(|| format!("sending {signal:?} to process {}", self.pid()))
    }

    fn id(&self) -> Result<Pid> {
        i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("a process id above 0")
    }

    /// Waits until `ready`; when the server ends instead or takes too long, the error quotes the end of
    /// `log`.
    pub(crate) fn wait_ready(&mut self, log: &Path, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + BOOT;
        while !ready() {
            if let Some(status) = self.server.try_wait()? {
                self.running = false;
                bail!("the server ended while booting ({status}):\n{}", tail(log));
            }
            if Instant::now() > deadline {
                bail!("the server was not ready after {BOOT:?}:\n{}", tail(log));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// SIGKILL, and waits for the end. Harmless when it has ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        self.running = false;
        Ok(())
    }

    /// Ends the server as it wants to be ended, by force if it takes too long.
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.running {
            self.signal(self.ending.signal())?;
            let deadline = Instant::now() + END;
            while self.server.try_wait()?.is_none() && Instant::now() < deadline {
                thread::sleep(PAUSE);
            }
        }
        self.kill()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; the watchdog, whose pipe closes after this, then tries once
        // more.
        if self.end().is_ok() {
            let _ = self.watchdog.kill();
            let _ = self.watchdog.wait();
        }
    }
}

/// The last lines of a log, for an error message.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| format!("({}: {error})", log.display()));
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_quotes_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        fs::write(&log, "line\n".repeat(20) + "no such directive").unwrap();
        let mut process = Process::spawn(&mut Command::new("false"), folder.path(), Ending::Kill).unwrap();
        let error = process.wait_ready(&log, || false).unwrap_err().to_string();
        assert!(error.ends_with("no such directive"), "{error}");
        assert_eq!(error.matches("line").count(), 14);
    }

    #[test]
    fn an_ended_process_gets_no_signal() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        let mut process = Process::spawn(command.arg("60"), folder.path(), Ending::Kill).unwrap();
        process.kill().unwrap();
        assert!(process.resume().is_err());
        process.kill().unwrap();
    }
}

//! A server as a child process: it has its own process group, is stopped by its id, and does not outlive its parent.
//!
//! Invariant: no server outlives the process that started it, however that process ends. Drop covers a normal
//! end and a panic. For SIGKILL there is a watchdog: a shell that waits for the end of a pipe whose other end
//! only the parent holds. The kernel's parent-death signal is not enough: the kernel sends it when the *thread*
//! that started the child ends, and in a test harness or a pool of blocking threads that is long before the
//! process ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Time-out of a server's boot, enough for a busy machine.
const BOOT: Duration = Duration::from_secs(30);

/// Time-out of a server's end. A server that runs for longer gets SIGKILL.
const END: Duration = Duration::from_secs(5);

/// The pause between two checks of a server that boots or ends.
const PAUSE: Duration = Duration::from_millis(10);

/// `$1` is the server's process id, `$2` the signal, `$3` the folder. Ends the server as Drop does, then removes its
/// folder.
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

/// How a server must be ended.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    /// SIGKILL, for a server without state outside its folder.
    Kill,
    /// SIGQUIT, PostgreSQL's immediate shutdown. After SIGKILL its shared memory would stay.
    Quit,
    /// SIGTERM, nginx's fast shutdown. After SIGKILL its workers would stay.
    Terminate,
}

impl Ending {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
            Self::Terminate => Signal::TERM,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
        }
    }
}

/// A running server and its watchdog.
pub(crate) struct Process {
    server: Child,
    watchdog: Child,
    ending: Ending,
    /// False after this process has waited for the server's end: then the kernel may give the id to another process.
    running: bool,
}

impl Process {
    /// Starts `command`. If this process dies, the watchdog ends the server and removes `folder`.
    pub(crate) fn spawn(command: &mut Command, folder: &Path, ending: Ending) -> Result<Self> {
        // A separate process group, so that Ctrl-C in a terminal reaches the tests and not their servers.
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
            // If the watchdog inherited this output, the test runner would wait for the watchdog's end.
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

    /// Sends SIGSTOP and waits until the server has stopped, because the signal takes effect later.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        // NOWAIT keeps the stop notification, so that a second pause does not wait for a second stop.
        waitid(WaitId::Pid(self.id()?), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)
            .with_context(|| format!("waiting for process {} to stop", self.pid()))?;
        Ok(())
    }

    /// Sends SIGCONT.
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

    /// Waits until `ready` returns true. If the server ends or takes too long, the error quotes the end of
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

    /// Sends SIGKILL and waits for the end. Does nothing if the server has ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        self.running = false;
        Ok(())
    }

    /// Ends the server with its [`Ending`], and kills it after a time-out.
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
        // An error cannot be returned here. If the end fails, the watchdog tries once more when its pipe closes
        // after this.
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

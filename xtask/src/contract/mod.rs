//! `cargo xtask contract`: schemathesis checks a running service against the OpenAPI document that it serves.

mod larder;
mod tool;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::contract::larder::Larder;
use crate::setup;
use crate::steps::{Steps, command, run as run_command};

/// The checks for every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,\
                      negative_data_rejection";

/// The callers. Each has a separate run.
const CALLERS: [(&str, &str); 4] = [
    ("as a superadmin", "superadmin"),
    ("as an admin's API key", "api-key"),
    ("as an ordinary user", "user"),
    ("without credentials", "nobody"),
];

const HOOKS: &str = include_str!("hooks.py");

/// Without this setting schemathesis signs a user up, and sends as that user the requests that should have no
/// credentials.
const SETTINGS: &str = "[auth]\nauto-signup = false\n";

/// Runs schemathesis against the OpenAPI document of a fresh service: as a superadmin, as an API key, as an ordinary user
/// and without credentials.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many examples are drawn for each operation
    #[arg(long, default_value_t = 3)]
    examples: u32,
    /// The seed of the random examples [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// With a Redis, instead of memory alone
    #[arg(long)]
    redis: bool,
    /// With a PostgreSQL, instead of SQLite
    #[arg(long)]
    postgres: bool,
}

/// Succeeds if no answer was a server error, every answer matched the document, and the service's log shows no failure.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let folder = root.join("target/contract");
    let seed = options.seed.unwrap_or_else(drawn);
    println!("seed {seed}, {} examples; logs in {}", options.examples, folder.display());
    let mut steps = Steps::new(CALLERS.len() + 3, true);
    if options.redis || options.postgres {
        setup::packages(root)?;
    }
    let schemathesis = steps.step("schemathesis", || tool::schemathesis(root));
    let larder = steps.step("a fresh service", || {
        run_command(&mut command(root, "cargo", &["build", "--quiet", "--package", "larder-server"]))?;
        Larder::start(root, &folder, options.redis, options.postgres)
    });
    if let (Some(schemathesis), Some(larder)) = (schemathesis, larder) {
        std::fs::write(folder.join("hooks.py"), HOOKS)?;
        std::fs::write(folder.join("schemathesis.toml"), SETTINGS)?;
        let ask = |caller| ask(&folder, &schemathesis, &larder, caller, options.examples, seed);
        for (name, caller) in CALLERS {
            steps.step(name, || ask(caller));
        }
        steps.step("the service's log", || larder.end());
    }
    steps.finish(&format!("xtask contract (seed {seed}, {} examples)", options.examples))
}

fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_micros()))
}

fn ask(
    folder: &Path,
    schemathesis: &Path,
    larder: &Larder,
    caller: &str,
    examples: u32,
    seed: u64,
) -> Result<()> {
    let mut command = command(folder, &schemathesis.to_string_lossy(), &["run"]);
    command.arg(format!("{}/openapi.json", larder.url()));
    command.args([
        "--checks",
        CHECKS,
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--continue-on-failure",
    ]);
    command.args(["--max-examples", &examples.to_string(), "--seed", &seed.to_string()]);
    // The hooks set the caller's credentials. Without a database of earlier examples, only the seed decides the
    // examples.
    command.args(["--generation-with-security-parameters", "false", "--generation-database", "none"]);
    command.args(["--warnings", "off", "--no-color"]);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", folder);
    command.env("LARDER_CALLER", caller).env("LARDER_URL", larder.url()).envs(larder::ADMIN);
    run_command(&mut command)
}

//! `cargo xtask contract`: tools that others wrote check a running service and the OpenAPI document that it serves, and
//! real proxies and clients check that no refusal is lost.

mod browser;
mod clients;
mod larder;
mod proxies;
mod server;
pub(crate) mod tool;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::contract::larder::Larder;
use crate::contract::proxies::{NGINX, PROXIES};
use crate::packages::product;
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
///
/// A body that is too large is refused with 413, which schemathesis does not count as a refusal by default.
const SETTINGS: &str = "[auth]\nauto-signup = false\n\n[checks]\nnegative_data_rejection.expected-statuses = \
                        [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, \"5xx\"]\n";

/// How schemathesis makes requests.
struct Drawing {
    examples: u32,
    seed: u64,
    phases: &'static str,
}

/// Lints the OpenAPI document of a fresh service, uses clients that generators make of it, verifies the service's
/// tokens with other libraries, compares requests and answers with the document by a proxy, and runs schemathesis: as a superadmin, as an API key, as an ordinary user and without
/// credentials. Then provokes refusals through nginx, Apache, HAProxy and Caddy, and with common clients, and opens
/// pages in Chromium.
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
    /// Only the linters, the generated clients and the libraries, without schemathesis
    #[arg(long)]
    clients: bool,
    /// Only what `cargo xtask test` runs: a few requests of schemathesis, and refusals through nginx
    #[arg(long)]
    short: bool,
}

/// Succeeds if no answer was a server error, every answer matched the document, and the service's log shows no failure.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    if options.short {
        build(root)?;
        return short(root);
    }
    let folder = root.join("target/contract");
    let seed = options.seed.unwrap_or_else(drawn);
    println!("seed {seed}, {} examples; logs in {}", options.examples, folder.display());
    let callers: &[_] = if options.clients { &[] } else { &CALLERS };
    let mut steps = Steps::new(callers.len() + PROXIES.len() + 16, true);
    setup::packages(root)?;
    let schemathesis = steps.step("schemathesis", || tool::schemathesis(root));
    let python = fetched(&mut steps, "tools in Python", || tool::python(root));
    let node = fetched(&mut steps, "tools for Node", || tool::node(root));
    let chromium = fetched(&mut steps, "Chromium", || browser::fetch(root));
    let larder = steps.step("a fresh service", || {
        build(root)?;
        Larder::start(root, &folder, options.redis, options.postgres)
    });
    if let (Some(schemathesis), Some(larder)) = (schemathesis, larder) {
        let used = folder.join("clients");
        steps.step("the document", || clients::prepare(&used, &larder));
        if let Some(node) = node {
            steps.step("linters", || clients::lint(&used, &node));
            steps.step("types for TypeScript", || clients::types(&used, &node));
            steps.step("requests through Prism", || clients::prism(&used, &node, &larder));
            steps.step("jose, express-oauth2-jwt-bearer", || {
                clients::resource_in_javascript(&used, &node, &larder)
            });
        }
        if let Some(python) = python {
            steps.step("a typed client in Python", || clients::typed(&used, &python, &larder));
            steps.step("PyJWT, Authlib", || clients::resource_in_python(&used, &python, &larder));
            steps.step("clients of the older systems", || clients::dialects(&used, &python, &larder));
        }
        let drawing =
            Drawing { examples: options.examples, seed, phases: "examples,coverage,fuzzing,stateful" };
        for (name, caller) in callers {
            steps.step(name, || ask(&folder, &schemathesis, &larder, caller, &drawing));
        }
        for proxy in &PROXIES {
            steps.step(proxy.name, || proxy.check(root, &folder, larder.port()));
        }
        steps.step("refusals to clients", || {
            proxies::clients(root, &folder, &schemathesis.with_file_name("python"), &larder.url())
        });
        if chromium.is_some() {
            steps.step("pages in Chromium", || browser::check(root, &folder));
        }
        steps.step("the service's log", || larder.end());
    }
    steps.finish(&format!("xtask contract (seed {seed}, {} examples)", options.examples))
}

/// Builds the service with the packages and features of `xtask test`, because with others cargo compiles the dependencies
/// again. Tests add features, so the build needs a test; `uncacheable` is a small one.
fn build(root: &Path) -> Result<()> {
    run_command(&mut command(
        root,
        "cargo",
        &product(&["build", "--quiet", "--bin", "larder", "--test", "uncacheable"]),
    ))
}

/// The part that takes less than a minute and needs nothing of npm, for `cargo xtask test`, which has built the service:
/// schemathesis with few requests and always the same ones, and refusals through nginx.
pub(crate) fn short(root: &Path) -> Result<()> {
    let folder = root.join("target/contract-short");
    let schemathesis = optional(|| tool::schemathesis(root))?;
    let larder = Larder::start(root, &folder, false, false)?;
    if let Some(schemathesis) = schemathesis {
        let drawing = Drawing { examples: 1, seed: 1, phases: "examples,fuzzing" };
        for caller in ["superadmin", "nobody"] {
            ask(&folder, &schemathesis, &larder, caller, &drawing)?;
        }
    }
    NGINX.check(root, &folder, larder.port())?;
    larder.end()
}

/// Tools from a registry, in a step.
fn fetched<T>(steps: &mut Steps, name: &'static str, install: impl FnOnce() -> Result<T>) -> Option<T> {
    steps.step(name, || optional(install)).flatten()
}

/// Tools from a registry. If they cannot be fetched, what needs them is left out; in CI that is a failure.
fn optional<T>(install: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let is_ci = std::env::var_os("CI").is_some();
    match install() {
        Ok(tools) => Ok(Some(tools)),
        Err(error) if is_ci => Err(error),
        Err(error) => {
            println!("  NOT FETCHED, so what needs it is left out: {error:#}");
            Ok(None)
        }
    }
}

fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_micros()))
}

fn ask(folder: &Path, schemathesis: &Path, larder: &Larder, caller: &str, drawing: &Drawing) -> Result<()> {
    std::fs::write(folder.join("hooks.py"), HOOKS)?;
    std::fs::write(folder.join("schemathesis.toml"), SETTINGS)?;
    let mut command = command(folder, &schemathesis.to_string_lossy(), &["run"]);
    command.arg(format!("{}/openapi.json", larder.url()));
    command.args(["--checks", CHECKS, "--phases", drawing.phases, "--continue-on-failure"]);
    command.args(["--max-examples", &drawing.examples.to_string(), "--seed", &drawing.seed.to_string()]);
    // The hooks set the caller's credentials. Without a database of earlier examples, only the seed decides the
    // examples.
    command.args(["--generation-with-security-parameters", "false", "--generation-database", "none"]);
    command.args(["--warnings", "off", "--no-color"]);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", folder);
    command.env("LARDER_CALLER", caller).env("LARDER_URL", larder.url()).envs(larder::ADMIN);
    run_command(&mut command)
}

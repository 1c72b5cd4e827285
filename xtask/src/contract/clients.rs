//! Runs tools that others wrote against the OpenAPI document and the running service: linters, generators of clients,
//! and libraries with which resource servers verify access tokens.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use larder_testbed::free_port;

use crate::contract::larder::{ADMIN, AUDIENCE, Larder};
use crate::contract::server::Running;
use crate::steps::{command, run as run_command};

const FILES: [(&str, &str); 10] = [
    ("redocly.yaml", include_str!("clients/redocly.yaml")),
    ("spectral.yaml", include_str!("clients/spectral.yaml")),
    ("types.ts", include_str!("clients/types.ts")),
    ("tsconfig.json", include_str!("clients/tsconfig.json")),
    ("typed.yaml", include_str!("clients/typed.yaml")),
    ("typed.py", include_str!("clients/typed.py")),
    ("resource.py", include_str!("clients/resource.py")),
    ("dialects.py", include_str!("clients/dialects.py")),
    ("resource.mjs", include_str!("clients/resource.mjs")),
    ("prism.mjs", include_str!("clients/prism.mjs")),
];

/// Writes the scripts, and the document as the service serves it, into an empty folder.
pub(super) fn prepare(folder: &Path, larder: &Larder) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    let document = File::create(folder.join("openapi.json"))?;
    let mut fetch = command(folder, "curl", &["--fail", "--silent", "--show-error", "--max-time", "30"]);
    let fetched = fetch.arg(format!("{}/openapi.json", larder.url())).stdout(document).status();
    match fetched.context("starting curl")?.success() {
        true => Ok(()),
        false => bail!("the service does not serve its document"),
    }
}

/// Lints the document.
pub(super) fn lint(folder: &Path, node: &Path) -> Result<()> {
    let program = |name: &str| node.join("node_modules/.bin").join(name).to_string_lossy().into_owned();
    run_command(&mut command(
        folder,
        &program("redocly"),
        &["lint", "--config", "redocly.yaml", "openapi.json"],
    ))?;
    let rules = ["lint", "--ruleset", "spectral.yaml", "--fail-severity", "warn", "openapi.json"];
    run_command(&mut command(folder, &program("spectral"), &rules))
}

/// Generates types for TypeScript, and compiles uses of them.
pub(super) fn types(folder: &Path, node: &Path) -> Result<()> {
    let program = |name: &str| node.join("node_modules/.bin").join(name).to_string_lossy().into_owned();
    let generate = ["openapi.json", "--redocly", "redocly.yaml", "--output", "api.d.ts"];
    run_command(&mut command(folder, &program("openapi-typescript"), &generate))?;
    run_command(&mut command(folder, &program("tsc"), &["--project", "tsconfig.json"]))
}

/// Generates a client in Python, and uses it against the service.
pub(super) fn typed(folder: &Path, python: &Path, larder: &Larder) -> Result<()> {
    let generate = ["generate", "--path", "openapi.json", "--config", "typed.yaml"];
    let generator = python.join("openapi-python-client");
    let mut generate = command(folder, &generator.to_string_lossy(), &generate);
    // The generator formats its output with ruff, and warns if ruff is not on the PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([python.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
    generate.args(["--output-path", "client", "--meta", "none", "--fail-on-warning"]).env("PATH", path);
    run_command(&mut generate)?;
    let script = python.join("python");
    resource(folder, &script.to_string_lossy(), &["typed.py"], larder)
}

/// Verifies access tokens as resource servers in Python do.
pub(super) fn resource_in_python(folder: &Path, python: &Path, larder: &Larder) -> Result<()> {
    let script = python.join("python");
    // Ignore warnings: Authlib warns that EdDSA has a newer name (RFC 9864), and about its own internals.
    resource(folder, &script.to_string_lossy(), &["-W", "ignore", "resource.py"], larder)
}

/// Uses the paths of the older systems as clients of those systems do.
pub(super) fn dialects(folder: &Path, python: &Path, larder: &Larder) -> Result<()> {
    let script = python.join("python");
    resource(folder, &script.to_string_lossy(), &["dialects.py"], larder)
}

/// Sends ordinary requests through Prism, which compares each request and each answer with the document.
pub(super) fn prism(folder: &Path, node: &Path, larder: &Larder) -> Result<()> {
    let (port, log) = (free_port()?, File::create(folder.join("prism.log"))?);
    let (program, text) = (node.join("node_modules/.bin/prism"), port.to_string());
    let arguments = ["proxy", "openapi.json", &larder.url(), "--errors", "--port", &text];
    let mut prism = command(folder, &program.to_string_lossy(), &arguments);
    let _prism = Running::listening(prism.stdout(Stdio::from(log.try_clone()?)).stderr(log), port)?;
    let mut script = command(folder, "node", &["prism.mjs"]);
    run_command(script.env("PRISM_URL", format!("http://127.0.0.1:{port}")).envs(ADMIN))
}

/// Verifies access tokens as resource servers in JavaScript do.
pub(super) fn resource_in_javascript(folder: &Path, node: &Path, larder: &Larder) -> Result<()> {
    // Copy the module there, because Node looks for packages in the module's folder.
    fs::copy(folder.join("resource.mjs"), node.join("resource.mjs"))?;
    resource(node, "node", &["resource.mjs"], larder)
}

/// Runs a script against the service.
fn resource(folder: &Path, program: &str, script: &[&str], larder: &Larder) -> Result<()> {
    let mut command = command(folder, program, script);
    run_command(
        command
            .env("LARDER_URL", larder.url())
            .env("LARDER_AUDIENCE", AUDIENCE)
            .envs(ADMIN)
            .stderr(Stdio::inherit()),
    )
}

//! The packages of the workspace: which of them one command of cargo builds together, and whether those that may be published
//! are ready for crates.io.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::steps::{command, run};

/// The packages that need larder's feature `proof`, with which a test can break a rule of the protocol. xtask builds
/// them with a separate command, because cargo builds all packages of one command with the features that any of them
/// asks for.
const PROOFS: [&str; 2] = ["larder-proof", "larder-schedules"];

/// `arguments`, for every package except the proofs.
pub(crate) fn product<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let excluded = PROOFS.iter().flat_map(|package| ["--exclude", *package]);
    arguments.iter().copied().chain(["--workspace"]).chain(excluded).collect()
}

/// `arguments`, for the proofs alone.
pub(crate) fn proofs<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let packages = PROOFS.iter().flat_map(|package| ["--package", *package]);
    arguments.iter().copied().chain(packages).collect()
}

/// Fails if a library cannot be packaged, or if one of its dependencies needs a newer Rust than the library states.
/// Clippy finds uses of the standard library that need a newer Rust.
pub(crate) fn check(root: &Path) -> Result<()> {
    let metadata = ["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = command(root, "cargo", &metadata).output().context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let too_new = too_new(&metadata);
    ensure!(too_new.is_empty(), "rust-version is too old:\n{}", too_new.join("\n"));
    let libraries: Vec<_> = libraries(&metadata).map(|library| text(library, "name")).collect();
    let named = libraries.iter().flat_map(|library| ["--package", library]);
    // Do not compile the packages: the other steps have compiled the same code.
    let package = ["package", "--no-verify", "--allow-dirty"];
    run(command(root, "cargo", &package).args(named))
}

/// The packages of the workspace that may be published.
fn libraries(metadata: &Value) -> impl Iterator<Item = &Value> {
    let members: Vec<_> = list(metadata, "workspace_members").collect();
    let is_published = |package: &&Value| package["publish"].as_array().is_none_or(|to| !to.is_empty());
    list(metadata, "packages").filter(move |package| members.contains(&&package["id"])).filter(is_published)
}

/// A line for each dependency of a library, also of its optional ones, that states a newer Rust than the library.
fn too_new(metadata: &Value) -> Vec<String> {
    let packages: BTreeMap<_, _> =
        list(metadata, "packages").map(|package| (text(package, "id"), package)).collect();
    let nodes: BTreeMap<_, _> =
        list(&metadata["resolve"], "nodes").map(|node| (text(node, "id"), node)).collect();
    let mut lines = Vec::new();
    for library in libraries(metadata) {
        let (mut seen, mut next) = (BTreeSet::new(), vec![text(library, "id")]);
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let dependency = packages[id];
            if rust_version(dependency) > rust_version(library) {
                let of = text(library, "name");
                let (name, needs) = (text(dependency, "name"), text(dependency, "rust_version"));
                lines.push(format!("{of}: its dependency {name} needs Rust {needs}"));
            }
            let normal = list(nodes[id], "deps")
                .filter(|dependency| list(dependency, "dep_kinds").any(|kind| kind["kind"] != "dev"));
            next.extend(normal.map(|dependency| text(dependency, "pkg")));
        }
    }
    lines
}

/// The Rust version that a package needs, without its patch number.
fn rust_version(package: &Value) -> Vec<u32> {
    text(package, "rust_version").split('.').take(2).filter_map(|number| number.parse().ok()).collect()
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(needs: &str) -> Value {
        let package = |name: &str, rust: &str, publish: Value| serde_json::json!({"id": name, "name": name, "rust_version": rust, "publish": publish});
        let node = |name: &str, on: &str, kind: Value| {
            let deps = if on.is_empty() { vec![] } else { vec![(on, kind)] };
            let deps: Vec<_> = deps
                .into_iter()
                .map(|(on, kind)| serde_json::json!({"pkg": on, "dep_kinds": [{"kind": kind}]}))
                .collect();
            serde_json::json!({"id": name, "deps": deps})
        };
        serde_json::json!({
            "workspace_members": ["cache", "service"],
            "packages": [
                package("cache", "1.91", Value::Null),
                package("service", "1.80", serde_json::json!([])),
                package("middle", "1.60", Value::Null),
                package("deep", needs, Value::Null),
            ],
            "resolve": {"nodes": [
                node("cache", "middle", Value::Null),
                node("service", "deep", Value::Null),
                node("middle", "deep", Value::Null),
                node("deep", "cache", serde_json::json!("dev")),
            ]},
        })
    }

    #[test]
    fn only_what_may_be_published_is_a_library() {
        let metadata = metadata("1.91");
        assert_eq!(libraries(&metadata).map(|library| text(library, "name")).collect::<Vec<_>>(), ["cache"]);
    }

    #[test]
    fn a_dependency_of_a_dependency_that_needs_a_newer_rust_is_found() {
        assert_eq!(too_new(&metadata("1.91.0")), [""; 0]);
        assert_eq!(too_new(&metadata("1.9")), [""; 0]);
        assert_eq!(too_new(&metadata("1.92")), ["cache: its dependency deep needs Rust 1.92"]);
    }
}

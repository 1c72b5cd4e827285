//! Rules for the engine: decisions do no I/O and read no clock, and only `remote/` and the builder name Redis.

use std::path::Path;

use super::Violation;
use super::source::Source;

const ENGINE: &str = "crates/larder/src";

/// Code that a pure decision must not contain.
const IMPURE: [&str; 6] = ["tokio", "redis::", "Instant::now", "SystemTime::now", "async fn", "async move"];

/// No file of `protocol/` does I/O or reads a clock. Its callers do that and pass the results.
pub(super) fn decisions_are_pure(source: &Source) -> Vec<Violation> {
    let Some(module) = module_of_the_engine(&source.path) else { return Vec::new() };
    if module != "protocol" {
        return Vec::new();
    }
    IMPURE
        .iter()
        .flat_map(|word| source.lines_with(word).into_iter().map(move |line| (word, line)))
        .map(|(word, line)| source.violation(line, format!("`{word}` in protocol/, which only decides")))
        .collect()
}

/// Only `remote/` and the builder name the crate `redis`.
pub(super) fn redis_stays_remote(source: &Source) -> Vec<Violation> {
    match module_of_the_engine(&source.path) {
        None | Some("remote" | "builder") => Vec::new(),
        Some(module) => source
            .lines_with("redis::")
            .into_iter()
            .map(|line| {
                source.violation(line, format!("`redis::` in {module}; only remote/ and builder know it"))
            })
            .collect(),
    }
}

/// The engine's top module to which a file belongs: `protocol` for `protocol.rs` and for all files below `protocol/`.
fn module_of_the_engine(path: &Path) -> Option<&str> {
    let first = path.strip_prefix(ENGINE).ok()?.iter().next()?.to_str()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: fn(&Source) -> Vec<Violation>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn an_impure_decision_is_refused() {
        for text in [
            "use tokio::sync::Mutex;",
            "use redis::Value;",
            "let now = std::time::Instant::now();",
            "let now = SystemTime::now();",
            "pub async fn decide() {}",
            "let later = async move { 1 };",
        ] {
            for path in ["crates/larder/src/protocol/lease.rs", "crates/larder/src/protocol.rs"] {
                assert_eq!(count(decisions_are_pure, path, text), 1, "{path}: {text}");
            }
            assert_eq!(count(decisions_are_pure, "crates/larder/src/engine/load.rs", text), 0);
            assert_eq!(count(decisions_are_pure, "crates/larder-sql/src/protocol/a.rs", text), 0);
        }
        let pure = "// tokio would sleep here\nfn decide(now: Instant) {}";
        assert_eq!(count(decisions_are_pure, "crates/larder/src/protocol/lease.rs", pure), 0);
    }

    #[test]
    fn redis_outside_the_remote_tier_is_refused() {
        let text = "fn f(value: redis::Value) {}";
        for path in ["engine/read.rs", "cache.rs", "lib.rs", "local/mod.rs"] {
            assert_eq!(count(redis_stays_remote, &format!("{ENGINE}/{path}"), text), 1, "{path}");
        }
        for path in ["remote/script.rs", "remote.rs", "builder.rs"] {
            assert_eq!(count(redis_stays_remote, &format!("{ENGINE}/{path}"), text), 0, "{path}");
        }
        assert_eq!(count(redis_stays_remote, "crates/larder-server/src/a.rs", text), 0);
    }
}

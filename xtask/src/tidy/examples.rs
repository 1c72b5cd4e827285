//! The rule for Rust code in pages: a doctest compiles it.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use super::Violation;
use super::modules::Sources;

/// The pages that some crate has as documentation, so that `cargo test --doc` compiles their Rust code.
pub(super) fn compiled_pages(sources: &Sources) -> HashSet<PathBuf> {
    const BEGIN: &str = "doc = include_str!(\"";
    let of_source = |(path, text): (&PathBuf, &str)| {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let names = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once('"'));
        names.map(|(name, _)| normal(&folder.join(name))).collect::<Vec<_>>()
    };
    sources.iter().flat_map(|(path, source)| of_source((path, &source.text))).collect()
}

/// Every block of Rust code in `page` is compiled: the page is one of `compiled`, and no block is marked `ignore`.
pub(super) fn are_compiled(page: &Path, text: &str, compiled: &HashSet<PathBuf>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        is_open = !is_open;
        let words: Vec<_> = info.split([',', ' ']).collect();
        if !is_open || words.first() != Some(&"rust") {
            continue;
        }
        let message = if words.iter().any(|word| word.starts_with("ignore")) {
            "no test compiles this example: a block of Rust must not be marked `ignore`"
        } else if !compiled.contains(page) {
            "no test compiles this example: name the page in a `#[doc = include_str!(…)]` of a crate, as `Pages` of larder-sql does"
        } else {
            continue;
        };
        violations.push(Violation { path: page.to_owned(), line: number + 1, message: message.to_owned() });
    }
    violations
}

/// The path without `..`, as the page's own path has none.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

//! Rules for Markdown: certain pages must exist, and every file to which a page points must exist.

use std::fs;
use std::path::{Path, PathBuf};

use super::Violation;

/// README, ARCHITECTURE and CHANGELOG exist, and CHANGELOG has a heading `## Unreleased` or one with a version.
pub(super) fn required(root: &Path) -> Vec<Violation> {
    let missing = |page: &str| Violation { path: page.into(), line: 1, message: "must exist".to_owned() };
    let mut violations: Vec<_> = ["README.md", "ARCHITECTURE.md"]
        .into_iter()
        .filter(|page| !root.join(page).is_file())
        .map(missing)
        .collect();
    match fs::read_to_string(root.join("CHANGELOG.md")) {
        Err(_) => violations.push(missing("CHANGELOG.md")),
        Ok(text) if !text.lines().any(names_a_version) => violations.push(Violation {
            path: "CHANGELOG.md".into(),
            line: 1,
            message: "must have a heading `## Unreleased` or one with a version".to_owned(),
        }),
        Ok(_) => {}
    }
    violations
}

/// Whether a line is a heading such as `## [Unreleased]` or `## 0.1.0 – 2026-11-21`.
fn names_a_version(line: &str) -> bool {
    let Some(title) = line.strip_prefix("## ") else { return false };
    let title = title.trim_start_matches('[');
    title.starts_with("Unreleased") || title.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Every relative link, and every path in backticks that ends in `.rs` or starts with `crates/`, leads to a file or
/// folder. Links start at the page, paths at the workspace. This rule skips code blocks.
pub(super) fn points_at_what_exists(root: &Path, page: &Path, text: &str) -> Vec<Violation> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let links = links(line).into_iter().map(|link| folder.join(link));
        let paths = paths_in_backticks(line).into_iter().map(PathBuf::from);
        for target in links.chain(paths).filter(|target| !root.join(target).exists()) {
            let message = format!("points at {}, which does not exist", target.display());
            violations.push(Violation { path: page.to_owned(), line: number + 1, message });
        }
    }
    violations
}

/// The targets of a line's links to files, without `#…` and title. Leaves out URLs and links within the page.
fn links(line: &str) -> Vec<&str> {
    let targets = prose(line).flat_map(|text| text.split("](").skip(1));
    targets
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

fn paths_in_backticks(line: &str) -> Vec<&str> {
    let is_path = |text: &&str| {
        let plain = text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
        plain && (text.contains('/') && text.ends_with(".rs") || text.starts_with("crates/"))
    };
    line.split('`').skip(1).step_by(2).filter(is_path).collect()
}

/// The parts of a line outside of backticks.
fn prose(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of xtask: it has `src/main.rs` and `Cargo.toml`.
    fn here() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    fn broken(page: &str, text: &str) -> Vec<usize> {
        points_at_what_exists(&here(), Path::new(page), text).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_link_to_nowhere_is_refused() {
        assert_eq!(broken("README.md", "# a\n[a](absent.md) and [b](src/absent.rs#L1)"), [2, 2]);
        assert_eq!(broken("src/page.md", "[a](Cargo.toml)"), [1]);
        let good =
            "[a](Cargo.toml) [b](src/main.rs#L3 \"title\") [c](#here) [d](https://a.b/c) [e](mailto:a@b)";
        assert_eq!(broken("README.md", good), [0; 0]);
        assert_eq!(broken("src/page.md", "[a](../Cargo.toml)"), [0; 0]);
    }

    #[test]
    fn a_path_to_nowhere_is_refused() {
        assert_eq!(broken("README.md", "see `src/main.rs`, `src/absent.rs`\nand `crates/absent/`"), [1, 2]);
        assert_eq!(broken("src/page.md", "`src/main.rs`"), [0; 0]);
        assert_eq!(broken("README.md", "`main.rs` `a/b` `a[b](c)` `protocol/*.rs`"), [0; 0]);
        assert_eq!(broken("README.md", "```rust\na[0](x) // `src/absent.rs`\n```\n[a](absent.md)"), [4]);
    }

    #[test]
    fn a_missing_page_is_refused() {
        let pages: Vec<_> = required(&here()).into_iter().map(|violation| violation.path).collect();
        assert_eq!(pages, ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(PathBuf::from));
    }

    #[test]
    fn a_changelog_needs_a_version() {
        for good in ["## Unreleased", "## [Unreleased]", "## [0.1.0] - 2026-11-21", "## 0.1.0"] {
            assert!(names_a_version(good), "{good}");
        }
        for bad in ["# Changelog", "## Added", "Unreleased", "### 0.1.0"] {
            assert!(!names_a_version(bad), "{bad}");
        }
    }
}

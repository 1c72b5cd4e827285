//! Rules for Markdown: certain pages must exist, and every file to which a page points must exist.

use std::collections::HashSet;
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

/// Every relative link, and every path in backticks that ends in `.rs` or `.sql` or starts with `crates/`, leads to a
/// file or folder. Links are relative to the page. A path is relative to the workspace, or is the end of the path of
/// exactly one of `files`. This rule skips code blocks.
pub(super) fn points_at_what_exists(
    root: &Path,
    page: &Path,
    text: &str,
    files: &[PathBuf],
) -> Vec<Violation> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut violations = Vec::new();
    let mut add = |line, message| violations.push(Violation { path: page.to_owned(), line, message });
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in links(line).into_iter().map(|link| folder.join(link)) {
            if !root.join(&target).exists() {
                add(number + 1, format!("points at {}, which does not exist", target.display()));
            }
        }
        for path in paths_in_backticks(line).into_iter().filter(|path| !root.join(path).exists()) {
            match files.iter().filter(|file| file.ends_with(path)).count() {
                0 => add(number + 1, format!("points at {path}, which does not exist")),
                1 => {}
                count => add(number + 1, format!("points at {path}, with which {count} paths end")),
            }
        }
    }
    violations
}

/// Every Rust name in backticks, such as `LocalTier::get`, is made of words of the sources. So this rule finds a name
/// that was renamed in the sources but not on the page.
pub(super) fn names_what_exists(page: &Path, text: &str, words: &HashSet<&str>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2).filter(|text| is_name(text)) {
            if let Some(word) = name.split("::").find(|word| !words.contains(word)) {
                let message = format!("names `{name}`, but `{word}` is not in the sources");
                violations.push(Violation { path: page.to_owned(), line: number + 1, message });
            }
        }
    }
    violations
}

/// Whether a text in backticks is a Rust name that has `_`, `::` or a capital. Other names are left out, because they
/// may be prose.
fn is_name(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_word_letter);
    text.split("::").all(is_word)
        && text.chars().any(|letter| letter == '_' || letter == ':' || letter.is_ascii_uppercase())
}

fn is_word_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The words of the sources: the parts between characters that no Rust name has.
pub(super) fn words<'a>(texts: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
    texts.flat_map(|text| text.split(|letter| !is_word_letter(letter))).collect()
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
        plain
            && (text.contains('/') && (text.ends_with(".rs") || text.ends_with(".sql"))
                || text.starts_with("crates/"))
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
        let files = ["crates/a/src/x.rs", "crates/b/src/x.rs", "crates/b/src/y.rs"].map(PathBuf::from);
        let violations = points_at_what_exists(&here(), Path::new(page), text, &files);
        violations.iter().map(|violation| violation.line).collect()
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
    fn a_path_that_ends_several_paths_is_refused() {
        assert_eq!(broken("README.md", "`src/y.rs` `b/src/x.rs`"), [0; 0]);
        assert_eq!(broken("README.md", "`src/x.rs`\n`z/y.rs`\n`sqlite/0001.sql`"), [1, 2, 3]);
    }

    #[test]
    fn a_name_that_is_in_no_source_is_refused() {
        let sources = words(["impl LocalTier { fn get(&self) {} }", "CREATE TABLE user_texts"].into_iter());
        let broken = |text| {
            let violations = names_what_exists(Path::new("README.md"), text, &sources);
            violations.iter().map(|violation| violation.line).collect::<Vec<_>>()
        };
        assert_eq!(broken("`LocalTier::get` and `user_texts`, `plain words` and `word`"), [0; 0]);
        assert_eq!(broken("`LocalTier::set`\n`user_text`\n`Tier`"), [1, 2, 3]);
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

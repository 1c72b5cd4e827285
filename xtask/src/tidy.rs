//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a function with a test that shows it can fail; a check that cannot is worth nothing.

mod code;
mod engine;
mod markdown;
mod requirements;
mod rust;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::code::Source;

/// One broken rule, shown as `path:line: message`.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// A rule for one file.
type Rule = fn(&Source) -> Vec<Violation>;

const RUST_RULES: [Rule; 7] = [
    rust::short,
    rust::introduced,
    rust::named_for_its_content,
    rust::finished,
    rust::imports_from_the_owner,
    engine::decisions_are_pure,
    engine::redis_stays_remote,
];

/// Checks, the requirements too, shows every violation, and sums up.
pub(crate) fn run(root: &Path) -> Result<()> {
    check(root)?;
    requirements(root)?;
    println!("xtask tidy: all house rules are kept");
    Ok(())
}

/// Checks and shows every violation; an error that counts them when there are any.
pub(crate) fn check(root: &Path) -> Result<()> {
    told(&violations(root)?)
}

/// Whether the last whole run drove every row of the requirements.
pub(crate) fn requirements(root: &Path) -> Result<()> {
    told(&requirements::driven(root))
}

fn told(violations: &[Violation]) -> Result<()> {
    for violation in violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => bail!("xtask tidy: {count} violations of the house rules"),
    }
}

fn violations(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = markdown::required(root);
    for top in ["crates", "xtask"] {
        for path in files(root, Path::new(top), "rs")? {
            let source = Source::read(root, path)?;
            violations.extend(RUST_RULES.iter().flat_map(|rule| rule(&source)));
        }
    }
    let mut pages = files(root, Path::new("docs"), "md")?;
    pages.extend(["README.md", "ARCHITECTURE.md"].map(PathBuf::from));
    for page in pages.into_iter().filter(|page| root.join(page).is_file()) {
        let text = fs::read_to_string(root.join(&page))?;
        violations.extend(markdown::points_at_what_exists(root, &page, &text));
    }
    Ok(violations)
}

/// The files below `folder` with an extension, by name, relative to `root`; none if the folder is not there.
fn files(root: &Path, folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if !root.join(folder).is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(root.join(folder)).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != "target" {
            found.extend(files(root, &path, extension)?);
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_found_in_its_file_and_shown_with_its_line() {
        let root = std::env::temp_dir().join(format!("larder-tidy-{}", std::process::id()));
        fs::create_dir_all(root.join("crates/larder/src/protocol")).unwrap();
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::write(root.join("crates/larder/src/protocol/lease.rs"), "//! Leases.\nuse tokio::sync;\n")
            .unwrap();
        fs::write(root.join("docs/leases.md"), "# Leases\n[more](absent.md)\n").unwrap();
        for (name, text) in [("README.md", ""), ("ARCHITECTURE.md", ""), ("CHANGELOG.md", "## Unreleased\n")]
        {
            fs::write(root.join(name), text).unwrap();
        }
        let shown: Vec<_> = violations(&root).unwrap().iter().map(ToString::to_string).collect();
        let failed = check(&root).is_err();
        fs::remove_dir_all(&root).unwrap();
        assert!(failed);
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("crates/larder/src/protocol/lease.rs:2: "), "{shown:?}");
        assert!(shown[1].starts_with("docs/leases.md:2: "), "{shown:?}");
    }
}

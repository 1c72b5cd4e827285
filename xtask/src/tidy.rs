//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy checks.
//!
//! Each rule is a function, and a test shows that the rule finds what it forbids.

mod asvs;
mod cycles;
mod engine;
mod examples;
mod glossary;
#[cfg(test)]
mod inserted;
mod layers;
mod macros;
mod markdown;
mod modules;
mod references;
mod requirements;
mod rust;
mod source;
mod table;
mod terms;
mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::glossary::Glossary;
use self::layers::Layers;
use self::modules::{Sources, Tree};
use self::source::Source;
use self::terms::Definitions;

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// One broken rule, shown as `path:line: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
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

const RUST_RULES: [Rule; 8] = [
    rust::parses,
    rust::short,
    rust::introduced,
    rust::named_for_its_content,
    rust::finished,
    rust::imports_from_the_owner,
    engine::decisions_are_pure,
    engine::redis_stays_remote,
];

/// Checks the rules and the requirements, and prints every violation.
pub(crate) fn run(root: &Path) -> Result<()> {
    check(root)?;
    requirements(root)?;
    println!("xtask tidy: all house rules are kept");
    Ok(())
}

/// Checks the rules and prints every violation. If there are any, the error says how many.
pub(crate) fn check(root: &Path) -> Result<()> {
    report(&violations(root)?)
}

/// Checks that the tests of every row of the requirements passed in the last complete run.
pub(crate) fn requirements(root: &Path) -> Result<()> {
    report(&requirements::driven(root))
}

fn report(violations: &[Violation]) -> Result<()> {
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
    violations.extend(asvs::agrees(root));
    let mut paths = files(root, Path::new("crates"), "rs")?;
    paths.extend(files(root, Path::new("xtask"), "rs")?);
    let mut sources = Sources::new();
    for path in paths {
        let source = Source::read(root, path)?;
        violations.extend(RUST_RULES.iter().flat_map(|rule| rule(&source)));
        sources.insert(source.path.clone(), source);
    }
    let packages = packages(root)?;
    let trees = trees(&sources, &packages);
    let names: Vec<_> = packages.iter().map(|package| name_of(package)).collect();
    violations.extend(check_imports(root, &trees, &names));
    let scripts = scripts(root)?;
    let mut files: Vec<_> = sources.keys().cloned().collect();
    files.extend(scripts.iter().map(|(path, _)| path.clone()));
    let compiled = examples::compiled_pages(&sources);
    let mut pages = Vec::new();
    for page in page_paths(root)? {
        let text = fs::read_to_string(root.join(&page))?;
        violations.extend(markdown::points_at_what_exists(root, &page, &text, &files));
        violations.extend(examples::are_compiled(&page, &text, &compiled));
        pages.push((page, text));
    }
    if let Some((page, text)) = pages.iter().find(|(page, _)| page == Path::new(ARCHITECTURE)) {
        let texts = sources.values().map(|source| source.text.as_str());
        let words = markdown::words(texts.chain(scripts.iter().map(|(_, script)| script.as_str())));
        violations.extend(markdown::names_what_exists(page, text, &words));
    }
    let scripts = scripts.into_iter().map(|(_, script)| script).collect();
    violations.extend(check_words(scripts, &sources, &trees, &pages));
    Ok(violations)
}

/// The SQL scripts of the packages, with their texts.
fn scripts(root: &Path) -> Result<Vec<(PathBuf, String)>> {
    let paths = files(root, Path::new("crates"), "sql")?;
    paths.into_iter().map(|path| Ok((path.clone(), fs::read_to_string(root.join(path))?))).collect()
}

/// Finds words that the glossary forbids, and terms that it does not define.
fn check_words(
    scripts: Vec<String>,
    sources: &Sources,
    trees: &[Tree],
    pages: &[(PathBuf, String)],
) -> Vec<Violation> {
    let Some((_, page)) = pages.iter().find(|(path, _)| path == Path::new(glossary::PAGE)) else {
        return vec![glossary::violation(1, "must exist: it defines our terms")];
    };
    let (glossary, mut violations) = Glossary::read(page);
    let definitions = Definitions::read(trees, scripts);
    violations.extend(definitions.find_missing(&glossary));
    violations.extend(terms::find_undefined(trees, &glossary));
    let mut paths: Vec<_> = sources.keys().collect();
    paths.sort();
    violations.extend(paths.into_iter().flat_map(|path| words::find_in_comments(&sources[path], &glossary)));
    violations.extend(trees.iter().flat_map(|tree| words::find_in_messages(tree, &glossary)));
    violations.extend(pages.iter().flat_map(|(path, text)| words::find_in_page(path, text, &glossary)));
    violations
}

/// The import cycles and the upward imports of every crate.
fn check_imports(root: &Path, trees: &[Tree], packages: &[String]) -> Vec<Violation> {
    let mut violations: Vec<_> = trees.iter().flat_map(|tree| tree.missing.iter().cloned()).collect();
    let page = fs::read_to_string(root.join(ARCHITECTURE)).unwrap_or_default();
    let layers = Layers::read(&page);
    if let Ok(layers) = &layers {
        violations.extend(layers.find_misplaced(trees));
    }
    for tree in trees {
        let edges = tree.edges(packages);
        violations.extend(cycles::find_cycles(tree, &edges));
        if let Ok(layers) = &layers {
            violations.extend(layers.find_upward_imports(tree, &edges));
            violations.extend(layers.find_upward_crates(tree, packages));
        }
    }
    violations.extend(layers.err());
    violations
}

/// The folders of the workspace's packages.
fn packages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("xtask")];
    if root.join("crates").is_dir() {
        for entry in fs::read_dir(root.join("crates"))? {
            found.push(Path::new("crates").join(entry?.file_name()));
        }
    }
    found.retain(|package| root.join(package).join("src").is_dir());
    found.sort();
    Ok(found)
}

fn name_of(package: &Path) -> String {
    package.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Every library and every program of the packages.
fn trees<'a>(sources: &'a Sources, packages: &[PathBuf]) -> Vec<Tree<'a>> {
    let mut trees = Vec::new();
    for package in packages {
        let mut roots = vec![package.join("src/lib.rs"), package.join("src/main.rs")];
        roots.extend(sources.keys().filter(|path| path.parent() == Some(&package.join("src/bin"))).cloned());
        roots.sort();
        trees.extend(roots.iter().filter_map(|root| Tree::read(sources, &name_of(package), root)));
    }
    trees
}

/// The pages that the rules cover. CHANGELOG.md is not one: it describes past releases in their own words.
fn page_paths(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = files(root, Path::new("docs"), "md")?;
    pages.extend(["README.md", ARCHITECTURE].map(PathBuf::from));
    pages.retain(|page| root.join(page).is_file());
    Ok(pages)
}

/// The files below `folder` with this extension, sorted by name and relative to `root`; none if the folder does not
/// exist.
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

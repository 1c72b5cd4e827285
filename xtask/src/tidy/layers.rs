//! Upward imports: ARCHITECTURE.md has a table of layers; a module imports only from its own layer and from lower ones.
//!
//! The table has the columns `crate`, `layer` and `modules`. Its rows go from the top down, both the crates and the
//! layers of a crate. Every child of a crate's root is in exactly one row.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::Violation;
use super::cycles::siblings;
use super::modules::{Edge, Tree};
use super::references::references;
use super::table::{names, tables};

const PAGE: &str = "ARCHITECTURE.md";

/// A row of the table.
struct Layer {
    line: usize,
    name: String,
    modules: Vec<String>,
}

/// The table.
pub(super) struct Layers {
    /// The crates in the order of the table, from the top down.
    packages: Vec<String>,
    of_package: HashMap<String, Vec<Layer>>,
}

impl Layers {
    /// Reads the page. Returns a violation if it has no such table.
    pub(super) fn read(page: &str) -> Result<Self, Violation> {
        let columns = |table: &super::table::Table| {
            Some([table.column("crate")?, table.column("layer")?, table.column("modules")?])
        };
        let found = tables(page).into_iter().find_map(|table| Some((columns(&table)?, table)));
        let Some(([package_at, layer_at, modules_at], table)) = found else {
            let message =
                "must have a table with the columns `crate`, `layer` and `modules`, from the top down";
            return Err(violation(1, message.to_owned()));
        };
        let mut layers = Self { packages: Vec::new(), of_package: HashMap::new() };
        for (line, cells) in table.rows {
            let cell = |at: usize| cells.get(at).map_or("", String::as_str);
            let package = cell(package_at).replace('`', "");
            if !layers.packages.contains(&package) {
                layers.packages.push(package.clone());
            }
            let modules = names(cell(modules_at)).map(str::to_owned).collect();
            let layer = Layer { line, name: cell(layer_at).to_owned(), modules };
            layers.of_package.entry(package).or_default().push(layer);
        }
        Ok(layers)
    }

    /// Crates and modules that the table does not name exactly once, and rows for modules that do not exist.
    pub(super) fn find_misplaced(&self, trees: &[Tree]) -> Vec<Violation> {
        let mut modules: HashMap<&str, BTreeSet<&String>> = HashMap::new();
        for tree in trees {
            modules.entry(&tree.package).or_default().extend(tree.modules[0].children.keys());
        }
        let mut violations = Vec::new();
        let mut rows: Vec<_> = self.of_package.iter().collect();
        rows.sort_by_key(|(package, _)| self.rank_of(package));
        for (package, layers) in rows {
            let Some(known) = modules.get_mut(package.as_str()) else {
                let message = format!("there is no crate `{package}`");
                violations.push(violation(layers[0].line, message));
                continue;
            };
            for (layer, module) in
                layers.iter().flat_map(|layer| layer.modules.iter().map(move |of| (layer, of)))
            {
                if !known.remove(module) {
                    let message =
                        format!("`{module}` is not a module of {package}, or is in the table twice");
                    violations.push(violation(layer.line, message));
                }
            }
            let line = layers.last().map_or(1, |layer| layer.line);
            violations.extend(
                known
                    .iter()
                    .map(|module| violation(line, format!("module `{module}` of {package} is in no layer"))),
            );
        }
        let absent = modules.keys().filter(|package| self.rank_of(package).is_none());
        let mut absent: Vec<_> = absent.map(|package| format!("crate `{package}` has no layers")).collect();
        absent.sort();
        violations.extend(absent.into_iter().map(|message| violation(1, message)));
        violations
    }

    /// Imports of a module from a higher layer of its crate.
    pub(super) fn find_upward_imports(&self, tree: &Tree, edges: &[Edge]) -> Vec<Violation> {
        let Some(layers) = self.of_package.get(&tree.package) else { return Vec::new() };
        let place = |name: &str| layers.iter().position(|layer| layer.modules.iter().any(|of| of == name));
        let mut violations = Vec::new();
        for edge in edges {
            let Some(([], from, to)) = siblings(tree, edge) else { continue };
            let (Some(lower), Some(upper)) = (place(from), place(to)) else { continue };
            if upper < lower {
                let message = format!(
                    "upward import in {}: `{from}` (layer {}) names `{}` of `{to}` (layer {})",
                    tree.package, layers[lower].name, edge.written, layers[upper].name
                );
                violations.push(tree.modules[edge.from].source.violation(edge.line, message));
            }
        }
        violations
    }

    /// Imports of a crate from a crate that is above it in the table.
    pub(super) fn find_upward_crates(&self, tree: &Tree, packages: &[String]) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (index, module) in tree.modules.iter().enumerate() {
            for reference in references(module.items) {
                let Some(to) = tree.reached(index, &reference.segments, packages).package else { continue };
                let (Some(lower), Some(upper)) = (self.rank_of(&tree.package), self.rank_of(&to)) else {
                    continue;
                };
                if upper < lower {
                    let written = reference.segments.join("::");
                    let message =
                        format!("upward import: crate {} names `{written}` of crate {to}", tree.package);
                    violations.push(module.source.violation(reference.line, message));
                }
            }
        }
        violations
    }

    fn rank_of(&self, package: &str) -> Option<usize> {
        self.packages.iter().position(|of| of == package)
    }
}

fn violation(line: usize, message: String) -> Violation {
    Violation { path: PathBuf::from(PAGE), line, message }
}

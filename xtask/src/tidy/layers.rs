//! No arrow upward: ARCHITECTURE.md has a table of layers, and a module imports from its own or from lower ones.
//!
//! The table stands under the heading `Layers`, the uppermost layer first. Its columns are `crate`, `layer` and
//! `modules`; the modules are the children of a crate's root, all of them, each in one row. The crates too stand from
//! the top down.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::Violation;
use super::circles::sisters;
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

/// The layers of each crate, from the top down.
pub(super) struct Layers {
    /// From the top down.
    packages: Vec<String>,
    of_package: HashMap<String, Vec<Layer>>,
}

impl Layers {
    /// Reads the page; a violation if it has no such table.
    pub(super) fn read(page: &str) -> Result<Self, Violation> {
        let columns = |table: &super::table::Table| {
            Some([table.column("crate")?, table.column("layer")?, table.column("modules")?])
        };
        let found = tables(page).into_iter().find_map(|table| Some((columns(&table)?, table)));
        let Some(([package_at, layer_at, modules_at], table)) = found else {
            let message =
                "must have a table with the columns `crate`, `layer` and `modules`, the uppermost first";
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

    /// The table names every crate and every module once, and nothing else.
    pub(super) fn are_complete(&self, trees: &[Tree]) -> Vec<Violation> {
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
                    let message = format!("`{module}` is no module of {package}, or stands here twice");
                    violations.push(violation(layer.line, message));
                }
            }
            let line = layers.last().map_or(1, |layer| layer.line);
            violations.extend(
                known.iter().map(|module| {
                    violation(line, format!("module `{module}` of {package} stands in no layer"))
                }),
            );
        }
        let absent = modules.keys().filter(|package| self.rank_of(package).is_none());
        let mut absent: Vec<_> = absent.map(|package| format!("crate `{package}` has no layers")).collect();
        absent.sort();
        violations.extend(absent.into_iter().map(|message| violation(1, message)));
        violations
    }

    /// No module of a crate names one of a higher layer.
    pub(super) fn are_kept(&self, tree: &Tree, edges: &[Edge]) -> Vec<Violation> {
        let Some(layers) = self.of_package.get(&tree.package) else { return Vec::new() };
        let place = |name: &str| layers.iter().position(|layer| layer.modules.iter().any(|of| of == name));
        let mut violations = Vec::new();
        for edge in edges {
            let Some(([], from, to)) = sisters(tree, edge) else { continue };
            let (Some(lower), Some(upper)) = (place(from), place(to)) else { continue };
            if upper < lower {
                let message = format!(
                    "arrow upward in {}: `{from}` ({}) names `{}` of `{to}` ({})",
                    tree.package, layers[lower].name, edge.written, layers[upper].name
                );
                violations.push(tree.modules[edge.from].source.violation(edge.line, message));
            }
        }
        violations
    }

    /// No crate names one that stands above it in the table.
    pub(super) fn of_crates_are_kept(&self, tree: &Tree, packages: &[String]) -> Vec<Violation> {
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
                        format!("arrow upward: crate {} names `{written}` of crate {to}", tree.package);
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

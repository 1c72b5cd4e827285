//! No circle: of the modules that stand side by side, none needs itself by way of another.
//!
//! Side by side are the children of one module, each with all that is below it. A module and its own children may
//! name each other: they are one idea in several files.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::modules::{Edge, Tree};

/// So many places are shown of one arrow of a circle.
const MAX_PLACES: usize = 4;

/// The arrows between the children of one module: who names whom, and where.
type Arrows<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Edge>>;

/// One violation for each circle of a crate.
pub(super) fn none(tree: &Tree, edges: &[Edge]) -> Vec<Violation> {
    let mut levels: BTreeMap<&[String], Arrows> = BTreeMap::new();
    for edge in edges {
        if let Some((above, from, to)) = sisters(tree, edge) {
            levels.entry(above).or_default().entry((from, to)).or_default().push(edge);
        }
    }
    let circles = levels.iter().flat_map(|(above, arrows)| {
        circles(arrows).into_iter().map(|members| complaint(tree, above, arrows, &members))
    });
    circles.collect()
}

/// The two children of one module that an edge connects; `None` from a module to its own, or back.
pub(super) fn sisters<'a>(tree: &'a Tree, edge: &Edge) -> Option<(&'a [String], &'a str, &'a str)> {
    let (from, to) = (&tree.modules[edge.from].path, &tree.modules[edge.to].path);
    let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    Some((&from[..common], from.get(common)?, to.get(common)?))
}

/// The strongly connected components of more than one.
fn circles<'a>(arrows: &Arrows<'a>) -> Vec<BTreeSet<&'a str>> {
    let names: BTreeSet<_> = arrows.keys().flat_map(|(from, to)| [*from, *to]).collect();
    let reach: BTreeMap<_, _> = names.iter().map(|name| (*name, reachable(name, arrows))).collect();
    let with = |name: &&'a str| -> BTreeSet<&'a str> {
        reach[name].iter().filter(|other| reach[*other].contains(name)).copied().collect()
    };
    let mut found: Vec<_> = names.iter().map(with).filter(|circle| circle.len() > 1).collect();
    found.sort();
    found.dedup();
    found
}

/// What is reached from `start` in one arrow or more.
fn reachable<'a>(start: &str, arrows: &Arrows<'a>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        let next = arrows.keys().filter(|(from, _)| *from == name).map(|(_, to)| *to);
        open.extend(next.filter(|to| found.insert(*to)).collect::<Vec<_>>());
    }
    found
}

/// The arrow of the fewest places comes first: it is likely the one to mend.
fn complaint(tree: &Tree, above: &[String], arrows: &Arrows, members: &BTreeSet<&str>) -> Violation {
    let mut within: Vec<_> =
        arrows.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to)).collect();
    within.sort_by_key(|(_, places)| places.len());
    let lines = within.iter().map(|((from, to), places)| {
        let shown =
            places.iter().take(MAX_PLACES).map(|edge| place(tree, edge)).collect::<Vec<_>>().join(", ");
        let rest = places.len().saturating_sub(MAX_PLACES);
        let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
        format!("\n    {from} -> {to}: {shown}{rest}")
    });
    let lines: String = lines.collect();
    let first = within[0].1[0];
    let above = if above.is_empty() { String::new() } else { format!(" in `{}`", above.join("::")) };
    let members = members.iter().copied().collect::<Vec<_>>().join("`, `");
    let message = format!("circle of modules of {}{above}: `{members}`{lines}", tree.package);
    tree.modules[first.from].source.violation(first.line, message)
}

fn place(tree: &Tree, edge: &Edge) -> String {
    format!("{}:{} `{}`", tree.modules[edge.from].source.path.display(), edge.line, edge.written)
}

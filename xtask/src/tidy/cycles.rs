//! Import cycles: sibling modules that import one another, directly or through other siblings.
//!
//! Siblings are the children of one module; a sibling includes all modules below it. A module and its own children may
//! import each other: they are one subject in several files.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::modules::{Edge, Tree};

/// How many places a finding shows for one edge of a cycle.
const MAX_PLACES: usize = 4;

/// The imports between siblings: from which, to which, and where in the code.
type Imports<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Edge>>;

/// One violation for each cycle of a crate: a strongly connected component of two or more siblings.
pub(super) fn find_cycles(tree: &Tree, edges: &[Edge]) -> Vec<Violation> {
    let mut levels: BTreeMap<&[String], Imports> = BTreeMap::new();
    for edge in edges {
        if let Some((above, from, to)) = siblings(tree, edge) {
            levels.entry(above).or_default().entry((from, to)).or_default().push(edge);
        }
    }
    let found = levels.iter().flat_map(|(above, imports)| {
        components(imports).into_iter().map(|members| describe(tree, above, imports, &members))
    });
    found.collect()
}

/// The parent and the two siblings that an edge connects; `None` if one of its ends contains the other.
pub(super) fn siblings<'a>(tree: &'a Tree, edge: &Edge) -> Option<(&'a [String], &'a str, &'a str)> {
    let (from, to) = (&tree.modules[edge.from].path, &tree.modules[edge.to].path);
    let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    Some((&from[..common], from.get(common)?, to.get(common)?))
}

/// The strongly connected components of two or more siblings.
fn components<'a>(imports: &Imports<'a>) -> Vec<BTreeSet<&'a str>> {
    let names: BTreeSet<_> = imports.keys().flat_map(|(from, to)| [*from, *to]).collect();
    let reach: BTreeMap<_, _> = names.iter().map(|name| (*name, reachable(name, imports))).collect();
    let component = |name: &&'a str| -> BTreeSet<&'a str> {
        reach[name].iter().filter(|other| reach[*other].contains(name)).copied().collect()
    };
    let mut found: Vec<_> = names.iter().map(component).filter(|members| members.len() > 1).collect();
    found.sort();
    found.dedup();
    found
}

/// The siblings that `start` imports, directly or through others.
fn reachable<'a>(start: &str, imports: &Imports<'a>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(name) = open.pop() {
        let next = imports.keys().filter(|(from, _)| *from == name).map(|(_, to)| *to);
        open.extend(next.filter(|to| found.insert(*to)).collect::<Vec<_>>());
    }
    found
}

/// Describes a cycle by its edges. The edge with the fewest places comes first, because it is the easiest to remove.
fn describe(tree: &Tree, above: &[String], imports: &Imports, members: &BTreeSet<&str>) -> Violation {
    let mut within: Vec<_> =
        imports.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to)).collect();
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
    let above = if above.is_empty() { String::new() } else { format!("::{}", above.join("::")) };
    let members = members.iter().copied().collect::<Vec<_>>().join("`, `");
    let message = format!("import cycle in {}{above}: `{members}`{lines}", tree.package);
    tree.modules[first.from].source.violation(first.line, message)
}

fn place(tree: &Tree, edge: &Edge) -> String {
    format!("{}:{} `{}`", tree.modules[edge.from].source.path.display(), edge.line, edge.written)
}

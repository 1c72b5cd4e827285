//! The modules of a crate, read from its sources, and where a path in one of them leads.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use syn::{Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::Violation;
use super::references::{Import, Reference, imports, is_for_tests, references};
use super::source::Source;

/// The files of the workspace by their paths.
pub(super) type Sources = HashMap<PathBuf, Source>;

/// One crate: a library or a program, from its root file down. Modules that only tests compile are left out.
pub(super) struct Tree<'a> {
    /// Its package's name.
    pub(super) package: String,
    /// The root comes first.
    pub(super) modules: Vec<Module<'a>>,
    /// A violation for each module whose file does not exist.
    pub(super) missing: Vec<Violation>,
}

/// A module, whether it has a file of its own or not.
pub(super) struct Module<'a> {
    /// The names from the crate's root down; none for the root.
    pub(super) path: Vec<String>,
    pub(super) source: &'a Source,
    pub(super) items: &'a [Item],
    /// The indices of its children in [`Tree::modules`].
    pub(super) children: HashMap<String, usize>,
    parent: Option<usize>,
    imports: Vec<Import>,
    /// The names of the items that the module itself defines.
    own: Vec<String>,
}

/// A path in one module that leads into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
    pub(super) is_import: bool,
    /// The path as written.
    pub(super) written: String,
}

/// Where a path leads.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The modules that own a name of the path. The last of them owns the item that the path names.
    pub(super) modules: Vec<usize>,
    /// The other crate of the workspace, if the path leads there.
    pub(super) package: Option<String>,
}

/// An import may name another import. At most this many in a row are followed, so that imports that name each other
/// cause no endless loop.
const MAX_HOPS: usize = 16;

impl<'a> Tree<'a> {
    /// The crate of `package` with the root file `root`; `None` if the file is not there.
    pub(super) fn read(sources: &'a Sources, package: &str, root: &Path) -> Option<Self> {
        let source = sources.get(root)?;
        let mut tree = Self { package: package.to_owned(), modules: Vec::new(), missing: Vec::new() };
        tree.add(
            sources,
            Place { path: Vec::new(), parent: None, folder: folder_of(root), source },
            items_of(source),
        );
        Some(tree)
    }

    fn add(&mut self, sources: &'a Sources, place: Place<'a>, items: &'a [Item]) -> usize {
        let index = self.modules.len();
        let Place { path, parent, folder, source } = place;
        self.modules.push(Module {
            path: path.clone(),
            source,
            items,
            children: HashMap::new(),
            parent,
            imports: imports_of(items),
            own: items.iter().filter_map(name_of).collect(),
        });
        for item in items {
            let Item::Mod(item) = item else { continue };
            let name = item.ident.to_string();
            // A module that is declared twice, for two builds, is one module.
            if is_for_tests(&item.attrs) || self.modules[index].children.contains_key(&name) {
                continue;
            }
            let path = path.iter().cloned().chain([name.clone()]).collect();
            let child = if let Some((_, items)) = &item.content {
                let inner = Place { path, parent: Some(index), folder: folder.join(&name), source };
                self.add(sources, inner, items)
            } else if let Some((source, folder)) = file_of(sources, &source.path, &folder, item) {
                self.add(sources, Place { path, parent: Some(index), folder, source }, items_of(source))
            } else {
                let line = item.ident.span().start().line;
                self.missing
                    .push(source.violation(line, format!("the file of module `{name}` is not there")));
                continue;
            };
            self.modules[index].children.insert(name, child);
        }
        index
    }

    /// Every path that leads from one module into another. If a module imports from the other, only the import is an edge: the
    /// later uses of the imported names add none.
    pub(super) fn edges(&self, packages: &[String]) -> Vec<Edge> {
        (0..self.modules.len()).flat_map(|from| self.edges_from(from, packages)).collect()
    }

    fn edges_from(&self, from: usize, packages: &[String]) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        let mut by_import = HashSet::new();
        for Reference { segments, line, is_import } in references(self.modules[from].items) {
            for to in self.reached(from, &segments, packages).modules {
                let edge = Edge { from, to, line, is_import, written: segments.join("::") };
                if from != to && !edges.contains(&edge) {
                    by_import.extend(is_import.then_some(to));
                    edges.push(edge);
                }
            }
        }
        edges.retain(|edge| edge.is_import || !by_import.contains(&edge.to));
        edges
    }

    /// Where a path in module `from` leads; nowhere if it leaves the workspace.
    pub(super) fn reached(&self, from: usize, segments: &[String], packages: &[String]) -> Reached {
        let mut reached = Reached::default();
        self.follow(
            Step { at: from, is_first: true, is_lenient: true, hops: 0 },
            segments,
            packages,
            &mut reached,
        );
        reached
    }

    /// Resolves the Rust path `segments` from `step`, and adds the modules or the package that it names to `reached`. Returns
    /// whether the next name is defined there.
    fn follow(&self, step: Step, segments: &[String], packages: &[String], reached: &mut Reached) -> bool {
        let Step { at, is_first, is_lenient, hops } = step;
        let module = &self.modules[at];
        let Some((head, rest)) = segments.split_first() else {
            reached.modules.push(at);
            return true;
        };
        let inside = |at| Step { at, is_first: false, ..step };
        match (head.as_str(), module.parent) {
            ("crate", _) if is_first => return self.follow(inside(0), rest, packages, reached),
            ("self", _) if is_first => return self.follow(inside(at), rest, packages, reached),
            ("super", Some(parent)) => return self.follow(inside(parent), rest, packages, reached),
            _ => {}
        }
        if let Some(child) = module.children.get(head) {
            return self.follow(inside(*child), rest, packages, reached);
        }
        if module.own.contains(head) {
            reached.modules.push(at);
            return true;
        }
        let is_meant = |import: &&Import| import.name.as_ref() == Some(head) && hops < MAX_HOPS;
        if let Some(import) = module.imports.iter().find(is_meant) {
            if !is_first {
                reached.modules.push(at);
            }
            let further: Vec<_> = import.segments.iter().chain(rest).cloned().collect();
            return self.follow(Step { is_first: true, hops: hops + 1, ..step }, &further, packages, reached);
        }
        if is_first && packages.iter().any(|package| package.replace('-', "_") == *head) {
            reached.package = Some(head.replace('_', "-"));
            return true;
        }
        let is_in_glob =
            module.imports.iter().filter(|import| import.name.is_none() && hops < MAX_HOPS).any(|glob| {
                let mut whole = Reached::default();
                let first = Step { is_first: true, hops: hops + 1, ..step };
                self.follow(first, &glob.segments, packages, &mut whole)
                    && whole.modules.last().is_some_and(|owner| {
                        let within = Step { at: *owner, is_first: false, is_lenient: false, hops: hops + 1 };
                        self.follow(within, segments, packages, reached)
                    })
            });
        if !is_in_glob && !is_first && is_lenient {
            reached.modules.push(at);
        }
        is_in_glob || !is_first && is_lenient
    }
}

/// One step on the way along a path.
#[derive(Clone, Copy)]
struct Step {
    at: usize,
    /// Whether the next name is the path's first, which may be the name of a crate.
    is_first: bool,
    /// Whether the next name may be unknown, because a macro may define it in the module.
    is_lenient: bool,
    hops: usize,
}

/// The module that is read next.
struct Place<'a> {
    path: Vec<String>,
    parent: Option<usize>,
    /// Where its children's files are.
    folder: PathBuf,
    source: &'a Source,
}

fn items_of(source: &Source) -> &[Item] {
    source.syntax.as_ref().map_or(&[], |file| &file.items)
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// A declared module's file, and the folder of its children.
fn file_of<'a>(
    sources: &'a Sources,
    declared_in: &Path,
    folder: &Path,
    item: &ItemMod,
) -> Option<(&'a Source, PathBuf)> {
    if let Some(path) = path_attribute(item) {
        let file = without_dots(&folder_of(declared_in).join(path));
        return Some((sources.get(&file)?, folder_of(&file)));
    }
    let inside = folder.join(item.ident.to_string());
    let candidates = [inside.with_extension("rs"), inside.join("mod.rs")];
    candidates.iter().find_map(|file| sources.get(file)).map(|source| (source, inside.clone()))
}

fn path_attribute(item: &ItemMod) -> Option<String> {
    item.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Removes `..` from a path: `a/b/../c` becomes `a/c`.
fn without_dots(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut folder, component| {
        if component == Component::ParentDir {
            folder.pop();
        } else {
            folder.push(component);
        }
        folder
    })
}

fn imports_of(items: &[Item]) -> Vec<Import> {
    let uses = items.iter().filter_map(|item| match item {
        Item::Use(item) if !is_for_tests(&item.attrs) => Some(imports(item)),
        _ => None,
    });
    uses.flatten().collect()
}

/// The name that an item defines in its module; `None` for modules and imports, which [`Module`] keeps in other fields.
pub(super) fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

//! Undefined terms: public types of the engine that the glossary does not name, and code names that do not exist.

use std::collections::{HashMap, HashSet};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, Visibility};
use syn::{
    Expr, Fields, ImplItem, ItemEnum, ItemImpl, ItemMod, ItemStruct, ItemTrait, Lit, Meta, TraitItem, Type,
};

use super::Violation;
use super::glossary::{Glossary, PAGE, violation};
use super::macros::Made;
use super::modules::{Module, Tree, name_of};
use super::references::{attributes, imports, is_for_tests, needs, strings};

/// The crate whose public types are terms.
const ENGINE: &str = "larder";

/// The feature that makes parts of the engine public for the proofs. Those parts are no public API, so they need no
/// term.
const PROOF: &str = "proof";

/// What the sources define: names, which names are members of which, and what the strings say.
#[derive(Default)]
pub(super) struct Definitions {
    names: HashSet<String>,
    members: HashMap<String, HashSet<String>>,
    texts: Vec<String>,
}

impl Definitions {
    pub(super) fn read(trees: &[Tree], other_texts: Vec<String>) -> Self {
        let mut definitions = Self { texts: other_texts, ..Self::default() };
        for tree in trees {
            let package = tree.package.replace('-', "_");
            for module in &tree.modules {
                let owner = module.path.last().unwrap_or(&package);
                definitions.texts.extend(strings(module.items).into_iter().map(|string| string.text));
                module.children.keys().for_each(|child| definitions.add(owner, child.clone()));
                definitions.add_made(owner, Made::read(module.items));
                for item in module.items {
                    if let Some(name) = name_of(item) {
                        definitions.add(owner, name);
                    }
                    if let Item::Use(item) = item {
                        let names = imports(item).into_iter().filter_map(|import| import.name);
                        definitions.members.entry(owner.clone()).or_default().extend(names);
                    }
                    definitions.visit_item(item);
                }
            }
        }
        definitions
    }

    fn add(&mut self, owner: &str, name: String) {
        self.names.insert(name.clone());
        self.members.entry(owner.to_owned()).or_default().insert(name);
    }

    fn add_made(&mut self, owner: &str, made: Made) {
        for (name, _) in made.types {
            self.add(owner, name.clone());
            self.members.entry(name).or_default().extend(made.words.iter().cloned());
        }
    }

    fn add_fields(&mut self, owner: &str, fields: &Fields) {
        for name in fields.iter().filter_map(|field| field.ident.as_ref()) {
            self.add(owner, name.to_string());
        }
    }

    /// Code names of the glossary that the sources do not define.
    pub(super) fn find_missing(&self, glossary: &Glossary) -> Vec<Violation> {
        let absent = glossary.code_names.iter().filter(|(_, name)| !self.has(name));
        absent.map(|(line, name)| violation(*line, format!("the sources define no `{name}`"))).collect()
    }

    /// Whether the sources define a code name. In `a::B::c`, each part is a member of the part before it. A name that
    /// is not Rust must be in a string or in an SQL script.
    fn has(&self, name: &str) -> bool {
        let plain = name.split(['(', '<', '!']).next().unwrap_or(name);
        let parts: Vec<_> = plain.split("::").collect();
        let is_defined = match parts.as_slice() {
            [single] => self.names.contains(*single),
            _ => parts
                .windows(2)
                .all(|pair| self.members.get(pair[0]).is_some_and(|members| members.contains(pair[1]))),
        };
        is_defined
            || parts.len() == 1 && !name.is_empty() && self.texts.iter().any(|text| has_whole(text, name))
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.add_fields(&item.ident.to_string(), &item.fields);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        for variant in &item.variants {
            self.add(&item.ident.to_string(), variant.ident.to_string());
            self.add_fields(&variant.ident.to_string(), &variant.fields);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        for member in &item.items {
            let name = match member {
                TraitItem::Fn(member) => &member.sig.ident,
                TraitItem::Type(member) => &member.ident,
                TraitItem::Const(member) => &member.ident,
                _ => continue,
            };
            self.add(&item.ident.to_string(), name.to_string());
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let Type::Path(owner) = &*item.self_ty else { return };
        let Some(owner) = owner.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
        for member in &item.items {
            let name = match member {
                ImplItem::Fn(member) => &member.sig.ident,
                ImplItem::Type(member) => &member.ident,
                ImplItem::Const(member) => &member.ident,
                _ => continue,
            };
            self.add(&owner, name.to_string());
        }
    }
}

/// Whether a text has `name` as a word of its own.
fn has_whole(text: &str, name: &str) -> bool {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// Public types of the engine that the glossary does not name.
pub(super) fn find_undefined(trees: &[Tree], glossary: &Glossary) -> Vec<Violation> {
    let parts = glossary.code_names.iter().flat_map(|(_, name)| name.split("::"));
    let defined: HashSet<_> = parts.filter_map(|part| part.split(['(', '<', '!']).next()).collect();
    let Some(engine) = trees.iter().find(|tree| tree.package == ENGINE) else { return Vec::new() };
    let mut types = Vec::new();
    add_public(engine, 0, &mut types);
    types.sort_by(|a, b| (&a.module.source.path, a.line).cmp(&(&b.module.source.path, b.line)));
    types.dedup_by(|a, b| a.line == b.line && a.name == b.name);
    types.retain(|of| !defined.contains(of.name.as_str()));
    let complain = |of: &Public| {
        let message = format!(
            "undefined term: `{}` is a public type, but no row of {} has it as a code name",
            of.name, PAGE
        );
        of.module.source.violation(of.line, message)
    };
    types.iter().map(complain).collect()
}

/// A type that users of a crate can name.
struct Public<'a> {
    module: &'a Module<'a>,
    name: String,
    line: usize,
}

/// Adds what a public module shows: its types, those of its public modules, and those that it re-exports.
fn add_public<'a>(tree: &'a Tree<'a>, at: usize, types: &mut Vec<Public<'a>>) {
    let module = &tree.modules[at];
    for item in module.items.iter().filter(|item| is_public(item)) {
        match item {
            Item::Mod(item) => {
                if let Some(child) = module.children.get(&item.ident.to_string()) {
                    add_public(tree, *child, types);
                }
            }
            Item::Use(item) => {
                for import in imports(item) {
                    let owner = tree.reached(at, &import.segments, &[]).modules.last().copied();
                    let Some(owner) = owner.filter(|owner| *owner != at) else { continue };
                    match (&import.name, import.segments.last()) {
                        (Some(_), Some(name)) => add_types(&tree.modules[owner], Some(name), types),
                        _ => add_types(&tree.modules[owner], None, types),
                    }
                }
            }
            _ => {}
        }
    }
    add_types(module, None, types);
}

/// The public types of a module, or the one of that name.
fn add_types<'a>(module: &'a Module<'a>, only: Option<&String>, types: &mut Vec<Public<'a>>) {
    let declared = module.items.iter().filter(|item| is_public(item)).filter_map(|item| match item {
        Item::Struct(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        _ => None,
    });
    let declared = declared.map(|ident| (ident.to_string(), ident.span().start().line));
    let all = declared.chain(Made::read(module.items).types);
    let wanted = all.filter(|(name, _)| only.is_none_or(|only| only == name));
    types.extend(wanted.map(|(name, line)| Public { module, name, line }));
}

/// Whether an item is `pub`, shown in the documentation, and compiled without the proofs' feature.
fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Struct(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Use(item) => &item.vis,
        _ => return false,
    };
    let attributes = attributes(item);
    matches!(visibility, Visibility::Public(_))
        && !is_hidden(attributes)
        && !is_for_tests(attributes)
        && !needs(attributes, &is_proof)
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let mut of_docs = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    of_docs.any(|attribute| attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "hidden"))
}

fn is_proof(option: &Meta) -> bool {
    let Meta::NameValue(pair) = option else { return false };
    let Expr::Lit(value) = &pair.value else { return false };
    pair.path.is_ident("feature") && matches!(&value.lit, Lit::Str(text) if text.value() == PROOF)
}

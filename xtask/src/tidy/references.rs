//! What a module's code names and says: the branches of its `use` trees, the paths in its types, expressions, patterns,
//! attributes and macro calls, and its string literals. Code that only tests compile is left out.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Lit, LitStr, Macro, Meta, MetaList, Path, UseTree,
    Visibility,
};

use super::source::Passage;

/// One branch of a `use` tree, as a path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// What is imported; `a::b::{self}` is `a::b`.
    pub(super) segments: Vec<String>,
    /// The name that it gets in this module; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// A path in the code, an import's included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    pub(super) is_import: bool,
}

/// The branches of one `use`.
pub(super) fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    add_branches(&item.tree, &mut Vec::new(), &mut found);
    found
}

fn add_branches(tree: &UseTree, stem: &mut Vec<String>, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            stem.push(path.ident.to_string());
            add_branches(&path.tree, stem, found);
            stem.pop();
        }
        UseTree::Name(leaf) => found.push(import(stem, &leaf.ident, &leaf.ident)),
        UseTree::Rename(leaf) => found.push(import(stem, &leaf.ident, &leaf.rename)),
        UseTree::Glob(leaf) => {
            let line = leaf.star_token.spans[0].start().line;
            found.push(Import { segments: stem.clone(), name: None, line });
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_branches(tree, stem, found)),
    }
}

fn import(stem: &[String], leaf: &Ident, name: &Ident) -> Import {
    let mut segments = stem.to_vec();
    let mut name = name.to_string();
    if leaf == "self" && !stem.is_empty() {
        if name == "self" {
            name.clone_from(&stem[stem.len() - 1]);
        }
    } else {
        segments.push(leaf.to_string());
    }
    Import { segments, name: Some(name), line: leaf.span().start().line }
}

/// Every import of a file, those of its inner modules and of its functions included.
pub(super) fn all_imports(file: &syn::File) -> Vec<Import> {
    struct Reader(Vec<Import>);
    impl<'ast> Visit<'ast> for Reader {
        fn visit_item_use(&mut self, item: &'ast ItemUse) {
            self.0.extend(imports(item));
        }
    }
    let mut reader = Reader(Vec::new());
    reader.visit_file(file);
    reader.0
}

/// What the items of one module name; its inner modules are read on their own.
pub(super) fn references(items: &[Item]) -> Vec<Reference> {
    read(items).references
}

/// The string literals of one module, documentation left out.
pub(super) fn strings(items: &[Item]) -> Vec<Passage> {
    read(items).strings
}

fn read(items: &[Item]) -> Reader {
    let mut reader = Reader::default();
    items.iter().for_each(|item| reader.visit_item(item));
    reader
}

#[derive(Default)]
struct Reader {
    references: Vec<Reference>,
    strings: Vec<Passage>,
}

impl Reader {
    fn add(&mut self, segments: Vec<String>, line: usize) {
        self.references.push(Reference { segments, line, is_import: false });
    }

    /// The paths and strings in tokens that are not parsed: a macro's, or an attribute's.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for (place, tree) in tokens.into_iter().enumerate() {
            match tree {
                TokenTree::Punct(sign) if sign.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.add_path(&mut path, line);
                        line = word.span().start().line;
                    }
                    colons = 0;
                    path.push(word.to_string());
                }
                // Skip a doc comment in a macro, whose tokens are `[doc = "…"]`.
                _ if place == 1 && path == ["doc"] => return,
                other => {
                    colons = 0;
                    self.add_path(&mut path, line);
                    self.add_within(other);
                }
            }
        }
        self.add_path(&mut path, line);
    }

    fn add_within(&mut self, tree: TokenTree) {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                // Parse the body as items, so that a `use` in it counts as an import.
                match syn::parse2::<syn::File>(group.stream()) {
                    Ok(file) => self.visit_file(&file),
                    Err(_) => self.add_tokens(group.stream()),
                }
            }
            TokenTree::Group(group) => self.add_tokens(group.stream()),
            TokenTree::Literal(literal) => {
                if let Lit::Str(literal) = Lit::new(literal) {
                    self.add_string(&literal);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }

    /// A string may name a path too: `#[serde(with = "crate::a::b")]`.
    fn add_string(&mut self, literal: &LitStr) {
        let (line, text) = (literal.span().start().line, literal.value());
        let path: Vec<_> = text.split("::").map(str::to_owned).collect();
        if path.len() > 1 && matches!(path[0].as_str(), "crate" | "self" | "super") {
            self.add(path, line);
        }
        self.strings.push(Passage { line, text });
    }

    fn add_path(&mut self, path: &mut Vec<String>, line: usize) {
        let segments = std::mem::take(path);
        if segments.len() > 1 {
            self.add(segments, line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    /// Skips the path in `pub(in crate::a)`: that module may use the item, but the item does not need the module.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            let Import { segments, line, .. } = import;
            self.references.push(Reference { segments, line, is_import: true });
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.add_string(literal);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(segments, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.visit_path(&list.path);
        self.add_tokens(list.tokens.clone());
    }
}

/// An item's attributes; none for the kinds of items that the workspace does not use.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether only a test build compiles this.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    needs(attributes, &|option| matches!(option, Meta::Path(path) if path.is_ident("test")))
}

/// Whether a `cfg` can only be true with an option that is `wanted`.
pub(super) fn needs(attributes: &[Attribute], wanted: &dyn Fn(&Meta) -> bool) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.filter_map(|attribute| attribute.parse_args().ok()).any(|meta| asks_for(&meta, wanted))
}

fn asks_for(condition: &Meta, wanted: &dyn Fn(&Meta) -> bool) -> bool {
    type Conditions = syn::punctuated::Punctuated<Meta, syn::Token![,]>;
    let Meta::List(list) = condition else { return wanted(condition) };
    let Ok(parts) = list.parse_args_with(Conditions::parse_terminated) else { return false };
    let mut parts = parts.iter();
    match list.path.get_ident().map(ToString::to_string).as_deref() {
        Some("all") => parts.any(|part| asks_for(part, wanted)),
        Some("any") => parts.all(|part| asks_for(part, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(String, usize)> {
        let found = references(&syn::parse_str::<syn::File>(text).unwrap().items);
        found.into_iter().map(|reference| (reference.segments.join("::"), reference.line)).collect()
    }

    fn names(text: &str) -> Vec<String> {
        named(text).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_tree_has_branches_with_names_and_lines() {
        let item = syn::parse_str("use crate::{\n    a::{self, B as C},\n    d::*,\n};").unwrap();
        let found: Vec<_> = imports(&item)
            .into_iter()
            .map(|import| (import.segments.join("::"), import.name, import.line))
            .collect();
        let expected = [
            ("crate::a".to_owned(), Some("a".to_owned()), 2),
            ("crate::a::B".to_owned(), Some("C".to_owned()), 2),
            ("crate::d".to_owned(), None, 3),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        for text in [
            "use super::a::B;",
            "fn f() { use super::a::B; }",
            "fn f(b: Vec<super::a::B>) {}",
            "fn f() { let b = super::a::B(1); }",
            "fn f() { if let super::a::B = 1 {} }",
            "impl super::a::B for C {}",
            "fn f() { warn!(x = ?vec![super::a::B]); }",
            "macro_rules! m { () => { use super::a::B; } }",
            "#[derive(super::a::B)] struct C;",
            "#[m(body = super::a::B)] fn f() {}",
            "#[serde(with = \"super::a::B\")] struct C;",
        ] {
            let found = names(text);
            assert!(found.contains(&"super::a::B".to_owned()), "{text}: {found:?}");
        }
        assert_eq!(named("fn f() {\n    a::b(c::d())\n}"), [("a::b".to_owned(), 2), ("c::d".to_owned(), 2)]);
    }

    #[test]
    fn strings_are_found_in_code_and_in_macros() {
        let text = "/// doc\nfn f() -> E { warn!(\n/** no */ doc = \"a {x}\"); E::new(\"b\") }\n#[error(r#\"c \"d\"\"#)] struct E;\n\
                    #[cfg(test)] mod tests { const A: &str = \"e\"; }";
        let found = strings(&syn::parse_str::<syn::File>(text).unwrap().items);
        let found: Vec<_> = found.iter().map(|string| (string.line, string.text.as_str())).collect();
        assert_eq!(found, [(3, "a {x}"), (3, "b"), (4, "c \"d\"")]);
    }

    #[test]
    fn tests_inner_modules_and_visibilities_are_left_out() {
        for text in [
            "#[cfg(test)] use a::B;",
            "#[cfg(all(test, unix))] fn f() { a::b() }",
            "impl C { #[cfg(test)] fn f() { a::b() } }",
            "mod inner { use a::B; }",
            "pub(in crate::a) struct C;",
            "/// See [`a::B`].\nstruct C;",
            "fn f() { x.collect::<Vec<u8>>(); let s = \"a::b\"; }",
        ] {
            assert_eq!(names(text), [""; 0], "{text}");
        }
        assert_eq!(names("#[cfg(not(test))] use a::B;"), ["a::B"]);
        assert_eq!(names("#[cfg(any(test, unix))] use a::B;"), ["a::B"]);
    }
}

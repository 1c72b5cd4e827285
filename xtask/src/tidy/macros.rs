//! The public types that a module's own macros make. The rules do not expand macros; they read their tokens.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::Item;

use super::references::is_for_tests;

/// What the tokens of a module's macros contain.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The name of each public struct, enum and trait, with its line.
    pub(super) types: Vec<(String, usize)>,
    /// All words of the macros, and so also the names of fields and variants.
    pub(super) words: HashSet<String>,
}

impl Made {
    /// Reads the macros that are defined and called among these items.
    pub(super) fn read(items: &[Item]) -> Self {
        let mut made = Self::default();
        for item in items {
            if let Item::Macro(item) = item
                && !is_for_tests(&item.attrs)
            {
                made.add(item.mac.tokens.clone());
            }
        }
        made
    }

    fn add(&mut self, tokens: TokenStream) {
        let (mut is_public, mut is_type) = (false, false);
        for tree in tokens {
            let TokenTree::Ident(word) = tree else {
                if let TokenTree::Group(group) = tree {
                    self.add(group.stream());
                }
                (is_public, is_type) = (false, false);
                continue;
            };
            let text = word.to_string();
            if is_type {
                self.types.push((text.clone(), word.span().start().line));
            }
            is_type = is_public && matches!(text.as_str(), "struct" | "enum" | "trait");
            is_public = text == "pub";
            self.words.insert(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_types_are_found_in_macros() {
        let text = "macro_rules! m { ($a:ident) => {\n pub enum A { $a }\n pub(crate) struct B;\n pub struct $a; } }\n\
                    m! { Full }\nfn f() { n! { pub struct C; } }";
        let made = Made::read(&syn::parse_str::<syn::File>(text).unwrap().items);
        assert_eq!(made.types, [("A".to_owned(), 2)]);
        assert!(made.words.contains("Full") && !made.words.contains("C"));
    }
}

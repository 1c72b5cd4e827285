//! What an expression names of its function, and whether the key has it.
//!
//! A reader computes the tags of an entry from the entry's key, before it has the entry. So the option `tags` may name
//! only what the key has.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Expr};

use crate::arguments::Argument;
use crate::options::Options;

/// Methods whose result is the same part of a key as the value itself.
const SAME_PART: [&str; 7] = ["as_deref", "as_ref", "as_str", "borrow", "clone", "to_owned", "to_string"];

/// An argument or `self`, with the fields and methods that the expression takes of it.
pub(crate) struct Named {
    /// `["self", "tenant"]` for `self.tenant`, and also for `self.tenant.clone()`.
    pub(crate) path: Vec<String>,
    /// How many of the scanned tokens of its group spell it; 0 if a text of a macro names it.
    tokens: usize,
    span: Span,
}

impl Named {
    fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Whether this is `other` or a part of it.
    pub(crate) fn is_of(&self, other: &[String]) -> bool {
        self.path.starts_with(other)
    }
}

/// What `expression` names of the arguments and of `self`.
pub(crate) fn named_in(expression: TokenStream, arguments: &[Argument]) -> Vec<Named> {
    let mut found = Vec::new();
    scan(expression, arguments, false, &mut found);
    found
}

/// `expression`, with `name` in the place of each `path`. `name` is a reference, so a `&` before it is left out.
pub(crate) fn renamed(
    expression: TokenStream,
    arguments: &[Argument],
    path: &[String],
    name: &Ident,
) -> TokenStream {
    let tokens: Vec<TokenTree> = expression.into_iter().collect();
    let (mut renamed, mut nth) = (Vec::new(), 0);
    while let Some(token) = tokens.get(nth) {
        let named = named_at(&tokens, nth, arguments).filter(|named| named.path == path);
        nth += named.as_ref().map_or(1, |named| named.tokens);
        let token = match (named, token) {
            (Some(_), _) => {
                let is_end = matches!(tokens.get(nth), None | Some(TokenTree::Punct(_)));
                if is_end && is_punct(renamed.last(), '&') {
                    renamed.pop();
                }
                TokenTree::Ident(name.clone())
            }
            (None, TokenTree::Group(group)) => {
                let inner = self::renamed(group.stream(), arguments, path, name);
                TokenTree::Group(Group::new(group.delimiter(), inner))
            }
            (None, token) => token.clone(),
        };
        renamed.push(token);
    }
    renamed.into_iter().collect()
}

/// An error if `tags` names what the key has not.
pub(crate) fn check_tags(
    options: &Options,
    arguments: &[Argument],
    key: &[Vec<String>],
) -> Result<(), Error> {
    let Some(tags) = &options.tags else { return Ok(()) };
    let tags = named_in(tags.to_token_stream(), arguments);
    let Some(alien) = tags.iter().find(|named| !key.iter().any(|part| named.is_of(part))) else {
        return Ok(());
    };
    let name = alien.path.join(".");
    let remedy = match &options.key {
        Some(_) => format!("name `{name}` in `key`, spelled as here"),
        None if name.ends_with(')') => "compute it by a function that gets only what the key has".to_owned(),
        None if alien.root() == "self" => format!("say the key and put it there, `key = ({name}, …)`"),
        None => format!("take `{name}` out of `skip(…)`"),
    };
    let text = format!(
        "`{name}` is no part of the key, and a reader computes the tags of an entry from its key alone, before it has the \
         entry: a hit would not have this tag. Either {remedy}, or leave the tag out"
    );
    Err(Error::new(alien.span, text))
}

/// What the key has: the names in the option `key`, or the arguments without those of `skip`; and those of the prefix.
pub(crate) fn of_key(options: &Options, arguments: &[Argument]) -> Vec<Vec<String>> {
    let of = |expression: &Expr| named_in(expression.to_token_stream(), arguments);
    let mut names: Vec<Vec<String>> = match &options.key {
        Some(key) => of(key).into_iter().map(|named| named.path).collect(),
        None => {
            let names = arguments.iter().filter_map(Argument::name);
            names.filter(|name| !options.skip.contains(name)).map(|name| vec![name.to_string()]).collect()
        }
    };
    names.extend(options.key_prefix.iter().flat_map(of).map(|named| named.path));
    names
}

fn scan(tokens: TokenStream, arguments: &[Argument], is_in_macro: bool, found: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (nth, token) in tokens.iter().enumerate() {
        found.extend(named_at(&tokens, nth, arguments));
        match token {
            TokenTree::Group(group) => {
                let is_of_macro = nth > 0 && is_punct(tokens.get(nth - 1), '!');
                scan(group.stream(), arguments, is_in_macro || is_of_macro, found);
            }
            // `format!("{id}")`
            TokenTree::Literal(text) if is_in_macro => {
                let (spelled, span) = (text.to_string(), text.span());
                let names = arguments.iter().map(name_of);
                let in_text = |name: &String| {
                    // A text spells the argument `r#type` as `type`.
                    let name = name.trim_start_matches("r#");
                    [format!("{{{name}}}"), format!("{{{name}:")].iter().any(|place| spelled.contains(place))
                };
                found.extend(names.filter(in_text).map(|name| Named { path: vec![name], tokens: 0, span }));
            }
            _ => {}
        }
    }
}

fn name_of(argument: &Argument) -> String {
    argument.name().map_or_else(|| "self".to_owned(), ToString::to_string)
}

/// The argument or `self` that begins at this token. A field, a method, a segment of a path and the name of a field in a
/// struct's expression are none.
fn named_at(tokens: &[TokenTree], nth: usize, arguments: &[Argument]) -> Option<Named> {
    let TokenTree::Ident(root) = tokens.get(nth)? else { return None };
    let before = |steps: usize, punct| nth >= steps && is_punct(tokens.get(nth - steps), punct);
    let is_member = before(1, '.') && !before(2, '.');
    let is_segment = before(1, ':') && before(2, ':');
    // `name != other` is no macro.
    let is_macro =
        is_punct(tokens.get(nth + 1), '!') && matches!(tokens.get(nth + 2), Some(TokenTree::Group(_)));
    if is_member || is_segment || is_punct(tokens.get(nth + 1), ':') || is_macro {
        return None;
    }
    let mut path = vec![arguments.iter().map(name_of).find(|name| root == name)?];
    let mut end = nth + 1;
    while is_punct(tokens.get(end), '.') {
        let member = match tokens.get(end + 1) {
            Some(member @ (TokenTree::Ident(_) | TokenTree::Literal(_))) => member.to_string(),
            _ => break,
        };
        let called = match tokens.get(end + 2) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Some(group),
            _ => None,
        };
        end += 2 + usize::from(called.is_some());
        match called {
            Some(_) if SAME_PART.contains(&&*member) => {}
            Some(group) => path.push(format!("{member}({})", group.stream())),
            None => path.push(member),
        }
    }
    Some(Named { path, tokens: end - nth, span: root.span() })
}

fn is_punct(token: Option<&TokenTree>, punct: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == punct)
}

/// What `expression` names, if it names it alone, after any number of `&`.
pub(crate) fn named_alone(expression: TokenStream, arguments: &[Argument]) -> Option<Named> {
    let tokens: Vec<TokenTree> =
        expression.into_iter().skip_while(|token| is_punct(Some(token), '&')).collect();
    named_at(&tokens, 0, arguments).filter(|named| named.tokens == tokens.len())
}

/// A name for the part of a key that is nothing but one of the function's names; `tenant` for `&self.tenant`.
pub(crate) fn part_name(part: TokenStream, arguments: &[Argument]) -> Option<(Vec<String>, Ident)> {
    let Named { path, .. } = named_alone(part, arguments)?;
    let name = &**path.last()?;
    // An index, the call of a method, and `self` alone are no names.
    let mut name = syn::parse_str::<Ident>(name).ok().filter(|name| name != "self")?;
    name.set_span(Span::call_site());
    Some((path, name))
}

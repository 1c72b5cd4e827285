//! What is written in `#[cached(…)]`.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, Token, parenthesized};

use crate::ttl::Ttl;

/// The options of one cached function.
pub(crate) struct Options {
    pub(crate) class: Expr,
    pub(crate) key: Option<Expr>,
    pub(crate) key_prefix: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) tags: Option<Expr>,
    pub(crate) ttl: Option<Ttl>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let (mut class, mut key, mut key_prefix) = (None, None, None);
        let (mut skip, mut tags, mut ttl) = (None, None, None);
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let is_new = match name.to_string().as_str() {
                "class" => class.replace(value(input)?).is_none(),
                "key" => key.replace(value(input)?).is_none(),
                "key_prefix" => key_prefix.replace(prefix(value(input)?)?).is_none(),
                "skip" => skip.replace(names(&name, input)?).is_none(),
                "tags" => tags.replace(list_of_tags(&name, input)?).is_none(),
                "ttl" => ttl.replace(Ttl::of(value(input)?)?).is_none(),
                option => return Err(Error::new(name.span(), belongs_elsewhere(option))),
            };
            if !is_new {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let class = class.ok_or_else(|| {
            let text = "`#[cached]` needs the class that has the entries: `#[cached(class = self.products)]`";
            Error::new(Span::call_site(), text)
        })?;
        if let (Some(key), Some(_)) = (&key, &skip) {
            let text = "`key` says what the key is, so `skip` has no effect; allowed is one of them";
            return Err(Error::new_spanned(key, text));
        }
        Ok(Options { class, key, key_prefix, skip: skip.unwrap_or_default(), tags, ttl })
    }
}

fn value(input: ParseStream<'_>) -> Result<Expr, Error> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn names(option: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>, Error> {
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(option.span(), "write `skip(argument, …)`"));
    }
    let names;
    parenthesized!(names in input);
    let names: Vec<Ident> = Punctuated::<Ident, Token![,]>::parse_terminated_with(&names, Ident::parse_any)?
        .into_iter()
        .collect();
    let error = |at: &Ident, text| Err(Error::new(at.span(), text));
    if let Some(this) = names.iter().find(|name| *name == "self") {
        return error(this, "`self` is no part of the key anyway, unless `key = …` names it".to_owned());
    }
    let mut pairs = names.iter().enumerate();
    match pairs.find(|(nth, name)| names[..*nth].contains(name)) {
        Some((_, twice)) => error(twice, format!("`{twice}` is skipped twice")),
        None if names.is_empty() => error(option, "name an argument, or leave `skip` out".to_owned()),
        None => Ok(names),
    }
}

fn prefix(prefix: Expr) -> Result<Expr, Error> {
    match &prefix {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().is_empty() => {
            let text = "an empty prefix distinguishes nothing: name what the functions of this class have apart, as in \
                        `key_prefix = \"by_name\"`";
            Err(Error::new_spanned(prefix, text))
        }
        _ => Ok(prefix),
    }
}

fn list_of_tags(option: &Ident, input: ParseStream<'_>) -> Result<Expr, Error> {
    if input.peek(syn::token::Paren) {
        return Err(Error::new(option.span(), "write `tags = [tag(\"category\", category), …]`"));
    }
    match value(input)? {
        Expr::Array(list) if list.elems.is_empty() => {
            Err(Error::new_spanned(list, "name at least one tag, or leave `tags` out"))
        }
        Expr::Closure(closure) => {
            let text = "tags follow from the key, not from the loaded value, because a reader has to know the tags of an \
                        entry before it has the entry: write `tags = [tag(\"category\", category)]`";
            Err(Error::new_spanned(closure, text))
        }
        tags => Ok(tags),
    }
}

/// The error for an unknown option. If macros of other libraries have it, the error says where larder declares the
/// same.
fn belongs_elsewhere(option: &str) -> String {
    let elsewhere = match option {
        "absent_for" | "policy" => {
            "the class says how long its entries stay: `cache.class(\"products\").absent_for(Duration::from_secs(60)).open()?`"
        }
        "time" | "time_to_live" | "expire" => {
            "write `ttl = \"10 min\"`, or declare the TTL of all entries where the class is opened"
        }
        "tag" | "tagged" | "tagged_by" => "write `tags = [tag(\"category\", category)]`",
        "prefix" | "name" => "write `key_prefix = \"by_name\"`; the class's name comes before it in each key",
        "cache" | "ty" | "create" | "size" => {
            "name a class that was opened at the start, `class = self.products`: what it declares is checked there, \
             and the journal verifies it"
        }
        _ => "allowed are `class = …`, `key = …`, `key_prefix = …`, `skip(…)`, `tags = […]` and `ttl = …`",
    };
    format!("`#[cached]` has no option `{option}`: {elsewhere}")
}

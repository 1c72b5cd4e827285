//! What is written in `#[cached(…)]`.

use proc_macro2::{Ident, Span};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Token, parenthesized};

/// The options of one cached function.
pub(crate) struct Options {
    pub(crate) class: Expr,
    pub(crate) key: Option<Expr>,
    pub(crate) skip: Vec<Ident>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self, Error> {
        let (mut class, mut key, mut skip) = (None, None, None);
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let is_new = match name.to_string().as_str() {
                "class" => class.replace(value(input)?).is_none(),
                "key" => key.replace(value(input)?).is_none(),
                "skip" => skip.replace(names(&name, input)?).is_none(),
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
        Ok(Options { class, key, skip: skip.unwrap_or_default() })
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
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?;
    Ok(names.into_iter().collect())
}

/// The error for an unknown option. If macros of other libraries have it, the error says where larder declares the
/// same.
fn belongs_elsewhere(option: &str) -> String {
    let elsewhere = match option {
        "ttl" | "time" | "time_to_live" | "absent_for" | "policy" => {
            "the class says how long its entries stay: `cache.class(\"products\").ttl(Duration::from_secs(60)).open()?`"
        }
        "tag" | "tags" => {
            "the class says which tags its entries have: \
             `cache.class(\"pages\").tagged_by(|key: &Page| tag(\"category\", key.category)).open()?`"
        }
        "key_prefix" | "prefix" | "name" => {
            "the class's name is the prefix of its keys: `cache.class(\"products\").open()?`"
        }
        "cache" | "ty" | "create" | "size" => {
            "name a class that was opened at the start, `class = self.products`: what it declares is checked there, \
             and the journal verifies it"
        }
        _ => "allowed are `class = …`, `key = …` and `skip(…)`",
    };
    format!("`#[cached]` has no option `{option}`: {elsewhere}")
}

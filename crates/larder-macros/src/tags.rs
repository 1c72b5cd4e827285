//! The option `tags` of `#[cached]`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, parse2};

use crate::arguments::Argument;
use crate::key_names::{Named, named_alone, named_in, part_name, renamed};
use crate::options::Options;

/// The expression, in the generated code, whose value is the tags that the function's entry must have, or `None`. It is
/// evaluated in the caller's task when a load begins.
pub(crate) fn of_load(
    options: &Options,
    arguments: &[Argument],
    function: &Ident,
    root: &Ident,
) -> TokenStream {
    let Some(tags) = &options.tags else { return quote!(::core::option::Option::None) };
    let list = match tags {
        Expr::Array(list) => {
            let tags = list.elems.iter();
            quote_spanned!(list.span()=> [#(::#root::class::cached_tag(#tags)),*])
        }
        Expr::Lit(_) => {
            quote_spanned!(tags.span()=> [::#root::class::cached_tag(#tags)])
        }
        list => list.to_token_stream(),
    };
    let (function, declaration) = (function.to_string(), declaration(options, arguments, tags));
    quote_spanned! {tags.span()=>
        ::core::option::Option::Some(::#root::class::cached_tags(#list, #function, #declaration))
    }
}

/// How the class has to be opened, as the programmer would write it. It is code only if it compiles there: the class has
/// the key, and neither `self` nor the arguments.
fn declaration(options: &Options, arguments: &[Argument], tags: &Expr) -> String {
    let texts = match tags {
        Expr::Array(list) => list.elems.iter().map(text).collect(),
        tag => text(tag).map(|text| vec![text]),
    };
    if let Some(texts) = texts {
        return texts.iter().map(|text| format!("`.tagged({text})`")).collect::<Vec<_>>().join(" and ");
    }
    let (mut tags, mut names, mut bound) = (tags.to_token_stream(), Vec::new(), Vec::new());
    let of_key = match &options.key {
        Some(Expr::Tuple(key)) => key.elems.iter().collect(),
        key => key.iter().collect::<Vec<_>>(),
    };
    for part in options.key_prefix.iter().chain(of_key) {
        let named = part_name(part.to_token_stream(), arguments);
        let name = named.as_ref().map_or_else(|| "_".to_owned(), |(_, name)| name.to_string());
        names.push(name);
        bound.extend(named);
    }
    for argument in arguments.iter().filter(|_| options.key.is_none()) {
        if let Argument::Named { name, .. } = argument
            && !options.skip.contains(name)
        {
            names.push(name.to_string());
            bound.push((vec![name.to_string()], name.clone()));
        }
    }
    for (path, name) in &bound {
        tags = renamed(tags, arguments, path, name);
    }
    let is_unique =
        |(nth, (_, name)): (usize, &(_, Ident))| bound[..nth].iter().all(|(_, other)| other != name);
    let is_bound =
        |named: Named| bound.iter().any(|(_, name)| named.path.first().is_some_and(|root| name == root));
    let compiles = bound.iter().enumerate().all(is_unique)
        && named_in(tags.clone(), arguments).into_iter().all(is_bound);
    let list = compiles.then(|| list(tags, &bound, arguments)).flatten();
    let Some(tags) = list else {
        return "`.tagged_by(…)`, whose closure gets the key and returns them".to_owned();
    };
    // The class knows the types. The pattern of a tuple needs to know that it is one.
    let parameter = match &names[..] {
        [] => "_".to_owned(),
        [name] => name.clone(),
        names => format!("({}): &({})", names.join(", "), vec!["_"; names.len()].join(", ")),
    };
    format!("`.tagged_by(|{parameter}| {tags})`")
}

/// The text of a tag that each entry has.
fn text(tag: &Expr) -> Option<String> {
    match tag {
        Expr::Lit(text) => Some(text.to_token_stream().to_string()),
        _ => None,
    }
}

/// The tags as a list whose elements have one type. `None` if a tag is more than the text or the `tag` of a
/// name, so that it may need the value that the name has in the function, and not a reference to it.
fn list(tags: TokenStream, bound: &[(Vec<String>, Ident)], arguments: &[Argument]) -> Option<String> {
    let is_tag = |tag: &Expr| match tag {
        Expr::Call(call) => match &*call.func {
            Expr::Path(function) => function.path.segments.last().is_some_and(|name| name.ident == "tag"),
            _ => false,
        },
        _ => false,
    };
    let is_plain = |tag: &Expr| match tag {
        Expr::Call(call) if is_tag(tag) => call.args.iter().all(|argument| match argument {
            Expr::Lit(_) => true,
            Expr::Path(path) => bound.iter().any(|(_, name)| path.path.is_ident(name)),
            argument => named_alone(argument.to_token_stream(), arguments).is_some(),
        }),
        Expr::Macro(text) => text.mac.tokens.clone().into_iter().all(|token| match token {
            TokenTree::Ident(word) => bound.iter().any(|(_, name)| *name == word),
            TokenTree::Punct(punct) => punct.as_char() == ',',
            TokenTree::Literal(_) => true,
            TokenTree::Group(_) => false,
        }),
        tag => matches!(tag, Expr::Lit(_)),
    };
    let tags: Expr = parse2(tags).ok()?;
    match &tags {
        Expr::Array(list) if !list.elems.iter().all(is_plain) => None,
        Expr::Array(list) if list.elems.len() > 1 && !list.elems.iter().all(is_tag) => {
            let tags = list.elems.iter().map(|tag| match tag.to_token_stream() {
                text if is_tag(tag) => text.to_string(),
                text => format!("Tag::from({text})"),
            });
            Some(format!("[{}]", tags.collect::<Vec<_>>().join(", ")))
        }
        Expr::Array(_) => Some(tags.to_token_stream().to_string()),
        tag => (is_tag(tag) && is_plain(tag)).then(|| tag.to_token_stream().to_string()),
    }
}

//! The option `tags` of `#[cached]`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Type};

use crate::arguments::Argument;
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

/// What the class has to be opened with, as the programmer would write it. An explicit key has no names for its parts.
fn declaration(options: &Options, arguments: &[Argument], tags: &Expr) -> String {
    let named = |argument: &'_ Argument| match argument {
        Argument::Named { name, ty, .. } if !options.skip.contains(name) => {
            Some((name.to_string(), owned(ty).to_string()))
        }
        _ => None,
    };
    let prefix = options.key_prefix.iter().map(|_| ("_".to_owned(), "_".to_owned()));
    let (names, types): (Vec<_>, Vec<_>) = prefix.chain(arguments.iter().filter_map(named)).unzip();
    let parameter = match (&options.key, &names[..], &types[..]) {
        (Some(_), ..) | (None, [], _) => "key".to_owned(),
        (None, [name], [ty]) => format!("{name}: &{ty}"),
        (None, names, types) => format!("({}): &({})", names.join(", "), types.join(", ")),
    };
    format!(".tagged_by(|{parameter}| {})", tags.to_token_stream())
}

/// The type of a class's key for an argument of this type.
fn owned(ty: &Type) -> TokenStream {
    match ty {
        Type::Reference(reference) => match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => quote!(String),
            owned => owned.to_token_stream(),
        },
        owned => owned.to_token_stream(),
    }
}

//! `#[cached]`: the body of a function becomes the loader of a read.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, GenericParam, ItemFn, ReturnType, Type, parse2};

use crate::arguments::{Argument, find_borrow, find_impl, rename_self};
use crate::key_names::{check_tags, of_key};
use crate::options::Options;
use crate::tags;

/// The most keys in a tuple that is itself a key.
const KEY_PARTS_MAX: usize = 6;

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> Result<TokenStream, Error> {
    let mut function: ItemFn = parse2(function)?;
    let mut errors = Vec::new();
    let options: Option<Options> = kept(parse2(options), &mut errors);
    if function.sig.asyncness.is_none() {
        let text = "a cached function is `async`: its body runs in a task of the cache";
        errors.push(Error::new_spanned(function.sig.fn_token, text));
    }
    errors.extend(generics(&function));
    let returned = kept(returned(&function), &mut errors);
    let taken: Vec<_> = function.sig.inputs.iter_mut().map(Argument::take).collect();
    let arguments: Vec<Argument> = taken.into_iter().filter_map(|taken| kept(taken, &mut errors)).collect();
    let key = options.as_ref().and_then(|options| kept(key(options, &arguments, &function), &mut errors));
    // Arguments that are refused are named by no part of the key, so their errors come alone.
    if let (Some(options), true) = (&options, errors.is_empty()) {
        kept(check_tags(options, &arguments, &of_key(options, &arguments)), &mut errors);
    }
    if let Some(error) = errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    }) {
        return Err(error);
    }
    let (Some(options), Some(returned), Some(key)) = (options, returned, key) else {
        return Err(Error::new(Span::call_site(), "`#[cached]` cannot read this function"));
    };
    Ok(cached(function, &arguments, &options, &key, &returned))
}

fn cached(
    function: ItemFn,
    arguments: &[Argument],
    options: &Options,
    key: &TokenStream,
    returned: &Type,
) -> TokenStream {
    // The caller's crate imports `larder`; see `expand` of the derive macro.
    let root = Ident::new("larder", Span::call_site());
    let class = &options.class;
    let ttl = options.ttl.as_ref().map_or_else(|| quote!(()), |ttl| ttl.of_load(&root));
    let tags = tags::of_load(options, arguments, &function.sig.ident, &root);
    let ItemFn { attrs, vis, sig, block, .. } = function;
    let clones = arguments.iter().map(|argument| argument.clone_for_load(&root));
    let bindings = arguments.iter().map(Argument::bind);
    let key_span = key.span();
    let is_method = arguments.iter().any(|argument| argument.name().is_none());
    let body = if is_method { rename_self(block.into_token_stream()) } else { block.into_token_stream() };
    // Errors about the key are shown at the key, and others at the type that the function returns.
    let key_argument = quote_spanned!(key_span=> &__larder_key);
    let read = quote_spanned! {returned.span()=>
        ::#root::class::read_cached(__larder_class, #key_argument, __larder_load).await
    };
    quote! {
        #(#attrs)*
        #vis #sig {
            #[allow(unused_parens)]
            let __larder_class = &(#class);
            #[allow(unused_parens)]
            let __larder_key = #key;
            let __larder_load = || {
                // Before the clones, which have the arguments' names.
                let __larder_ttl = #ttl;
                let __larder_tags = #tags;
                #(#clones)*
                #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_and_return, clippy::let_unit_value)]
                let __larder_body = async move {
                    #(#bindings)*
                    // Gives the block its type, for each `?` and `return` of the body.
                    if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<#returned> {
                        return returned;
                    }
                    let returned: #returned = #body;
                    returned
                };
                ::#root::class::CachedLoad { body: __larder_body, ttl: __larder_ttl, tags: __larder_tags }
            };
            #read
        }
    }
}

fn kept<T>(result: Result<T, Error>, errors: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

/// The error for a function with parameters for types or constants: the functions of all types would share one class's
/// entries.
fn generics(function: &ItemFn) -> Option<Error> {
    let is_refused = |generic: &&GenericParam| !matches!(generic, GenericParam::Lifetime(_));
    let generic = function.sig.generics.params.iter().find(is_refused)?;
    let text = "functions of each type would share the entries: write one cached function for each type, around this one";
    Some(Error::new_spanned(generic, text))
}

fn returned(function: &ItemFn) -> Result<Type, Error> {
    let ReturnType::Type(_, ty) = &function.sig.output else {
        let text = "this function returns nothing that could be cached; allowed are `Result<V, E>`, \
                    `Result<Option<V>, E>`, `V` and `Option<V>`, each also with `Arc<V>`";
        return Err(Error::new_spanned(&function.sig.ident, text));
    };
    if let Some(span) = find_impl(ty.to_token_stream()) {
        return Err(Error::new(span, "name the type: the class has values of one type"));
    }
    match find_borrow(ty.to_token_stream()) {
        Some(span) => {
            let text = "a cached value is owned by the cache: return an owned type, such as `String` for `&str`, or an \
                        `Arc` of it";
            Err(Error::new(span, text))
        }
        None => Ok((**ty).clone()),
    }
}

/// The expression of the key: the option `key`, or the arguments without those of `skip`; before them the prefix.
fn key(options: &Options, arguments: &[Argument], function: &ItemFn) -> Result<TokenStream, Error> {
    let names: Vec<&Ident> = arguments.iter().filter_map(Argument::name).collect();
    if let Some(unknown) = options.skip.iter().find(|skipped| !names.contains(skipped)) {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let text = format!("this function has no argument `{unknown}`; its arguments are {names}");
        return Err(Error::new(unknown.span(), text));
    }
    let parts: Vec<TokenStream> = match &options.key {
        Some(Expr::Tuple(key)) if options.key_prefix.is_some() => {
            key.elems.iter().map(ToTokens::to_token_stream).collect()
        }
        Some(key) => vec![key.to_token_stream()],
        // References, so that the arguments stay usable.
        None => {
            let names = names.into_iter().filter(|name| !options.skip.contains(name));
            names.map(|name| quote_spanned!(name.span()=> &#name)).collect()
        }
    };
    let prefix = options.key_prefix.as_ref().map(|prefix| quote_spanned!(prefix.span()=> &(#prefix)));
    let parts: Vec<TokenStream> = prefix.into_iter().chain(parts).collect();
    if parts.len() > KEY_PARTS_MAX {
        let (given, at): (_, &dyn ToTokens) = match &options.key {
            Some(key) => ("parts", key),
            None => ("arguments", &function.sig.inputs),
        };
        let text = format!(
            "a tuple of {} {given} is no key; allowed are {KEY_PARTS_MAX}: leave out what does not distinguish \
             entries, `skip(…)`, or say the key, `key = …`",
            parts.len()
        );
        return Err(Error::new_spanned(at, text));
    }
    Ok(match &parts[..] {
        [] => quote!(()),
        [one] => one.clone(),
        [first, ..] => quote_spanned!(first.span()=> (#(#parts),*)),
    })
}

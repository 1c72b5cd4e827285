//! The macros of larder. Use them as `larder::Key` and `larder::cached`.

mod arguments;
mod cached;
mod key_names;
mod options;
mod tags;
mod ttl;
mod unit_enum;

use proc_macro::TokenStream;
use proc_macro2::{Ident, Span};
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Index, Member, parse_macro_input, parse_quote};

/// Implements `Key` for a struct whose fields are keys: its parts are the parts of its fields, in their order.
///
/// If each field is one part, the names of the fields are the columns of the key; see `Key::columns`.
///
/// An enum whose variants have no fields is a key of one part, a text: the name of the variant, as sqlx spells it for an
/// enum without `#[repr]`. It follows `rename_all` and `rename` of `#[sqlx(…)]`; `#[key(rename_all = "snake_case")]` on
/// the enum and `#[key(rename = "…")]` on a variant are for texts that sqlx does not write. The column is of a text type,
/// or an enum of PostgreSQL.
///
/// Another enum, a struct without fields, a struct that borrows, and a struct with a field that is no key do not compile.
/// The code names the crate `larder`: after a rename in Cargo.toml, write `extern crate renamed as larder;` in the crate's
/// root.
#[proc_macro_derive(Key, attributes(key))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    expand(parse_macro_input!(input as DeriveInput)).unwrap_or_else(|error| error.into_compile_error()).into()
}

/// Makes an `async` function or method a read through a class: if no tier has the value, the function's body loads it.
///
/// Options, separated by commas:
///
/// - `class = self.products`: the open class, an expression of type `Class` or `LoadingClass`. Needed.
/// - `key = (self.tenant, id)`: the entry's key. Default: the arguments, as a tuple if there are several.
/// - `key_prefix = "by_name"`: the first part of the key, before the others.
/// - `skip(trace)`: arguments that are no part of the default key.
/// - `ttl = "10 min"`: how long the values of this function stay, at most the class's TTL. Also an expression of type
///   `Duration`, or a closure that gets the loaded value: `ttl = |rate| rate.good_for`.
/// - `tags = [tag("category", category)]`: tags that the entry has by the class's `tagged_by`. Each load checks it. They
///   name only what the key has.
///
/// The body runs in a task of the cache, with clones of `self` and of the arguments.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, function: TokenStream) -> TokenStream {
    let function = proc_macro2::TokenStream::from(function);
    let expanded = cached::expand(options.into(), function.clone());
    let with_error = |error: Error| {
        let error = error.into_compile_error();
        // The function stays in the output, so that its callers do not get errors too.
        quote!(#error #function)
    };
    expanded.unwrap_or_else(with_error).into()
}

fn expand(mut input: DeriveInput) -> Result<proc_macro2::TokenStream, Error> {
    // The generated code uses `larder`, which the caller's crate imports. This crate cannot import it, because `larder`
    // depends on this crate.
    let root = Ident::new("larder", Span::call_site());
    let name = &input.ident;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(
            lifetime,
            "a key owns its parts, because loads outlive the call: write `String` for `&str`. To look up without an \
             allocation, open the class with a tuple: `(&str, u32)` is a key of a `Class<(String, u32), _>`",
        ));
    }
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => return unit_enum::expand(&root, &input, data),
        Data::Union(_) => {
            return Err(Error::new_spanned(name, "a key is a struct, or an enum without fields"));
        }
    };
    let fields: Vec<&Field> = data.fields.iter().collect();
    if fields.is_empty() {
        return Err(Error::new_spanned(name, "a key has at least one field"));
    }
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let members = fields.iter().enumerate().map(|(nth, field)| match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index::from(nth)),
    });
    let members: Vec<_> = members.collect();
    let names: Option<Vec<String>> = fields.iter().map(|field| Some(unraw(field.ident.as_ref()?))).collect();
    let columns = names.map(|names| {
        quote! {
            fn columns() -> ::core::option::Option<&'static [&'static str]> {
                let parts = [#(<#types as ::#root::Key>::kinds().map(|kinds| kinds.len())),*];
                let are_columns = parts.iter().all(|parts| *parts == ::core::option::Option::Some(1));
                are_columns.then_some(&[#(#names),*] as &[&str])
            }
        }
    });
    let body = quote! {
        fn parts(&self, parts: &mut ::#root::key::KeyParts<'_>) {
            #(<#types as ::#root::Key>::parts(&self.#members, parts);)*
        }

        fn with_key<LarderResult>(
            &self,
            f: impl ::core::ops::FnOnce(&Self) -> LarderResult,
        ) -> LarderResult {
            f(self)
        }

        #columns

        fn kinds() -> ::core::option::Option<::std::vec::Vec<::#root::key::PartKind>> {
            ::core::option::Option::Some([#(<#types as ::#root::Key>::kinds()?),*].concat())
        }

        fn sample() -> ::core::option::Option<::std::boxed::Box<Self>> {
            ::core::option::Option::Some(::std::boxed::Box::new(Self {
                #(#members: *<#types as ::#root::Key>::sample()?),*
            }))
        }
    };
    for parameter in input.generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::#root::Key));
    }
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let name = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::#root::Key for #name #arguments #bounds {
            #body
        }
    })
}

/// The name of the column of a field: `type` for `r#type`.
fn unraw(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

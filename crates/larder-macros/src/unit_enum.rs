//! `#[derive(Key)]` for enums whose variants have no fields.

use heck::{
    ToKebabCase as _, ToLowerCamelCase as _, ToPascalCase as _, ToShoutySnakeCase as _, ToSnakeCase as _,
};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, DataEnum, DeriveInput, Error, Fields, LitStr, Token};

/// Implements `Key` for the enum: one part, the text of the variant.
pub(crate) fn expand(root: &Ident, input: &DeriveInput, data: &DataEnum) -> Result<TokenStream, Error> {
    let name = &input.ident;
    let rule = text_of(&input.attrs, "rename_all")?;
    let mut texts: Vec<String> = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(
                variant,
                "an enum is a key if its variants have no fields: implement `larder::Key` by hand for others",
            ));
        }
        let text = match (text_of(&variant.attrs, "rename")?, &rule) {
            (Some(text), _) => text.value(),
            (None, Some(rule)) => renamed(&variant.ident.to_string(), rule)?,
            (None, None) => variant.ident.to_string(),
        };
        if texts.contains(&text) {
            return Err(Error::new_spanned(
                variant,
                format!("two variants have the text {text:?}: one key would be two values"),
            ));
        }
        texts.push(text);
    }
    let idents: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let Some(first) = idents.first() else {
        return Err(Error::new_spanned(name, "a key has at least one value"));
    };
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::#root::Key for #name #arguments #bounds {
            fn parts(&self, parts: &mut ::#root::key::KeyParts<'_>) {
                parts.push(match self {
                    #(Self::#idents => #texts,)*
                });
            }

            fn with_key<LarderResult>(
                &self,
                f: impl ::core::ops::FnOnce(&Self) -> LarderResult,
            ) -> LarderResult {
                f(self)
            }

            fn kinds() -> ::core::option::Option<::std::vec::Vec<::#root::key::PartKind>> {
                ::core::option::Option::Some(::std::vec![::#root::key::PartKind::Text])
            }

            fn sample() -> ::core::option::Option<::std::boxed::Box<Self>> {
                ::core::option::Option::Some(::std::boxed::Box::new(Self::#first))
            }
        }
    })
}

/// The text that `#[key(option = "…")]` gives, else the one of `#[sqlx(option = "…")]`, which the database has.
fn text_of(attributes: &[Attribute], option: &str) -> Result<Option<LitStr>, Error> {
    let (mut own, mut of_sqlx) = (None, None);
    for attribute in attributes {
        let is_own = attribute.path().is_ident("key");
        if !is_own && !attribute.path().is_ident("sqlx") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident(option) {
                let found = if is_own { &mut own } else { &mut of_sqlx };
                *found = Some(meta.value()?.parse()?);
            } else if is_own {
                return Err(meta.error(format!("allowed here is `{option} = \"…\"`")));
            } else if meta.input.peek(Token![=]) {
                // Another option of sqlx's.
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        })?;
    }
    Ok(own.or(of_sqlx))
}

/// The name of a variant by a rule, as sqlx names them.
fn renamed(variant: &str, rule: &LitStr) -> Result<String, Error> {
    Ok(match rule.value().as_str() {
        "lowercase" => variant.to_lowercase(),
        "UPPERCASE" => variant.to_uppercase(),
        "snake_case" => variant.to_snake_case(),
        "SCREAMING_SNAKE_CASE" => variant.to_shouty_snake_case(),
        "kebab-case" => variant.to_kebab_case(),
        "camelCase" => variant.to_lower_camel_case(),
        "PascalCase" => variant.to_pascal_case(),
        _ => {
            return Err(Error::new_spanned(
                rule,
                "allowed are \"lowercase\", \"UPPERCASE\", \"snake_case\", \"SCREAMING_SNAKE_CASE\", \"kebab-case\", \
                 \"camelCase\" and \"PascalCase\"",
            ));
        }
    })
}

//! What a load gets: clones of the arguments and of `self`.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, Pat, Receiver, ReceiverKind, Token, Type};

/// The name of `self` in the load.
const SELF: &str = "__larder_self";

const BORROWS: &str = "the load runs in a task of the cache, which outlives the call, so it cannot borrow this: take an \
                       owned value, such as `Option<String>` for `Option<&str>`, or a reference to one, such as `&str`";

/// One argument of a cached function.
pub(crate) enum Argument {
    Receiver(Receiver),
    Named { name: Ident, mutability: Option<Token![mut]>, ty: Box<Type> },
}

impl Argument {
    /// Checks the argument, and moves the `mut` of its pattern from the function to the load's clone.
    pub(crate) fn take(argument: &mut FnArg) -> Result<Self, Error> {
        let typed = match argument {
            FnArg::Receiver(receiver) => return checked_receiver(receiver),
            FnArg::Typed(typed) => typed,
        };
        let (pattern, ty) = (&mut *typed.pat, typed.ty.clone());
        let named = match pattern {
            Pat::Ident(named) if named.by_ref.is_none() && named.subpat.is_none() => named,
            other => {
                return Err(Error::new_spanned(
                    other,
                    "an argument of a cached function is a name, as in `id: i64`",
                ));
            }
        };
        let owned = match &*ty {
            Type::Reference(reference) if reference.mutability.is_some() => {
                let text = "a load cannot change what its caller has, and never runs in its caller's transaction: take \
                            a pool or a repository, which is cloned for the load";
                return Err(Error::new_spanned(reference, text));
            }
            Type::Reference(reference) => &*reference.elem,
            ty => ty,
        };
        if let Some(span) = find_impl(owned.to_token_stream()) {
            return Err(Error::new(span, "functions of each type would share the entries: name the type"));
        }
        if let Some(span) = find_borrow(owned.to_token_stream()) {
            return Err(Error::new(span, BORROWS));
        }
        Ok(Argument::Named { name: named.ident.clone(), mutability: named.mutability.take(), ty })
    }

    pub(crate) fn name(&self) -> Option<&Ident> {
        match self {
            Argument::Receiver(_) => None,
            Argument::Named { name, .. } => Some(name),
        }
    }

    /// The statement that makes an owned form of the argument. It runs in the caller's task, when a load begins.
    pub(crate) fn clone_for_load(&self, root: &Ident) -> TokenStream {
        match self {
            Argument::Receiver(receiver) => {
                let (name, this) = (self_name(), &receiver.self_token);
                // An owned receiver, such as an `Arc<Self>`, is cloned itself.
                let reference = if is_reference(receiver) { quote!() } else { quote!(&) };
                quote_spanned! {receiver.span()=>
                    let #name = ::#root::class::load_argument(#reference #this);
                }
            }
            Argument::Named { name, ty, .. } => {
                let reference = if matches!(**ty, Type::Reference(_)) { quote!() } else { quote!(&) };
                quote_spanned! {ty.span()=>
                    #[allow(unused_variables)]
                    let #name = ::#root::class::load_argument(#reference #name);
                }
            }
        }
    }

    /// The statement that runs in the load and gives the body the argument in its declared type. Empty if the owned
    /// form has that type already.
    pub(crate) fn bind(&self) -> TokenStream {
        match self {
            Argument::Receiver(receiver) => {
                let name = self_name();
                if is_reference(receiver) { quote!(let #name = &#name;) } else { quote!() }
            }
            Argument::Named { name, ty, mutability } => match &**ty {
                Type::Reference(reference) => {
                    let owned = &reference.elem;
                    quote! {
                        #[allow(unused_variables)]
                        let #mutability #name: &#owned = ::core::borrow::Borrow::borrow(&#name);
                    }
                }
                _ if mutability.is_some() => quote!(let #mutability #name = #name;),
                _ => quote!(),
            },
        }
    }
}

fn checked_receiver(receiver: &Receiver) -> Result<Argument, Error> {
    let is_allowed = match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(reference) => reference.mutability.is_none(),
            _ => receiver.mutability.is_none(),
        },
        _ => false,
    };
    if is_allowed {
        return Ok(Argument::Receiver(receiver.clone()));
    }
    let text = "a cached method takes `&self`, `self: Arc<Self>` or `self: &Arc<Self>`, which is cloned for the load";
    Err(Error::new_spanned(receiver, text))
}

fn is_reference(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => matches!(**ty, Type::Reference(_)),
        _ => false,
    }
}

fn self_name() -> Ident {
    Ident::new(SELF, Span::call_site())
}

/// The tokens of the body, with the load's name in place of `self`. A path that begins with `self::` stays.
pub(crate) fn rename_self(tokens: TokenStream) -> TokenStream {
    let mut renamed = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let token = match token {
            TokenTree::Ident(name) if name == "self" => {
                let is_path = matches!(tokens.peek(), Some(TokenTree::Punct(next))
                    if next.as_char() == ':' && next.spacing() == proc_macro2::Spacing::Joint);
                if is_path {
                    name.into()
                } else {
                    Ident::new(SELF, self_name().span().located_at(name.span())).into()
                }
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), rename_self(group.stream()));
                inner.set_span(group.span());
                inner.into()
            }
            other => other,
        };
        renamed.extend([token]);
    }
    renamed
}

/// The first place where the type borrows: a `&`, or a lifetime other than `'static`.
pub(crate) fn find_borrow(ty: TokenStream) -> Option<Span> {
    let mut tokens = ty.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '&' => return Some(punct.span()),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let is_static = matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == "static");
                if !is_static {
                    return Some(punct.span());
                }
            }
            TokenTree::Group(group) => {
                let found = find_borrow(group.stream());
                if found.is_some() {
                    return found;
                }
            }
            _ => {}
        }
    }
    None
}

/// The first `impl` in the type.
pub(crate) fn find_impl(ty: TokenStream) -> Option<Span> {
    ty.into_iter().find_map(|token| match token {
        TokenTree::Ident(name) if name == "impl" => Some(name.span()),
        TokenTree::Group(group) => find_impl(group.stream()),
        _ => None,
    })
}

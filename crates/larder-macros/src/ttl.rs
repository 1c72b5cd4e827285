//! The option `ttl` of `#[cached]`.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, ExprLit, Lit, LitStr};

/// The TTLs that a class of larder can have.
const ALLOWED: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(30 * 24 * 60 * 60);

/// How long the values of a cached function stay.
pub(crate) enum Ttl {
    /// A text, which is read when the function is compiled.
    Written(Duration),
    /// An expression of the arguments.
    Computed(Box<Expr>),
    /// A function of the loaded value.
    OfValue(Box<ExprClosure>),
}

impl Ttl {
    pub(crate) fn of(ttl: Expr) -> Result<Self, Error> {
        match ttl {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(Ttl::Written(written(&text)?)),
            Expr::Lit(number) => Err(Error::new_spanned(
                number,
                "say the unit: `ttl = \"60 s\"`, or `ttl = Duration::from_secs(60)`",
            )),
            Expr::Closure(closure) if closure.inputs.len() != 1 => {
                let text = "the closure gets the loaded value: `ttl = |rate| rate.good_for`. To compute the TTL of the \
                            arguments, write an expression without a closure";
                Err(Error::new_spanned(closure, text))
            }
            Expr::Closure(closure) => Ok(Ttl::OfValue(Box::new(closure))),
            expression => Ok(Ttl::Computed(Box::new(expression))),
        }
    }

    /// The expression, in the generated code, whose value says how long the load's entry may stay. It is evaluated in the
    /// caller's task when a load begins.
    pub(crate) fn of_load(&self, root: &Ident) -> TokenStream {
        match self {
            Ttl::Written(ttl) => {
                let (seconds, nanos) = (ttl.as_secs(), ttl.subsec_nanos());
                quote!(::#root::class::CachedFor(::core::time::Duration::new(#seconds, #nanos)))
            }
            Ttl::Computed(ttl) => quote_spanned!(ttl.span()=> ::#root::class::CachedFor(#ttl)),
            Ttl::OfValue(ttl) => {
                quote_spanned!(ttl.span()=> ::#root::class::cached_for(__larder_class, #ttl))
            }
        }
    }
}

fn written(text: &LitStr) -> Result<Duration, Error> {
    let ttl = humantime::parse_duration(&text.value()).map_err(|error| {
        let help = "a TTL is a text such as \"90 s\", \"10 min\" or \"2h 30m\", or a `Duration`";
        Error::new(text.span(), format!("{error}; {help}"))
    })?;
    if ALLOWED.contains(&ttl) {
        return Ok(ttl);
    }
    let error = format!("a TTL of {:?}: allowed is 1 ms to 30 days", text.value());
    Err(Error::new(text.span(), error))
}

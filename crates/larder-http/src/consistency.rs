//! The consistency that a client asks for: `?consistency=bounded` or `?consistency=fresh`.

use larder::policy::Consistency;

/// The error for a word that is not a consistency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownConsistency;

impl std::fmt::Display for UnknownConsistency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("is not a consistency; bounded and fresh are allowed")
    }
}

impl std::error::Error for UnknownConsistency {}

/// Reads the value of a `consistency` parameter.
///
/// # Errors
///
/// For any word except `bounded` and `fresh`.
///
/// # Examples
///
/// ```
/// use larder::policy::Consistency;
/// use larder_http::consistency::parse;
///
/// assert_eq!(parse("fresh"), Ok(Consistency::Fresh));
/// assert!(parse("strong").is_err());
/// ```
pub fn parse(word: &str) -> Result<Consistency, UnknownConsistency> {
    match word {
        "bounded" => Ok(Consistency::Bounded),
        "fresh" => Ok(Consistency::Fresh),
        _ => Err(UnknownConsistency),
    }
}

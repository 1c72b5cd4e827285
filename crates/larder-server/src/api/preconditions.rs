//! `ETag`, `If-None-Match` and `If-Match` (RFC 9110). The entity tag of a user is its version; that of a part of a
//! profile is its digest. A view of a user that lacks fields has another tag than the complete view, so that no client
//! gets a 304 for a view with other fields.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::domain::conditions::Conditions;

/// The entity tag of a version or a digest.
pub(crate) fn etag(state: impl Display) -> HeaderValue {
    let quoted = format!("\"{state}\"");
    // Digits and letters between quotes are a legal header value, so the fallback is never used.
    HeaderValue::from_str(&quoted).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// The result of a read's conditions.
pub(crate) enum Wanted {
    /// The client gets the answer.
    Answer,
    /// The client has the answer already and gets a 304.
    Nothing,
}

/// Checks the conditions of a read whose answer has the tag of `state`, in the order that RFC 9110 requires.
///
/// # Errors
/// 412 if `If-Match` names only other states.
pub(crate) fn wanted(headers: &HeaderMap, state: impl Display) -> Result<Wanted, Problem> {
    let state = state.to_string();
    let mut expected = tags(headers, &header::IF_MATCH).peekable();
    let is_conditional = expected.peek().is_some();
    // Strong comparison: a weak tag never matches.
    if is_conditional
        && !expected.any(|tag| matches!(tag, Tag::Any) || matches!(tag, Tag::Strong(value) if value == state))
    {
        let detail = "If-Match names another state than the present one";
        return Err(Problem::new(Code::VersionMismatch).with_detail(detail));
    }
    let is_known = tags(headers, &header::IF_NONE_MATCH).any(|tag| match tag {
        Tag::Any => true,
        // `If-None-Match` uses weak comparison (RFC 9110): a weak tag matches too.
        Tag::Strong(value) | Tag::Weak(value) => value == state,
    });
    Ok(if is_known { Wanted::Nothing } else { Wanted::Answer })
}

/// The conditions of a write about a user's version.
pub(crate) fn of_versions(headers: &HeaderMap) -> Conditions<i64> {
    conditions(headers, |value| value.parse::<i64>().ok().filter(|version| *version > 0))
}

/// The conditions of a write about the digest of a part.
pub(crate) fn of_digests(headers: &HeaderMap) -> Conditions<String> {
    conditions(headers, |value| Some(value.to_owned()))
}

fn conditions<T>(headers: &HeaderMap, parse: impl Fn(&str) -> Option<T>) -> Conditions<T> {
    let mut conditions = Conditions { one_of: None, none_of: Vec::new(), nothing: false };
    let mut is_any = false;
    for tag in tags(headers, &header::IF_MATCH) {
        let one_of = conditions.one_of.get_or_insert_default();
        match tag {
            Tag::Any => is_any = true,
            // A tag that does not parse matches no state. If `If-Match` has only such tags, `one_of` is empty and the
            // condition fails.
            Tag::Strong(value) => one_of.extend(parse(value)),
            // Strong comparison: a weak tag never matches.
            Tag::Weak(_) => {}
        }
    }
    if is_any {
        conditions.one_of = None;
    }
    for tag in tags(headers, &header::IF_NONE_MATCH) {
        match tag {
            Tag::Any => conditions.nothing = true,
            Tag::Strong(value) | Tag::Weak(value) => conditions.none_of.extend(parse(value)),
        }
    }
    conditions
}

enum Tag<'a> {
    Any,
    Strong(&'a str),
    Weak(&'a str),
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Tag<'a>> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.to_str().unwrap_or("invalid").split(',')).map(|raw| {
        let raw = raw.trim();
        match raw.strip_prefix("W/") {
            _ if raw == "*" => Tag::Any,
            Some(weak) => Tag::Weak(weak.trim_matches('"')),
            None => Tag::Strong(raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or("")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_client_that_has_the_version_need_not_get_it_again() {
        for (value, expected) in [
            ("\"3\"", true),
            ("W/\"3\"", true),
            ("\"1\", \"3\"", true),
            ("*", true),
            ("\"4\"", false),
            ("\"3-public\"", false),
            ("3", false),
        ] {
            let wanted = wanted(&with(header::IF_NONE_MATCH, value), 3).unwrap();
            assert_eq!(matches!(wanted, Wanted::Nothing), expected, "{value}");
        }
        assert!(matches!(wanted(&HeaderMap::new(), 3), Ok(Wanted::Answer)));
        for (value, is_met) in
            [("\"3\"", true), ("*", true), ("\"1\", \"3\"", true), ("W/\"3\"", false), ("\"4\"", false)]
        {
            assert_eq!(wanted(&with(header::IF_MATCH, value), 3).is_ok(), is_met, "{value}");
        }
    }

    #[test]
    fn a_write_insists_on_the_versions_that_were_sent() {
        let insists = |value| of_versions(&with(header::IF_MATCH, value)).one_of;
        assert!(of_versions(&HeaderMap::new()).is_empty());
        assert_eq!(insists("*"), None);
        assert_eq!(insists("\"3\""), Some(vec![3]));
        assert_eq!(insists("\"3\", W/\"4\", \"5\""), Some(vec![3, 5]));
        for hopeless in
            ["W/\"3\"", "3", "\"x\"", "\"0\"", "\"-1\"", "\"99999999999999999999\"", "\"3-public\""]
        {
            assert_eq!(insists(hopeless), Some(vec![]), "{hopeless}");
        }
        let refuses = |value| of_versions(&with(header::IF_NONE_MATCH, value));
        assert!(refuses("*").nothing);
        assert_eq!(refuses("W/\"3\", \"4\"").none_of, [3, 4]);
    }
}

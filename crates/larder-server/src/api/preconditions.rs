//! `ETag`, `If-None-Match` and `If-Match` (RFC 9110): a user's version, or the digest of a part, as its entity tag.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::service::error::ServiceError;

/// The entity tag of a version or a digest.
pub(crate) fn etag(state: impl Display) -> HeaderValue {
    let quoted = format!("\"{state}\"");
    // Digits and letters between quotes are a legal header value.
    HeaderValue::from_str(&quoted).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client says that it has this version, or this digest, already.
pub(crate) fn is_not_modified(headers: &HeaderMap, state: impl Display) -> bool {
    let state = state.to_string();
    tags(headers, &header::IF_NONE_MATCH).any(|tag| match tag {
        Tag::Any => true,
        // Weak comparison, as RFC 9110 asks for here.
        Tag::Strong(value) | Tag::Weak(value) => value == state,
    })
}

/// The versions that `If-Match` names, one of which the user must have; an empty list allows any.
///
/// # Errors
/// 412 when no tag that was sent can match: none of them is a version of ours.
pub(crate) fn expected_versions(headers: &HeaderMap) -> Result<Vec<i64>, Problem> {
    let mut versions = Vec::new();
    let mut was_sent = false;
    for tag in tags(headers, &header::IF_MATCH) {
        was_sent = true;
        match tag {
            Tag::Any => return Ok(Vec::new()),
            Tag::Strong(value) => versions.extend(value.parse::<i64>().ok().filter(|version| *version > 0)),
            // Strong comparison: a weak tag never matches.
            Tag::Weak(_) => {}
        }
    }
    if was_sent && versions.is_empty() { Err(no_match()) } else { Ok(versions) }
}

/// The digests that `If-Match` names, one of which the part must have; an empty list allows any.
///
/// # Errors
/// 412 when no tag that was sent can match: all of them are weak.
pub(crate) fn expected_digests(headers: &HeaderMap) -> Result<Vec<String>, Problem> {
    let mut digests = Vec::new();
    let mut was_sent = false;
    for tag in tags(headers, &header::IF_MATCH) {
        was_sent = true;
        match tag {
            Tag::Any => return Ok(Vec::new()),
            Tag::Strong(value) => digests.push(value.to_owned()),
            Tag::Weak(_) => {}
        }
    }
    if was_sent && digests.is_empty() { Err(ServiceError::PartConflict.into()) } else { Ok(digests) }
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

fn no_match() -> Problem {
    let detail = "If-Match names no version of this user; versions look like \"3\"";
    Problem::new(Code::VersionConflict).with_detail(detail)
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
            ("3", false),
        ] {
            assert_eq!(is_not_modified(&with(header::IF_NONE_MATCH, value), 3), expected, "{value}");
        }
        assert!(!is_not_modified(&HeaderMap::new(), 3));
    }

    #[test]
    fn a_write_insists_on_the_versions_that_were_sent() {
        let expected = |value| expected_versions(&with(header::IF_MATCH, value));
        assert!(expected_versions(&HeaderMap::new()).unwrap().is_empty());
        assert!(expected("*").unwrap().is_empty());
        assert_eq!(expected("\"3\"").unwrap(), [3]);
        assert_eq!(expected("\"3\", W/\"4\", \"5\"").unwrap(), [3, 5]);
        for hopeless in ["W/\"3\"", "3", "\"x\"", "\"0\"", "\"-1\"", "\"99999999999999999999\""] {
            assert!(expected(hopeless).is_err(), "{hopeless}");
        }
    }
}

//! Checks every answer that a test gets against the served OpenAPI document: the document must describe its status, its
//! media type and its headers.

use std::sync::OnceLock;

use serde_json::Value;

use crate::support::client::Answer;

/// The document; every instance of this binary serves the same.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// The headers that a client uses.
const HEADERS: [&str; 8] = [
    "etag",
    "cache-status",
    "cache-invalidation",
    "location",
    "retry-after",
    "link",
    "www-authenticate",
    "x-request-id",
];

/// Fails the test if the document does not describe this answer to `method` on `path`.
#[track_caller]
pub(crate) fn check(method: &str, path: &str, answer: &Answer, read: impl FnOnce() -> Value) {
    let document = DOCUMENT.get_or_init(read);
    let path = path.split('?').next().unwrap_or(path);
    if path.starts_with("/docs") || path == "/openapi.json" {
        return;
    }
    let status = answer.status;
    let paths = document["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(template, _)| means(template, path)).max_by_key(|(template, _)| {
        // A template with more fixed segments takes precedence, as in the router.
        template.split('/').filter(|segment| !segment.starts_with('{')).count()
    });
    let Some((template, item)) = found else {
        assert_eq!(status, 404, "{method} {path} is answered and not described");
        return;
    };
    // The document describes GET only; an answer to HEAD follows it.
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    if item[&method].is_null() {
        assert_eq!(status, 405, "{method} {template} is answered and not described");
        return;
    }
    let described = &item[&method]["responses"][status.to_string()];
    assert!(described.is_object(), "{method} {template} answered {status}, which is not described");
    let about = format!("{method} {template} answered {status} with");
    if let Some(sent) = answer.header("content-type") {
        assert!(described["content"][sent].is_object(), "{about} {sent}, which is not described");
    }
    let headers = described["headers"].as_object().into_iter().flatten();
    let headers: Vec<_> = headers.map(|(name, _)| name.to_lowercase()).collect();
    for name in HEADERS {
        let is_described = headers.iter().any(|described| described == name);
        assert!(answer.header(name).is_none() || is_described, "{about} {name}, which is not described");
    }
}

fn means(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let alike = |(segment, of): (&&str, &&str)| segment == of || segment.starts_with('{') && !of.is_empty();
    template.len() == path.len() && template.iter().zip(&path).all(alike)
}

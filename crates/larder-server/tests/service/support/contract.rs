//! Holds every answer that any test gets against the served OpenAPI document: its status must be described there.

use std::sync::OnceLock;

use serde_json::Value;

/// The document, the same from every instance of this binary.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// Fails the test when an answer to `method` on `path` is not described.
#[track_caller]
pub(crate) fn check(method: &str, path: &str, status: u16, read: impl FnOnce() -> Value) {
    let document = DOCUMENT.get_or_init(read);
    let path = path.split('?').next().unwrap_or(path);
    if path.starts_with("/docs") || path == "/openapi.json" {
        return;
    }
    let paths = document["paths"].as_object().unwrap();
    let found = paths.iter().filter(|(template, _)| means(template, path)).max_by_key(|(template, _)| {
        // A route that names a segment goes before one that takes any.
        template.split('/').filter(|segment| !segment.starts_with('{')).count()
    });
    let Some((template, item)) = found else {
        assert_eq!(status, 404, "{method} {path} is answered and not described");
        return;
    };
    // HEAD is answered as GET is.
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let described = match &item[&method] {
        Value::Null => status == 405,
        operation => operation["responses"][status.to_string()].is_object(),
    };
    assert!(described, "{method} {template} answered {status}, which is not described");
}

fn means(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let alike = |(segment, of): (&&str, &&str)| segment == of || segment.starts_with('{') && !of.is_empty();
    template.len() == path.len() && template.iter().zip(&path).all(alike)
}

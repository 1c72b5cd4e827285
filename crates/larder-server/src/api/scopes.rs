//! Which scope an operation needs from an API key. The operation's annotation declares it:
//! `security(…, ("api_key" = ["read"]))`.
//!
//! Invariant: an API key is admitted only to an operation that declares exactly one scope, and only with that scope.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;
use serde_json::Value;
use utoipa::openapi::OpenApi as Document;

use crate::domain::api_key::Scope;

/// The scope of each operation, by path and method; cheap to clone. The scopes are read from the complete OpenAPI
/// document. This document also has the paths of older systems, so an operation of `api/` has the same scope under each
/// of its paths.
#[derive(Clone, Default)]
pub(crate) struct NeededScopes(Arc<HashMap<String, Vec<(Method, Scope)>>>);

impl NeededScopes {
    /// The scopes that `document` declares.
    pub(crate) fn of(document: &Document) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            // utoipa keeps the scopes of a requirement private; only its JSON form shows them.
            let item = serde_json::to_value(item).unwrap_or_default();
            let operations = item.as_object().into_iter().flatten();
            let declared = operations.filter_map(|(method, operation)| {
                let method = method.to_ascii_uppercase().parse().ok()?;
                Some((method, declared(&operation["security"])?))
            });
            (path.clone(), declared.collect())
        });
        Self(Arc::new(paths.collect()))
    }

    /// The scope that a key needs; `None`: the operation admits no API key.
    pub(crate) fn needed(&self, method: &Method, path: &str) -> Option<Scope> {
        // The router answers HEAD with the operation of GET.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.get(path)?.iter().find(|(of, _)| of == method).map(|(_, scope)| *scope)
    }
}

/// The scope that an API key needs for this request; `None`: the operation admits no API key.
pub(crate) fn of_request(parts: &Parts) -> Option<Scope> {
    let route = parts.extensions.get::<MatchedPath>()?;
    parts.extensions.get::<NeededScopes>()?.needed(&parts.method, route.as_str())
}

/// The scope that an operation declares for API keys; `None` if it declares no scope or more than one.
fn declared(security: &Value) -> Option<Scope> {
    let mut scopes = security.as_array()?.iter().filter_map(|requirement| requirement.get("api_key"));
    match (scopes.next()?.as_array()?.as_slice(), scopes.next()) {
        ([scope], None) => scope.as_str()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scopes(security: &Value) -> NeededScopes {
        let operation = json!({ "responses": {}, "security": security });
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": "a test", "version": "1" },
            "paths": { "/a/{id}": { "get": operation, "post": { "responses": {} } } },
        });
        NeededScopes::of(&serde_json::from_value(document).unwrap())
    }

    #[test]
    fn a_scope_is_declared_for_one_method_of_one_path() {
        let read = scopes(&json!([{ "bearer": [] }, { "api_key": ["read"] }]));
        for (method, path, scope) in [
            (Method::GET, "/a/{id}", Some(Scope::Read)),
            (Method::HEAD, "/a/{id}", Some(Scope::Read)),
            (Method::POST, "/a/{id}", None),
            (Method::PUT, "/a/{id}", None),
            (Method::GET, "/a/1", None),
            (Method::GET, "", None),
        ] {
            assert_eq!(read.needed(&method, path), scope, "{method} {path}");
        }
    }

    #[test]
    fn an_operation_without_exactly_one_known_scope_admits_no_key() {
        for security in [
            json!([]),
            json!([{ "bearer": [] }]),
            json!([{ "bearer": ["read"] }]),
            json!([{ "api_key": [] }]),
            json!([{ "api_key": ["read", "write"] }]),
            json!([{ "api_key": ["reading"] }]),
            json!([{ "api_key": ["read"] }, { "api_key": ["write"] }]),
        ] {
            assert_eq!(scopes(&security).needed(&Method::GET, "/a/{id}"), None, "{security}");
        }
    }
}

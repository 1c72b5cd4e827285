//! The forms of a path: under a prefix, and with or without a slash at its end.

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi as Document;

use crate::api::tokens::DISCOVERY;

/// The paths of the OpenAPI document, such as `/api/v1/users/{id}`.
#[derive(Clone, Default)]
pub(super) struct Templates {
    all: Vec<String>,
    /// Those with a slash at their end. They are few, and the only ones that a path without a slash is compared with.
    slashed: Vec<String>,
}

impl Templates {
    pub(super) fn of(document: &Document) -> Self {
        Self::new(document.paths.paths.keys().cloned())
    }

    fn new(all: impl Iterator<Item = String>) -> Self {
        let all: Vec<_> = all.collect();
        let slashed = all.iter().filter(|template| template.ends_with('/')).cloned().collect();
        Self { all, slashed }
    }

    fn has(&self, path: &str) -> bool {
        self.all.iter().any(|template| is_like(template, path))
    }

    /// The path that the router knows in place of this one: with a slash at its end, or without one. `None`: the router
    /// knows this one, or neither.
    pub(super) fn known_form(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path();
        // The text before the first variable distinguishes most paths.
        let is_slashed = |template: &String| {
            let fixed = template.split('{').next().unwrap_or_default().trim_end_matches('/');
            path.starts_with(fixed) && template.strip_suffix('/').is_some_and(|one| is_like(one, path))
        };
        if !path.ends_with('/') && !self.slashed.iter().any(is_slashed) {
            return None;
        }
        other(uri).filter(|other| !self.has(path) && self.has(other.path()))
    }
}

/// Whether the path has the segments of the template, with any non-empty text in place of a variable.
fn is_like(template: &str, path: &str) -> bool {
    let (mut of, mut sent) = (template.split('/'), path.split('/'));
    loop {
        match (of.next(), sent.next()) {
            (None, None) => return true,
            (Some(of), Some(sent)) if of == sent || (of.starts_with('{') && !sent.is_empty()) => {}
            _ => return false,
        }
    }
}

/// A permanent redirect. After a 301 a client may repeat a POST as a GET; after a 308 it repeats the method and the body.
pub(super) fn redirected(method: &Method, to: &Uri) -> Response {
    let status = match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let to = to.path_and_query().map_or("/", PathAndQuery::as_str);
    match HeaderValue::from_str(to) {
        Ok(to) => (status, [(header::LOCATION, to)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The path without the slash at its end, or with one if it has none.
fn other(uri: &Uri) -> Option<Uri> {
    let path = match uri.path().strip_suffix('/') {
        Some(without) => without.to_owned(),
        None => format!("{}/", uri.path()),
    };
    with_path(uri, &path)
}

/// Where RFC 8414 has the discovery document of an issuer with a path: the path of `issuer` follows the well-known one,
/// `/.well-known/oauth-authorization-server/larder`. This path is outside of the prefix of all others. `None`: the issuer
/// has no path.
pub(super) fn discovery(issuer: &str) -> Option<String> {
    let path = issuer.parse::<Uri>().map(|issuer| issuer.path().to_owned()).unwrap_or_default();
    (path.len() > 1).then(|| format!("{DISCOVERY}{path}"))
}

/// The same URI with another path.
pub(super) fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// Adds the prefix to the paths in `Location: /api/…` and `Link: </api/…>`.
pub(super) fn rebased(mut response: Response, base: &str) -> Response {
    for (name, before) in [(header::LOCATION, ""), (header::LINK, "<")] {
        let value = response.headers().get(&name).and_then(|value| value.to_str().ok());
        let path = value.and_then(|value| value.strip_prefix(before)).filter(|path| path.starts_with('/'));
        if let Some(value) =
            path.and_then(|path| HeaderValue::from_str(&format!("{before}{base}{path}")).ok())
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_its_segments() {
        let templates = Templates::new(["/a/{id}", "/b/"].into_iter().map(str::to_owned));
        for (path, has) in [("/a/x", true), ("/a/", false), ("/a/x/", false), ("/b/", true), ("/b", false)] {
            assert_eq!(templates.has(path), has, "{path}");
        }
        for (path, known) in [
            ("/a/x", None),
            ("/a/x/", Some("/a/x")),
            ("/b", Some("/b/")),
            ("/b/", None),
            ("/c", None),
            ("/c/", None),
        ] {
            let form = templates.known_form(&path.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(form.as_deref(), known, "{path}");
        }
        let toggled = |uri: &'static str| other(&Uri::from_static(uri)).unwrap().to_string();
        assert_eq!(toggled("/a/x/?q=1"), "/a/x?q=1");
        assert_eq!(toggled("/b"), "/b/");
        // The root without its slash is empty, so `other` may return `None` or the root itself.
        assert!(other(&Uri::from_static("/")).is_none_or(|uri| uri.path() == "/"));
    }
}

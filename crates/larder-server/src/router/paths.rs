//! The forms of a path: under a prefix, and with or without a slash at its end.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tower::Service as _;
use utoipa::openapi::OpenApi as Document;

use crate::api::problem;
use crate::api::tokens::DISCOVERY;
use crate::router::private;

/// The paths of the OpenAPI document, such as `/api/v1/users/{id}`.
#[derive(Clone)]
pub(super) struct Templates {
    all: Arc<[String]>,
    /// Those with a slash at their end. They are few, and the only ones that a path without a slash is compared with.
    slashed: Arc<[String]>,
}

impl Templates {
    pub(super) fn of(document: &Document) -> Self {
        Self::new(document.paths.paths.keys().cloned())
    }

    fn new(all: impl Iterator<Item = String>) -> Self {
        let all: Arc<[String]> = all.collect();
        let slashed = all.iter().filter(|template| template.ends_with('/')).cloned().collect();
        Self { all, slashed }
    }

    fn has(&self, path: &str) -> bool {
        self.all.iter().any(|template| is_like(template, path))
    }

    /// The path that the router knows in place of this one: with a slash at its end, or without one. `None`: the router
    /// knows this one, or neither.
    fn known_form(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path();
        let is_slashed = |template: &String| template.strip_suffix('/').is_some_and(|one| is_like(one, path));
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

/// If the router knows a path only without the slash at its end, it serves that path. If it knows a path only with a
/// slash, it redirects, as Django's `APPEND_SLASH` does: the paths of that system are the only ones with a slash. This is
/// outside of the router's layers, so that they see the path that is served.
pub(super) fn with_and_without_slash(router: Router, templates: Templates) -> Router {
    Router::new()
        .fallback(move |mut request: Request| {
            let mut router = router.clone();
            let known = templates.known_form(request.uri());
            async move {
                match known {
                    Some(known) if known.path().ends_with('/') => {
                        private(redirected(request.method(), &known)).await
                    }
                    Some(known) => {
                        *request.uri_mut() = known;
                        router.call(request).await.into_response()
                    }
                    None => router.call(request).await.into_response(),
                }
            }
        })
        .with_state(())
}

/// A permanent redirect. After a 301 a client may repeat a POST as a GET; after a 308 it repeats the method and the body.
fn redirected(method: &Method, to: &Uri) -> Response {
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

/// Serves all routes under the prefix `base`; a path without the prefix is unknown. The paths in the headers of answers
/// get the prefix.
pub(super) fn under(base: &str, router: Router) -> Router {
    if base.is_empty() {
        return router;
    }
    let base: Arc<str> = base.into();
    Router::new()
        .fallback(move |mut request: Request| {
            let (mut router, base) = (router.clone(), base.clone());
            async move {
                let inner = request.uri().path().strip_prefix(&*base).filter(|inner| inner.starts_with('/'));
                match inner.and_then(|inner| with_path(request.uri(), inner)) {
                    Some(uri) => {
                        *request.uri_mut() = uri;
                        rebased(router.call(request).await.into_response(), &base)
                    }
                    None => private(problem::unknown_path().await.into_response()).await,
                }
            }
        })
        .with_state(())
}

/// Serves the discovery document also where RFC 8414 has it for an issuer with a path: the path of `issuer` follows the
/// well-known one, `/.well-known/oauth-authorization-server/larder`. This path is outside of the prefix `base`.
pub(super) fn discovered(issuer: &str, base: &str, router: Router) -> Router {
    let path = issuer.parse::<Uri>().map(|issuer| issuer.path().to_owned()).unwrap_or_default();
    if path.len() <= 1 {
        return router;
    }
    let (from, to): (Arc<str>, Arc<str>) =
        (format!("{DISCOVERY}{path}").into(), format!("{base}{DISCOVERY}").into());
    Router::new()
        .fallback(move |mut request: Request| {
            let mut router = router.clone();
            let known = (request.uri().path() == &*from).then(|| with_path(request.uri(), &to)).flatten();
            if let Some(known) = known {
                *request.uri_mut() = known;
            }
            async move { router.call(request).await.into_response() }
        })
        .with_state(())
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// Adds the prefix to the paths in `Location: /api/…` and `Link: </api/…>`.
fn rebased(mut response: Response, base: &str) -> Response {
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

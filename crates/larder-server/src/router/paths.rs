//! The forms of a path: under a prefix, and with or without a slash at its end.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use tower::Service as _;
use utoipa::openapi::OpenApi as Document;

use crate::api::problem;
use crate::router::private;

/// The paths of the OpenAPI document, such as `/api/v1/users/{id}`.
#[derive(Clone)]
pub(super) struct Templates(Arc<[String]>);

impl Templates {
    pub(super) fn of(document: &Document) -> Self {
        Self(document.paths.paths.keys().cloned().collect())
    }

    fn has(&self, path: &str) -> bool {
        let path: Vec<_> = path.split('/').collect();
        self.0.iter().any(|template| {
            let alike = |(of, sent): (&str, &&str)| of == *sent || (of.starts_with('{') && !sent.is_empty());
            template.split('/').count() == path.len() && template.split('/').zip(&path).all(alike)
        })
    }
}

/// If the router does not know a path, but knows it with a slash added or removed at its end, it answers that path. It
/// sends no redirect, because clients repeat a redirected POST as a GET.
pub(super) fn with_and_without_slash(router: Router, templates: Templates) -> Router {
    let known = router.clone();
    router.fallback(move |mut request: Request| {
        let mut known = known.clone();
        let other = other(request.uri()).filter(|uri| templates.has(uri.path()));
        async move {
            match other {
                Some(uri) => {
                    *request.uri_mut() = uri;
                    known.call(request).await.into_response()
                }
                None => problem::unknown_path().await.into_response(),
            }
        }
    })
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
    Router::new().fallback(move |mut request: Request| {
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
        let templates = Templates(Arc::new(["/a/{id}".to_owned(), "/b/".to_owned()]));
        for (path, has) in [("/a/x", true), ("/a/", false), ("/a/x/", false), ("/b/", true), ("/b", false)] {
            assert_eq!(templates.has(path), has, "{path}");
        }
        let toggled = |uri: &'static str| other(&Uri::from_static(uri)).unwrap().to_string();
        assert_eq!(toggled("/a/x/?q=1"), "/a/x?q=1");
        assert_eq!(toggled("/b"), "/b/");
        // The root without its slash is empty, so `other` may return `None` or the root itself.
        assert!(other(&Uri::from_static("/")).is_none_or(|uri| uri.path() == "/"));
    }
}

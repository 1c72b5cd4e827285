//! The routes of the page.

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::admin::assets::ASSETS;
use crate::admin::handlers;
use crate::admin::hooks::AdminHooks;
use crate::admin::page::AdminPage;

impl<H: AdminHooks> AdminPage<H> {
    /// The routes of the page below `path`, such as `/admin/cache`: the page itself is at `/admin/cache/`. Merge them into
    /// the application's router. All links of the page are relative, so a prefix that a proxy or axum's `nest` adds needs
    /// no setting.
    pub fn router<S: Clone + Send + Sync + 'static>(&self, path: &str) -> Router<S> {
        let path = path.trim_end_matches('/');
        let mut router = Router::new().route(path, get(with_slash));
        for asset in ASSETS {
            let tag: HeaderValue = asset.tag();
            let answer = get(async move |headers: HeaderMap| asset.answer(&tag, &headers));
            router = router.route(&format!("{path}/{}", asset.path), answer);
        }
        let routes = [
            ("settings", get(handlers::settings::<H>)),
            ("stream", get(handlers::stream::<H>)),
            ("history", get(handlers::history::<H>)),
            ("tuning", get(handlers::tuning::<H>)),
            ("undo", post(handlers::undo::<H>)),
            ("explain", post(handlers::explain::<H>)),
            ("clear", post(handlers::clear::<H>)),
            ("switch", post(handlers::switch::<H>)),
            ("warm", post(handlers::warm::<H>)),
        ];
        for (name, handler) in routes {
            router = router.route(&format!("{path}/{name}"), handler);
        }
        router.with_state(self.clone())
    }
}

/// Redirects to the path with a slash at its end: the page's links are relative to it. `Location` is relative as well, so
/// that it holds behind every prefix.
async fn with_slash(OriginalUri(uri): OriginalUri) -> Response {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    match HeaderValue::from_str(&format!("{last}/")) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

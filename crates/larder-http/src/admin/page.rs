//! The page as the application holds it: its routes and its end.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use larder::cache::Cache;
use tokio::sync::watch;

use crate::admin::assets::ASSETS;
use crate::admin::handlers;
use crate::admin::hooks::AdminHooks;
use crate::admin::sampler::Sampler;

/// The admin page of one cache; cheap to clone.
///
/// Its stream stays open as long as a viewer looks. Call [`stop`](Self::stop) when the application begins to stop, or a
/// graceful shutdown waits for the viewers.
pub struct AdminPage<H> {
    shared: Arc<Shared<H>>,
}

struct Shared<H> {
    cache: Cache,
    hooks: H,
    sampler: Arc<Sampler>,
    stopped: watch::Sender<bool>,
    began: SystemTime,
}

impl<H> Clone for AdminPage<H> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<H> fmt::Debug for AdminPage<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminPage").field("cache", &self.shared.cache).finish_non_exhaustive()
    }
}

impl<H> AdminPage<H> {
    /// Whether the cache is being sampled: a viewer is connected.
    pub fn is_sampling(&self) -> bool {
        self.shared.sampler.is_sampling()
    }

    /// Ends all streams, and every later one at once. The rest of the page goes on.
    pub fn stop(&self) {
        self.shared.stopped.send_replace(true);
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    pub(super) fn hooks(&self) -> &H {
        &self.shared.hooks
    }

    pub(super) fn sampler(&self) -> &Arc<Sampler> {
        &self.shared.sampler
    }

    pub(super) fn began(&self) -> SystemTime {
        self.shared.began
    }

    pub(super) fn stopped(&self) -> watch::Receiver<bool> {
        self.shared.stopped.subscribe()
    }
}

impl<H: AdminHooks> AdminPage<H> {
    /// The page of `cache`, for whom `hooks` admits.
    pub fn new(cache: &Cache, hooks: H) -> Self {
        let (cache, sampler, stopped) = (cache.clone(), Sampler::new(cache), watch::Sender::new(false));
        Self { shared: Arc::new(Shared { cache, hooks, sampler, stopped, began: SystemTime::now() }) }
    }

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

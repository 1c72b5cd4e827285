//! The page as the application holds it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use larder::cache::Cache;
use tokio::sync::watch;

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
    /// The page of `cache`, for each viewer that `hooks` admits.
    pub fn new(cache: &Cache, hooks: H) -> Self {
        let (cache, sampler, stopped) = (cache.clone(), Sampler::new(cache), watch::Sender::new(false));
        Self { shared: Arc::new(Shared { cache, hooks, sampler, stopped, began: SystemTime::now() }) }
    }
}

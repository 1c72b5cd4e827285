//! The layer: puts the service around another.

use std::sync::Arc;

use larder::cache::Cache;
use tower::Layer;

use crate::invalidation::rules::Rules;
use crate::invalidation::service::InvalidationService;

/// Puts [`InvalidationService`] around a service; cheap to clone. It has to see whole paths: outside of `nest`.
#[derive(Clone)]
pub struct InvalidationLayer {
    cache: Cache,
    rules: Arc<Rules>,
}

impl InvalidationLayer {
    /// Drops from `cache` what `rules` say.
    pub fn new(cache: &Cache, rules: Rules) -> Self {
        InvalidationLayer { cache: cache.clone(), rules: Arc::new(rules) }
    }
}

impl<S> Layer<S> for InvalidationLayer {
    type Service = InvalidationService<S>;

    fn layer(&self, inner: S) -> InvalidationService<S> {
        InvalidationService { inner, cache: self.cache.clone(), rules: self.rules.clone() }
    }
}

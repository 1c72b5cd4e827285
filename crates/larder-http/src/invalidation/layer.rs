//! The layer that wraps a service in [`InvalidationService`].

use std::sync::Arc;

use larder::cache::Cache;
use tower::Layer;

use crate::invalidation::rules::Rules;
use crate::invalidation::service::InvalidationService;

/// Wraps a service in [`InvalidationService`]; cheap to clone. The layer matches complete paths, so add it outside of
/// axum's `nest`, which removes the prefix of a path.
#[derive(Clone, Debug)]
pub struct InvalidationLayer {
    cache: Cache,
    rules: Arc<Rules>,
}

impl InvalidationLayer {
    /// A layer that drops the entries of `cache` that `rules` name.
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

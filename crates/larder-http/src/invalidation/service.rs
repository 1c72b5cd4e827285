//! The service that passes requests to an inner service and invalidates what they wrote.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use larder::cache::Cache;
use tower::Service;

use crate::invalidation::future::{ResponseFuture, run_to_end};
use crate::invalidation::pending::PendingInvalidation;
use crate::invalidation::rules::Rules;

/// Passes requests to the inner service. A request that matches a rule causes an invalidation; see [`ResponseFuture`].
#[derive(Clone, Debug)]
pub struct InvalidationService<S> {
    pub(super) inner: S,
    pub(super) cache: Cache,
    pub(super) rules: Arc<Rules>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for InvalidationService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResBody: Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<ResBody, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let dropped = self.rules.find_match(request.method(), request.uri().path());
        let inner = self.inner.call(request);
        match dropped {
            None => Box::pin(inner),
            Some(dropped) => {
                let work = PendingInvalidation::new(self.cache.clone(), dropped);
                Box::pin(run_to_end(inner, work))
            }
        }
    }
}

//! The answer to a request that a rule means: not before what it wrote has been dropped.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use larder::receipt::Receipt;

use crate::headers::{CACHE_INVALIDATION, cache_invalidation};
use crate::invalidation::pending::{InvalidationReason, PendingInvalidation};

/// How long a request whose client is gone may go on.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(30);

/// The inner service's future, as it is when no rule means the request. Otherwise that future and then the invalidation:
///
/// - The answer says that something was written (any status below 400), or that something may have been (500 and above,
///   `408 Request Timeout`, an error instead of an answer): all is dropped before the answer is passed on, with the header
///   `Cache-Invalidation`.
/// - The answer says that nothing was written (any other 4xx): nothing is dropped.
/// - The inner future panics: all is dropped.
/// - This future is dropped, for the client hung up: all is dropped at once, the inner future goes on for up to 30 s in a task
///   of its own, for what it has begun it may commit, and then all is dropped again.
pub type ResponseFuture<B, E> = Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

/// Awaits `inner`, and does the `work` that its answer calls for.
pub(super) async fn run_to_end<F, B, E>(inner: F, work: PendingInvalidation) -> Result<Response<B>, E>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    E: Send + 'static,
    B: Send + 'static,
{
    let mut running = RunningRequest { inner: Some(Box::pin(inner)), work };
    let answer = running.end().await;
    let reason = match &answer {
        Ok(response) => reason(response.status()),
        Err(_) => Some(InvalidationReason::Failed),
    };
    let Some(reason) = reason else { return answer };
    // A task of its own: the work is done to its end, and logged, also if the client hangs up here.
    let receipt = tokio::spawn(running.work.clone().run(reason)).await;
    answer.map(|mut response| {
        let receipt = receipt.map_or_else(|_| HeaderValue::from_static("queued"), value);
        // What the application itself said of its write stands, if it was the lesser.
        if response.headers().get(&CACHE_INVALIDATION).is_none_or(|said| said != "queued") {
            response.headers_mut().insert(CACHE_INVALIDATION, receipt);
        }
        response
    })
}

fn value(receipt: Receipt) -> HeaderValue {
    cache_invalidation(receipt)
}

/// Why an answer of this status has all dropped; `None` when nothing was written.
fn reason(status: StatusCode) -> Option<InvalidationReason> {
    match status.as_u16() {
        // What layers answer that stop a handler which takes too long: it may have written before.
        408 => Some(InvalidationReason::Failed),
        400..500 => None,
        500.. => Some(InvalidationReason::Failed),
        _ => Some(InvalidationReason::Written),
    }
}

/// A request under way. Dropped before its end, it is gone on with, and what it may have written is dropped.
struct RunningRequest<F: Future + Send + 'static>
where
    F::Output: Send,
{
    inner: Option<Pin<Box<F>>>,
    work: PendingInvalidation,
}

impl<F: Future + Send + 'static> RunningRequest<F>
where
    F::Output: Send,
{
    async fn end(&mut self) -> F::Output {
        let inner = self.inner.as_mut().expect("a request is awaited once");
        let output = inner.as_mut().await;
        self.inner = None;
        output
    }
}

impl<F: Future + Send + 'static> Drop for RunningRequest<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        // Without a runtime the process is ending, and with it all that it remembers.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let work = self.work.clone();
        if std::thread::panicking() {
            runtime.spawn(work.run(InvalidationReason::Failed));
            return;
        }
        runtime.spawn(async move {
            // What it has committed by now, and then what it still commits.
            let _first = work.clone().run(InvalidationReason::Abandoned).await;
            let _ended = tokio::time::timeout(ABANDONED_TIMEOUT, inner).await;
            let _second = work.run(InvalidationReason::Abandoned).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_client_errors_except_408_drop_nothing() {
        let reasons = [200, 201, 204, 302, 101, 400, 404, 409, 429, 408, 500, 503]
            .map(|status| reason(StatusCode::from_u16(status).unwrap()));
        let (written, failed) = (Some(InvalidationReason::Written), Some(InvalidationReason::Failed));
        let expected =
            [written, written, written, written, written, None, None, None, None, failed, failed, failed];
        assert_eq!(reasons, expected);
    }
}

//! The future of a request that matches a rule: it returns the answer only after the entries have been dropped.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use larder::receipt::Receipt;

use crate::headers::{CACHE_INVALIDATION, cache_invalidation};
use crate::invalidation::pending::{InvalidationReason, PendingInvalidation};

/// Time-out of a request whose client has disconnected: a handler that never ends would keep its task for ever.
const ABANDONED_TIMEOUT: Duration = Duration::from_secs(30);

/// The future of a request. If no rule matches, it is the inner service's future. Otherwise it also invalidates:
///
/// - If the request has written (any status below 400) or may have written (500 and above, `408 Request Timeout`, an
///   error instead of an answer), this future drops the entries before it returns the answer, and adds the header
///   `Cache-Invalidation`.
/// - If the request has written nothing (any other 4xx), this future drops nothing.
/// - If the inner future panics, a task drops the entries.
/// - If the client disconnects, this future is dropped before its end. Then a task drops the entries at once, lets the
///   inner future continue for up to 30 s, because it may still commit, and drops the entries again.
pub type ResponseFuture<B, E> = Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

/// Awaits `inner`. If the status of the answer requires it, runs the invalidation `work` before it returns the answer.
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
    // Run the invalidation in a task of its own, so that it completes and is logged even if the client disconnects
    // here.
    let receipt = tokio::spawn(running.work.clone().run(reason)).await;
    answer.map(|mut response| {
        let receipt = receipt.map_or_else(|_| HeaderValue::from_static("queued"), value);
        // If the application has set `queued` itself, keep it: `queued` promises less than `sent`.
        if response.headers().get(&CACHE_INVALIDATION).is_none_or(|said| said != "queued") {
            response.headers_mut().insert(CACHE_INVALIDATION, receipt);
        }
        response
    })
}

fn value(receipt: Receipt) -> HeaderValue {
    cache_invalidation(receipt)
}

/// Why an answer with this status causes an invalidation; `None` if the request has written nothing.
fn reason(status: StatusCode) -> Option<InvalidationReason> {
    match status.as_u16() {
        // Time-out layers answer 408 when they stop a slow handler, which may have written before.
        408 => Some(InvalidationReason::Failed),
        400..500 => None,
        500.. => Some(InvalidationReason::Failed),
        _ => Some(InvalidationReason::Written),
    }
}

/// A running request. If it is dropped before its end, a task continues the request for up to 30 s and drops its
/// entries. After a panic, the task only drops the entries.
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
        // Without a runtime no task can run. The process is ending then, and its memory with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let work = self.work.clone();
        if std::thread::panicking() {
            runtime.spawn(work.run(InvalidationReason::Failed));
            return;
        }
        runtime.spawn(async move {
            // The first run covers what the request has committed by now, the second what it commits later.
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

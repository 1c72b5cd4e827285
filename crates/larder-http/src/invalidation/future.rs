//! The answer to a request that a rule means: not before what it wrote has been dropped.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode};
use larder::receipt::Receipt;

use crate::headers::{CACHE_INVALIDATION, cache_invalidation};
use crate::invalidation::work::{Reason, Work};

/// How long a request whose client is gone may go on.
const ABANDONED: Duration = Duration::from_secs(30);

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
pub(super) async fn seen_through<F, B, E>(inner: F, work: Work) -> Result<Response<B>, E>
where
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    E: Send + 'static,
    B: Send + 'static,
{
    let mut begun = Begun { inner: Some(Box::pin(inner)), work };
    let answer = begun.end().await;
    let reason = match &answer {
        Ok(response) => reason(response.status()),
        Err(_) => Some(Reason::Failed),
    };
    let Some(reason) = reason else { return answer };
    // A task of its own: the work is done to its end, and logged, also if the client hangs up here.
    let receipt = tokio::spawn(begun.work.clone().run(reason)).await;
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
fn reason(status: StatusCode) -> Option<Reason> {
    match status.as_u16() {
        // What layers answer that stop a handler which takes too long: it may have written before.
        408 => Some(Reason::Failed),
        400..500 => None,
        500.. => Some(Reason::Failed),
        _ => Some(Reason::Written),
    }
}

/// A request under way. Dropped before its end, it is gone on with, and what it may have written is dropped.
struct Begun<F: Future + Send + 'static>
where
    F::Output: Send,
{
    inner: Option<Pin<Box<F>>>,
    work: Work,
}

impl<F: Future + Send + 'static> Begun<F>
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

impl<F: Future + Send + 'static> Drop for Begun<F>
where
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        // Without a runtime the process is ending, and with it all that it remembers.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let work = self.work.clone();
        if std::thread::panicking() {
            runtime.spawn(work.run(Reason::Failed));
            return;
        }
        runtime.spawn(async move {
            // What it has committed by now, and then what it still commits.
            let _first = work.clone().run(Reason::Abandoned).await;
            let _ended = tokio::time::timeout(ABANDONED, inner).await;
            let _second = work.run(Reason::Abandoned).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_nothing_was_written_drops_nothing() {
        let reasons = [200, 201, 204, 302, 101, 400, 404, 409, 429, 408, 500, 503]
            .map(|status| reason(StatusCode::from_u16(status).unwrap()));
        let (written, failed) = (Some(Reason::Written), Some(Reason::Failed));
        let expected =
            [written, written, written, written, written, None, None, None, None, failed, failed, failed];
        assert_eq!(reasons, expected);
    }
}

//! The streams of an HTTP/2 connection: each is a request and its answer, and takes a place as a connection does.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::api::metrics::requests::Full;
use crate::serving::body::Discarding;
use crate::serving::room::Place;

/// hyper gets an answer in parts of this size and takes the next part when the client's window has room for it. A
/// client has the write time-out to make room for each part, as with [`super::wire`] on HTTP/1.1.
const PART_BYTES: usize = 16 * 1024;

/// So many cancelled requests are always allowed. Beyond that, at most half of a connection's requests may be cancelled
/// before they are answered: a client that cancels more makes the service work for answers that it does not want
/// (CVE-2023-44487).
const CANCELLED: u64 = 100;

tokio::task_local! {
    /// The stream that this task serves.
    static CURRENT: Arc<Stream>;
}

/// The requests of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) open: u32,
    answered: u64,
    cancelled: u64,
}

impl Counts {
    pub(super) fn is_flood(&self) -> bool {
        self.cancelled > CANCELLED + self.answered
    }
}

/// hyper's executor for the streams of one connection. It runs each in a task of its own, counts it, and ends it if its
/// client does not read.
#[derive(Clone)]
pub(super) struct Streams {
    counts: watch::Sender<Counts>,
    admit: Arc<dyn Fn() -> Result<Place, Full> + Send + Sync>,
    write_timeout: Duration,
}

/// What the task of a stream shares with the service and the answer in it. `Relaxed` suffices: one task uses all of it;
/// the fields are atomics because the task may move between threads.
struct Stream {
    /// Incremented whenever hyper takes a part of the answer. 0: the answer is not ready.
    taken: AtomicU32,
    is_answered: AtomicBool,
    /// The bound because of which the stream has no place.
    full: Option<Full>,
}

impl Streams {
    /// `admit` returns the place of a further stream.
    pub(super) fn new(
        write_timeout: Duration,
        admit: impl Fn() -> Result<Place, Full> + Send + Sync + 'static,
    ) -> Self {
        Self { counts: watch::Sender::default(), admit: Arc::new(admit), write_timeout }
    }

    pub(super) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, serving: F) {
        let place = (self.admit)();
        let stream = Arc::new(Stream {
            taken: AtomicU32::new(0),
            is_answered: AtomicBool::new(false),
            full: place.as_ref().err().copied(),
        });
        let counted = Counted { counts: self.counts.clone(), stream: stream.clone() };
        self.counts.send_modify(|counts| counts.open += 1);
        let bounded = while_read(serving, stream.clone(), self.write_timeout);
        tokio::spawn(CURRENT.scope(stream, async move {
            let _held = (place, counted);
            bounded.await;
        }));
    }
}

/// Counts a stream from its beginning to its end.
struct Counted {
    counts: watch::Sender<Counts>,
    stream: Arc<Stream>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let is_answered = self.stream.is_answered.load(Ordering::Relaxed);
        self.counts.send_modify(|counts| {
            counts.open -= 1;
            *(if is_answered { &mut counts.answered } else { &mut counts.cancelled }) += 1;
        });
    }
}

/// Serves a stream. If hyper has taken no part of the answer for `timeout`, because the client's window has no room, the
/// drop of `serving` resets this stream and no other.
async fn while_read(serving: impl Future<Output = ()>, stream: Arc<Stream>, timeout: Duration) {
    let mut serving = pin!(serving);
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut seen = 0;
    std::future::poll_fn(|context| {
        if serving.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let taken = stream.taken.load(Ordering::Relaxed);
        if taken == 0 {
            return Poll::Pending;
        }
        if taken != seen {
            seen = taken;
            timer.as_mut().reset(Instant::now() + timeout);
        }
        timer.as_mut().poll(context)
    })
    .await;
}

/// The bound because of which the stream of this task has no place; `None` if it has one.
pub(super) fn full() -> Option<Full> {
    CURRENT.try_with(|stream| stream.full).unwrap_or(None)
}

/// The answer of this task's stream, in parts; then `unread` is discarded. From here on the write time-out applies.
pub(super) fn answer(answer: Response<Body>, unread: Option<Discarding>) -> Response<Parts> {
    let stream = CURRENT.try_with(Arc::clone).ok();
    if let Some(stream) = &stream {
        stream.is_answered.store(true, Ordering::Relaxed);
    }
    let parts = |inner| Parts { inner, rest: Bytes::new(), unread, stream };
    let answer = answer.map(parts);
    answer.body().count();
    answer
}

/// A body in parts of at most [`PART_BYTES`].
pub(super) struct Parts {
    inner: Body,
    rest: Bytes,
    /// What the client still sends; the stream ends after it.
    unread: Option<Discarding>,
    stream: Option<Arc<Stream>>,
}

impl Parts {
    fn count(&self) {
        if let Some(stream) = &self.stream {
            stream.taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    if let Some(unread) = &mut self.unread {
                        ready!(unread.poll(context));
                        self.unread = None;
                    }
                    return Poll::Ready(None);
                }
            }
        }
        self.count();
        let length = self.rest.len().min(PART_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.unread.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_cancels_most_of_its_requests_is_a_flood() {
        for (answered, cancelled, is_flood) in
            [(0, 100, false), (0, 101, true), (500, 600, false), (500, 601, true), (10_000, 0, false)]
        {
            let counts = Counts { open: 0, answered, cancelled };
            assert_eq!(counts.is_flood(), is_flood, "{counts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_if_no_part_of_its_answer_is_taken_within_the_time_out() {
        let second = Duration::from_secs(1);
        let stream = || Arc::new(Stream { taken: 0.into(), is_answered: false.into(), full: None });
        let never = stream();
        let waiting = tokio::time::timeout(second * 60, while_read(std::future::pending(), never, second));
        assert!(waiting.await.is_err(), "a handler that works has no such time-out");
        let (read, began) = (stream(), Instant::now());
        let of_reader = read.clone();
        let reading = async move {
            for _ in 0..5 {
                of_reader.taken.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(second / 2).await;
            }
            std::future::pending().await
        };
        while_read(reading, read, second).await;
        assert!(began.elapsed() >= second * 3 && began.elapsed() < second * 4, "{:?}", began.elapsed());
    }
}

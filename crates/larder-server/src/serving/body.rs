//! The body of a request. Reading it fails at a deadline; after the answer, the connection gets the part that no
//! handler read.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::api::bodies::{BodyPace, BodyTooSlow};
use crate::serving::wire::DISCARDED_BYTES;

/// If a handler leaves at most this much of a body unread, the service reads and discards that rest before it writes
/// the answer, so that the connection can be reused.
const DRAINED_BYTES: u64 = 64 * 1024;

/// How long the service waits for such a rest. Most clients have sent a small body before it is refused, so the wait is
/// usually short.
const DRAINING: Duration = Duration::from_secs(1);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The part of a body that a handler left unread: [`TimedBody`] stores it here when it is dropped. The lock is held for
/// an assignment only; no other lock is taken meanwhile.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Rest {
    /// Reads and discards a small rest. Returns what stays unread: then HTTP/1.1 has to close the connection.
    ///
    /// If the client waits for `100 Continue`, nothing is read: a read would make hyper send `100 Continue`, and then
    /// the client would send the body.
    pub(super) async fn settle(self, waits_for_continue: bool) -> Option<Incoming> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut rest = rest.filter(|rest| !rest.is_end_stream())?;
        let is_small = rest.size_hint().exact().is_some_and(|bytes| bytes <= DRAINED_BYTES);
        if waits_for_continue || !is_small {
            return Some(rest);
        }
        let drained = timeout(DRAINING, async {
            while let Some(frame) =
                std::future::poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await
            {
                frame?;
            }
            Ok::<(), hyper::Error>(())
        });
        match drained.await {
            Ok(Ok(())) => None,
            _ => Some(rest),
        }
    }
}

/// What stays unread of a body on HTTP/2. The service reads and discards it before it ends the answer's stream, because
/// some clients lose the answer if its stream ends while they are still sending.
pub(super) struct Discarding {
    rest: Incoming,
    timer: Pin<Box<Sleep>>,
    left_bytes: usize,
}

impl Discarding {
    pub(super) fn new(rest: Incoming, limit: Duration) -> Self {
        Self { rest, timer: Box::pin(sleep(limit)), left_bytes: DISCARDED_BYTES }
    }

    /// Is ready at the end of the body, at an error, and at the bounds of bytes and time.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(context) {
            let Some(Ok(frame)) = frame else { return Poll::Ready(()) };
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if bytes > self.left_bytes {
                return Poll::Ready(());
            }
            self.left_bytes -= bytes;
        }
        self.timer.as_mut().poll(context)
    }
}

/// A body whose reading fails with [`BodyTooSlow`] at its deadline; [`BodyPace`] says what the deadline counts for.
pub(super) struct TimedBody {
    /// `None` only during the drop.
    inner: Option<Incoming>,
    rest: Rest,
    limit: Duration,
    deadline: Instant,
    pace: BodyPace,
    /// Created at the first wait, because most bodies have arrived completely at the first poll.
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, limit: Duration, pace: BodyPace) -> (Self, Rest) {
        let rest = Rest::default();
        let deadline = Instant::now() + limit;
        (Self { inner: Some(inner), rest: rest.clone(), limit, deadline, pace, timer: None }, rest)
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { inner: Some(inner), limit, deadline, pace, timer, .. } = &mut *self else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(context) {
            if pace.is_by_piece() {
                // The time of the next piece begins when the handler waits for it, so that the handler's own work does
                // not count.
                *timer = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let timer = timer.get_or_insert_with(|| {
            let end = if pace.is_by_piece() { Instant::now() + *limit } else { *deadline };
            Box::pin(sleep_until(end))
        });
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Some(Err(BodyTooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = self.inner.take();
    }
}

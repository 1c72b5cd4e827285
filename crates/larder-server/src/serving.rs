//! Accepts and serves connections, closes those whose client is too slow, and ends all of them gracefully.
//!
//! Invariant: after a stop, a request of which at least one byte was read is still answered, and a request of which no byte
//! was read is not begun.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service;

use crate::refusing::Refusing;

/// How long a client may take from opening a connection, or from the last answer, to the end of a request's headers.
/// axum's own `serve` has no such time-out: a client that opens connections and sends nothing would hold them for ever.
const HEADERS: Duration = Duration::from_secs(15);

/// Serves until `stop` resolves, then lets requests in flight end. Each request is answered by the routes that are current when
/// its head is complete.
pub(crate) async fn serve(
    mut listener: TcpListener,
    routes: watch::Receiver<Router>,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let (routes, phase) = (routes.clone(), Phase::default());
        let (of_request, is_stopping) = (phase.clone(), stopped.clone());
        let answer = service_fn(move |mut request: Request<Incoming>| {
            of_request.set(Phase::REQUEST);
            request.extensions_mut().insert(ConnectInfo(peer));
            let (mut routes, is_stopping) = (routes.borrow().clone(), is_stopping.clone());
            async move {
                let mut answer = routes.call(request.map(Body::new)).await;
                if *is_stopping.borrow() {
                    // `Connection: close` makes the client send no further request on this connection, and hyper read none.
                    let headers = answer.as_mut().map(Response::headers_mut).ok();
                    headers.map(|headers| headers.insert(CONNECTION, HeaderValue::from_static("close")));
                }
                answer
            }
        });
        let observed = Observed { stream, phase: phase.clone() };
        let connection = http.serve_connection(TokioIo::new(Refusing::new(observed)), answer);
        let stopped = stopped.clone();
        tokio::spawn(async move {
            if let Err(error) = until_answered(connection, phase, stopped).await {
                tracing::trace!(%error, "a connection ended early");
            }
        });
    }
    // The listener is dropped first, so that no connection is accepted while the open ones finish. Each of these holds a
    // receiver, so that `closed` resolves when the last one has ended; our own receiver would keep it waiting.
    drop((listener, stopped));
    stopping.send_replace(true);
    stopping.closed().await;
}

/// Drives a connection to its end. After a stop, it ends at the next moment at which no request is being read or answered.
async fn until_answered<C: GracefulConnection>(
    connection: C,
    phase: Phase,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut stopped = pin!(stopped.wait_for(|is_stopping| *is_stopping));
    let (mut is_stopping, mut is_ending) = (false, false);
    poll_fn(|context| {
        loop {
            // The connection is polled first: bytes that have arrived by now are read before it counts as idle.
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended);
            }
            is_stopping = is_stopping || stopped.as_mut().poll(context).is_ready();
            // hyper counts a connection as idle until a head is complete: a shutdown now would close it without an answer.
            if !is_stopping || is_ending || phase.get() == Phase::HEAD {
                return Poll::Pending;
            }
            connection.as_mut().graceful_shutdown();
            is_ending = true;
        }
    })
    .await
}

/// How far a connection is. It is read and set only within the polls of one task, so that `Relaxed` suffices: an atomic is used
/// because the task may move between threads.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicU8>);

impl Phase {
    /// Every request that was read is answered.
    const IDLE: u8 = 0;
    /// A request has begun, and its head is not complete.
    const HEAD: u8 = 1;
    /// A request is being answered.
    const REQUEST: u8 = 2;

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that records when a request begins: at the first byte that is read after an answer.
struct Observed {
    stream: TcpStream,
    phase: Phase,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before && self.phase.get() == Phase::IDLE {
            self.phase.set(Phase::HEAD);
        }
        read
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.phase.set(Phase::IDLE);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.phase.set(Phase::IDLE);
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

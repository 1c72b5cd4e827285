//! Accepts and serves connections, closes those whose client is too slow, and ends all of them gracefully.
//!
//! Invariants:
//! - `begun_is_answered`: after a stop, the service still answers each request of which it has read at least one byte, and
//!   the first request of a connection that is younger than [`FIRST_REQUEST`]. It begins no other request;
//! - `no_lost_answer`: a connection on which the client may still be sending is closed in stages (`wire.rs`), because a
//!   plain close would reset it and destroy the answer;
//! - `bounded_clients`: each step of a request has a time-out, and the number of connections and of HTTP/2 streams is
//!   bounded, in total and for each address.

mod body;
mod descriptors;
mod http2;
mod progress;
mod room;
mod streams;
mod wire;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io::ErrorKind;
use std::iter;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, EXPECT, ORIGIN};
use axum::http::{HeaderValue, Method, Response};
use axum::serve::Listener;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{self, http1};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use larder_identity::network::{NetworkShare, TrustedProxies};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{self, sleep, sleep_until};

use crate::api::bodies::BodyPace;
use crate::api::codes::Code;
use crate::api::metrics::requests::Full;
use crate::refusing::{Refusing, refusal};
use crate::router::Routes;
use crate::router::entry::without_body;
use crate::serving::body::{Discarding, TimedBody};
use crate::serving::progress::{Phase, Progress};
use crate::serving::room::Room;
use crate::serving::streams::Streams;
use crate::serving::wire::Wire;
use crate::settings::connections::ConnectionSettings;

/// The size of hyper's buffers. hyper keeps a head until it is complete, so a longer head is answered with 431. As many
/// bytes of an answer may wait to be written. It is as small as on HTTP/2 (`http2.rs`), because a client needs no credential
/// to hold it on each of its connections.
const BUFFERED_BYTES: usize = 32 * 1024;

/// The age up to which a connection without a byte outlives a stop: its client has just connected, so its first request is
/// on its way. Proxies do not repeat a POST that they have sent.
const FIRST_REQUEST: time::Duration = time::Duration::from_secs(1);

/// The most connections that the service takes from the kernel's queue at a stop. tokio's listeners have a queue of 1,024.
const QUEUED_CONNECTIONS: usize = 1024;

/// The longest time-out of a connection beyond the limit: for its request, for the client to read the answer, and for
/// the close. Probes send their request with the connection, and other clients must not hold the places of probes.
const BEYOND: time::Duration = time::Duration::from_secs(1);

/// What all connections of a service use: its routes, its settings, and whether it has been stopped.
#[derive(Clone)]
struct ServingContext {
    routes: watch::Receiver<Routes>,
    settings: ConnectionSettings,
    stopped: watch::Receiver<bool>,
    room: Arc<Room>,
    /// The bound that a connection of the reserve is beyond: it has one request, which is answered if it is a probe. `None`
    /// for every other connection.
    beyond: Option<Full>,
}

/// Serves until `stop` resolves, then lets requests in flight end. When the head of a request is complete, the routes
/// that are current at that moment answer it.
pub(crate) async fn serve(
    mut listener: TcpListener,
    routes: watch::Receiver<Routes>,
    settings: ConnectionSettings,
    proxies: TrustedProxies,
    stop: impl Future<Output = ()>,
) {
    let max = descriptors::connections_max(settings.max, settings.reserved_descriptors);
    let room = Arc::new(Room::new(max, settings.max_per_address, proxies));
    let (stopping, stopped) = watch::channel(false);
    let context = ServingContext { routes, settings, stopped, room: room.clone(), beyond: None };
    let take = |stream: TcpStream, peer: SocketAddr| match room.admit(peer.ip()) {
        Ok(place) => drop(tokio::spawn(connection(context.clone(), stream, peer, place))),
        Err(full) => match room.reserved(peer.ip()) {
            Some(place) => drop(tokio::spawn(connection(context.beyond(full), stream, peer, place))),
            None => {
                context.count_refused(full);
                room.refuse(stream, context.routes.borrow().of_refusals());
            }
        },
    };
    let mut stop = pin!(stop);
    loop {
        // If the process, or the system, has no descriptor left in spite of the reserve, `accept` waits a second and
        // tries again.
        tokio::select! {
            (stream, peer) = Listener::accept(&mut listener) => take(stream, peer),
            () = &mut stop => break,
        }
    }
    for (stream, peer) in queued(listener) {
        take(stream, peer);
    }
    context.routes.borrow().end_streams();
    // `closed` resolves when there is no receiver of `stopping`: each open connection has one, and so has `context`, which is
    // dropped here.
    drop(context);
    stopping.send_replace(true);
    stopping.closed().await;
}

/// Closes the listener, and returns the connections that the kernel has accepted and this process has not. The kernel would
/// reset them with the listener, and with them the requests that their clients have sent.
fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // tokio's own `accept` does not look into the queue before the runtime has seen that the queue is filled.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = iter::repeat_with(|| listener.accept()).take(QUEUED_CONNECTIONS);
    // Another error concerns one connection, which its client has ended.
    let queued =
        accepted.take_while(|one| !matches!(one, Err(error) if error.kind() == ErrorKind::WouldBlock));
    let usable = queued.flatten().filter_map(|(stream, peer)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    });
    usable.collect()
}

/// Serves one connection to its end, and holds its place until then.
async fn connection<P>(context: ServingContext, stream: TcpStream, peer: SocketAddr, _place: P) {
    let (opened, progress) = (time::Instant::now(), Progress::default());
    let ServingContext { settings, mut stopped, .. } = context.clone();
    let mut wire = Wire::new(stream, progress.clone(), settings.write_timeout, settings.close_timeout);
    let unused = async {
        // An error means that the service is gone.
        let _ = stopped.wait_for(|is_stopping| *is_stopping).await;
        sleep_until(opened + FIRST_REQUEST).await;
        // Once a byte was read, the client has the full time-out to go on.
        if progress.get() != Phase::New {
            pending::<()>().await;
        }
    };
    let begins_as_http2 = tokio::select! {
        // Bytes that have arrived by now are read before the connection counts as unused.
        biased;
        begins = wire.begins_as_http2() => begins,
        () = unused => return,
        () = sleep(settings.head_timeout) => return,
    };
    if let (Ok(true), Some(full)) = (&begins_as_http2, context.beyond) {
        // HTTP/2 has no connection with one request, and its clients read no refusal of HTTP/1.1.
        return context.count_refused(full);
    }
    let ended = match begins_as_http2 {
        Ok(true) => as_http2(context, wire, progress, opened, peer).await,
        Ok(false) => as_http1(context, wire, progress, opened, peer).await,
        Err(error) => return tracing::trace!(%error, "a connection ended before its first request"),
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}

async fn as_http1(
    context: ServingContext,
    wire: Wire,
    progress: Progress,
    opened: time::Instant,
    peer: SocketAddr,
) -> hyper::Result<()> {
    let (of_request, of_connection) = (progress.clone(), context.clone());
    let answer = service_fn(move |request: Request<Incoming>| {
        of_request.set(Phase::Request);
        let (context, progress) = (of_connection.clone(), of_request.clone());
        async move {
            let (mut answer, unread) = match context.beyond {
                Some(full) if !context.routes.borrow().is_probe(&request) => {
                    context.count_refused(full);
                    let (refused, body) = context.refusal(request);
                    (refused, Some(body).filter(|body| !body.is_end_stream()))
                }
                _ => context.answer(request, peer).await,
            };
            let leaves_unread = unread.is_some();
            if leaves_unread {
                progress.leave_unread();
            }
            let is_last = leaves_unread || context.beyond.is_some();
            if is_last || *context.stopped.borrow() || context.routes.borrow().is_stopping() {
                // `Connection: close` makes the client send no further request on this connection, and hyper read none.
                // Before the port closes, it empties the clients' pools: a proxy that sent a POST just when the service
                // closed an idle connection could not send it again.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            progress.set(Phase::Answered);
            Ok::<_, Infallible>(answer)
        }
    });
    // hyper's own time-out for a head would also run between two requests, so it is off; `until_answered` has the
    // time-outs.
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_buf_size(BUFFERED_BYTES);
    let cors = context.routes.borrow().of_refusals();
    let connection = http.serve_connection(TokioIo::new(Refusing::new(wire, cors)), answer);
    until_answered(connection, progress, context.settings, opened, context.stopped).await
}

async fn as_http2(
    context: ServingContext,
    wire: Wire,
    progress: Progress,
    opened: time::Instant,
    peer: SocketAddr,
) -> hyper::Result<()> {
    // `Wire` counts all of the connection as one request. The client may always be sending, at least control frames, so
    // the connection is closed in stages.
    progress.set(Phase::Request);
    progress.leave_unread();
    let room = context.room.clone();
    let streams = Streams::new(context.settings.write_timeout, move || room.admit(peer.ip()));
    let of_connection = context.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        let context = of_connection.clone();
        async move {
            // An unread body needs no `Connection: close`: it concerns this stream alone.
            let (answer, unread) = match (streams::full(), context.reserved(&request, peer)) {
                (None, _) => context.answer(request, peer).await,
                // The pattern holds the place until the answer is there.
                (Some(_), Some(_place)) => context.answer(request, peer).await,
                (Some(full), None) => {
                    context.count_refused(full);
                    let (refused, body) = context.refusal(request);
                    (refused, Some(body))
                }
            };
            // Before the write time-out, which would reset the stream and the answer with it.
            let limit = context.settings.close_timeout.min(context.settings.write_timeout / 2);
            let unread = unread.map(|rest| Discarding::new(rest, limit));
            Ok::<_, Infallible>(streams::answer(answer, unread))
        }
    });
    let http = http2::builder(streams.clone(), &context.settings);
    let connection = http.serve_connection(TokioIo::new(wire), answer);
    let goaway = |connection: Pin<&mut conn::http2::Connection<_, _, _>>| connection.graceful_shutdown();
    http2::until_ended(connection, goaway, &streams, context.settings, opened, context.stopped).await
}

impl ServingContext {
    /// The context of a connection that is beyond this bound and has a place of the reserve.
    fn beyond(&self, full: Full) -> Self {
        let mut context = self.clone();
        let settings = &mut context.settings;
        for timeout in [&mut settings.head_timeout, &mut settings.write_timeout, &mut settings.close_timeout]
        {
            *timeout = BEYOND.min(*timeout);
        }
        context.beyond = Some(full);
        context
    }

    /// A place of the reserve for a request on a connection of HTTP/2 that has no place for it; `None` if it is no probe, or
    /// if the reserve is used up.
    fn reserved(&self, request: &Request<Incoming>, peer: SocketAddr) -> Option<NetworkShare> {
        let is_probe = streams::full().is_some() && self.routes.borrow().is_probe(request);
        is_probe.then(|| self.room.reserved(peer.ip())).flatten()
    }

    /// Counts a connection or a stream that is refused, and logs it.
    fn count_refused(&self, full: Full) {
        self.routes.borrow().requests().refused(full);
        self.room.note(full);
    }

    /// The 503 for want of room, and the body that was not read.
    fn refusal(&self, request: Request<Incoming>) -> (Response<Body>, Incoming) {
        let origin = request.headers().get(ORIGIN).map(HeaderValue::as_bytes);
        let headers = self.routes.borrow().of_refusals().headers(origin);
        let refused = refusal(Code::ConnectionsFull, headers).map(Body::from);
        let refused = if request.method() == Method::HEAD { without_body(refused) } else { refused };
        (refused, request.into_body())
    }

    /// The answer of the present routes, and the part of the body that was not read.
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> (Response<Body>, Option<Incoming>) {
        let waits_for_continue = request.headers().contains_key(EXPECT);
        let (head, body) = request.into_parts();
        let pace = BodyPace::default();
        let (body, rest) = TimedBody::new(body, self.settings.body_timeout, pace.clone());
        let mut request = Request::from_parts(head, Body::new(body));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(pace);
        let routes = self.routes.borrow().clone();
        let answer = routes.answer(request).await;
        (answer, rest.settle(waits_for_continue).await)
    }
}

/// Drives a connection to its end. The connection ends early if the client takes too long to send a head or to begin
/// its next request. After a stop, it ends at the next moment at which no request is being read or answered.
async fn until_answered<C: GracefulConnection>(
    connection: C,
    progress: Progress,
    settings: ConnectionSettings,
    opened: time::Instant,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut stopped = pin!(stopped.wait_for(|is_stopping| *is_stopping));
    let (mut is_stopping, mut is_ending) = (false, false);
    let mut timer = pin!(sleep_until(opened + settings.head_timeout));
    let mut beginning = progress.beginning();
    poll_fn(|context| {
        loop {
            // The connection is polled first: bytes that have arrived by now are read before it counts as idle.
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(ended);
            }
            let phase = progress.get();
            if progress.beginning() != beginning {
                beginning = progress.beginning();
                let limit = match phase {
                    Phase::Idle => settings.idle_timeout,
                    _ => settings.head_timeout,
                };
                timer.as_mut().reset(time::Instant::now() + limit);
            }
            // This timer counts in these three phases only. `TimedBody` has the time-out of a body, and `Wire` those of
            // an answer and of a close in stages.
            let is_waiting = matches!(phase, Phase::New | Phase::Head | Phase::Idle);
            if is_waiting && timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            is_stopping = is_stopping || stopped.as_mut().poll(context).is_ready();
            // In the phase `Head` the shutdown waits: hyper counts the connection as idle until the head is complete,
            // and would close it without an answer.
            if !is_stopping || is_ending || phase == Phase::Head {
                return Poll::Pending;
            }
            connection.as_mut().graceful_shutdown();
            is_ending = true;
        }
    })
    .await
}

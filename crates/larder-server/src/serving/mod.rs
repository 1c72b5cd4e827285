//! Accepts and serves connections, closes those whose client is too slow, and ends all of them gracefully.
//!
//! Invariants:
//! - `begun_is_answered`: after a stop, the service still answers each request of which it has read at least one byte,
//!   and begins no other request;
//! - `no_lost_answer`: a connection on which the client may still be sending is closed in stages (`wire.rs`), because a
//!   plain close would reset it and destroy the answer;
//! - `bounded_clients`: each step of a request has a time-out, and the number of connections is bounded, in total and
//!   for each address.

mod body;
mod descriptors;
mod progress;
mod room;
mod wire;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Response};
use axum::response::IntoResponse;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use larder_identity::network::TrustedProxies;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{self, sleep};
use tower::Service;

use crate::api::bodies::BodyPace;
use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::refusing::Refusing;
use crate::serving::body::TimedBody;
use crate::serving::progress::{Phase, Progress};
use crate::serving::room::{Place, Room};
use crate::serving::wire::Wire;
use crate::settings::connections::ConnectionSettings;

/// The size of hyper's buffers. hyper keeps a head until it is complete, so a longer head is answered with 431. As many
/// bytes of an answer may wait to be written.
const BUFFERED_BYTES: usize = 128 * 1024;

/// The shortest time between two log lines about refused connections.
const NOTED: time::Duration = time::Duration::from_secs(10);

/// What all connections of a service use: its routes, its settings, and whether it has been stopped.
#[derive(Clone)]
struct Site {
    routes: watch::Receiver<Router>,
    settings: ConnectionSettings,
    stopped: watch::Receiver<bool>,
}

/// Serves until `stop` resolves, then lets requests in flight end. When the head of a request is complete, the routes
/// that are current at that moment answer it.
pub(crate) async fn serve(
    mut listener: TcpListener,
    routes: watch::Receiver<Router>,
    settings: ConnectionSettings,
    proxies: TrustedProxies,
    stop: impl Future<Output = ()>,
) {
    let max = descriptors::connections_max(settings.max, settings.reserved_descriptors);
    let room = Room::new(max, settings.max_per_address, proxies, no_room().await);
    let (stopping, stopped) = watch::channel(false);
    let site = Site { routes, settings, stopped };
    let mut noted: Option<Instant> = None;
    let mut stop = pin!(stop);
    loop {
        // If the process, or the system, has no descriptor left in spite of the reserve, `accept` waits a second and
        // tries again.
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        match room.admit(peer.ip()) {
            Ok(place) => drop(tokio::spawn(connection(site.clone(), stream, peer, place))),
            Err(full) => {
                if noted.is_none_or(|noted| noted.elapsed() > NOTED) {
                    noted = Some(Instant::now());
                    tracing::warn!(?full, max, "connections are refused: there are as many as are allowed");
                }
                room.refuse(stream);
            }
        }
    }
    // The listener is dropped first, so that no connection is accepted while the open ones finish. `closed` resolves
    // when there is no receiver of `stopping`: each open connection has one, and so has `site`, which is dropped here.
    drop((listener, site));
    stopping.send_replace(true);
    stopping.closed().await;
}

/// The bytes of the 503 for a connection that finds no room.
async fn no_room() -> Vec<u8> {
    let (head, body) = Problem::new(Code::ConnectionsFull).into_response().into_parts();
    // A problem's body is in memory and small, so reading it cannot fail.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut wire = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let length = body.len();
    let last =
        format!("cache-control: private, no-store\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    wire.extend(last.bytes());
    wire.extend(body);
    wire
}

/// Serves one connection to its end.
async fn connection(site: Site, stream: TcpStream, peer: SocketAddr, _place: Place) {
    let Site { routes, settings, stopped } = site;
    let progress = Progress::default();
    let (of_request, is_stopping) = (progress.clone(), stopped.clone());
    let answer = service_fn(move |request: Request<Incoming>| {
        of_request.set(Phase::Request);
        let waits_for_continue = request.headers().contains_key(EXPECT);
        let (head, body) = request.into_parts();
        let pace = BodyPace::default();
        let (body, rest) = TimedBody::new(body, settings.body_timeout, pace.clone());
        let mut request = Request::from_parts(head, Body::new(body));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(pace);
        let (mut routes, is_stopping, progress) =
            (routes.borrow().clone(), is_stopping.clone(), of_request.clone());
        async move {
            let mut answer = routes.call(request).await;
            let leaves_unread = rest.settle(waits_for_continue).await;
            if leaves_unread {
                progress.leave_unread();
            }
            if leaves_unread || *is_stopping.borrow() {
                // `Connection: close` makes the client send no further request on this connection, and hyper read none.
                let headers = answer.as_mut().map(Response::headers_mut).ok();
                headers.map(|headers| headers.insert(CONNECTION, HeaderValue::from_static("close")));
            }
            progress.set(Phase::Answered);
            answer
        }
    });
    let wire = Wire::new(stream, progress.clone(), settings.write_timeout, settings.close_timeout);
    // hyper's own time-out for a head would also run between two requests, so it is off; `until_answered` has the
    // time-outs.
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_buf_size(BUFFERED_BYTES);
    let connection = http.serve_connection(TokioIo::new(Refusing::new(wire)), answer);
    if let Err(error) = until_answered(connection, progress, settings, stopped).await {
        tracing::trace!(%error, "a connection ended early");
    }
}

/// Drives a connection to its end. The connection ends early if the client takes too long to send a head or to begin
/// its next request. After a stop, it ends at the next moment at which no request is being read or answered.
async fn until_answered<C: GracefulConnection>(
    connection: C,
    progress: Progress,
    settings: ConnectionSettings,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut stopped = pin!(stopped.wait_for(|is_stopping| *is_stopping));
    let (mut is_stopping, mut is_ending) = (false, false);
    let mut timer = pin!(sleep(settings.head_timeout));
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

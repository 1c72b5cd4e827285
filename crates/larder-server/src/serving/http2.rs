//! HTTP/2 without TLS, with prior knowledge: a client that begins with the preface of RFC 9113 speaks it.
//!
//! Many requests share a connection, so the deadlines differ from those of HTTP/1.1: each stream has its own for body
//! and answer (`body.rs`, `streams.rs`), and the connection ends if it has had no stream for the idle time-out.

use std::pin::{Pin, pin};
use std::time::Duration;

use hyper::server::conn::http2::Builder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::serving::streams::Streams;
use crate::settings::connections::ConnectionSettings;

/// What a client may send of its bodies before a handler reads it, for one stream and for all of a connection. Both
/// bound the memory of a connection; a handler that reads makes room for more.
const STREAM_BYTES: u32 = 64 * 1024;
const CONNECTION_BYTES: u32 = 256 * 1024;

/// The most bytes of the headers of a request, decoded. h2 answers more with 431, and bounds the number of CONTINUATION
/// frames by it.
const HEADER_BYTES: u32 = 32 * 1024;

/// How many streams a client may have cancelled before hyper has seen them, and how many it may have broken. Beyond
/// that, h2 ends the connection with ENHANCE_YOUR_CALM.
const RESETS: usize = 20;
const BROKEN: usize = 100;

/// The longest life of a connection. Its end frees what h2 still holds for streams that the client does not read.
const AGE: Duration = Duration::from_secs(3600);

/// How long a client may take to close the connection after GOAWAY and its last answer: half of `GRACE` in `app.rs`, so
/// that a client that ignores GOAWAY does not use up the time of the others.
const ENDING: Duration = Duration::from_secs(5);

/// hyper's settings for a connection with these streams.
pub(super) fn builder(streams: Streams, settings: &ConnectionSettings) -> Builder<Streams> {
    let mut http = Builder::new(streams);
    http.max_concurrent_streams(settings.streams)
        .max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(STREAM_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_send_buf_size(STREAM_BYTES as usize)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(BROKEN);
    http
}

/// Drives a connection to its end. It says GOAWAY, and the open streams end, after a stop, if there was no stream for
/// too long, and when the connection is too old.
pub(super) async fn until_ended<C: Future<Output = Result<(), E>>, E>(
    connection: C,
    say_goaway: impl Fn(Pin<&mut C>),
    streams: &Streams,
    settings: ConnectionSettings,
    opened: Instant,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), E> {
    let mut connection = pin!(connection);
    let mut counts = streams.counts();
    let mut stopped = pin!(stopped.wait_for(|is_stopping| *is_stopping));
    // The first request has to come within the time-out of a head. PING and SETTINGS prolong nothing.
    let mut idle = pin!(sleep_until(opened + settings.head_timeout));
    let mut old = pin!(sleep(AGE));
    let mut is_ending = false;
    loop {
        let is_idle = counts.borrow().open == 0;
        let ends = tokio::select! {
            // The connection is polled first: requests that have arrived by now are read before it counts as idle.
            biased;
            ended = connection.as_mut() => return ended,
            // `streams` has the sender, so there is no error.
            _ = counts.changed() => {
                let counts = *counts.borrow_and_update();
                if counts.is_flood() {
                    tracing::info!(?counts, "a client cancels most of its requests; its connection is closed");
                    return Ok(());
                }
                if counts.open == 0 {
                    let limit = if is_ending { ENDING } else { settings.idle_timeout };
                    idle.as_mut().reset(Instant::now() + limit);
                }
                false
            }
            () = &mut idle, if is_idle => {
                if is_ending {
                    return Ok(());
                }
                true
            }
            () = &mut old, if !is_ending => true,
            _ = &mut stopped, if !is_ending => true,
        };
        if ends {
            is_ending = true;
            say_goaway(connection.as_mut());
            idle.as_mut().reset(Instant::now() + ENDING);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::future::pending;

    use super::*;
    use crate::api::metrics::requests::Full;

    fn streams() -> Streams {
        Streams::new(Duration::from_secs(1), || Err(Full::InAll))
    }

    /// How long a connection lives whose client sends nothing and ignores GOAWAY, and how often the service said that.
    async fn life(streams: &Streams, stopped: watch::Receiver<bool>) -> (Duration, usize) {
        let (began, goaways) = (Instant::now(), Cell::new(0));
        let deaf = pending::<Result<(), Infallible>>();
        let goaway = |_: Pin<&mut _>| goaways.set(goaways.get() + 1);
        until_ended(deaf, goaway, streams, ConnectionSettings::default(), began, stopped).await.unwrap();
        (began.elapsed(), goaways.get())
    }

    fn is_about(life: Duration, seconds: u64) -> bool {
        (Duration::from_secs(seconds)..Duration::from_secs(seconds + 1)).contains(&life)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_without_requests_after_its_last_one_and_when_it_is_old() {
        let (stop, stopped) = watch::channel(false);
        let (silent, goaways) = life(&streams(), stopped.clone()).await;
        assert!(is_about(silent, 15 + 5) && goaways == 1, "{silent:?}");

        let used = streams();
        let request = async {
            hyper::rt::Executor::execute(&used, sleep(Duration::from_secs(10)));
            sleep(Duration::from_secs(12)).await;
        };
        let ((idle, _), ()) = tokio::join!(life(&used, stopped.clone()), request);
        assert!(is_about(idle, 10 + 75 + 5), "{idle:?}");

        let busy = streams();
        hyper::rt::Executor::execute(&busy, sleep(AGE * 2));
        let (old, goaways) = life(&busy, stopped.clone()).await;
        assert!(is_about(old, AGE.as_secs() * 2 + 5) && goaways == 1, "its stream ends first: {old:?}");

        stop.send_replace(true);
        let (stopped, _) = life(&streams(), stopped).await;
        assert!(is_about(stopped, 5), "{stopped:?}");
    }
}

//! The server-sent events of one viewer: first `hello`, then a `sample` each second, and `log` with the lines that are new.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admin::hooks::{Access, AdminHooks};
use crate::admin::page::AdminPage;
use crate::admin::sampler::Viewing;
use crate::admin::times::millis;

/// How long a viewer is served before the application is asked again whether it may look: its session may have ended.
const ADMITTED_FOR: Duration = Duration::from_secs(10);

struct Viewer<H: AdminHooks> {
    page: AdminPage<H>,
    head: Parts,
    caller: H::Caller,
    admitted: Instant,
    viewing: Viewing,
    stopped: watch::Receiver<bool>,
    /// The last change of the log that was sent.
    seen: u64,
    has_begun: bool,
}

/// The answer that streams to an admitted viewer, until the viewer disconnects or is not admitted any more, or the page
/// is stopped.
pub(super) fn streamed<H: AdminHooks>(page: AdminPage<H>, head: Parts, caller: H::Caller) -> Response {
    let (viewing, stopped) = (page.sampler().watch(), page.stopped());
    let viewer =
        Viewer { page, head, caller, admitted: Instant::now(), viewing, stopped, seen: 0, has_begun: false };
    let events = unfold(viewer, |mut viewer| async {
        let events = viewer.next().await?;
        Some((Ok::<_, Infallible>(events), viewer))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    // nginx would keep the events until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl<H: AdminHooks> Viewer<H> {
    /// The next events; `None`: the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            if *self.stopped.borrow() {
                return None;
            }
            return Some(self.hello().into());
        }
        let sample = tokio::select! {
            // An error means that the page is gone.
            _ = self.stopped.wait_for(|is_stopped| *is_stopped) => return None,
            sample = self.viewing.next() => sample,
        };
        if self.admitted.elapsed() >= ADMITTED_FOR {
            self.caller = self.page.hooks().admit(&mut self.head, Access::Look).await.ok()?;
            self.admitted = Instant::now();
        }
        let may_see = |class: &str| self.page.hooks().may_see_keys(&self.caller, class);
        let (lines, seen) = self.page.sampler().log.after(self.seen, may_see);
        self.seen = seen;
        let mut events = event("sample", &sample);
        if !lines.is_empty() {
            events.extend(event("log", &serde_json::to_vec(&lines).unwrap_or_default()));
        }
        Some(events.into())
    }

    fn hello(&self) -> Vec<u8> {
        let hooks = self.page.hooks();
        let (instance, can_warm) = (hooks.instance(), hooks.can_warm());
        let (began, at) = (millis(self.page.began()), millis(SystemTime::now()));
        let hello = Hello { instance, can_warm, began, at };
        event("hello", &serde_json::to_vec(&hello).unwrap_or_default())
    }
}

/// The first event. It comes before there is a sample, and says which instance answers.
#[derive(Serialize)]
struct Hello {
    instance: String,
    can_warm: bool,
    /// When the page was made, in milliseconds since 1970. The ids of the log's lines begin with it.
    began: u64,
    /// The time of the instance, in milliseconds since 1970.
    at: u64,
}

/// An event of a stream. JSON as serde_json writes it has no line break, so it is one line of data.
fn event(name: &str, json: &[u8]) -> Vec<u8> {
    [b"event: ", name.as_bytes(), b"\ndata: ", json, b"\n\n"].concat()
}

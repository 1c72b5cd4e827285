//! Correlates requests with the log: each request has an id, and the trace that its sender names (W3C Trace Context).
//! The headers of the answer and the log have both; the body of a problem has the id.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tracing::Span;
use uuid::{Builder, Uuid};

/// The header with the id of a request. If the client sends a valid id (`is_id`), the service keeps it; otherwise it
/// makes a new one.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the trace: in a request it names the sender's span, in the answer the service's span.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest id that the service accepts from a client; longer ones could fill the log.
const ID_BYTES: usize = 128;

tokio::task_local! {
    /// The id of the request that this task answers. A `Problem` reads it when it is turned into an HTTP answer.
    static CURRENT: HeaderValue;
}

/// The id and the trace of a request. `correlate` stores them in the request's extensions.
#[derive(Clone)]
pub(crate) struct Correlation {
    id: HeaderValue,
    trace: Option<Trace>,
}

/// A trace, and the service's own span in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Trace {
    /// 32 hexadecimal digits.
    id: String,
    flags: String,
    span: u64,
}

impl Correlation {
    fn of(headers: &HeaderMap) -> Self {
        let sent = headers.get(REQUEST_ID).filter(|id| is_id(id.as_bytes())).cloned();
        let id =
            sent.or_else(|| HeaderValue::from_str(new_id().hyphenated().encode_lower(&mut [0; 36])).ok());
        let trace = headers.get(TRACEPARENT).and_then(|value| Trace::parse(value.to_str().ok()?));
        Self { id: id.unwrap_or_else(|| HeaderValue::from_static("-")), trace }
    }
}

/// A UUID of version 7. Its random part comes from this thread's generator: `Uuid::now_v7` asks the kernel each time.
fn new_id() -> Uuid {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Builder::from_unix_timestamp_millis(now.as_millis() as u64, &rand::random()).into_uuid()
}

/// Whether the id has only letters, digits and some punctuation. The log contains the id, and with quotes or line
/// breaks a client could forge a line of the log.
fn is_id(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(byte);
    (1..=ID_BYTES).contains(&id.len()) && id.iter().all(allowed)
}

impl Trace {
    /// Parses `traceparent`: `00-<trace>-<parent>-<flags>`. If a later version has more fields, the first four count.
    fn parse(value: &str) -> Option<Self> {
        let fields: Vec<_> = value.split('-').collect();
        let [version, id, parent, flags, more @ ..] = fields.as_slice() else { return None };
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_known = is_hex(version, 2) && *version != "ff" && (*version != "00" || more.is_empty());
        let is_set = |text: &str| text.bytes().any(|byte| byte != b'0');
        (is_known && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2) && is_set(id) && is_set(parent))
            // A span id of zeros only is invalid, so the random one is at least 1.
            .then(|| Self {
                id: (*id).to_owned(),
                flags: (*flags).to_owned(),
                span: rand::random_range(1..=u64::MAX),
            })
    }

    fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("00-{}-{:016x}-{}", self.id, self.span, self.flags)).ok()
    }
}

/// Reads or creates the ids, and sets them in the headers of the answer that `answer` returns.
pub(crate) async fn correlate<F: Future<Output = Response>>(
    mut request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let correlation = Correlation::of(request.headers());
    request.extensions_mut().insert(correlation.clone());
    let mut response = CURRENT.scope(correlation.id.clone(), answer(request)).await;
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, correlation.id);
    if let Some(traceparent) = correlation.trace.and_then(|trace| trace.to_header()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    response
}

/// The id of the request that this task answers; `None` in a task that answers no request.
pub(crate) fn current_id() -> Option<String> {
    CURRENT.try_with(|id| id.to_str().ok().map(str::to_owned)).ok().flatten()
}

/// The span of a request in the log, with method, route and ids. It has neither the path nor the query, because both
/// may hold personal data, for example an external id.
pub(crate) fn span<B>(request: &axum::http::Request<B>) -> Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str());
    let correlation = request.extensions().get::<Correlation>();
    let id = correlation.and_then(|one| one.id.to_str().ok()).unwrap_or_default();
    // Fields that are recorded later would be formatted again, together with the earlier ones.
    match correlation.and_then(|one| one.trace.as_ref()) {
        None => tracing::info_span!("request", method = %request.method(), route, request_id = %id),
        Some(Trace { id: trace, .. }) => {
            tracing::info_span!("request", method = %request.method(), route, request_id = %id, trace_id = %trace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_if_no_log_could_be_forged_with_it() {
        let id = |value: &str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(value).unwrap())]);
            Correlation::of(&headers).id
        };
        assert_eq!(id("req_1:a/b+c=@d-e.f"), "req_1:a/b+c=@d-e.f");
        for bad in ["", "a b", "a\"b", "a{b}", &"x".repeat(129)] {
            assert_eq!(id(bad).len(), 36, "{bad}");
        }
        assert_eq!(Correlation::of(&HeaderMap::new()).id.len(), 36);
    }

    #[test]
    fn a_trace_is_continued_with_a_span_of_its_own() {
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for good in [format!("00-{trace}-{parent}-01"), format!("01-{trace}-{parent}-01-more")] {
            let continued = Trace::parse(&good).unwrap().to_header().unwrap();
            let continued = continued.to_str().unwrap();
            assert!(
                continued.starts_with(&format!("00-{trace}-")) && continued.ends_with("-01"),
                "{continued}"
            );
            assert!(!continued.contains(parent) && Trace::parse(continued).is_some(), "{continued}");
        }
        for bad in [
            String::new(),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{trace}-{parent}"),
        ] {
            assert_eq!(Trace::parse(&bad), None, "{bad}");
        }
    }
}

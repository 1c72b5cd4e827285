//! Refusals that no route makes get the form of every other refusal here: problem+json. This file replaces the refusals
//! of hyper's parser.
//!
//! hyper answers a request that it cannot parse before any route sees it, with a status and no body. Every answer of
//! the router has an `X-Request-Id`, so a head without one is hyper's own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use crate::api::codes::Code;
use crate::api::correlation::REQUEST_ID;
use crate::api::problem::Problem;
use crate::router::cors::RefusalCors;

/// A connection on which hyper's own refusals are replaced.
pub(crate) struct Refusing<S> {
    stream: S,
    cors: Arc<RefusalCors>,
    /// Finds the origin of the request that is being read; `None` if the replacement does not depend on it.
    origin: Option<OriginLine>,
    /// The bytes that replace a refusal, and how many of them are written already.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncWrite + Unpin> Refusing<S> {
    pub(crate) fn new(stream: S, cors: Arc<RefusalCors>) -> Self {
        let origin = cors.selectable_bytes().map(OriginLine::new);
        Self { stream, cors, origin, instead: None }
    }

    /// If `bytes` are a refusal by hyper, writes their replacement; otherwise returns `None`.
    fn poll_replaced(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            let origin = self.origin.as_mut().and_then(OriginLine::take);
            self.instead = Some((replacement(bytes, || self.cors.headers(origin.as_deref()))?, 0));
        }
        Some(self.poll_instead(context).map_ok(|()| bytes.len()))
    }

    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((text, written)) = &mut self.instead {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, &text[*written..]))?;
            *written += count;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if *written == text.len() {
                self.instead = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The answer that replaces a head that hyper wrote by itself; `None` if `bytes` are no such head.
fn replacement(bytes: &[u8], more: impl FnOnce() -> HeaderMap) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
    let code = match status.get(..3)? {
        b"400" => Code::RequestUnparsable,
        b"414" => Code::UriTooLong,
        b"431" => Code::HeadTooLarge,
        _ => return None,
    };
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?.to_ascii_lowercase();
    if head.contains("\r\nx-request-id:") || head.contains("\r\n\r\n") {
        return None;
    }
    Some(to_http1(refusal(code, more())))
}

/// The answer with a problem that no route makes. It has the headers of every answer, the headers `more`, and a request id
/// of its own.
pub(crate) fn refusal(code: Code, more: HeaderMap) -> Response<String> {
    let id = Uuid::now_v7().to_string();
    // A problem is always JSON.
    let body = serde_json::to_string(&Problem::new(code).details(Some(id.clone()))).unwrap_or_default();
    let mut answer = Response::new(body);
    *answer.status_mut() = code.status();
    let headers = answer.headers_mut();
    headers.extend(more);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(HeaderValue::try_from(id).ok().map(|id| (REQUEST_ID, id)));
    if code.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

/// The answer as HTTP/1.1 writes it. The connection ends after it.
pub(crate) fn to_http1(answer: Response<String>) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let mut wire = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    wire.extend(format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).bytes());
    wire
}

/// Finds the line `Origin` in the bytes of a connection, and keeps no others: hyper does not show a head that it refuses. A
/// line of a body can look the same, which does no harm: the answer to it names an allowed origin.
pub(crate) struct OriginLine {
    /// The beginning of the present line.
    line: Vec<u8>,
    max: usize,
    found: Option<Vec<u8>>,
    /// Whether an empty line was read: the end of a head.
    has_ended: bool,
}

impl OriginLine {
    const NAME: &[u8] = b"origin:";

    /// `value_bytes`: the longest value of interest.
    pub(crate) fn new(value_bytes: usize) -> Self {
        // White space around the value, and the end of the line, are few bytes.
        Self { line: Vec::new(), max: Self::NAME.len() + value_bytes + 8, found: None, has_ended: false }
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = self.max - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.has_ended |= self.line.trim_ascii().is_empty();
                if let Some((name, value)) = self.line.split_at_checked(Self::NAME.len())
                    && name.eq_ignore_ascii_case(Self::NAME)
                {
                    self.found = Some(value.trim_ascii().to_vec());
                }
                self.line.clear();
            }
        }
    }

    /// Whether an origin was found, or a head has ended.
    pub(crate) fn is_decided(&self) -> bool {
        self.has_ended || self.found.is_some()
    }

    /// The origin that was found since the last answer.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        self.found.take()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if let (Some(origin), Poll::Ready(Ok(()))) = (&mut self.origin, &read) {
            origin.read(&into.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Refusing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.poll_replaced(context, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
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
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes a refusal as one part: a head without a body.
        if let [head] = parts
            && let Some(written) = self.poll_replaced(context, head)
        {
            return written;
        }
        // This is the answer of a route. What was read of its request says nothing about the next one.
        let _ = self.origin.as_mut().and_then(OriginLine::take);
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_hyper_wrote_is_replaced_and_no_other() {
        let own = |status: &str| {
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n")
        };
        for (status, code) in [
            ("400 Bad Request", "request_unparsable"),
            ("414 URI Too Long", "uri_too_long"),
            ("431 Request Header Fields Too Large", "head_too_large"),
        ] {
            let text =
                String::from_utf8(replacement(own(status).as_bytes(), HeaderMap::new).unwrap()).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")) && text.contains(code), "{text}");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text}");
        }
        let of_the_router = own("400 Bad Request").replace("date:", "X-Request-Id: 1\r\ndate:");
        for other in
            [of_the_router.as_str(), &own("200 OK"), "HTTP/1.1 100 Continue\r\n\r\n", "{}", "HTTP/1.1 4", ""]
        {
            assert_eq!(replacement(other.as_bytes(), HeaderMap::new), None, "{other}");
        }
    }

    #[test]
    fn an_origin_is_found_wherever_the_reads_part_it() {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nORIGIN:  https://b.example \r\nx: https://a.example\r\n";
        for parts in [head.chunks(1), head.chunks(7), head.chunks(1000)] {
            let mut line = OriginLine::new(17);
            parts.for_each(|part| line.read(part));
            assert_eq!(line.take().as_deref(), Some(b"https://b.example".as_slice()));
            assert_eq!(line.take(), None, "the next request has its own");
        }
        let mut line = OriginLine::new(17);
        line.read(&[b'x'; 100_000]);
        assert!(line.line.len() <= 32 && !line.is_decided(), "{}", line.line.len());
        line.read(b"\r\norigin: https://b.exa");
        assert_eq!(line.take(), None, "its line has no end yet");
        let mut line = OriginLine::new(17);
        for part in [b"GET / HTTP/1.1\r\nhost: a\r\n\r".as_slice(), b"\nbody"] {
            assert!(!line.is_decided());
            line.read(part);
        }
        assert!(line.is_decided(), "the head has ended");
    }
}

//! Gives the refusals of hyper's parser the form that every other refusal has: problem+json.
//!
//! hyper answers a request that it cannot parse before any route sees it, with a status and no body. Every answer of
//! the router has an `X-Request-Id`, so a head without one is hyper's own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use crate::api::codes::Code;
use crate::api::problem::Problem;

/// A connection on which hyper's own refusals are replaced.
pub(crate) struct Refusing<S> {
    stream: S,
    /// The bytes that replace a refusal, and how many of them are written already.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncWrite + Unpin> Refusing<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, instead: None }
    }

    /// If `bytes` are a refusal by hyper, writes their replacement; otherwise returns `None`.
    fn poll_replaced(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            self.instead = Some((replacement(bytes)?, 0));
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
fn replacement(bytes: &[u8]) -> Option<Vec<u8>> {
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
    let id = Uuid::now_v7().to_string();
    let status = code.status();
    let body = serde_json::to_string(&Problem::new(code).details(Some(id.clone()))).ok()?;
    Some(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\ncache-control: private, no-store\r\n\
             x-content-type-options: nosniff\r\nx-request-id: {id}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Refusing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
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
            let text = String::from_utf8(replacement(own(status).as_bytes()).unwrap()).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")) && text.contains(code), "{text}");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{text}");
        }
        let of_the_router = own("400 Bad Request").replace("date:", "X-Request-Id: 1\r\ndate:");
        for other in
            [of_the_router.as_str(), &own("200 OK"), "HTTP/1.1 100 Continue\r\n\r\n", "{}", "HTTP/1.1 4", ""]
        {
            assert_eq!(replacement(other.as_bytes()), None, "{other}");
        }
    }
}

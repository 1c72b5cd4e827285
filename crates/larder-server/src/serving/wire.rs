//! The bytes of one connection: when a request begins, how long a client may take to read an answer, and how the
//! service closes a connection on which the client may still be sending.
//!
//! If the service closes a socket while bytes of the client are unread or on their way, TCP resets the connection. A
//! reset destroys what the client has not read yet, which may be the answer. So such a connection is closed in stages:
//! the service closes its own half, then reads and discards until the client closes the other half, within bounds of
//! bytes and time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::serving::progress::{Phase, Progress};

/// The most bytes of one refused client that the service reads and discards. Some proxies send a complete body before
/// they read the answer. Their own limit for a body is usually 1 to 10 MiB, so this limit is larger.
pub(super) const DISCARDED_BYTES: usize = 16 << 20;

/// How many bytes of an answer a client has to read within the write time-out. Without this minimum, a client that
/// reads some bytes an hour would keep an answer in memory for ever.
const WRITTEN_BYTES: usize = 16 * 1024;

/// How HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The TCP stream of a connection. It reports what it reads and writes to `progress`, and applies the time-outs of
/// writing and closing.
pub(super) struct Wire {
    stream: TcpStream,
    /// The first bytes, which were read to know the protocol and are still to be read by hyper.
    begun: Vec<u8>,
    progress: Progress,
    write_timeout: Duration,
    close_timeout: Duration,
    writing: Option<Writing>,
    closing: Option<Closing>,
}

/// A write that waits until the client has read enough.
struct Writing {
    timer: Pin<Box<Sleep>>,
    written_bytes: usize,
}

/// The second half of a close in stages.
struct Closing {
    timer: Pin<Box<Sleep>>,
    left_bytes: usize,
}

impl Wire {
    pub(super) fn new(
        stream: TcpStream,
        progress: Progress,
        write_timeout: Duration,
        close_timeout: Duration,
    ) -> Self {
        let begun = Vec::new();
        Self { stream, begun, progress, write_timeout, close_timeout, writing: None, closing: None }
    }

    /// Reads until the first bytes differ from the preface of HTTP/2, or are all of it. For HTTP/1.1 the first
    /// three bytes decide at the latest, because no method but PRI begins with `PRI`.
    ///
    /// # Errors
    /// Errors of the stream.
    pub(super) async fn begins_as_http2(&mut self) -> io::Result<bool> {
        let mut begun = Vec::with_capacity(PREFACE.len());
        while begun.len() < PREFACE.len() && PREFACE.starts_with(&begun) {
            let mut some = [0; PREFACE.len()];
            let read = self.stream.read(&mut some[..PREFACE.len() - begun.len()]).await?;
            if read == 0 {
                break;
            }
            self.progress.bytes_read();
            begun.extend_from_slice(&some[..read]);
        }
        let begins = begun == PREFACE;
        self.begun = begun;
        Ok(begins)
    }

    /// Fails the write if the client has read less than [`WRITTEN_BYTES`] within the write time-out.
    fn bounded(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(writing) = &mut self.writing {
                    writing.written_bytes += bytes;
                }
                self.writing = self.writing.take().filter(|writing| writing.written_bytes < WRITTEN_BYTES);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let timeout = self.write_timeout;
                let writing = self
                    .writing
                    .get_or_insert_with(|| Writing { timer: Box::pin(sleep(timeout)), written_bytes: 0 });
                ready!(writing.timer.as_mut().poll(context));
                // With a linger of 0 the kernel drops the unread bytes when the socket is closed; otherwise it would
                // try for many minutes to send them. An error means that the connection is gone.
                let _ = self.stream.set_zero_linger();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let length = self.begun.len().min(into.remaining());
            into.put_slice(&self.begun[..length]);
            self.begun.drain(..length);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.progress.bytes_read();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.progress.bytes_written();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes after it has written everything, so no write waits for the client.
        self.writing = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let has_unread = self.progress.has_unread();
            self.progress.set(Phase::Closing);
            if !has_unread {
                return Poll::Ready(Ok(()));
            }
        }
        let Self { stream, closing, close_timeout, .. } = &mut *self;
        let closing = closing.get_or_insert_with(|| Closing {
            timer: Box::pin(sleep(*close_timeout)),
            left_bytes: DISCARDED_BYTES,
        });
        let mut discarded = [0; 16 * 1024];
        loop {
            let mut into = ReadBuf::new(&mut discarded);
            match Pin::new(&mut *stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() && closing.left_bytes > 0 => {
                    closing.left_bytes = closing.left_bytes.saturating_sub(into.filled().len());
                }
                // The client has closed its half, or sent too much, or the connection is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return closing.timer.as_mut().poll(context).map(Ok),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.progress.bytes_written();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.bounded(written, context)
    }
}

//! Limits what one value in Redis takes in this process, whatever its length there.
//!
//! redis-rs reads a reply completely before it delivers it, and a value in Redis can have 512 MB. This reader is below
//! redis-rs. It looks at the lengths in the replies' bytes, and cuts each text that is longer than any that larder wrote:
//! redis-rs gets its beginning, and the rest is dropped as it arrives.
//!
//! Invariant, checked by the test of the same name:
//! - `a_cut_text_is_no_frame_and_keeps_its_fingerprint`: what is left of a text is no valid frame, so it is a miss and an
//!   alarm, and it has the fingerprint of the value, so a lease replaces the value.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::protocol::frame::{OVERHEAD_BYTES_MAX, PREFIX_BYTES};

/// The limit before any class is open: INFO, and the names of keys that larder writes, are shorter.
const LEAST: usize = 1 << 20;
/// The length of what is left of a text that is cut: one byte more than any frame without a value has, and shorter than
/// any key of larder.
pub(crate) const CUT_BYTES: usize = PREFIX_BYTES + 1;
const KEPT: u64 = CUT_BYTES as u64;
/// The longest beginning of a text: its kind, its length, and the end of the line.
const HEAD_MAX: usize = 32;

/// The length up to which a text in a reply is read.
pub(crate) struct ReplyLimit {
    /// Relaxed: it guards no other data. It is raised when a class is opened, and the class's first request reaches the
    /// connection's task by a channel after that, so the reader of its reply sees the raised limit.
    bytes: AtomicUsize,
    /// How many texts were cut. Relaxed: it guards no other data. It decides which of them are logged, and whether a
    /// read that got no reply may have waited for one.
    cuts: AtomicU64,
    cut: Notify,
    /// How many times bytes came on a tracked connection. Relaxed: it guards no other data. If it has not changed since a
    /// read gave up, Redis has answered nothing since.
    arrivals: AtomicU64,
}

impl ReplyLimit {
    pub(crate) fn new() -> Self {
        let (cuts, arrivals) = (AtomicU64::new(0), AtomicU64::new(0));
        ReplyLimit { bytes: AtomicUsize::new(LEAST), cuts, cut: Notify::new(), arrivals }
    }

    /// Lets entries pass whose values have `bytes` bytes.
    pub(crate) fn allow(&self, bytes: usize) {
        self.bytes.fetch_max(bytes.saturating_add(OVERHEAD_BYTES_MAX), Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many texts were cut until now.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// How many times bytes came on a tracked connection until now.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Waits until more than `cuts` texts were cut.
    pub(crate) async fn cut_after(&self, cuts: u64) {
        // Registered before the check, so that a cut between check and await is not lost.
        let next = self.cut.notified();
        if self.cuts() == cuts {
            next.await;
        }
    }

    /// Notes that bytes came.
    pub(crate) fn note_arrival(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a text or a reply of this length was not read.
    pub(crate) fn note_cut(&self, bytes: u64) {
        if (self.cuts.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two() {
            let most = self.bytes();
            tracing::warn!(bytes, most, "a value in Redis is longer than any of this cache, not read");
        }
        self.cut.notify_waiters();
    }
}

/// A connection whose replies are limited.
pub(crate) struct LimitedReplies<S> {
    stream: S,
    is_tracked: bool,
    scanner: Scanner,
    /// What the scanner changed and redis-rs has not read yet: `ready[at..]`.
    ready: Vec<u8>,
    at: usize,
}

impl<S> LimitedReplies<S> {
    pub(crate) fn new(stream: S, is_tracked: bool, limit: Arc<ReplyLimit>) -> Self {
        let scanner = Scanner { limit, place: Place::Start, head: Vec::new() };
        LimitedReplies { stream, is_tracked, scanner, ready: Vec::new(), at: 0 }
    }
}

/// Where the next byte is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// At the beginning of a line.
    Start,
    /// In a line that begins no text.
    Line,
    /// In the line that begins a text. Its bytes are held back in `head`.
    Head,
    /// In a text and the end of its line, of which so many bytes come.
    Text(u64),
    /// In the part of a cut text that is kept: so many bytes, then those to drop.
    Kept(u64, u64),
    /// In the part that is dropped.
    Dropped(u64),
}

struct Scanner {
    limit: Arc<ReplyLimit>,
    place: Place,
    head: Vec<u8>,
}

impl Scanner {
    /// Returns what redis-rs gets instead of `chunk`; `None` if that is `chunk` itself.
    fn filter(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        let is_changed = !self.head.is_empty() || matches!(self.place, Place::Kept(..) | Place::Dropped(_));
        let mut changed = is_changed.then(Vec::new);
        let mut at = 0;
        while at < chunk.len() {
            let rest = &chunk[at..];
            let line = || rest.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let passes = match self.place {
                Place::Start => {
                    let begins_text = matches!(rest[0], b'$' | b'=' | b'!');
                    self.place = if begins_text { Place::Head } else { Place::Line };
                    if begins_text && changed.is_none() && line().is_none() {
                        // The head is held back, so the bytes before it are all that passes.
                        changed = Some(chunk[..at].to_vec());
                    }
                    continue;
                }
                Place::Line => {
                    let line = line();
                    self.place = if line.is_some() { Place::Start } else { Place::Line };
                    line.unwrap_or(rest.len())
                }
                Place::Head => {
                    let line = line();
                    let part = line.unwrap_or(rest.len());
                    self.head.extend_from_slice(&rest[..part]);
                    at += part;
                    if line.is_none() && self.head.len() <= HEAD_MAX {
                        continue;
                    }
                    self.end_head(chunk, at, line.is_some(), &mut changed);
                    continue;
                }
                Place::Text(left) => {
                    let part = part_of(left, rest);
                    let left = left - part as u64;
                    self.place = if left == 0 { Place::Start } else { Place::Text(left) };
                    part
                }
                Place::Kept(left, dropped) => {
                    let part = part_of(left, rest);
                    let left = left - part as u64;
                    extend(&mut changed, &rest[..part]);
                    if left == 0 {
                        extend(&mut changed, b"\r\n");
                    }
                    self.place = if left == 0 { Place::Dropped(dropped) } else { Place::Kept(left, dropped) };
                    at += part;
                    continue;
                }
                Place::Dropped(left) => {
                    let part = part_of(left, rest);
                    let left = left - part as u64;
                    self.place = if left == 0 { Place::Start } else { Place::Dropped(left) };
                    at += part;
                    continue;
                }
            };
            extend(&mut changed, &rest[..passes]);
            at += passes;
        }
        changed
    }

    /// Decides about a text whose head ends before `chunk[at]`.
    fn end_head(&mut self, chunk: &[u8], at: usize, is_line: bool, changed: &mut Option<Vec<u8>>) {
        let mut head = std::mem::take(&mut self.head);
        let digits = std::str::from_utf8(&head[1..]).unwrap_or_default().trim_end();
        let limit = self.limit.bytes() as u64;
        self.place = match digits.parse::<u64>() {
            _ if !is_line => Place::Line,
            Ok(length) if length > limit => {
                self.limit.note_cut(length);
                // The head is longer than its bytes in this chunk if it began in an earlier one.
                let before = at.saturating_sub(head.len());
                let changed = changed.get_or_insert_with(|| chunk[..before].to_vec());
                changed.push(head[0]);
                changed.extend_from_slice(format!("{KEPT}\r\n").as_bytes());
                head.clear();
                Place::Kept(KEPT, length - KEPT + 2)
            }
            Ok(length) => Place::Text(length + 2),
            // A text that is not there has the length -1.
            Err(_) => Place::Start,
        };
        extend(changed, &head);
        // Kept for the next text, so that no text costs an allocation.
        head.clear();
        self.head = head;
    }
}

fn extend(changed: &mut Option<Vec<u8>>, bytes: &[u8]) {
    if let Some(changed) = changed {
        changed.extend_from_slice(bytes);
    }
}

/// How many of the `left` bytes are in `rest`.
fn part_of(left: u64, rest: &[u8]) -> usize {
    usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()))
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedReplies<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.at < this.ready.len() {
                let part = (this.ready.len() - this.at).min(buffer.remaining());
                buffer.put_slice(&this.ready[this.at..this.at + part]);
                this.at += part;
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let chunk = &buffer.filled()[before..];
            if chunk.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if this.is_tracked {
                this.scanner.limit.note_arrival();
            }
            let Some(changed) = this.scanner.filter(chunk) else { return Poll::Ready(Ok(())) };
            buffer.set_filled(before);
            // If all of it was held back or dropped, more has to be read: no bytes would mean the end.
            (this.ready, this.at) = (changed, 0);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedReplies<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::frame::{Frame, fingerprint};
    use crate::protocol::token::Token;

    const LIMIT: usize = 40;

    /// What redis-rs gets of `replies`, which arrive in parts that end at `cuts`.
    fn filtered(replies: &[u8], cuts: &[usize]) -> Vec<u8> {
        let limit = Arc::new(ReplyLimit::new());
        limit.bytes.store(LIMIT, Ordering::Relaxed);
        let mut scanner = Scanner { limit, place: Place::Start, head: Vec::new() };
        let (mut out, mut from) = (Vec::new(), 0);
        for to in cuts.iter().copied().chain([replies.len()]) {
            let chunk = &replies[from..to];
            from = to;
            out.extend(scanner.filter(chunk).unwrap_or_else(|| chunk.to_vec()));
        }
        assert_eq!((scanner.place, scanner.head.len()), (Place::Start, 0));
        out
    }

    /// A reply, and what redis-rs gets of it.
    fn reply() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let text = |kind: &'static str, bytes: Vec<u8>| {
            let sent = [format!("{kind}{}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat();
            let cut = [format!("{kind}18\r\n").as_bytes(), &bytes[..bytes.len().min(18)], b"\r\n"].concat();
            let got = if bytes.len() > LIMIT { cut } else { sent.clone() };
            (sent, got)
        };
        // Bytes of the protocol itself are in the texts, too.
        let byte = prop_oneof![any::<u8>(), prop::sample::select(b"$\r\n*19-".to_vec())];
        let bytes = prop::collection::vec(byte, 0..200);
        let plain = prop::sample::select(vec![
            "+OK\r\n",
            "$-1\r\n",
            "*3\r\n",
            ">2\r\n",
            "_\r\n",
            ":17\r\n",
            "-ERR $99999\r\n",
        ]);
        prop_oneof![
            (prop::sample::select(vec!["$", "=", "!"]), bytes)
                .prop_map(move |(kind, bytes)| text(kind, bytes)),
            plain.prop_map(|line| (line.as_bytes().to_vec(), line.as_bytes().to_vec())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Wherever the network splits the bytes.
        #[test]
        fn long_texts_are_cut_and_all_else_passes(
            replies in prop::collection::vec(reply(), 1..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let (sent, got): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
            let sent = sent.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(sent.len())).collect();
            cuts.sort_unstable();
            prop_assert_eq!(filtered(&sent, &cuts), got.concat());
        }
    }

    #[test]
    fn a_cut_text_is_no_frame_and_keeps_its_fingerprint() {
        let token = Token::random();
        for frame in [token.lease_frame(), token.tag_frame(), token.permit_frame(), token.anchor_frame()] {
            for kind in [frame[0], b'V', b'N', b'x'] {
                let value = [&[kind], &frame[1..], &[0; 100]].concat();
                let reply = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
                let got = filtered(&reply, &[]);
                let got = Bytes::copy_from_slice(&got["$18\r\n".len()..got.len() - 2]);
                assert!(Frame::parse(&got).is_err());
                assert_eq!(fingerprint(&got), fingerprint(&Bytes::from(value)));
            }
        }
    }
}

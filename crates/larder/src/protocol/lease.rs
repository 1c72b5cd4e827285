//! What a reader does about what it found under a key: serve it, wait for another's load, or take the lease.
//!
//! The lease is a unique token in the key itself. A fill is a compare-and-set against it, so any delete of
//! the key, by anyone, for any reason, between the lease and the fill refuses the fill.

use bytes::Bytes;

use crate::protocol::frame::{Entry, Frame, FrameError, fingerprint};
use crate::protocol::tag::{TagKey, are_current};
use crate::protocol::token::Token;

/// What a class can read: entries of this codec and value version, under all of its tags. Others are misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadableFormat {
    pub codec: u8,
    pub class_version: u32,
    /// How many tags the key has here.
    pub tags: usize,
}

/// The next step after `GET k` and its tags.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterRead {
    /// A valid entry.
    Serve(Entry),
    /// Somebody else holds the lease: wait for the push on the key.
    Wait,
    /// Nothing of use stands there: LEASE. `replace` is the fingerprint of what stands there instead and may
    /// be overwritten; the script compares it, so that a newer frame is never lost.
    Acquire { replace: Option<Bytes>, alarm: Option<FrameError> },
}

/// The next step after LEASE.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterLease {
    /// The lease is ours: load, then FILL.
    Load,
    /// Another value arrived first. It was not read under tracking, so it is served but never inserted.
    Serve(Entry),
    /// Another's lease arrived first.
    Wait,
    /// Something stands there that neither is a lease nor serves us: read again.
    ReadAgain,
}

/// Decides after the plain read of a key. `present` tells each tag's token as read in the same reply.
pub fn after_read(
    value: Option<&Bytes>,
    expected: ReadableFormat,
    present: impl Fn(&TagKey) -> Option<Token>,
) -> AfterRead {
    let Some(bytes) = value else {
        return AfterRead::Acquire { replace: None, alarm: None };
    };
    match Frame::parse(bytes) {
        Ok(Frame::Lease(_)) => AfterRead::Wait,
        Ok(Frame::Entry(entry)) if serves(&entry, expected, &present) => AfterRead::Serve(entry),
        Ok(_) => AfterRead::Acquire { replace: Some(fingerprint(bytes)), alarm: None },
        Err(broken) => AfterRead::Acquire { replace: Some(fingerprint(bytes)), alarm: Some(broken) },
    }
}

/// Decides after LEASE answered with what stands under the key now; `mine` is the token it was asked to set.
pub fn after_lease(
    existing: &Bytes,
    mine: Token,
    expected: ReadableFormat,
    present: impl Fn(&TagKey) -> Option<Token>,
) -> AfterLease {
    match Frame::parse(existing) {
        Ok(Frame::Lease(token)) if token == mine => AfterLease::Load,
        Ok(Frame::Lease(_)) => AfterLease::Wait,
        Ok(Frame::Entry(entry)) if serves(&entry, expected, &present) => AfterLease::Serve(entry),
        _ => AfterLease::ReadAgain,
    }
}

fn serves(entry: &Entry, expected: ReadableFormat, present: &impl Fn(&TagKey) -> Option<Token>) -> bool {
    let header = &entry.header;
    // Each tag that stands is one of the key's here, so as many are all of them. An entry with fewer was written by an instance
    // that declares fewer: an invalidation of the others would pass it over.
    let is_readable = header.codec == expected.codec
        && header.class_version == expected.class_version
        && header.tags.len() == expected.tags;
    is_readable && are_current(&header.tags, present)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{Header, Seal};
    use crate::protocol::tag::TagToken;

    const EXPECTED: ReadableFormat = ReadableFormat { codec: 0, class_version: 1, tags: 1 };

    fn tag() -> TagKey {
        TagKey::from(Bytes::from_static(b"ns:#users"))
    }

    fn entry(token: Token) -> Entry {
        let header = Header {
            codec: 0,
            class_version: 1,
            digest: 0,
            loaded_at_millis: 0,
            ttl_millis: 1_000,
            tags: vec![TagToken { tag: tag(), token }],
        };
        let payload = Some(Bytes::from_static(b"v"));
        Entry { fill: Token::random(), header, payload, seal: Seal::default() }
    }

    #[test]
    fn an_empty_key_is_leased_and_a_leased_one_waited_for() {
        let nothing = after_read(None, EXPECTED, |_| None);
        assert_eq!(nothing, AfterRead::Acquire { replace: None, alarm: None });
        let lease = Token::random().lease_frame();
        assert_eq!(after_read(Some(&lease), EXPECTED, |_| None), AfterRead::Wait);
    }

    #[test]
    fn an_entry_whose_tag_moved_is_replaced_by_its_fingerprint_only() {
        let (then, now) = (Token::random(), Token::random());
        let frame = entry(then).encode();
        assert!(matches!(after_read(Some(&frame), EXPECTED, |_| Some(then)), AfterRead::Serve(_)));
        let moved = after_read(Some(&frame), EXPECTED, |_| Some(now));
        assert_eq!(moved, AfterRead::Acquire { replace: Some(frame.slice(..17)), alarm: None });
    }

    #[test]
    fn a_permit_is_a_miss_that_a_reader_may_replace() {
        let permit = Token::random().permit_frame();
        let seen = after_read(Some(&permit), EXPECTED, |_| None);
        assert_eq!(seen, AfterRead::Acquire { replace: Some(permit.clone()), alarm: None });
        assert_eq!(after_lease(&permit, Token::random(), EXPECTED, |_| None), AfterLease::ReadAgain);
    }

    #[test]
    fn an_entry_of_another_codec_class_version_or_set_of_tags_is_a_miss() {
        let token = Token::random();
        let frame = entry(token).encode();
        for other in [
            ReadableFormat { codec: 1, ..EXPECTED },
            ReadableFormat { class_version: 2, ..EXPECTED },
            ReadableFormat { tags: 2, ..EXPECTED },
        ] {
            assert!(matches!(after_read(Some(&frame), other, |_| Some(token)), AfterRead::Acquire { .. }));
        }
    }

    #[test]
    fn hostile_bytes_are_a_miss_with_an_alarm() {
        let junk = Bytes::from_static(b"junk");
        let seen = after_read(Some(&junk), EXPECTED, |_| None);
        assert_eq!(seen, AfterRead::Acquire { replace: Some(junk), alarm: Some(FrameError::Truncated) });
    }

    #[test]
    fn only_the_holder_of_the_lease_loads_with_a_fence() {
        let mine = Token::random();
        assert_eq!(after_lease(&mine.lease_frame(), mine, EXPECTED, |_| None), AfterLease::Load);
        let other = Token::random().lease_frame();
        assert_eq!(after_lease(&other, mine, EXPECTED, |_| None), AfterLease::Wait);
        let token = Token::random();
        let frame = entry(token).encode();
        assert!(matches!(after_lease(&frame, mine, EXPECTED, |_| Some(token)), AfterLease::Serve(_)));
        assert_eq!(after_lease(&frame, mine, EXPECTED, |_| None), AfterLease::ReadAgain);
    }
}

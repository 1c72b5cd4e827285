//! What a reader does with the value that it found under a key: serve it, wait for another read's load, or take the
//! lease.
//!
//! A lease is a unique token that is stored under the entry's key. A fill is a compare-and-set against that token.
//! Invariant: if any client deletes or replaces the key between the lease and the fill, Redis refuses the fill.

use bytes::Bytes;

use crate::protocol::frame::{Entry, Frame, FrameError, fingerprint};
use crate::protocol::tag::{TagKey, are_current};
use crate::protocol::token::Token;

/// Which entries a class can read: those of these codecs and this class version that have all tags of the key. Any other
/// entry is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadableFormat {
    pub codecs: &'static [u8],
    pub class_version: u32,
    /// How many tags the key has in this process.
    pub tags: usize,
}

/// What a read does after it has read the key and its tags.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterRead {
    /// A valid entry.
    Serve(Entry),
    /// Another read holds the lease: wait for the push that reports a change of the key.
    Wait,
    /// There is no valid entry: take the lease with LEASE. `replace` is the fingerprint of the frame that may be
    /// overwritten. The script LEASE compares it, so that LEASE never overwrites a newer frame. `unused` is that frame.
    Acquire { replace: Option<Bytes>, unused: Unused },
}

/// What a read found under the key and does not use.
#[derive(Debug, PartialEq, Eq)]
pub enum Unused {
    Nothing,
    /// Bytes that are no frame.
    Broken(FrameError),
    /// An entry: of another codec, class version or set of tags, or one of its tags was invalidated.
    Entry(Entry),
    /// A frame that is no entry, such as a permit.
    Other,
}

impl Unused {
    /// For a value that is not used, whatever it is.
    pub fn of(value: Option<&Bytes>) -> Self {
        match value.map(Frame::parse) {
            None => Unused::Nothing,
            Some(Err(broken)) => Unused::Broken(broken),
            Some(Ok(Frame::Entry(entry))) => Unused::Entry(entry),
            Some(Ok(_)) => Unused::Other,
        }
    }
}

/// What a read does after LEASE.
#[derive(Debug, PartialEq, Eq)]
pub enum AfterLease {
    /// The lease is ours: load, then FILL.
    Load,
    /// Another read's fill arrived first: read again. Only the reply of a tracked read is served and enters memory.
    Filled(Entry),
    /// Another read's lease arrived first.
    Wait,
    /// The key holds neither a lease nor an entry that is valid here: read again.
    ReadAgain,
}

/// Decides after a read of the key, before LEASE. `present` returns the token that the same reply has for a tag.
pub fn after_read(
    value: Option<&Bytes>,
    expected: ReadableFormat,
    present: impl Fn(&TagKey) -> Option<Token>,
) -> AfterRead {
    let Some(bytes) = value else {
        return AfterRead::Acquire { replace: None, unused: Unused::Nothing };
    };
    let unused = match Frame::parse(bytes) {
        Ok(Frame::Lease(_)) => return AfterRead::Wait,
        Ok(Frame::Entry(entry)) if serves(&entry, expected, &present) => return AfterRead::Serve(entry),
        Ok(Frame::Entry(entry)) => Unused::Entry(entry),
        Ok(_) => Unused::Other,
        Err(broken) => Unused::Broken(broken),
    };
    AfterRead::Acquire { replace: Some(fingerprint(bytes)), unused }
}

/// Decides after LEASE replied with the frame that is under the key now. `mine` is the token that LEASE was to set.
pub fn after_lease(
    existing: &Bytes,
    mine: Token,
    expected: ReadableFormat,
    present: impl Fn(&TagKey) -> Option<Token>,
) -> AfterLease {
    match Frame::parse(existing) {
        Ok(Frame::Lease(token)) if token == mine => AfterLease::Load,
        Ok(Frame::Lease(_)) => AfterLease::Wait,
        Ok(Frame::Entry(entry)) if serves(&entry, expected, &present) => AfterLease::Filled(entry),
        _ => AfterLease::ReadAgain,
    }
}

fn serves(entry: &Entry, expected: ReadableFormat, present: &impl Fn(&TagKey) -> Option<Token>) -> bool {
    let header = &entry.header;
    // `are_current` demands that each tag of the entry is among the key's tags, so an equal number means all of them.
    // An entry with fewer tags was written by an instance that declares fewer: an invalidation of the missing tags
    // would not make the entry invalid.
    let is_readable = expected.codecs.contains(&header.codec_id())
        && header.class_version == expected.class_version
        && header.tags.len() == expected.tags;
    is_readable && are_current(&header.tags, present)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{Header, Seal};
    use crate::protocol::tag::TagToken;

    const EXPECTED: ReadableFormat = ReadableFormat { codecs: &[0], class_version: 1, tags: 1 };

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
            stale_millis: 0,
            load_millis: 0,
            loader_version: None,
            tags: vec![TagToken { tag: tag(), token }],
        };
        let payload = Some(Bytes::from_static(b"v"));
        Entry { fill: Token::random(), header, payload, seal: Seal::default() }
    }

    fn entry_of(frame: &Bytes) -> Entry {
        let Ok(Frame::Entry(entry)) = Frame::parse(frame) else { panic!("no entry") };
        entry
    }

    #[test]
    fn a_reader_leases_an_empty_key_and_waits_for_a_leased_one() {
        let nothing = after_read(None, EXPECTED, |_| None);
        assert_eq!(nothing, AfterRead::Acquire { replace: None, unused: Unused::Nothing });
        let lease = Token::random().lease_frame();
        assert_eq!(after_read(Some(&lease), EXPECTED, |_| None), AfterRead::Wait);
    }

    #[test]
    fn an_entry_whose_tag_has_another_token_is_replaced_only_if_its_fingerprint_matches() {
        let (then, now) = (Token::random(), Token::random());
        let frame = entry(then).encode();
        assert!(matches!(after_read(Some(&frame), EXPECTED, |_| Some(then)), AfterRead::Serve(_)));
        let moved = after_read(Some(&frame), EXPECTED, |_| Some(now));
        let unused = Unused::Entry(entry_of(&frame));
        assert_eq!(moved, AfterRead::Acquire { replace: Some(frame.slice(..17)), unused });
    }

    #[test]
    fn a_permit_is_a_miss_that_a_reader_may_replace() {
        let permit = Token::random().permit_frame();
        let seen = after_read(Some(&permit), EXPECTED, |_| None);
        assert_eq!(seen, AfterRead::Acquire { replace: Some(permit.clone()), unused: Unused::Other });
        assert_eq!(after_lease(&permit, Token::random(), EXPECTED, |_| None), AfterLease::ReadAgain);
    }

    #[test]
    fn an_entry_of_another_codec_class_version_or_set_of_tags_is_a_miss() {
        let token = Token::random();
        let frame = entry(token).encode();
        for other in [
            ReadableFormat { codecs: &[1, 2], ..EXPECTED },
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
        assert_eq!(
            seen,
            AfterRead::Acquire { replace: Some(junk), unused: Unused::Broken(FrameError::Truncated) }
        );
    }

    #[test]
    fn only_the_holder_of_the_lease_loads() {
        let mine = Token::random();
        assert_eq!(after_lease(&mine.lease_frame(), mine, EXPECTED, |_| None), AfterLease::Load);
        let other = Token::random().lease_frame();
        assert_eq!(after_lease(&other, mine, EXPECTED, |_| None), AfterLease::Wait);
        let token = Token::random();
        let frame = entry(token).encode();
        assert!(matches!(after_lease(&frame, mine, EXPECTED, |_| Some(token)), AfterLease::Filled(_)));
        assert_eq!(after_lease(&frame, mine, EXPECTED, |_| None), AfterLease::ReadAgain);
    }
}

//! What stands in Redis under a key: a lease, an entry, a known absence, a tag's token, a permit, or an anchor.
//!
//! Every frame is one kind byte and a 16-byte id, then what the kind needs. The id stands at a fixed place
//! so that a script can compare it without decoding anything (see `lease`).
//!
//! ```text
//! 'L' token                          a lease: somebody is loading this key
//! 'T' token                          a tag's present token
//! 'P' id                             a permit is out to put a computed value here; readers take it for a miss
//! 'A' id                             the anchor of a memory-only class: no value, only a key that can be unlinked
//! 'V' fill  header(postcard) bytes   an entry
//! 'N' fill  header(postcard)         known to be absent
//! ```

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::protocol::tag::Taken;
use crate::protocol::token::Token;

/// Length of the kind byte and the id, which every frame begins with.
const PREFIX_BYTES: usize = 17;
/// The layout of [`Header`]; a frame of another version is a miss.
const HEADER_VERSION: u8 = 1;

impl Token {
    /// The frame of a lease with this token: what LEASE sets and FILL compares.
    pub fn lease_frame(self) -> Bytes {
        prefixed(b'L', self).freeze()
    }

    /// The frame of a tag with this token.
    pub fn tag_frame(self) -> Bytes {
        prefixed(b'T', self).freeze()
    }

    /// The frame of a permit of this id.
    pub fn permit_frame(self) -> Bytes {
        prefixed(b'P', self).freeze()
    }

    /// The frame of an anchor of this id.
    pub fn anchor_frame(self) -> Bytes {
        prefixed(b'A', self).freeze()
    }
}

/// What an entry says of itself beside its value.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Which codec wrote the bytes.
    pub codec: u8,
    /// The version of the class's value type, as its owner counts it.
    pub class_version: u32,
    /// Wall time at the START of the load, in milliseconds since 1970.
    pub loaded_at_millis: u64,
    /// How long the entry may stay anywhere, counted from the start of the load.
    pub ttl_millis: u64,
    /// The tags' tokens taken before the load; the entry is valid while every one still stands.
    pub tags: Vec<Taken>,
}

/// An entry as read: a value's bytes, or the knowledge that there is none.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub fill: Token,
    pub header: Header,
    /// `None` means known to be absent.
    pub payload: Option<Bytes>,
}

/// A parsed frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    Lease(Token),
    Tag(Token),
    Permit(Token),
    Anchor(Token),
    Entry(Entry),
}

/// Bytes that are no frame of this version: a miss and an alarm, never a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    #[error("shorter than a frame")]
    Truncated,
    #[error("an unknown kind byte")]
    Kind,
    #[error("a header of another version")]
    Version,
    #[error("a header that does not decode")]
    Header,
    #[error("bytes after the end of the frame")]
    Trailing,
}

impl Entry {
    pub fn encode(&self) -> Bytes {
        let kind = if self.payload.is_some() { b'V' } else { b'N' };
        let mut frame = prefixed(kind, self.fill);
        frame.extend_from_slice(&[HEADER_VERSION]);
        // Postcard fails only on types it cannot express and on full buffers; a header is neither.
        let header = postcard::to_stdvec(&self.header).expect("a header always encodes");
        frame.extend_from_slice(&header);
        if let Some(payload) = &self.payload {
            frame.extend_from_slice(payload);
        }
        frame.freeze()
    }
}

impl Frame {
    /// Reads whatever stood under a key. The payload is a slice of `bytes`, not a copy.
    pub fn parse(bytes: &Bytes) -> Result<Self, Broken> {
        let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES).ok_or(Broken::Truncated)?;
        let mut id = [0; 16];
        id.copy_from_slice(&prefix[1..]);
        let id = Token::from_bytes(id);
        match (prefix[0], rest.is_empty()) {
            (b'L', true) => Ok(Frame::Lease(id)),
            (b'T', true) => Ok(Frame::Tag(id)),
            (b'P', true) => Ok(Frame::Permit(id)),
            (b'A', true) => Ok(Frame::Anchor(id)),
            (b'L' | b'T' | b'P' | b'A', false) => Err(Broken::Trailing),
            (kind @ (b'V' | b'N'), _) => parse_entry(kind, id, bytes, rest).map(Frame::Entry),
            _ => Err(Broken::Kind),
        }
    }
}

fn parse_entry(kind: u8, fill: Token, whole: &Bytes, rest: &[u8]) -> Result<Entry, Broken> {
    let (version, rest) = rest.split_first().ok_or(Broken::Truncated)?;
    if *version != HEADER_VERSION {
        return Err(Broken::Version);
    }
    let (header, payload) = postcard::take_from_bytes::<Header>(rest).map_err(|_| Broken::Header)?;
    match kind {
        b'N' if payload.is_empty() => Ok(Entry { fill, header, payload: None }),
        b'N' => Err(Broken::Trailing),
        _ => Ok(Entry { fill, header, payload: Some(whole.slice_ref(payload)) }),
    }
}

/// The bytes by which a script recognises exactly this frame again: kind and id, or all of a shorter value.
pub fn fingerprint(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(PREFIX_BYTES))
}

fn prefixed(kind: u8, id: Token) -> BytesMut {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES);
    frame.extend_from_slice(&[kind]);
    frame.extend_from_slice(id.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::tag::TagKey;

    fn entry(payload: Option<&'static [u8]>) -> Entry {
        let tag = TagKey::from(Bytes::from_static(b"ns:#users"));
        Entry {
            fill: Token::random(),
            header: Header {
                codec: 1,
                class_version: 7,
                loaded_at_millis: 1_763_700_000_000,
                ttl_millis: 180_000,
                tags: vec![Taken { tag, token: Token::random() }],
            },
            payload: payload.map(Bytes::from_static),
        }
    }

    #[test]
    fn every_kind_of_frame_comes_back_as_it_was_written() {
        let token = Token::random();
        assert_eq!(Frame::parse(&token.lease_frame()), Ok(Frame::Lease(token)));
        assert_eq!(Frame::parse(&token.tag_frame()), Ok(Frame::Tag(token)));
        assert_eq!(Frame::parse(&token.permit_frame()), Ok(Frame::Permit(token)));
        assert_eq!(Frame::parse(&token.anchor_frame()), Ok(Frame::Anchor(token)));
        for payload in [Some(&b"bytes"[..]), Some(&b""[..]), None] {
            let entry = entry(payload);
            assert_eq!(Frame::parse(&entry.encode()), Ok(Frame::Entry(entry)));
        }
    }

    #[test]
    fn a_frame_cut_anywhere_before_its_payload_is_broken_not_misread() {
        let whole = entry(None).encode();
        for end in 0..whole.len() {
            assert!(Frame::parse(&whole.slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn another_header_version_is_a_miss() {
        let mut bytes = entry(Some(b"x")).encode().to_vec();
        bytes[PREFIX_BYTES] = HEADER_VERSION + 1;
        assert_eq!(Frame::parse(&Bytes::from(bytes)), Err(Broken::Version));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::parse(&Bytes::from(bytes));
        }

        #[test]
        fn a_hostile_header_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = vec![b'V'];
            bytes.extend([0; 16]);
            bytes.push(HEADER_VERSION);
            bytes.extend(tail);
            let _ = Frame::parse(&Bytes::from(bytes));
        }
    }
}

//! What larder stores in Redis under a key: a lease, an entry, an absence, a tag token, a permit, or an anchor.
//!
//! Every frame is one kind byte and a 16-byte id, then what the kind needs. The id is at a fixed offset, so that a
//! script compares it without decoding the frame (see `lease`).
//!
//! ```text
//! 'L' token                          a lease: a read is loading this key
//! 'T' token                          a tag's present token
//! 'P' id                             a permit to put a computed value here; a miss for readers
//! 'A' id                             the anchor of an entry of a memory-only class: a key to unlink, without a value
//! 'V' fill_id layout_version seal_kind header(postcard) payload mac   an entry
//! 'N' fill_id layout_version seal_kind header(postcard) mac           an absence
//! ```

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;

/// The length of the kind byte and the id, with which every frame begins.
pub(crate) const PREFIX_BYTES: usize = 17;
/// The most bytes that an entry may have besides those of its value; an entry with more is not stored. A text in Redis
/// that is longer than this plus the largest value is cut while it arrives, and is never in memory.
pub(crate) const OVERHEAD_BYTES_MAX: usize = 64 << 10;
/// The version of an entry's layout. A frame with another version is a miss.
const LAYOUT_VERSION: u8 = 3;
const MAC_BYTES: usize = 16;
/// The bit of [`Header::codec`] that says that the bytes are compressed. The mac covers the header, so a damaged bit is
/// noticed, and if entries are authenticated, a forged one too.
const COMPRESSED: u8 = 0x80;

impl Token {
    /// The frame of a lease with this token: what LEASE sets and FILL compares.
    pub fn lease_frame(self) -> Bytes {
        prefixed(b'L', self).freeze()
    }

    /// The frame of a tag with this token.
    pub fn tag_frame(self) -> Bytes {
        prefixed(b'T', self).freeze()
    }

    /// The frame of a permit with this id.
    pub fn permit_frame(self) -> Bytes {
        prefixed(b'P', self).freeze()
    }

    /// The frame of an anchor with this id.
    pub fn anchor_frame(self) -> Bytes {
        prefixed(b'A', self).freeze()
    }
}

/// How an entry was written.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The codec that wrote the bytes, and the bit that says whether they are compressed; see [`Header::codec_id`].
    pub codec: u8,
    /// The version of the class's value type, as the application counts it.
    pub class_version: u32,
    /// The digest of the value, as its type describes it to serde; 0 for an absence.
    pub digest: u64,
    /// Wall time at the START of the load, in milliseconds since 1970.
    pub loaded_at_millis: u64,
    /// The entry's TTL, counted from the start of the load.
    pub ttl_millis: u64,
    /// How long after its TTL the entry may be used; see [`aging`](crate::protocol::aging).
    pub stale_millis: u64,
    /// How long the load took.
    pub load_millis: u64,
    /// The version that the loader named.
    pub loader_version: Option<String>,
    /// The tokens that the tags had before the load. The entry is valid while every tag still has its token.
    pub tags: Vec<TagToken>,
}

/// An entry: a value's bytes, or the knowledge that the database has no value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Entry {
    pub fill: Token,
    pub header: Header,
    /// `None`: the database has no value.
    pub payload: Option<Bytes>,
    pub seal: Seal,
}

/// Authenticates an entry for its key, or detects damage; see [`protection`](crate::protection).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Seal {
    pub kind: SealKind,
    /// The authentication code or checksum over `Entry::context` and the value's bytes.
    pub mac: [u8; MAC_BYTES],
}

/// What the mac of an entry proves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum SealKind {
    /// The entry is not damaged: the mac is a checksum.
    #[default]
    Checked = 0,
    /// A process with the entry secret wrote the entry.
    Authenticated = 1,
    /// The same as `Authenticated`; and the value is encrypted.
    Sealed = 2,
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

/// Why bytes are no frame of this version. A reader treats such bytes as a miss, and counts and logs them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("shorter than a frame")]
    Truncated,
    #[error("an unknown kind byte")]
    Kind,
    #[error("a header of another version")]
    Version,
    #[error("an unknown kind of seal")]
    Seal,
    #[error("a header that does not decode")]
    Header,
    #[error("bytes after the end of the frame")]
    Trailing,
}

impl Entry {
    pub fn encode(&self) -> Bytes {
        let payload = self.payload.as_deref().unwrap_or_default();
        let mut frame =
            Vec::with_capacity(PREFIX_BYTES + 2 + self.header.bytes_max() + payload.len() + MAC_BYTES);
        frame.push(self.kind());
        frame.extend_from_slice(self.fill.as_bytes());
        frame.extend_from_slice(&[LAYOUT_VERSION, self.seal.kind as u8]);
        let mut frame = self.header.append_to(frame);
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&self.seal.mac);
        Bytes::from(frame)
    }

    /// What the mac covers besides the value's bytes: the entry's key, kind, fill id, seal kind and header. The vector
    /// has spare capacity for the value's bytes.
    pub(crate) fn context(&self, key: &[u8]) -> Vec<u8> {
        let payload_bytes = self.payload.as_ref().map_or(0, Bytes::len);
        let own_bytes = 8 + key.len() + PREFIX_BYTES + 1 + self.header.bytes_max();
        let mut context = Vec::with_capacity(own_bytes + payload_bytes);
        // The key's length comes first, so that two different pairs of key and rest never give the same bytes.
        context.extend_from_slice(&(key.len() as u64).to_le_bytes());
        context.extend_from_slice(key);
        context.push(self.kind());
        context.extend_from_slice(self.fill.as_bytes());
        context.push(self.seal.kind as u8);
        self.header.append_to(context)
    }

    fn kind(&self) -> u8 {
        if self.payload.is_some() { b'V' } else { b'N' }
    }
}

impl Header {
    /// The value of [`Header::codec`] for these bytes.
    pub(crate) fn codec_of(codec_id: u8, is_compressed: bool) -> u8 {
        if is_compressed { codec_id | COMPRESSED } else { codec_id }
    }

    /// The codec that wrote the bytes, whether they are compressed or not.
    pub fn codec_id(&self) -> u8 {
        self.codec & !COMPRESSED
    }

    /// Whether the bytes are compressed.
    pub fn is_compressed(&self) -> bool {
        self.codec & COMPRESSED != 0
    }

    fn append_to(&self, frame: Vec<u8>) -> Vec<u8> {
        // Postcard fails only on types it cannot express and on full buffers; a header is neither.
        postcard::to_extend(self, frame).expect("a header always encodes")
    }

    /// An upper limit of the bytes that an entry with this header has beside its value's.
    pub(crate) fn overhead_bytes(&self) -> usize {
        // An encrypted value is longer by a second authentication code.
        PREFIX_BYTES + 2 + self.bytes_max() + 2 * MAC_BYTES
    }

    /// An upper limit of the bytes that [`Header::append_to`] appends: postcard writes at most 10 bytes for each
    /// number.
    fn bytes_max(&self) -> usize {
        let tags = self.tags.iter().map(|taken| taken.tag.as_bytes().len() + 10 + 16);
        let version = self.loader_version.as_ref().map_or(0, String::len);
        9 * 10 + version + tags.sum::<usize>()
    }
}

impl Frame {
    /// Parses the bytes that were read under a key. The payload is a slice of `bytes`, not a copy.
    pub fn parse(bytes: &Bytes) -> Result<Self, FrameError> {
        let (prefix, rest) = bytes.split_at_checked(PREFIX_BYTES).ok_or(FrameError::Truncated)?;
        let mut id = [0; 16];
        id.copy_from_slice(&prefix[1..]);
        let id = Token::from_bytes(id);
        match (prefix[0], rest.is_empty()) {
            (b'L', true) => Ok(Frame::Lease(id)),
            (b'T', true) => Ok(Frame::Tag(id)),
            (b'P', true) => Ok(Frame::Permit(id)),
            (b'A', true) => Ok(Frame::Anchor(id)),
            (b'L' | b'T' | b'P' | b'A', false) => Err(FrameError::Trailing),
            (kind @ (b'V' | b'N'), _) => parse_entry(kind, id, bytes, rest).map(Frame::Entry),
            _ => Err(FrameError::Kind),
        }
    }
}

fn parse_entry(kind: u8, fill: Token, frame: &Bytes, rest: &[u8]) -> Result<Entry, FrameError> {
    let ([layout_version, seal_kind], rest) = rest.split_first_chunk().ok_or(FrameError::Truncated)?;
    if *layout_version != LAYOUT_VERSION {
        return Err(FrameError::Version);
    }
    let seal_kind = match seal_kind {
        0 => SealKind::Checked,
        1 => SealKind::Authenticated,
        2 => SealKind::Sealed,
        _ => return Err(FrameError::Seal),
    };
    let (rest, mac) = rest.split_last_chunk().ok_or(FrameError::Truncated)?;
    let seal = Seal { kind: seal_kind, mac: *mac };
    let (header, payload) = postcard::take_from_bytes::<Header>(rest).map_err(|_| FrameError::Header)?;
    match kind {
        b'N' if payload.is_empty() => Ok(Entry { fill, header, payload: None, seal }),
        b'N' => Err(FrameError::Trailing),
        _ => Ok(Entry { fill, header, payload: Some(frame.slice_ref(payload)), seal }),
    }
}

/// The bytes by which a script recognises exactly this frame: kind and id, or all bytes of a shorter value.
pub fn fingerprint(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(PREFIX_BYTES))
}

fn prefixed(kind: u8, id: Token) -> BytesMut {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES);
    prefix(&mut frame, kind, id);
    frame
}

fn prefix(frame: &mut BytesMut, kind: u8, id: Token) {
    frame.extend_from_slice(&[kind]);
    frame.extend_from_slice(id.as_bytes());
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
                digest: 11,
                loaded_at_millis: 1_763_700_000_000,
                ttl_millis: 180_000,
                stale_millis: 3_600_000,
                load_millis: 12,
                loader_version: Some("W/\"7\"".to_owned()),
                tags: vec![TagToken { tag, token: Token::random() }],
            },
            payload: payload.map(Bytes::from_static),
            seal: Seal { kind: SealKind::Sealed, mac: [9; MAC_BYTES] },
        }
    }

    #[test]
    fn every_kind_of_frame_parses_to_what_was_encoded() {
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
    fn a_truncated_frame_is_an_error() {
        let frame = entry(None).encode();
        for end in 0..frame.len() {
            assert!(Frame::parse(&frame.slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn another_header_version_is_a_miss() {
        let mut bytes = entry(Some(b"x")).encode().to_vec();
        bytes[PREFIX_BYTES] = LAYOUT_VERSION + 1;
        assert_eq!(Frame::parse(&Bytes::from(bytes)), Err(FrameError::Version));
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
            bytes.extend([LAYOUT_VERSION, 0]);
            bytes.extend(tail);
            let _ = Frame::parse(&Bytes::from(bytes));
        }
    }
}

//! Values that are bytes already.

use std::any::TypeId;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::allocation::{arc_bytes, heap_bytes};
use crate::codec::{AnyValue, Codec, CodecError, DecodedValue};

/// The types whose values are stored as their bytes. Each has a digest of its own, so that an entry of one is a miss for the others.
#[derive(Clone, Copy)]
#[repr(u64)]
enum RawKind {
    Vec = 1,
    Text,
    Bytes,
}

impl RawKind {
    fn of<V: 'static>() -> Option<Self> {
        let kinds = [
            (TypeId::of::<Vec<u8>>(), RawKind::Vec),
            (TypeId::of::<String>(), RawKind::Text),
            (TypeId::of::<Bytes>(), RawKind::Bytes),
        ];
        kinds.into_iter().find(|(id, _)| *id == TypeId::of::<V>()).map(|(_, kind)| kind)
    }
}

pub(super) fn is_raw<V: 'static>() -> bool {
    RawKind::of::<V>().is_some()
}

fn bytes_of(value: &AnyValue) -> Result<(RawKind, &[u8]), CodecError> {
    if let Some(bytes) = value.downcast_ref::<Vec<u8>>() {
        return Ok((RawKind::Vec, bytes));
    }
    if let Some(text) = value.downcast_ref::<String>() {
        return Ok((RawKind::Text, text.as_bytes()));
    }
    value.downcast_ref::<Bytes>().map(|bytes| (RawKind::Bytes, &bytes[..])).ok_or(CodecError::Type)
}

pub(super) fn encode(_: Codec, value: &AnyValue) -> Result<Vec<u8>, CodecError> {
    Ok(bytes_of(value)?.1.to_vec())
}

pub(super) fn digest(value: &AnyValue) -> Result<u64, CodecError> {
    let (kind, bytes) = bytes_of(value)?;
    Ok(xxh3_64_with_seed(bytes, kind as u64))
}

pub(super) fn decode<V: 'static>(_: Codec, bytes: &[u8]) -> Result<DecodedValue, CodecError> {
    let content = heap_bytes(bytes.len());
    let (value, memory_bytes): (AnyValue, u64) = match RawKind::of::<V>().ok_or(CodecError::Type)? {
        RawKind::Vec => (Arc::new(bytes.to_vec()), arc_bytes(size_of::<Vec<u8>>())),
        RawKind::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| CodecError::Text)?;
            (Arc::new(text.to_owned()), arc_bytes(size_of::<String>()))
        }
        // A copy: a slice would keep the reply of Redis in memory. Its first clone allocates two numbers and a pointer.
        RawKind::Bytes => {
            let shared = heap_bytes(3 * size_of::<usize>());
            (Arc::new(Bytes::copy_from_slice(bytes)), arc_bytes(size_of::<Bytes>()) + shared)
        }
    };
    Ok(DecodedValue { value, memory_bytes: memory_bytes + content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Coder;
    use crate::protocol::rules::ProtocolRules;

    fn carried<V>(value: V)
    where
        V: serde::Serialize
            + serde::de::DeserializeOwned
            + Send
            + Sync
            + PartialEq
            + std::fmt::Debug
            + 'static,
    {
        let (coder, value) = (Coder::of::<V>(Codec::Raw), Arc::new(value));
        let encoded = coder.encode_verified(&(value.clone() as AnyValue), 100).unwrap();
        assert_eq!(encoded.value.value.downcast_ref::<V>(), Some(&*value));
        let decoded = coder
            .decode(Codec::Raw.id(), &encoded.payload, encoded.digest, ProtocolRules::default())
            .unwrap();
        assert_eq!(decoded.value.downcast_ref::<V>(), Some(&*value));
        assert!(decoded.memory_bytes >= encoded.payload.len() as u64);
        assert!(matches!(
            coder.encode_verified(&(value as AnyValue), 2),
            Err(CodecError::TooLarge { bytes: 3 })
        ));
    }

    #[test]
    fn bytes_and_texts_are_carried_as_they_are() {
        carried(vec![0_u8, 255, 7]);
        carried("\u{e9}x".to_owned());
    }

    #[test]
    fn an_entry_of_one_type_is_none_of_another() {
        let vec =
            Coder::of::<Vec<u8>>(Codec::Raw).encode_verified(&(Arc::new(b"abc".to_vec()) as AnyValue), 100);
        let (payload, digest) = vec.map(|encoded| (encoded.payload, encoded.digest)).unwrap();
        let text = Coder::of::<String>(Codec::Raw);
        assert!(matches!(
            text.decode(Codec::Raw.id(), &payload, digest, ProtocolRules::default()),
            Err(CodecError::Shape)
        ));
        assert!(matches!(
            text.decode(Codec::Raw.id(), b"\xff", digest, ProtocolRules::default()),
            Err(CodecError::Text)
        ));
        assert!(!Coder::is_raw::<Vec<u16>>() && Coder::is_raw::<Bytes>());
    }
}

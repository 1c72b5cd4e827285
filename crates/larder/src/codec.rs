//! How values become bytes, and how the untyped engine carries typed values.

use std::any::Any;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::digest::{DigestError, digest};
use crate::protocol::rules::{ProtocolRule, ProtocolRules};

/// A value of some class, its type forgotten between the class and its entries.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// The wire format of a class's values in Redis. Memory keeps the decoded value, not its bytes.
///
/// Each value is encoded, decoded and compared before it is stored. If it differs, the caller gets the loaded value, no tier
/// stores it, the log has an error, and [`not_carried`](crate::stats::Stats::not_carried) counts it. That holds without Redis
/// too, so a test on memory alone finds such a value.
///
/// # Examples
///
/// ```
/// use larder::codec::Codec;
///
/// assert_eq!(Codec::default(), Codec::MessagePack);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// [MessagePack](https://msgpack.org) with the names of fields and variants, and self-describing: it carries what serde's
    /// attributes make of a type (`skip_serializing_if`, `flatten`, `untagged`, `default`), decimals, dates, maps with any
    /// keys, and JSON. It does not carry `Some(None)` and `Some(())`, which it cannot tell from `None`.
    #[default]
    MessagePack,
    /// The smallest and fastest. It carries plain types alone: no `skip_serializing_if`, `flatten` or `untagged`, and nothing
    /// that asks the data what it is.
    Postcard,
    /// Readable in `redis-cli`. It carries no numbers that are infinite or not a number, and only texts and integers as keys
    /// of a map.
    Json,
}

impl Codec {
    pub(crate) fn id(self) -> u8 {
        match self {
            Codec::Postcard => 0,
            Codec::Json => 1,
            Codec::MessagePack => 2,
        }
    }
}

/// A value that the codec could not write or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error(transparent)]
    Pack(#[from] rmp_serde::encode::Error),
    #[error(transparent)]
    Unpack(#[from] rmp_serde::decode::Error),
    #[error(transparent)]
    Postcard(#[from] postcard::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("the value is of another type than its class")]
    Type,
    #[error("the value that comes back differs from the one that was written")]
    Changed,
    #[error("the entry was written by a type of another shape")]
    Shape,
    #[error("the value takes {bytes} bytes")]
    TooLarge { bytes: usize },
}

/// A value as it may be stored: its bytes, and what they stand for.
pub(crate) struct EncodedValue {
    pub(crate) payload: Vec<u8>,
    pub(crate) digest: u64,
    /// What the bytes decode to. Readers get this one, the first of them too, so that all get the same.
    pub(crate) value: AnyValue,
}

/// Encodes and decodes one class's values without naming their type.
#[derive(Clone, Copy)]
pub(crate) struct Coder {
    codec: Codec,
    type_name: fn() -> &'static str,
    encode: fn(Codec, &AnyValue) -> Result<Vec<u8>, CodecError>,
    decode: fn(Codec, &[u8]) -> Result<AnyValue, CodecError>,
    digest: fn(&AnyValue) -> Result<u64, CodecError>,
}

impl Coder {
    pub(crate) fn of<V: Serialize + DeserializeOwned + Send + Sync + 'static>(codec: Codec) -> Self {
        let type_name = std::any::type_name::<V>;
        Coder { codec, type_name, encode: encode::<V>, decode: decode::<V>, digest: digest_of::<V> }
    }

    /// The Rust type of the values. For messages alone: two types may have one name.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Encodes `value`, and sees to it that it comes back as it was. The bytes alone would not show that: a codec that leaves
    /// out names reads a value whose fields have moved, and writes the same bytes again.
    pub(crate) fn encode_verified(
        &self,
        value: &AnyValue,
        max_bytes: usize,
    ) -> Result<EncodedValue, CodecError> {
        // First: it refuses what is nested too deep to be decoded.
        let digest = (self.digest)(value)?;
        let payload = (self.encode)(self.codec, value)?;
        if payload.len() > max_bytes {
            return Err(CodecError::TooLarge { bytes: payload.len() });
        }
        let value = (self.decode)(self.codec, &payload)?;
        if (self.digest)(&value)? != digest {
            return Err(CodecError::Changed);
        }
        Ok(EncodedValue { payload, digest, value })
    }

    /// Decodes what a value of this `digest` was encoded to, here or elsewhere.
    pub(crate) fn decode(
        &self,
        payload: &[u8],
        digest: u64,
        rules: ProtocolRules,
    ) -> Result<AnyValue, CodecError> {
        let value = (self.decode)(self.codec, payload)?;
        if rules.keeps(ProtocolRule::ComparesDigests) && (self.digest)(&value)? != digest {
            return Err(CodecError::Shape);
        }
        Ok(value)
    }
}

fn typed<V: 'static>(value: &AnyValue) -> Result<&V, CodecError> {
    value.downcast_ref::<V>().ok_or(CodecError::Type)
}

fn digest_of<V: Serialize + 'static>(value: &AnyValue) -> Result<u64, CodecError> {
    Ok(digest(typed::<V>(value)?)?)
}

fn encode<V: Serialize + 'static>(codec: Codec, value: &AnyValue) -> Result<Vec<u8>, CodecError> {
    let value = typed::<V>(value)?;
    Ok(match codec {
        Codec::MessagePack => {
            let mut bytes = Vec::with_capacity(128);
            // serde's buffer for `flatten` and `untagged` always claims to be human-readable. If the packer did not, a type
            // with two forms would be written in one and read in the other.
            let mut packer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
            value.serialize(&mut packer)?;
            bytes
        }
        Codec::Postcard => postcard::to_stdvec(value)?,
        Codec::Json => serde_json::to_vec(value)?,
    })
}

fn decode<V: DeserializeOwned + Send + Sync + 'static>(
    codec: Codec,
    bytes: &[u8],
) -> Result<AnyValue, CodecError> {
    Ok(match codec {
        Codec::MessagePack => {
            let mut unpacker = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            Arc::new(V::deserialize(&mut unpacker)?)
        }
        Codec::Postcard => Arc::new(postcard::from_bytes::<V>(bytes)?),
        Codec::Json => Arc::new(serde_json::from_slice::<V>(bytes)?),
    })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;

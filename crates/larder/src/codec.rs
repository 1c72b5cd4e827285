//! How values become bytes, and how the untyped engine holds typed values.

mod raw;

use std::any::Any;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::allocation::arc_bytes;
use crate::deep_size;
use crate::digest::{DigestError, digest};
use crate::protocol::rules::{ProtocolRule, ProtocolRules};

/// A value of some class, without its static type.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// The wire format of a class's values in Redis. Memory keeps the decoded value, not its bytes.
///
/// A codec carries a value if the value is equal after encoding and decoding. The cache checks this for each value
/// before it stores one. A value that the class's codec does not carry is written by MessagePack or, if that does not
/// carry it either, by postcard; [`other_codec`](crate::stats::Stats::other_codec) counts it, and it is logged. If none of
/// them carries it, the caller gets the loaded value, no tier stores it, an error is logged, and
/// [`not_carried`](crate::stats::Stats::not_carried) counts it. The check also runs without Redis, so a test on memory
/// alone finds such a value.
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
    /// [MessagePack](https://msgpack.org) with the names of fields and variants. It is self-describing: it carries what
    /// serde's attributes make of a type (`skip_serializing_if`, `flatten`, `untagged`, `default`), decimals, dates,
    /// maps with any keys, and JSON. It does not carry `Some(None)` and `Some(())`, because it encodes both to the same
    /// bytes as `None`.
    #[default]
    MessagePack,
    /// The smallest and fastest format. It carries plain types only: no `skip_serializing_if`, `flatten` or `untagged`,
    /// and no type whose `Deserialize` calls `deserialize_any`.
    Postcard,
    /// The bytes of the value itself, for classes of `Vec<u8>`, `String` or `bytes::Bytes`: serde does not walk over them.
    /// For a class of any other type, [`open`](crate::class::ClassBuilder::open) is an error.
    Raw,
    /// JSON text, readable in `redis-cli`. It does not carry infinite numbers and NaN, and carries only texts and
    /// integers as keys of a map.
    Json,
}

impl Codec {
    /// The codec's number in the header of an entry. Numbers are permanent and below 128, because the highest bit says
    /// that the bytes are compressed.
    pub(crate) fn id(self) -> u8 {
        match self {
            Codec::Postcard => 0,
            Codec::Json => 1,
            Codec::MessagePack => 2,
            Codec::Raw => 3,
        }
    }

    /// The codecs that write the values of a class whose codec is this, in the order in which they are tried. Its readers
    /// accept the entries of all of them.
    fn tried(self) -> &'static [Codec] {
        match self {
            Codec::MessagePack => &[Codec::MessagePack, Codec::Postcard],
            Codec::Postcard => &[Codec::Postcard, Codec::MessagePack],
            Codec::Json => &[Codec::Json, Codec::MessagePack, Codec::Postcard],
            Codec::Raw => &[Codec::Raw],
        }
    }

    /// The numbers of the codecs whose entries a class with this codec reads.
    pub(crate) fn readable_ids(self) -> &'static [u8] {
        match self {
            Codec::MessagePack | Codec::Postcard => &[0, 2],
            Codec::Json => &[0, 1, 2],
            Codec::Raw => &[3],
        }
    }
}

/// Why a codec did not write or read a value.
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
    #[error("the bytes are no text")]
    Text,
    #[error("the value takes {bytes} bytes")]
    TooLarge { bytes: usize },
}

/// A value that can be stored: its bytes, and the value that they decode to.
pub(crate) struct EncodedValue {
    pub(crate) payload: Vec<u8>,
    /// The codec that wrote `payload`.
    pub(crate) codec: Codec,
    pub(crate) digest: u64,
    /// The value that `payload` decodes to. Every reader gets it, also the reader that loaded, so that all get equal
    /// values.
    pub(crate) value: DecodedValue,
}

/// A decoded value, and the memory that it takes.
pub(crate) struct DecodedValue {
    pub(crate) value: AnyValue,
    /// The bytes of its `Arc` and of everything that it owns, as allocations take them.
    pub(crate) memory_bytes: u64,
}

/// Encodes and decodes one class's values behind an untyped interface.
#[derive(Clone, Copy)]
pub(crate) struct Coder {
    codec: Codec,
    type_name: fn() -> &'static str,
    encode: fn(Codec, &AnyValue) -> Result<Vec<u8>, CodecError>,
    decode: fn(Codec, &[u8]) -> Result<DecodedValue, CodecError>,
    digest: fn(&AnyValue) -> Result<u64, CodecError>,
}

impl Coder {
    pub(crate) fn of<V: Serialize + DeserializeOwned + Send + Sync + 'static>(codec: Codec) -> Self {
        let type_name = std::any::type_name::<V>;
        if codec == Codec::Raw {
            let (encode, decode) = (raw::encode, raw::decode::<V>);
            return Coder { codec, type_name, encode, decode, digest: raw::digest };
        }
        Coder { codec, type_name, encode: encode::<V>, decode: decode::<V>, digest: digest_of::<V> }
    }

    /// Whether [`Codec::Raw`] takes values of type `V`.
    pub(crate) fn is_raw<V: 'static>() -> bool {
        raw::is_raw::<V>()
    }

    /// The Rust type of the values. For messages only: two types can have one name.
    pub(crate) fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Whether both values have the same digest.
    pub(crate) fn are_equal(&self, one: &AnyValue, other: &AnyValue) -> Result<bool, CodecError> {
        Ok((self.digest)(one)? == (self.digest)(other)?)
    }

    /// Encodes `value` by the first codec that carries it. If none does, returns the error of the class's codec.
    pub(crate) fn encode_verified(
        &self,
        value: &AnyValue,
        max_bytes: usize,
    ) -> Result<EncodedValue, CodecError> {
        // The digest comes first, because it refuses a value that is nested too deep for a recursive decoder.
        let digest = (self.digest)(value)?;
        let mut first_error = None;
        for codec in self.codec.tried() {
            match self.encode_by(*codec, value, digest, max_bytes) {
                Ok(encoded) => return Ok(encoded),
                // Another codec may write fewer bytes, but the limit is for the codec of the class.
                Err(error @ CodecError::TooLarge { .. }) => return Err(error),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(CodecError::Changed))
    }

    /// Encodes `value` and verifies that it decodes to an equal value. Comparing bytes would not be enough: a codec
    /// that omits field names can decode bytes into the wrong fields and encode these wrong fields to the same bytes.
    fn encode_by(
        &self,
        codec: Codec,
        value: &AnyValue,
        digest: u64,
        max_bytes: usize,
    ) -> Result<EncodedValue, CodecError> {
        let payload = (self.encode)(codec, value)?;
        if payload.len() > max_bytes {
            return Err(CodecError::TooLarge { bytes: payload.len() });
        }
        let value = (self.decode)(codec, &payload)?;
        if (self.digest)(&value.value)? != digest {
            return Err(CodecError::Changed);
        }
        Ok(EncodedValue { payload, codec, digest, value })
    }

    /// Decodes `payload`, which this or another instance encoded, by the codec with this number, from a value with this
    /// `digest`.
    pub(crate) fn decode(
        &self,
        codec_id: u8,
        payload: &[u8],
        digest: u64,
        rules: ProtocolRules,
    ) -> Result<DecodedValue, CodecError> {
        // `after_read` has passed over the entries of other codecs.
        let codec =
            self.codec.tried().iter().find(|codec| codec.id() == codec_id).ok_or(CodecError::Shape)?;
        let value = (self.decode)(*codec, payload)?;
        if rules.keeps(ProtocolRule::ComparesDigests) && (self.digest)(&value.value)? != digest {
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
            // serde's buffer for `flatten` and `untagged` always claims to be human-readable. If the packer did not, a
            // type with a text form and a binary form would be written in one and read in the other.
            let mut packer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
            value.serialize(&mut packer)?;
            bytes
        }
        Codec::Postcard => postcard::to_stdvec(value)?,
        Codec::Json => serde_json::to_vec(value)?,
        // `Coder::of` gives such a class other functions.
        Codec::Raw => return Err(CodecError::Type),
    })
}

fn decode<V: DeserializeOwned + Send + Sync + 'static>(
    codec: Codec,
    bytes: &[u8],
) -> Result<DecodedValue, CodecError> {
    let (value, owned_bytes) = match codec {
        Codec::MessagePack => {
            let mut unpacker = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            deep_size::decode::<V, _>(&mut unpacker)?
        }
        Codec::Raw => return Err(CodecError::Type),
        Codec::Postcard => deep_size::decode::<V, _>(&mut postcard::Deserializer::from_bytes(bytes))?,
        Codec::Json => {
            let mut parser = serde_json::Deserializer::from_slice(bytes);
            let decoded = deep_size::decode::<V, _>(&mut parser)?;
            parser.end()?;
            decoded
        }
    };
    let memory_bytes = arc_bytes(size_of::<V>()).saturating_add(owned_bytes);
    Ok(DecodedValue { value: Arc::new(value), memory_bytes })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;

//! How values become bytes, and how the untyped engine carries typed values.

use std::any::Any;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

/// A value of some class, its type forgotten between the class and its entries.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// The wire format of a class's values in Redis.
///
/// # Examples
///
/// ```
/// use larder::codec::Codec;
///
/// assert_eq!(Codec::default(), Codec::Postcard);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Compact and fast. Not self-describing: raise the class's version when the value's shape changes.
    #[default]
    Postcard,
    /// Readable in `redis-cli`, and tolerant of added fields.
    Json,
}

impl Codec {
    pub(crate) fn id(self) -> u8 {
        match self {
            Codec::Postcard => 0,
            Codec::Json => 1,
        }
    }
}

/// A value that the codec could not write or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error(transparent)]
    Postcard(#[from] postcard::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("the value is of another type than its class")]
    Type,
}

/// Encodes and decodes one class's values without naming their type.
#[derive(Clone, Copy)]
pub(crate) struct Coder {
    codec: Codec,
    encode: fn(Codec, &AnyValue) -> Result<Vec<u8>, CodecError>,
    decode: fn(Codec, &[u8]) -> Result<AnyValue, CodecError>,
}

impl Coder {
    pub(crate) fn of<V: Serialize + DeserializeOwned + Send + Sync + 'static>(codec: Codec) -> Self {
        Coder { codec, encode: encode::<V>, decode: decode::<V> }
    }

    pub(crate) fn id(&self) -> u8 {
        self.codec.id()
    }

    pub(crate) fn encode(&self, value: &AnyValue) -> Result<Vec<u8>, CodecError> {
        (self.encode)(self.codec, value)
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<AnyValue, CodecError> {
        (self.decode)(self.codec, bytes)
    }
}

fn encode<V: Serialize + 'static>(codec: Codec, value: &AnyValue) -> Result<Vec<u8>, CodecError> {
    let value = value.downcast_ref::<V>().ok_or(CodecError::Type)?;
    Ok(match codec {
        Codec::Postcard => postcard::to_stdvec(value)?,
        Codec::Json => serde_json::to_vec(value)?,
    })
}

fn decode<V: DeserializeOwned + Send + Sync + 'static>(
    codec: Codec,
    bytes: &[u8],
) -> Result<AnyValue, CodecError> {
    Ok(match codec {
        Codec::Postcard => Arc::new(postcard::from_bytes::<V>(bytes)?),
        Codec::Json => Arc::new(serde_json::from_slice::<V>(bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_through_either_codec() {
        for codec in [Codec::Postcard, Codec::Json] {
            let coder = Coder::of::<(u32, String)>(codec);
            let value: AnyValue = Arc::new((7_u32, "seven".to_owned()));
            let back = coder.decode(&coder.encode(&value).unwrap()).unwrap();
            assert_eq!(back.downcast_ref::<(u32, String)>(), Some(&(7, "seven".to_owned())));
        }
    }

    #[test]
    fn bytes_of_another_shape_are_an_error() {
        assert!(Coder::of::<String>(Codec::Postcard).decode(&[0xFF; 3]).is_err());
        assert!(Coder::of::<u32>(Codec::Json).decode(b"{}").is_err());
    }
}

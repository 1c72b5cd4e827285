//! Which values the codecs carry, and which they refuse.

use std::collections::HashMap;

use serde::Deserialize;

use super::*;

const CODECS: [Codec; 3] = [Codec::MessagePack, Codec::Postcard, Codec::Json];

fn encoded<V>(codec: Codec, value: V) -> Result<V, CodecError>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let coder = Coder::of::<V>(codec);
    let encoded = coder.encode_verified(&(Arc::new(value) as AnyValue), usize::MAX)?;
    let back =
        coder.decode(encoded.codec.id(), &encoded.payload, encoded.digest, ProtocolRules::default())?;
    Ok(back.value.downcast_ref::<V>().unwrap().clone())
}

#[test]
fn values_come_back_through_each_codec() {
    for codec in CODECS {
        let value = (7_u32, "seven".to_owned(), vec![Some(-1_i64), None]);
        assert_eq!(encoded(codec, value.clone()).unwrap(), value, "{codec:?}");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Offer {
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<u32>,
    price: u32,
    stock: i32,
}

/// The codec that writes `value` in a class with `codec`.
fn written_by<V>(codec: Codec, value: V) -> Result<Codec, CodecError>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let value: AnyValue = Arc::new(value);
    Ok(Coder::of::<V>(codec).encode_verified(&value, usize::MAX)?.codec)
}

/// Postcard writes no field names: after a skipped `discount` it reads the other fields from the wrong bytes.
#[test]
fn a_value_that_a_codec_does_not_carry_is_written_by_another_one() {
    let offer = Offer { discount: None, price: 1, stock: 7 };
    for codec in CODECS {
        assert_eq!(encoded(codec, offer.clone()).unwrap(), offer);
        assert_eq!(encoded(codec, Some(None::<u8>)).unwrap(), Some(None));
        assert!(encoded(codec, f64::NAN).unwrap().is_nan());
    }
    assert_eq!(written_by(Codec::Postcard, offer).unwrap(), Codec::MessagePack);
    assert_eq!(written_by(Codec::Json, HashMap::from([((1_u8, 2_u8), 3_u8)])).unwrap(), Codec::MessagePack);
    assert_eq!(written_by(Codec::MessagePack, Some(None::<u8>)).unwrap(), Codec::Postcard);
    let offer = Offer { discount: Some(2), price: 1, stock: 7 };
    assert_eq!(written_by(Codec::Postcard, offer).unwrap(), Codec::Postcard);
}

#[test]
fn a_value_that_no_codec_carries_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Forgetful {
        #[serde(skip_deserializing)]
        secret: u8,
    }
    for codec in CODECS {
        assert!(matches!(written_by(codec, Forgetful { secret: 7 }), Err(CodecError::Changed)), "{codec:?}");
    }
}

#[test]
fn a_class_reads_what_it_writes() {
    for codec in [Codec::MessagePack, Codec::Postcard, Codec::Json, Codec::Raw] {
        let mut ids: Vec<u8> = codec.tried().iter().map(|codec| codec.id()).collect();
        ids.sort_unstable();
        assert_eq!(ids, codec.readable_ids());
    }
}

#[test]
fn bytes_of_another_shape_are_an_error() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Other {
        #[serde(default)]
        discount: Option<u32>,
        price: u32,
        #[serde(default)]
        stock: i64,
    }
    let offer: AnyValue = Arc::new(Offer { discount: Some(1), price: 2, stock: 3 });
    for codec in CODECS {
        let encoded = Coder::of::<Offer>(codec).encode_verified(&offer, usize::MAX).unwrap();
        let read = Coder::of::<Other>(codec).decode(
            codec.id(),
            &encoded.payload,
            encoded.digest,
            ProtocolRules::default(),
        );
        assert!(matches!(read, Err(CodecError::Shape)), "{codec:?}");
        let junk = Coder::of::<String>(codec).decode(codec.id(), &[0xFF; 3], 0, ProtocolRules::default());
        assert!(junk.is_err());
    }
}

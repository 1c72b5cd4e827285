//! Which values the codecs carry, and which they refuse.

use serde::Deserialize;

use super::*;

const CODECS: [Codec; 3] = [Codec::MessagePack, Codec::Postcard, Codec::Json];

fn encoded<V>(codec: Codec, value: V) -> Result<V, CodecError>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let coder = Coder::of::<V>(codec);
    let encoded = coder.encode_verified(&(Arc::new(value) as AnyValue), usize::MAX)?;
    let back = coder.decode(&encoded.payload, encoded.digest, ProtocolRules::default())?;
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

/// Postcard writes no field names: after a skipped `discount` it reads the other fields from the wrong bytes.
#[test]
fn a_value_that_a_codec_would_change_is_refused_by_it_and_carried_by_the_default() {
    let offer = Offer { discount: None, price: 1, stock: 7 };
    assert!(encoded(Codec::Postcard, offer.clone()).is_err());
    for codec in [Codec::MessagePack, Codec::Json] {
        assert_eq!(encoded(codec, offer.clone()).unwrap(), offer);
    }
    let offer = Offer { discount: Some(2), price: 1, stock: 7 };
    assert_eq!(encoded(Codec::Postcard, offer.clone()).unwrap(), offer);
}

#[test]
fn a_value_that_a_codec_does_not_carry_is_refused() {
    assert!(matches!(encoded(Codec::MessagePack, Some(None::<u8>)), Err(CodecError::Changed)));
    assert!(encoded(Codec::Json, f64::NAN).is_err());
    assert!(encoded(Codec::MessagePack, f64::NAN).unwrap().is_nan());
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
        let read =
            Coder::of::<Other>(codec).decode(&encoded.payload, encoded.digest, ProtocolRules::default());
        assert!(matches!(read, Err(CodecError::Shape)), "{codec:?}");
        assert!(Coder::of::<String>(codec).decode(&[0xFF; 3], 0, ProtocolRules::default()).is_err());
    }
}

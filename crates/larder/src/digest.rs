//! Computes a digest of 64 bits from what a value's `Serialize` passes to serde: the names, the order, the types and
//! the contents of the value's parts. Equal values of one type have the same digest on every machine and in every
//! release of a program in which the type is the same.
//!
//! An entry carries the digest of its value. Therefore, with any codec:
//! - If a codec loses or changes a part, `Coder::encode_verified` finds this before the value is stored.
//! - If a program's type differs in a part that the value has (one more field, two swapped fields, an inserted variant,
//!   a float instead of an integer), the program computes another digest for the decoded value and treats the entry as
//!   a miss.
//!
//! The digest does not protect against an attacker; the seal does (see `protection`). The order of a sequence's
//! elements does not change the digest, because a hash set can iterate in another order after decoding.

use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The digest of `value`.
pub(crate) fn digest<T: Serialize + ?Sized>(value: &T) -> Result<u64, DigestError> {
    value.serialize(Digester { depth: 0 })
}

/// Why a value has no digest: the error of its `Serialize`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DigestError(String);

impl ser::Error for DigestError {
    fn custom<T: Display>(message: T) -> Self {
        DigestError(message.to_string())
    }
}

/// The kind of a part. The digest includes it, so parts of different kinds have different digests.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Bool = 1,
    Signed,
    Unsigned,
    Float,
    Char,
    Str,
    Bytes,
    None,
    Some,
    Unit,
    Struct,
    Variant,
    Tuple,
    Seq,
    Map,
    /// A field that an attribute skips. The digest includes it, so that a type with this field differs from a type
    /// without it.
    Skipped,
}

/// The deepest nesting that is accepted. Codecs decode recursively, and a stack overflow ends the process.
const DEPTH_MAX: u8 = 200;

/// The finaliser of SplitMix64: each bit of the input changes about half of the bits of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Appends `next` to `state`; another order gives another result. It multiplies to 128 bits and joins both halves by
/// XOR.
fn join(state: u64, next: u64) -> u64 {
    let product = u128::from(state ^ 0x9e37_79b9_7f4a_7c15) * u128::from(next ^ 0xd1b5_4a32_d192_ed03);
    (product as u64) ^ ((product >> 64) as u64) ^ next
}

fn leaf(kind: Kind, width: u64, bits: u64) -> u64 {
    join(join(kind as u64, width), bits)
}

fn bytes(kind: Kind, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, kind as u64)
}

fn name(name: &str) -> u64 {
    bytes(Kind::Str, name.as_bytes())
}

struct Digester {
    /// The number of parts that contain this part.
    depth: u8,
}

/// Digests the parts at this depth.
#[derive(Clone, Copy)]
struct Inside(u8);

impl Inside {
    fn digest<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, DigestError> {
        if self.0 > DEPTH_MAX {
            return Err(DigestError(format!("the value is nested more than {DEPTH_MAX} deep")));
        }
        value.serialize(Digester { depth: self.0 })
    }
}

impl Digester {
    fn inside(&self) -> Inside {
        Inside(self.depth + 1)
    }
}

macro_rules! leaves {
    ($($method:ident($type:ty) = $kind:ident, $width:literal;)*) => {$(
        fn $method(self, value: $type) -> Result<u64, DigestError> {
            // Widening to u64 extends the sign, or fills with zeros.
            Ok(leaf(Kind::$kind, $width, value as u64))
        }
    )*};
}

impl Serializer for Digester {
    type Ok = u64;
    type Error = DigestError;
    type SerializeSeq = Unordered;
    type SerializeTuple = Ordered;
    type SerializeTupleStruct = Ordered;
    type SerializeTupleVariant = Ordered;
    type SerializeMap = Unordered;
    type SerializeStruct = Ordered;
    type SerializeStructVariant = Ordered;

    /// A type that has two forms is digested in its binary form, which is faster and includes what a text form can
    /// drop.
    fn is_human_readable(&self) -> bool {
        false
    }

    leaves! {
        serialize_bool(bool) = Bool, 1;
        serialize_i8(i8) = Signed, 8;
        serialize_i16(i16) = Signed, 16;
        serialize_i32(i32) = Signed, 32;
        serialize_i64(i64) = Signed, 64;
        serialize_u8(u8) = Unsigned, 8;
        serialize_u16(u16) = Unsigned, 16;
        serialize_u32(u32) = Unsigned, 32;
        serialize_u64(u64) = Unsigned, 64;
        serialize_char(char) = Char, 32;
    }

    fn serialize_i128(self, value: i128) -> Result<u64, DigestError> {
        Ok(join(leaf(Kind::Signed, 128, value as u64), (value >> 64) as u64))
    }

    fn serialize_u128(self, value: u128) -> Result<u64, DigestError> {
        Ok(join(leaf(Kind::Unsigned, 128, value as u64), (value >> 64) as u64))
    }

    fn serialize_f32(self, value: f32) -> Result<u64, DigestError> {
        Ok(leaf(Kind::Float, 32, u64::from(value.to_bits())))
    }

    fn serialize_f64(self, value: f64) -> Result<u64, DigestError> {
        Ok(leaf(Kind::Float, 64, value.to_bits()))
    }

    fn serialize_str(self, value: &str) -> Result<u64, DigestError> {
        Ok(name(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<u64, DigestError> {
        Ok(bytes(Kind::Bytes, value))
    }

    fn serialize_none(self) -> Result<u64, DigestError> {
        Ok(leaf(Kind::None, 0, 0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, DigestError> {
        Ok(join(Kind::Some as u64, self.inside().digest(value)?))
    }

    fn serialize_unit(self) -> Result<u64, DigestError> {
        Ok(leaf(Kind::Unit, 0, 0))
    }

    fn serialize_unit_struct(self, type_name: &'static str) -> Result<u64, DigestError> {
        Ok(join(Kind::Unit as u64, name(type_name)))
    }

    fn serialize_unit_variant(
        self,
        type_name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<u64, DigestError> {
        Ok(variant_of(type_name, index, variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        type_name: &'static str,
        value: &T,
    ) -> Result<u64, DigestError> {
        Ok(join(join(Kind::Struct as u64, name(type_name)), self.inside().digest(value)?))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        type_name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<u64, DigestError> {
        Ok(join(variant_of(type_name, index, variant), self.inside().digest(value)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Unordered, DigestError> {
        Ok(Unordered::new(Kind::Seq, self.inside()))
    }

    fn serialize_tuple(self, length: usize) -> Result<Ordered, DigestError> {
        Ok(Ordered { state: leaf(Kind::Tuple, 0, length as u64), inside: self.inside() })
    }

    fn serialize_tuple_struct(self, type_name: &'static str, _: usize) -> Result<Ordered, DigestError> {
        Ok(Ordered { state: join(Kind::Struct as u64, name(type_name)), inside: self.inside() })
    }

    fn serialize_tuple_variant(
        self,
        type_name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Ordered, DigestError> {
        Ok(Ordered { state: variant_of(type_name, index, variant), inside: self.inside() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Unordered, DigestError> {
        Ok(Unordered::new(Kind::Map, self.inside()))
    }

    fn serialize_struct(self, type_name: &'static str, _: usize) -> Result<Ordered, DigestError> {
        Ok(Ordered { state: join(Kind::Struct as u64, name(type_name)), inside: self.inside() })
    }

    fn serialize_struct_variant(
        self,
        type_name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Ordered, DigestError> {
        Ok(Ordered { state: variant_of(type_name, index, variant), inside: self.inside() })
    }
}

fn variant_of(type_name: &str, index: u32, variant: &str) -> u64 {
    join(join(join(Kind::Variant as u64, name(type_name)), u64::from(index)), name(variant))
}

/// Digests parts whose order changes the digest.
struct Ordered {
    state: u64,
    inside: Inside,
}

impl Ordered {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DigestError> {
        self.state = join(self.state, self.inside.digest(value)?);
        Ok(())
    }

    fn named<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), DigestError> {
        self.state = join(self.state, name(key));
        self.part(value)
    }

    fn skipped(&mut self, key: &str) {
        self.state = join(join(self.state, Kind::Skipped as u64), name(key));
    }
}

macro_rules! ordered {
    ($($trait:ident::$method:ident),*) => {$(
        impl ser::$trait for Ordered {
            type Ok = u64;
            type Error = DigestError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DigestError> {
                self.part(value)
            }

            fn end(self) -> Result<u64, DigestError> {
                Ok(self.state)
            }
        }
    )*};
}

ordered!(
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! named {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Ordered {
            type Ok = u64;
            type Error = DigestError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), DigestError> {
                self.named(key, value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), DigestError> {
                self.skipped(key);
                Ok(())
            }

            fn end(self) -> Result<u64, DigestError> {
                Ok(self.state)
            }
        }
    )*};
}

named!(SerializeStruct, SerializeStructVariant);

/// Digests parts whose order does not change the digest: it adds up their mixed digests.
struct Unordered {
    kind: Kind,
    count: u64,
    sum: u64,
    /// The digest of the key whose value comes next.
    key: u64,
    inside: Inside,
}

impl Unordered {
    fn new(kind: Kind, inside: Inside) -> Self {
        Unordered { kind, count: 0, sum: 0, key: 0, inside }
    }

    fn part(&mut self, digest: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mix(digest));
    }

    fn finish(&self) -> u64 {
        leaf(self.kind, self.count, self.sum)
    }
}

impl ser::SerializeSeq for Unordered {
    type Ok = u64;
    type Error = DigestError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DigestError> {
        let digest = self.inside.digest(value)?;
        self.part(digest);
        Ok(())
    }

    fn end(self) -> Result<u64, DigestError> {
        Ok(self.finish())
    }
}

impl ser::SerializeMap for Unordered {
    type Ok = u64;
    type Error = DigestError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), DigestError> {
        self.key = self.inside.digest(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DigestError> {
        let digest = join(self.key, self.inside.digest(value)?);
        self.part(digest);
        Ok(())
    }

    fn end(self) -> Result<u64, DigestError> {
        Ok(self.finish())
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;

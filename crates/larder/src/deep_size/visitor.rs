//! Visitors and accesses that count what their values allocate.

use std::any::type_name;
use std::mem::needs_drop;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use crate::allocation::heap_bytes;
use crate::deep_size::collections::{Parts, buffered_bytes, collection_bytes};
use crate::deep_size::{Metered, MeteredSeed, Pointer, Seat};

/// Where a value has its parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Inside itself: a struct, a tuple, an array, an enum.
    Inline,
    /// In an allocation of its own, if it is a sequence or a map.
    Collection,
}

pub(super) struct MeteredVisitor<'m, V> {
    pub(super) inner: V,
    pub(super) seat: Seat<'m>,
    pub(super) shape: Shape,
}

impl<'de, V: Visitor<'de>> MeteredVisitor<'_, V> {
    /// Counts the `bytes` of a text or of a byte string, unless the type of the value owns no memory.
    fn count_content(&self, bytes: usize) {
        if needs_drop::<V::Value>() {
            self.seat.meter.add(heap_bytes(bytes));
        }
    }
}

macro_rules! plain {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

macro_rules! content {
    ($($method:ident($type:ty) by $length:ident;)*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.count_content(value.$length());
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for MeteredVisitor<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.expecting(formatter)
    }

    plain! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
    }

    content! {
        visit_str(&str) by len;
        visit_borrowed_str(&'de str) by len;
        visit_string(String) by capacity;
        visit_bytes(&[u8]) by len;
        visit_borrowed_bytes(&'de [u8]) by len;
        visit_byte_buf(Vec<u8>) by capacity;
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, decoder: D) -> Result<V::Value, D::Error> {
        let seat = self.seat.inside(Pointer::inside_option::<V::Value>());
        self.inner.visit_some(Metered { inner: decoder, seat })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, decoder: D) -> Result<V::Value, D::Error> {
        let seat = self.seat.inside(Pointer::None);
        self.inner.visit_newtype_struct(Metered { inner: decoder, seat })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let parts = Parts { announced: access.size_hint(), ..Parts::default() };
        // The visitor gets a reference, so that the parts can be read after it has returned.
        let mut access = MeteredAccess { inner: access, seat: self.seat, parts };
        let value = self.inner.visit_seq(&mut access)?;
        if self.shape == Shape::Collection {
            self.seat.meter.add(collection_bytes(type_name::<V::Value>(), &access.parts));
        }
        Ok(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let parts = Parts { announced: access.size_hint(), is_map: true, ..Parts::default() };
        let mut access = MeteredAccess { inner: access, seat: self.seat, parts };
        let value = self.inner.visit_map(&mut access)?;
        // A struct with `flatten` is also decoded as a map; serde buffers some of its parts.
        self.seat.meter.add(match self.shape {
            _ if access.parts.buffered > 0 => buffered_bytes(&access.parts),
            Shape::Collection => collection_bytes(type_name::<V::Value>(), &access.parts),
            Shape::Inline => 0,
        });
        Ok(value)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(MeteredAccess { inner: access, seat: self.seat, parts: Parts::default() })
    }
}

/// The access to the parts of a value.
struct MeteredAccess<'m, A> {
    inner: A,
    seat: Seat<'m>,
    parts: Parts,
}

impl<'m, A> MeteredAccess<'m, A> {
    fn seed<S>(&self, inner: S) -> MeteredSeed<'m, S> {
        MeteredSeed { inner, seat: self.seat }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for MeteredAccess<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = self.seed(seed);
        let element = self.inner.next_element_seed(seed)?;
        if element.is_some() {
            self.parts.count += 1;
            self.parts.key_bytes = size_of::<S::Value>();
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for MeteredAccess<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = self.seed(seed);
        let key = self.inner.next_key_seed(seed)?;
        if key.is_some() {
            self.parts.count += 1;
            self.parts.key_bytes = size_of::<S::Value>();
        }
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.parts.note_value::<S::Value>();
        let seed = self.seed(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, 'm, A: EnumAccess<'de>> EnumAccess<'de> for MeteredAccess<'m, A> {
    type Error = A::Error;
    type Variant = MeteredAccess<'m, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        // The seed is passed on as it is: a value does not keep the name of its variant.
        let (name, variant) = self.inner.variant_seed(seed)?;
        Ok((name, MeteredAccess { inner: variant, seat: self.seat, parts: self.parts }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for MeteredAccess<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.seed(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.seat.visitor(visitor, Shape::Inline);
        self.inner.tuple_variant(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.seat.visitor(visitor, Shape::Inline);
        self.inner.struct_variant(fields, visitor)
    }
}

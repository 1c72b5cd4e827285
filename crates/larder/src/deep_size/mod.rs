//! Measures the memory that a value takes while serde decodes it. No second walk over the value is needed.
//!
//! A [`Metered`] deserializer wraps the codec's own. Serde calls it with the Rust type of every part: of the elements
//! of a sequence, of the keys and values of a map, of what a `Box` holds. So sizes include padding, the largest variant
//! of an enum, and the room that a `Vec` or a hash table keeps free.
//!
//! The sizes are exact for what std's types allocate: `String`, `Vec`, `VecDeque`, `Box`, `Arc`, `HashMap`, `HashSet`,
//! `BTreeMap`, `BTreeSet`. Limits:
//! - A type of another crate counts as if a text were a `String`, a sequence a `Vec`, and a map a `HashMap`. A short text
//!   inside such a type is counted, even if it takes no allocation.
//! - Parts that serde buffers (`flatten`, `untagged`, internally tagged enums) count as serde's buffer, 32 bytes a part.
//! - What serde does not decode (`skip`, memory behind a cell that fills later) is not counted.
//!
//! If the values of a class have such types, the class can say their size itself:
//! [`memory_of`](crate::class::ClassBuilder::memory_of).
//!
//! The deserializer also limits the nesting, because codecs decode recursively, and a stack overflow ends the process.

mod collections;
mod visitor;

use std::any::type_name;
use std::cell::Cell;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Visitor};

use crate::allocation::{arc_bytes, heap_bytes};
use crate::deep_size::visitor::{MeteredVisitor, Shape};

/// The deepest nesting that is decoded. The digest refuses values that are nested more than 200 deep, so no value that
/// this cache wrote reaches this limit; other bytes can.
const DEPTH_MAX: u16 = 400;

/// Decodes a value. Returns it with the bytes that it takes on the heap, behind its own `size_of`.
pub(crate) fn decode<'de, T, D>(decoder: D) -> Result<(T, u64), D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let meter = Meter(Cell::new(0));
    let seat = Seat { meter: &meter, depth: 0, pointer: Pointer::of::<T>() };
    let value = T::deserialize(Metered { inner: decoder, seat })?;
    Ok((value, meter.0.get()))
}

/// The sum of the allocations.
struct Meter(Cell<u64>);

impl Meter {
    fn add(&self, bytes: u64) {
        self.0.set(self.0.get().saturating_add(bytes));
    }
}

/// The place of a value inside the value that is decoded.
#[derive(Clone, Copy)]
struct Seat<'m> {
    meter: &'m Meter,
    /// The number of parts that contain the value.
    depth: u16,
    /// The pointer that will hold the value.
    pointer: Pointer,
}

/// The kind of pointer that holds a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pointer {
    None,
    Box,
    /// `Arc` or `Rc`, whose counts come before the value.
    Counted,
}

impl Pointer {
    /// The kind of pointer that `T` is, by its name. The names of types are not guaranteed, so a test compares those
    /// that are used here.
    fn of<T>() -> Self {
        Pointer::named(type_name::<T>())
    }

    /// The kind of pointer that `T` contains if `T` is an `Option`.
    fn inside_option<T>() -> Self {
        type_name::<T>().strip_prefix("core::option::Option<").map_or(Pointer::None, Pointer::named)
    }

    fn named(name: &str) -> Self {
        let (pointer, target) = match name.strip_prefix("alloc::boxed::Box<") {
            Some(target) => (Pointer::Box, target),
            None => {
                let counted = ["alloc::sync::Arc<", "alloc::rc::Rc<"];
                match counted.into_iter().find_map(|prefix| name.strip_prefix(prefix)) {
                    Some(target) => (Pointer::Counted, target),
                    None => return Pointer::None,
                }
            }
        };
        // A pointer to a text or a slice is decoded as a `String` or a `Vec`, whose content is counted.
        if target.starts_with("str>") || target.starts_with('[') { Pointer::None } else { pointer }
    }
}

impl<'m> Seat<'m> {
    fn inside(self, pointer: Pointer) -> Self {
        Seat { depth: self.depth + 1, pointer, ..self }
    }

    /// If a pointer holds this value, counts the pointer's allocation. Refuses a value that is nested too deep.
    fn enter<V, E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth > DEPTH_MAX {
            return Err(E::custom(format_args!("the value is nested more than {DEPTH_MAX} deep")));
        }
        match self.pointer {
            Pointer::None => {}
            Pointer::Box => self.meter.add(heap_bytes(size_of::<V>())),
            Pointer::Counted => self.meter.add(arc_bytes(size_of::<V>())),
        }
        Ok(())
    }

    fn visitor<V>(self, inner: V, shape: Shape) -> MeteredVisitor<'m, V> {
        MeteredVisitor { inner, seat: self, shape }
    }
}

/// A deserializer that counts what its value allocates.
struct Metered<'m, D> {
    inner: D,
    seat: Seat<'m>,
}

/// A seed whose value is counted.
struct MeteredSeed<'m, S> {
    inner: S,
    seat: Seat<'m>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for MeteredSeed<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<S::Value, D::Error> {
        let seat = self.seat.inside(Pointer::of::<S::Value>());
        self.inner.deserialize(Metered { inner: decoder, seat })
    }
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*) = $shape:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.seat.enter::<V::Value, D::Error>()?;
            self.inner.$method($($argument,)* self.seat.visitor(visitor, Shape::$shape))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Metered<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any() = Collection;
        deserialize_bool() = Collection;
        deserialize_i8() = Collection;
        deserialize_i16() = Collection;
        deserialize_i32() = Collection;
        deserialize_i64() = Collection;
        deserialize_i128() = Collection;
        deserialize_u8() = Collection;
        deserialize_u16() = Collection;
        deserialize_u32() = Collection;
        deserialize_u64() = Collection;
        deserialize_u128() = Collection;
        deserialize_f32() = Collection;
        deserialize_f64() = Collection;
        deserialize_char() = Collection;
        deserialize_str() = Collection;
        deserialize_string() = Collection;
        deserialize_bytes() = Collection;
        deserialize_byte_buf() = Collection;
        deserialize_option() = Collection;
        deserialize_unit() = Collection;
        deserialize_unit_struct(name: &'static str) = Collection;
        deserialize_newtype_struct(name: &'static str) = Collection;
        deserialize_seq() = Collection;
        deserialize_map() = Collection;
        deserialize_tuple(length: usize) = Inline;
        deserialize_tuple_struct(name: &'static str, length: usize) = Inline;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) = Inline;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) = Inline;
        deserialize_identifier() = Collection;
        deserialize_ignored_any() = Collection;
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

#[cfg(test)]
mod tests;

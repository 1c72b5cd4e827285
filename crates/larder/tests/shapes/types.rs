//! Types as applications have them, with serde's derives and attributes, and types from common crates.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use rand::RngExt as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_json::Value as Json;
use uuid::Uuid;

/// Draws random values.
pub(crate) struct Draw(rand::rngs::StdRng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Draw(rand::SeedableRng::seed_from_u64(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        // Small numbers, and those at the limits of each width.
        match self.0.random_range(0..4) {
            0 => self.0.random_range(0..5),
            1 => u64::MAX - self.0.random_range(0..2),
            2 => (1 << self.0.random_range(0..64)) - self.0.random_range(0..2),
            _ => self.0.random(),
        }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.0.random()
    }

    fn float(&mut self) -> f64 {
        match self.below(6) {
            0 => 0.0,
            1 => -0.0,
            2 => f64::INFINITY,
            3 => f64::from_bits(self.number()),
            4 => 0.1 + self.below(10) as f64,
            _ => f64::MIN_POSITIVE,
        }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', 'Z', '0', ' ', '"', '\0', 'é', '🦀'];
        (0..self.below(6)).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| some(self))
    }

    fn many<T, C: FromIterator<T>>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> C {
        (0..self.below(5)).map(|_| one(self)).collect()
    }

    fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Json::Null,
            1 => self.coin().into(),
            2 => self.number().into(),
            3 => (0.5 + self.below(9) as f64).into(),
            4 => self.text().into(),
            5 => self.many::<_, Vec<_>>(|draw| draw.json(depth - 1)).into(),
            _ => Json::Object(self.many(|draw| (draw.text(), draw.json(depth - 1)))),
        }
    }
}

macro_rules! types {
    ($($(#[$attribute:meta])* struct $name:ident { $($(#[$field_attribute:meta])* $field:ident: $type:ty = |$draw:ident| $value:expr,)* })*) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        $(#[$attribute])*
        pub(crate) struct $name { $($(#[$field_attribute])* pub(crate) $field: $type,)* }

        impl RandomValue for $name {
            fn drawn(draw: &mut Draw) -> Self {
                $name { $($field: { let $draw: &mut Draw = &mut *draw; $value },)* }
            }
        }
    )*};
}

/// A type whose values can be drawn at random.
pub(crate) trait RandomValue {
    fn drawn(draw: &mut Draw) -> Self;
}

types! {
    struct Plain { id: u64 = |draw| draw.number(), name: String = |draw| draw.text(), vip: bool = |draw| draw.coin(), }
    struct Widths {
        a: i8 = |draw| draw.number() as i8, b: i16 = |draw| draw.number() as i16, c: i32 = |draw| draw.number() as i32,
        d: i64 = |draw| draw.number() as i64, e: i128 = |draw| i128::from(draw.number()) - (1 << 63),
        f: u128 = |draw| u128::from(draw.number()) << draw.below(64), g: char = |draw| if draw.coin() { 'é' } else { '\0' },
    }
    struct Skipping {
        #[serde(skip_serializing_if = "Option::is_none")]
        discount: Option<u32> = |draw| draw.option(|draw| draw.number() as u32),
        price: u32 = |draw| draw.number() as u32,
        stock: i32 = |draw| draw.number() as i32,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String> = |draw| draw.many(Draw::text),
    }
    #[serde(rename_all = "camelCase")]
    struct Renamed {
        first_name: String = |draw| draw.text(),
        #[serde(rename = "E-Mail", alias = "mail")]
        email: String = |draw| draw.text(),
    }
    #[serde(default)]
    struct Defaulted { level: u8 = |draw| draw.number() as u8, tags: Vec<String> = |draw| draw.many(Draw::text), }
    struct Flattened {
        id: u32 = |draw| draw.number() as u32,
        #[serde(flatten)]
        rest: Plainer = |draw| Plainer::drawn(draw),
        #[serde(flatten)]
        more: BTreeMap<String, Json> = |draw| draw.many(|draw| (format!("x{}", draw.text()), draw.json(1))),
    }
    struct Plainer { city: String = |draw| draw.text(), zip: Option<u32> = |draw| draw.option(|draw| draw.number() as u32), }
    #[serde(deny_unknown_fields)]
    struct Strict { only: i64 = |draw| draw.number() as i64, }
    struct Bytes {
        #[serde(with = "serde_bytes")]
        raw: Vec<u8> = |draw| draw.many(|draw| draw.number() as u8),
        list: Vec<u8> = |draw| draw.many(|draw| draw.number() as u8),
        buffer: ByteBuf = |draw| draw.many::<u8, Vec<u8>>(|draw| draw.number() as u8).into(),
    }
    struct Money {
        amount: Decimal = |draw| Decimal::new(draw.number() as i64, draw.below(28) as u32),
        currency: [char; 3] = |_draw| ['E', 'U', 'R'],
    }
    struct Times {
        at: Timestamp = |draw| Timestamp::from_microsecond(draw.number() as i64 >> 12).unwrap(),
        day: Date = |draw| Date::new(1900 + draw.below(300) as i16, 2, 28).unwrap(),
        lasts: Duration = |draw| Duration::from_nanos(draw.number()),
    }
    struct Documents { meta: Json = |draw| draw.json(3), list: Vec<Json> = |draw| draw.many(|draw| draw.json(1)), }
    struct Ids { id: Uuid = |draw| Uuid::from_u128(u128::from(draw.number()) * 3), peer: IpAddr = |draw| {
        if draw.coin() { IpAddr::from((draw.number() as u32).to_be_bytes()) } else { IpAddr::from(u128::from(draw.number()).to_be_bytes()) }
    }, }
    struct Maps {
        by_name: HashMap<String, u32> = |draw| draw.many(|draw| (draw.text(), draw.number() as u32)),
        by_number: BTreeMap<i32, String> = |draw| draw.many(|draw| (draw.number() as i32, draw.text())),
        nested: BTreeMap<String, BTreeMap<String, Vec<u8>>> = |draw| draw.many(|draw| {
            (draw.text(), draw.many(|draw| (draw.text(), draw.many(|draw| draw.number() as u8))))
        }),
    }
    struct Sets {
        hashed: HashSet<u64> = |draw| draw.many(Draw::number),
        sorted: BTreeSet<String> = |draw| draw.many(Draw::text),
        queue: VecDeque<i32> = |draw| draw.many(|draw| draw.number() as i32),
    }
    struct Tuples {
        pair: (u8, String) = |draw| (draw.number() as u8, draw.text()),
        triple: (bool, Option<char>, [i16; 3]) = |draw| (draw.coin(), draw.option(|_| 'x'), [1, -1, draw.number() as i16]),
        unit: () = |_draw| (),
    }
    struct Shared {
        boxed: Box<Plain> = |draw| Box::new(Plain::drawn(draw)),
        text: Cow<'static, str> = |draw| draw.text().into(),
        slice: Box<[u16]> = |draw| draw.many::<_, Vec<_>>(|draw| draw.number() as u16).into(),
    }
    struct Floats { single: f32 = |draw| draw.float() as f32, double: f64 = |draw| draw.float(), }
    struct Wrapping {
        options: Vec<Option<Plain>> = |draw| draw.many(|draw| draw.option(Plain::drawn)),
        result: Result<u32, String> = |draw| if draw.coin() { Ok(draw.number() as u32) } else { Err(draw.text()) },
    }
    struct Deep { child: Option<Box<Deep>> = |draw| draw.option(|draw| Box::new(Deep::drawn(draw))), n: u8 = |draw| draw.number() as u8, }
}

impl Default for Defaulted {
    fn default() -> Self {
        Defaulted { level: 7, tags: vec!["new".to_owned()] }
    }
}

macro_rules! enums {
    ($($(#[$attribute:meta])* enum $name:ident;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        $(#[$attribute])*
        pub(crate) enum $name { Empty, One(u32), Named { id: u64, at: Option<Timestamp> }, Other(Plain) }

        impl RandomValue for $name {
            fn drawn(draw: &mut Draw) -> Self {
                match draw.below(4) {
                    0 => $name::Empty,
                    1 => $name::One(draw.number() as u32),
                    2 => $name::Named { id: draw.number(), at: draw.option(|_| Timestamp::UNIX_EPOCH) },
                    _ => $name::Other(Plain::drawn(draw)),
                }
            }
        }
    )*};
}

enums! {
    enum External;
    #[serde(rename_all = "SCREAMING-KEBAB-CASE")]
    enum Shouting;
    #[serde(tag = "type", content = "with")]
    enum Adjacent;
    #[serde(untagged)]
    enum Untagged;
}

/// Internally tagged: the contents of a variant have to be a map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Internal {
    Started { at: Timestamp, by: Uuid },
    Priced(Money),
    Ended,
}

impl RandomValue for Internal {
    fn drawn(draw: &mut Draw) -> Self {
        match draw.below(3) {
            0 => Internal::Started {
                at: Timestamp::UNIX_EPOCH,
                by: Uuid::from_u128(u128::from(draw.number())),
            },
            1 => Internal::Priced(Money::drawn(draw)),
            _ => Internal::Ended,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Newtype(pub(crate) Decimal);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Transparent {
    inner: Vec<Internal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitStruct;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TupleStruct(pub(crate) i64, pub(crate) Option<String>, pub(crate) External);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generic<T> {
    page: Vec<T>,
    next: Option<String>,
}

macro_rules! drawn {
    ($($type:ty = |$draw:ident| $value:expr;)*) => {$(
        impl RandomValue for $type {
            fn drawn($draw: &mut Draw) -> Self {
                $value
            }
        }
    )*};
}

drawn! {
    Newtype = |draw| Newtype(Money::drawn(draw).amount);
    Transparent = |draw| Transparent { inner: draw.many(Internal::drawn) };
    UnitStruct = |_draw| UnitStruct;
    TupleStruct = |draw| TupleStruct(draw.number() as i64, draw.option(Draw::text), External::drawn(draw));
    Generic<Adjacent> = |draw| Generic { page: draw.many(Adjacent::drawn), next: draw.option(Draw::text) };
    Generic<Flattened> = |draw| Generic { page: draw.many(Flattened::drawn), next: None };
    Generic<(String, Decimal)> = |draw| Generic { page: draw.many(|draw| (draw.text(), Decimal::ONE)), next: None };
    u64 = |draw| draw.number();
    bool = |draw| draw.coin();
    f64 = |draw| draw.float();
    String = |draw| draw.text();
    Json = |draw| draw.json(3);
    Decimal = |draw| Money::drawn(draw).amount;
    Vec<u64> = |draw| draw.many(Draw::number);
    (String, (u8, Vec<Skipping>)) = |draw| (draw.text(), (1, draw.many(Skipping::drawn)));
    Option<Option<u8>> = |draw| draw.option(|draw| draw.option(|_| 7));
    Option<Untagged> = |draw| draw.option(Untagged::drawn);
    Vec<Internal> = |draw| draw.many(Internal::drawn);
    HashMap<(u8, bool), Vec<Shouting>> = |draw| draw.many(|draw| ((draw.number() as u8, draw.coin()), draw.many(Shouting::drawn)));
    BTreeMap<Uuid, External> = |draw| draw.many(|draw| (Uuid::from_u128(u128::from(draw.number())), External::drawn(draw)));
}

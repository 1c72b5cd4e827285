//! Kinds of JSON values in the bodies of requests: how each is parsed, and how the OpenAPI document describes it.
//! `fields.rs` declares bodies of them.

use std::marker::PhantomData;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, Schema, SchemaFormat, SchemaType, Type,
};

use crate::domain::invalid::Invalid;

/// A kind of JSON value: the type of its parsed value, how it is parsed, and its schema.
pub(crate) trait FromJson {
    /// The parsed value.
    type Value;

    /// Parses the value.
    ///
    /// # Errors
    /// The value breaks a rule; the error names the rule.
    fn from_json(value: Value) -> Result<Self::Value, Invalid>;

    /// The schema of the value: a reference to a component of the OpenAPI document, or the bounds.
    fn schema() -> RefOr<Schema>;
}

/// Implements [`FromJson`]: `from_json!(Scale, integer_of, Self::parse, schema)` for a kind that parses to itself, and
/// `from_json!(Attempt => Password, text_of, Password::attempt, schema)` for one that parses to another type.
macro_rules! from_json {
    ($(@[$($generic:tt)*])? $kind:ty $(=> $value:ty)?, $of:path, $parse:expr, $schema:expr) => {
        impl $(<$($generic)*>)? $crate::domain::json::FromJson for $kind {
            type Value = $crate::domain::json::from_json!(@value $kind $(, $value)?);

            fn from_json(value: serde_json::Value) -> Result<Self::Value, $crate::domain::invalid::Invalid> {
                $of(&value).and_then($parse)
            }

            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $schema.into()
            }
        }
    };
    (@value $kind:ty, $value:ty) => { $value };
    (@value $kind:ty) => { Self };
}
pub(crate) use from_json;

from_json!(bool, bool_of, Ok, ObjectBuilder::new().schema_type(Type::Boolean));

/// A list of `MIN` to `MAX` entries.
pub(crate) struct List<K, const MIN: usize, const MAX: usize>(PhantomData<K>);

impl<K: FromJson, const MIN: usize, const MAX: usize> FromJson for List<K, MIN, MAX> {
    type Value = Vec<K::Value>;

    /// If an entry is wrong, the error names the position of the first wrong one.
    fn from_json(value: Value) -> Result<Self::Value, Invalid> {
        let entries = match value {
            Value::Array(entries) if (MIN..=MAX).contains(&entries.len()) => entries,
            Value::Array(_) if MIN == 0 => {
                return Err(Invalid::new(format!("has too many entries; at most {MAX} are allowed")));
            }
            Value::Array(_) => return Err(Invalid::new(format!("must hold {MIN} to {MAX} entries"))),
            Value::Null => return Err(Invalid::new("must not be null")),
            _ => return Err(Invalid::new("must be a list")),
        };
        let parse = |(index, entry)| {
            let wrong = |invalid: Invalid| Invalid::new(format!("entry {} {}", index + 1, invalid.message()));
            K::from_json(entry).map_err(wrong)
        };
        entries.into_iter().enumerate().map(parse).collect()
    }

    fn schema() -> RefOr<Schema> {
        let min = Some(MIN).filter(|min| *min > 0);
        let max = Some(MAX).filter(|max| *max < usize::MAX);
        ArrayBuilder::new().items(K::schema()).min_items(min).max_items(max).into()
    }
}

/// The text of a string.
pub(crate) fn text_of(value: &Value) -> Result<&str, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(Invalid::new("must not be null")),
        _ => Err(Invalid::new("must be a string")),
    }
}

/// The number of an integer. As in JSON Schema, `5.0` and `5e0` are integers too.
pub(crate) fn integer_of(value: &Value) -> Result<i64, Invalid> {
    let integer = value.as_i64().or_else(|| value.as_f64().and_then(exact));
    integer.ok_or_else(|| Invalid::new("must be an integer of at most 64 bits"))
}

/// The integer of a number without a fraction. A number beyond 2^53 is refused, because the parsed number may differ
/// from the one that was sent.
fn exact(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// The value as it is.
pub(crate) fn whole(value: &Value) -> Result<&Value, Invalid> {
    Ok(value)
}

fn bool_of(value: &Value) -> Result<bool, Invalid> {
    value.as_bool().ok_or_else(|| Invalid::new("must be true or false"))
}

/// A reference to the OpenAPI component that describes a type.
pub(crate) fn component<T: utoipa::ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// The schema of a string.
pub(crate) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The schema of a string that is one of these words.
pub(crate) fn one_of_words(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    string().enum_values(Some(words))
}

/// Declares a type for the OpenAPI document alone: a string that is one of some words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident, $words:expr) => {
        $(#[doc = $doc])+
        pub(crate) enum $name {}

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::domain::json::one_of_words($words).into()
            }
        }
    };
}
pub(crate) use words;

/// The schema of an integer with bounds.
pub(crate) fn integer(min: i64, max: i64) -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(min)).maximum(Some(max))
}

/// The schema of a value that may also be null.
pub(crate) fn nullable(mut schema: RefOr<Schema>) -> RefOr<Schema> {
    match &mut schema {
        RefOr::T(Schema::Object(object)) => or_null(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => or_null(&mut array.schema_type),
        _ => {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            return OneOfBuilder::new().item(schema).item(null).into();
        }
    }
    schema
}

fn or_null(types: &mut SchemaType) {
    if let SchemaType::Type(one) = types {
        *types = SchemaType::Array(vec![one.clone(), Type::Null]);
    }
}

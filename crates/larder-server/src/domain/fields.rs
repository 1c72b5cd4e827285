//! Declares the bodies of requests. A body is a JSON object. Its fields are parsed one by one, and every error is
//! collected, so that one answer names all errors. Unknown fields are refused.

use std::marker::PhantomData;

use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};

use crate::domain::invalid::{Invalid, LISTED_FIELDS, ValidationErrors};
use crate::domain::json::{FromJson, nullable};

/// Declares a body of a request: the type that holds it, how it is parsed, and its component of the OpenAPI document.
///
/// ```ignore
/// body! {
///     /// The current password and the new one.
///     #[schema(ChangePassword)]
///     #[derive(Debug)]
///     pub struct PasswordBody {
///         /// The present password.
///         pub current_password: Password as Attempt,
///         pub new_password: Password,
///     }
/// }
/// ```
///
/// `PasswordBody::parse` parses `current_password` by `<Attempt as Field>::take`, and the component `ChangePassword`
/// describes it by `<Attempt as Field>::describe` and its comment. If a field has no `as`, its type is also its kind.
/// An example may follow the component's name.
macro_rules! body {
    (
        $(#[doc = $doc:literal])+
        #[schema($component:ident $(, $example:tt)?)]
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[doc = $about:literal])* pub $field:ident: $type:ty $(as $kind:ty)?,)+
        }
    ) => {
        $(#[doc = $doc])+
        $(#[$meta])*
        #[allow(missing_docs, reason = "a field without a comment is named after its type")]
        pub struct $name { $($(#[doc = $about])* pub $field: $type,)+ }

        impl $name {
            /// Parses a body.
            ///
            /// # Errors
            /// Every field that is wrong, missing or unknown.
            pub fn parse(body: serde_json::Value) -> Result<Self, $crate::domain::invalid::ValidationErrors> {
                let mut fields = $crate::domain::fields::Fields::of(body)?;
                let taken = Self::take(&mut fields);
                fields.finish(taken)
            }

            fn take(fields: &mut $crate::domain::fields::Fields) -> Option<Self> {
                // All fields are parsed before the first `?`, so that the answer names every error.
                $(let $field = $crate::domain::fields::kind!(take $type $(, $kind)?)(fields, stringify!($field));)+
                Some(Self { $($field: $field?,)+ })
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($component).into()
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                use $crate::domain::fields::joined;
                let body = utoipa::openapi::schema::ObjectBuilder::new()
                    .description(Some(joined(&[$($doc),+])))
                    $(.examples([serde_json::json!($example)]))?
                    .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
                $(let body = $crate::domain::fields::kind!(describe $type $(, $kind)?)(
                    body, stringify!($field), &joined(&[$($about),*]),
                );)+
                body.into()
            }
        }
    };
}
pub(crate) use body;

/// Names a function of a field's kind. The kind is the type after `as`; if there is no `as`, it is the type of the
/// field.
macro_rules! kind {
    ($function:ident $type:ty, $kind:ty) => {
        <$kind as $crate::domain::fields::Field>::$function
    };
    ($function:ident $type:ty) => {
        <$type as $crate::domain::fields::Field>::$function
    };
}
pub(crate) use kind;

/// Declares a kind of several fields of which a body has exactly one. Each row has a field, its kind, and a function
/// that makes the common value of the field. If the function returns `None`, the field counts as missing.
macro_rules! one_of {
    (
        $(#[doc = $doc:literal])+
        $name:ident => $value:ty, $needed:literal;
        $($(#[doc = $about:literal])* $field:ident: $kind:ty => $make:expr,)+
    ) => {
        $(#[doc = $doc])+
        pub(crate) enum $name {}

        impl $crate::domain::fields::Field for $name {
            type Value = $value;

            fn take(fields: &mut $crate::domain::fields::Fields, _: &'static str) -> Option<$value> {
                let found: Vec<Option<$value>> = vec![$(
                    <$kind as $crate::domain::fields::Field>::take(fields, stringify!($field))
                        .flatten()
                        .and_then(|field| ($make)(field).into()),
                )+];
                fields.exactly_one(found, $needed)
            }

            fn describe(
                body: utoipa::openapi::schema::ObjectBuilder,
                _: &str,
                _: &str,
            ) -> utoipa::openapi::schema::ObjectBuilder {
                $(let body = <$kind as $crate::domain::fields::Field>::describe(
                    body, stringify!($field), &$crate::domain::fields::joined(&[$($about),*]),
                );)+
                body
            }
        }
    };
}
pub(crate) use one_of;

/// A field of a body, or several fields with a rule in common. A [`FromJson`] is a required field, and an `Option` of
/// one may be missing or null.
pub(crate) trait Field {
    /// What the body holds.
    type Value;

    /// Takes the field from the body. `None`: the field was refused.
    fn take(fields: &mut Fields, name: &'static str) -> Option<Self::Value>;

    /// Adds the field to the description of the body.
    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder;
}

impl<K: FromJson> Field for K {
    type Value = K::Value;

    fn take(fields: &mut Fields, name: &'static str) -> Option<K::Value> {
        fields.required::<K>(name)
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        body.property(name, described(K::schema(), about)).required(name)
    }
}

impl<K: FromJson> Field for Option<K> {
    type Value = Option<K::Value>;

    fn take(fields: &mut Fields, name: &'static str) -> Option<Self::Value> {
        Some(fields.optional::<K>(name))
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        body.property(name, described(nullable(K::schema()), about))
    }
}

/// A field that may be missing, but not null.
pub(crate) struct NotNull<K>(PhantomData<K>);

impl<K: FromJson> Field for NotNull<K> {
    type Value = Option<K::Value>;

    fn take(fields: &mut Fields, name: &'static str) -> Option<Self::Value> {
        Some(fields.not_null::<K>(name))
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        body.property(name, described(K::schema(), about))
    }
}

/// A field that may be missing. The value of a missing field is the default of its type.
pub(crate) struct OrDefault<F>(PhantomData<F>);

impl<T: Default, F: Field<Value = Option<T>>> Field for OrDefault<F> {
    type Value = T;

    fn take(fields: &mut Fields, name: &'static str) -> Option<T> {
        F::take(fields, name).map(Option::unwrap_or_default)
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        F::describe(body, name, about)
    }
}

/// The fields of a body that have not been taken yet, and the errors of the fields that have been taken.
pub(crate) struct Fields {
    rest: Map<String, Value>,
    known: Vec<&'static str>,
    errors: ValidationErrors,
}

impl Fields {
    /// Begins to parse a body.
    pub(crate) fn of(body: Value) -> Result<Self, ValidationErrors> {
        match body {
            Value::Object(rest) => Ok(Self { rest, known: Vec::new(), errors: ValidationErrors::default() }),
            _ => Err(ValidationErrors::one("body", Invalid::new("must be a JSON object"))),
        }
    }

    /// Sets a field to the value of a header, unless the body has the field. If the body has another value than the
    /// header, the field is refused with the error `differs`.
    pub(crate) fn fill(&mut self, name: &'static str, header: &str, differs: &'static str) {
        let field = self.rest.entry(name).or_insert(Value::Null);
        if field.is_null() {
            *field = header.into();
        } else if field != header {
            self.refuse::<()>(name, differs);
        }
    }

    /// A required field.
    pub(crate) fn required<K: FromJson>(&mut self, name: &'static str) -> Option<K::Value> {
        match self.take(name) {
            None => self.refuse(name, "is required"),
            Some(value) => self.errors.keep(name, K::from_json(value)),
        }
    }

    /// An optional field; null counts as missing.
    pub(crate) fn optional<K: FromJson>(&mut self, name: &'static str) -> Option<K::Value> {
        let value = self.take(name).filter(|value| !value.is_null())?;
        self.errors.keep(name, K::from_json(value))
    }

    /// A field that may be missing, but not null.
    pub(crate) fn not_null<K: FromJson>(&mut self, name: &'static str) -> Option<K::Value> {
        let value = self.take(name)?;
        self.errors.keep(name, K::from_json(value))
    }

    /// A field that may be missing (`None`), null (`Some(None)`) or present.
    pub(crate) fn missing_or_null<K: FromJson>(&mut self, name: &'static str) -> Option<Option<K::Value>> {
        match self.take(name)? {
            Value::Null => Some(None),
            value => self.errors.keep(name, K::from_json(value)).map(Some),
        }
    }

    /// The value of the only field in `found` that the body has. If the body has none or several, refuses it with the
    /// error `needed`.
    pub(crate) fn exactly_one<T>(
        &mut self,
        found: impl IntoIterator<Item = Option<T>>,
        needed: &'static str,
    ) -> Option<T> {
        let mut found = found.into_iter().flatten();
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            // If a field was refused, its error is enough: an error about the number of fields could be wrong.
            _ if !self.errors.is_empty() => None,
            _ => self.refuse("body", needed),
        }
    }

    /// Adds an error.
    pub(crate) fn refuse<T>(&mut self, name: &str, message: &'static str) -> Option<T> {
        self.errors.add(name, Invalid::new(message));
        None
    }

    /// The value that was built from the fields, unless there was an error or a field is unknown.
    pub(crate) fn finish<T>(mut self, built: Option<T>) -> Result<T, ValidationErrors> {
        if !self.rest.is_empty() {
            let unknown = Invalid::new(format!("is unknown here; allowed are {}", self.known.join(", ")));
            // A body may have 100,000 unknown fields, so the loop ends after as many as the answer can list.
            for name in self.rest.keys().take(LISTED_FIELDS) {
                self.errors.add(name, unknown.clone());
            }
        }
        match built {
            Some(built) if self.errors.is_empty() => Ok(built),
            _ => Err(self.errors),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.remove(name)
    }
}

fn described(mut schema: RefOr<Schema>, about: &str) -> RefOr<Schema> {
    let text = Some(about.to_owned()).filter(|about| !about.is_empty());
    match &mut schema {
        RefOr::Ref(reference) => reference.description = text.unwrap_or_default(),
        RefOr::T(Schema::Object(object)) => object.description = text,
        RefOr::T(Schema::Array(array)) => array.description = text,
        RefOr::T(Schema::OneOf(one)) => one.description = text,
        RefOr::T(_) => {}
    }
    schema
}

/// The lines of a documentation comment as one text.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

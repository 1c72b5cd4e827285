//! The fields of a user that no request changes. A body may repeat their present values, so that a client can PUT the
//! body that GET returned.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat};

use crate::domain::fields::{Field, Fields};
use crate::domain::identity::{UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{FromJson, from_json, integer, integer_of, one_of_words, string, text_of};
use crate::domain::points::MOST_POINTS;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

/// The greatest integer that every JSON parser reads without loss.
const LARGEST: i64 = (1 << 53) - 1;

/// Declares the fields, and the kinds of bodies that repeat some of them. A row has a field, its type, and its kind.
macro_rules! read_only {
    ($($name:ident: $type:ty, $kind:ty;)+) => {
        /// The fields of a user that a body repeats and cannot change; `None`: the body does not have the field.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each field is named after the user's field that it repeats")]
        pub struct ReadOnly {
            $(pub $name: Option<$type>,)+
        }

        impl ReadOnly {
            /// Compares the fields with the present user.
            ///
            /// # Errors
            /// Every field that differs.
            pub(crate) fn check(&self, user: &User) -> Result<(), ValidationErrors> {
                let mut errors = ValidationErrors::default();
                $(if self.$name.as_ref().is_some_and(|said| *said != user.$name) {
                    errors.add(stringify!($name), Invalid::new(
                        "is read-only, and the present value is another; leave it out, or read the user again",
                    ));
                })+
                if errors.is_empty() { Ok(()) } else { Err(errors) }
            }

            fn take(fields: &mut Fields, names: &[&str]) -> Self {
                let mut said = Self::default();
                $(if names.contains(&stringify!($name)) {
                    said.$name = fields.not_null::<$kind>(stringify!($name));
                })+
                said
            }

            fn describe(mut body: ObjectBuilder, names: &[&str]) -> ObjectBuilder {
                $(if names.contains(&stringify!($name)) {
                    let about = Some("Ignored if it is the present value, otherwise refused.");
                    let schema = <$kind as Described>::described().read_only(true).description(about);
                    body = body.property(stringify!($name), schema);
                })+
                body
            }
        }
    };
}

read_only! {
    id: UserId, Id;
    username: Username, Name;
    points: i64, Count<0, MOST_POINTS>;
    role: Role, Word;
    is_active: bool, Flag;
    email_verified: bool, Flag;
    created_at: Timestamp, Moment;
    updated_at: Timestamp, Moment;
    version: i64, Count<1, LARGEST>;
}

/// The fields of a user that `PUT /users/{id}` cannot change.
pub(crate) enum OfUser {}

/// The fields of the public view that `PUT /users/{id}/profile` cannot change.
pub(crate) enum OfProfile {}

/// Implements [`Field`] for a kind of several fields, which a body may repeat.
macro_rules! repeats {
    ($($kind:ident: $names:expr;)+) => {$(
        impl Field for $kind {
            type Value = ReadOnly;

            fn take(fields: &mut Fields, _: &'static str) -> Option<ReadOnly> {
                Some(ReadOnly::take(fields, &$names))
            }

            fn describe(body: ObjectBuilder, _: &str, _: &str) -> ObjectBuilder {
                ReadOnly::describe(body, &$names)
            }
        }
    )+};
}

repeats! {
    OfUser: ["id", "points", "email_verified", "created_at", "updated_at", "version"];
    OfProfile: ["id", "username", "points", "role", "is_active", "created_at", "updated_at", "version"];
}

/// A kind with a schema of its own, because a reference to a component cannot say that a field is read-only.
trait Described: FromJson {
    fn described() -> ObjectBuilder;
}

/// Declares a kind: how it is parsed, and its schema.
macro_rules! kinds {
    ($($(@[$($generic:tt)*])? $kind:ty => $value:ty, $of:path, $parse:expr, $schema:expr;)+) => {$(
        from_json!($(@[$($generic)*])? $kind => $value, $of, $parse, $schema);

        impl $(<$($generic)*>)? Described for $kind {
            fn described() -> ObjectBuilder {
                $schema
            }
        }
    )+};
}

enum Id {}
enum Name {}
enum Word {}
enum Flag {}
enum Moment {}
enum Count<const MIN: i64, const MAX: i64> {}

kinds! {
    Id => UserId, text_of, UserId::parse, formatted(KnownFormat::Uuid);
    Name => Username, text_of, Username::parse, string().pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$"));
    Word => Role, text_of, str::parse, one_of_words(Role::ALL.map(Role::as_str));
    Flag => bool, flag_of, Ok, ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::Boolean);
    Moment => Timestamp, text_of, Timestamp::parse, formatted(KnownFormat::DateTime);
    @[const MIN: i64, const MAX: i64] Count<MIN, MAX> => i64, integer_of, Ok, integer(MIN, MAX);
}

fn formatted(format: KnownFormat) -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(format)))
}

fn flag_of(value: &serde_json::Value) -> Result<bool, Invalid> {
    bool::from_json(value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Email;
    use crate::domain::user::NewUser;

    #[test]
    fn every_field_that_differs_is_named() {
        let new = NewUser::new(Email::parse("a@x.com").unwrap(), Username::parse("ann").unwrap());
        let user = new.created(UserId::generate(), Timestamp::now());
        assert_eq!(ReadOnly::default().check(&user), Ok(()));
        let said = ReadOnly { id: Some(user.id), version: Some(1), ..ReadOnly::default() };
        assert_eq!(said.check(&user), Ok(()));
        let said = ReadOnly { points: Some(7), role: Some(Role::Admin), ..said };
        let errors = said.check(&user).unwrap_err();
        assert!(errors.get("points").is_some() && errors.get("role").is_some());
        assert_eq!(errors.iter().count(), 2);
    }
}

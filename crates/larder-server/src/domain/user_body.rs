//! The columns of `users` as fields of a request's body: how they are read, and how the OpenAPI document describes them.

use std::str::FromStr;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::fields::Fields;
use crate::domain::patch::{Patch, UserPatch};
use crate::domain::profile::Skills;
use crate::domain::role::Role;
use crate::domain::text::{Text, component};
use crate::domain::user_columns::{SetBy, with_user_columns};

/// What a field of a body does to a column.
trait Field: Sized {
    /// Reads it from a body in which a missing field stays.
    fn read(fields: &mut Fields, name: &'static str) -> Self;
    /// Reads it from a body that says everything: a missing field is cleared, or refused if it cannot be empty.
    fn read_whole(fields: &mut Fields, name: &'static str) -> Self {
        Self::read(fields, name)
    }
    /// Its schema.
    fn schema() -> RefOr<Schema>;
}

impl<T: Text> Field for Patch<T> {
    fn read(fields: &mut Fields, name: &'static str) -> Self {
        fields.patch(name, T::parse)
    }

    fn read_whole(fields: &mut Fields, name: &'static str) -> Self {
        match Self::read(fields, name) {
            Self::Keep => Self::Clear,
            set => set,
        }
    }

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
    }
}

impl<T: Text> Field for Option<T> {
    fn read(fields: &mut Fields, name: &'static str) -> Self {
        fields.replacing(name, T::parse)
    }

    fn read_whole(fields: &mut Fields, name: &'static str) -> Self {
        fields.required(name, T::parse)
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl Field for Option<Skills> {
    fn read(fields: &mut Fields, name: &'static str) -> Self {
        fields.skills(name)
    }

    fn read_whole(fields: &mut Fields, name: &'static str) -> Self {
        Some(fields.skills(name).unwrap_or_default())
    }

    fn schema() -> RefOr<Schema> {
        nullable(component::<Skills>().into())
    }
}

impl Field for Option<Role> {
    fn read(fields: &mut Fields, name: &'static str) -> Self {
        fields.replacing(name, Role::from_str)
    }

    fn schema() -> RefOr<Schema> {
        component::<Role>().into()
    }
}

impl Field for Option<bool> {
    fn read(fields: &mut Fields, name: &'static str) -> Self {
        fields.flag(name)
    }

    fn schema() -> RefOr<Schema> {
        bool::schema()
    }
}

/// Declares what is done with every column. The row `bio: Option<text::Bio>, Profile, …` is read by
/// `patch.bio = read(fields, "bio")` if `set_by` is `Profile`.
macro_rules! user_fields {
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        /// Reads the columns that `set_by` sets, of a body in which a missing field stays.
        pub(super) fn read(fields: &mut Fields, set_by: SetBy, patch: &mut UserPatch) {
            $(if set_by == SetBy::$set_by {
                patch.$name = Field::read(fields, stringify!($name));
            })+
        }

        /// Reads the columns that `set_by` sets, of a body that says everything.
        pub(super) fn read_whole(fields: &mut Fields, set_by: SetBy, patch: &mut UserPatch) {
            $(if set_by == SetBy::$set_by {
                patch.$name = Field::read_whole(fields, stringify!($name));
            })+
        }

        /// The schemas of the columns that `set_by` sets, by name. What every user must have is left out, because each
        /// body says itself whether that may be missing.
        fn schemas(set_by: SetBy) -> impl Iterator<Item = (&'static str, RefOr<Schema>)> {
            let columns = [$((
                stringify!($name),
                set_by == SetBy::$set_by && ![$(stringify!($mark)),*].contains(&"needed"),
                schema_of(|patch: &UserPatch| &patch.$name),
            )),+];
            columns.into_iter().filter(|(_, is_in, _)| *is_in).map(|(name, _, schema)| (name, schema))
        }
    };
}

with_user_columns!(user_fields);

/// The schema of a field of [`UserPatch`]; the function says which.
fn schema_of<F: Field>(_: fn(&UserPatch) -> &F) -> RefOr<Schema> {
    F::schema()
}

fn nullable(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
            object.into()
        }
        schema => OneOfBuilder::new().item(schema).item(ObjectBuilder::new().schema_type(Type::Null)).into(),
    }
}

/// Declares components of the OpenAPI document that describe the columns of a body by who sets them.
macro_rules! descriptions {
    ($($(#[doc = $doc:literal])+ $name:ident = [$($set_by:ident),+];)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) struct $name;

            impl ToSchema for $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let columns = [$(SetBy::$set_by),+].into_iter().flat_map(schemas);
                    let object = ObjectBuilder::new().description(Some(concat!($($doc),+).trim()));
                    columns.fold(object, |object, (name, schema)| object.property(name, schema)).into()
                }
            }
        )+
    };
}

descriptions! {
    /// What everybody may say of themselves.
    Profile = [Own, Profile];
    /// What only those set who manage a user.
    Managed = [Manager];
    /// The fields of a profile.
    ProfileFields = [Profile];
}

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

/// What becomes of a column that a body leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It stays.
    Stays,
    /// It is cleared; if it cannot be empty, the body is refused.
    Cleared,
}

/// What a field of a body does to a column.
trait Field: Sized {
    /// Reads it.
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self;
    /// Its schema.
    fn schema() -> RefOr<Schema>;
}

impl<T: Text> Field for Patch<T> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        match fields.patch(name, T::parse) {
            Self::Keep if missing == Missing::Cleared => Self::Clear,
            patch => patch,
        }
    }

    fn schema() -> RefOr<Schema> {
        nullable(T::schema())
    }
}

impl<T: Text> Field for Option<T> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        match missing {
            Missing::Stays => fields.replacing(name, T::parse),
            Missing::Cleared => fields.required(name, T::parse),
        }
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl Field for Option<Skills> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        fields.skills(name).or_else(|| (missing == Missing::Cleared).then(Skills::default))
    }

    fn schema() -> RefOr<Schema> {
        nullable(component::<Skills>().into())
    }
}

impl Field for Option<Role> {
    fn read(fields: &mut Fields, name: &'static str, _: Missing) -> Self {
        fields.replacing(name, Role::from_str)
    }

    fn schema() -> RefOr<Schema> {
        component::<Role>().into()
    }
}

impl Field for Option<bool> {
    fn read(fields: &mut Fields, name: &'static str, _: Missing) -> Self {
        fields.flag(name)
    }

    fn schema() -> RefOr<Schema> {
        bool::schema()
    }
}

/// Declares what is done with every column. The row `bio: Option<text::Bio>, Profile, …` is read by
/// `patch.bio = Field::read(fields, "bio", missing)` if `set_by` is `Profile`.
macro_rules! user_fields {
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        /// Reads the columns by who sets them.
        pub(super) fn read(fields: &mut Fields, sets: &[(SetBy, Missing)]) -> UserPatch {
            let mut patch = UserPatch::default();
            for (set_by, missing) in sets.iter().copied() {
                $(if set_by == SetBy::$set_by {
                    patch.$name = Field::read(fields, stringify!($name), missing);
                })+
            }
            patch
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

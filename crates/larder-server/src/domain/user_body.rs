//! The columns of `users` as fields of a request's body: how they are parsed, and how the OpenAPI document describes
//! them.

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

/// What happens to a column that a body omits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The column stays.
    Stays,
    /// The column is cleared; if it cannot be empty, the body is refused.
    Cleared,
}

/// The change of a column by a field of a body.
trait Field: Sized {
    /// Parses the field.
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

/// Declares how every column is parsed. The row `bio: Option<text::Bio>, Profile, …` is parsed by `patch.bio =
/// Field::read(fields, "bio", missing)` if `set_by` is `Profile`.
macro_rules! user_fields {
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        /// Parses the columns that the given groups set.
        pub(super) fn read(fields: &mut Fields, sets: &[(SetBy, Missing)]) -> UserPatch {
            let mut patch = UserPatch::default();
            for (set_by, missing) in sets.iter().copied() {
                $(if set_by == SetBy::$set_by {
                    patch.$name = Field::read(fields, stringify!($name), missing);
                })+
            }
            patch
        }

        /// The schemas of the columns that `set_by` sets, by name. Required columns are left out, because each body
        /// describes itself whether they may be missing.
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

/// The schema of the field of [`UserPatch`] that the function returns.
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

/// Declares components of the OpenAPI document that describe the columns of a body, by the groups that set them.
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
    /// What all users may set of themselves.
    Profile = [Own, Profile];
    /// What only admins set.
    Managed = [Manager];
    /// The fields of a profile.
    ProfileFields = [Profile];
}

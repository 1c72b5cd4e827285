//! The columns of `users` as fields of a request's body: how they are parsed, and how the OpenAPI document describes
//! them.

use utoipa::openapi::schema::ObjectBuilder;

use crate::domain::fields::{Field, Fields, NotNull};
use crate::domain::json::FromJson;
use crate::domain::patch::{Patch, UserPatch};
use crate::domain::profile::{SkillList, Skills};
use crate::domain::user::NewUser;
use crate::domain::user_columns::{SetBy, with_user_columns};

/// What happens to a column that a body omits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// The column stays.
    Stays,
    /// The column is cleared; if it cannot be empty, the body is refused.
    Cleared,
}

/// The change of a column by a field of a body.
trait Change: Sized {
    /// Parses the field.
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self;
    /// Adds the field to the description of the body.
    fn describe(body: ObjectBuilder, name: &str, missing: Missing) -> ObjectBuilder;
}

impl<T: FromJson<Value = T>> Change for Patch<T> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        match fields.missing_or_null::<T>(name) {
            None if missing == Missing::Stays => Self::Keep,
            None | Some(None) => Self::Clear,
            Some(Some(value)) => Self::Set(value),
        }
    }

    fn describe(body: ObjectBuilder, name: &str, _: Missing) -> ObjectBuilder {
        <Option<T> as Field>::describe(body, name, "")
    }
}

impl<T: FromJson<Value = T>> Change for Option<T> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        match missing {
            Missing::Stays => fields.not_null::<T>(name),
            Missing::Cleared => fields.required::<T>(name),
        }
    }

    fn describe(body: ObjectBuilder, name: &str, missing: Missing) -> ObjectBuilder {
        match missing {
            Missing::Stays => NotNull::<T>::describe(body, name, ""),
            Missing::Cleared => <T as Field>::describe(body, name, ""),
        }
    }
}

impl Change for Option<Skills> {
    fn read(fields: &mut Fields, name: &'static str, missing: Missing) -> Self {
        match fields.missing_or_null::<SkillList>(name) {
            None if missing == Missing::Stays => None,
            skills => Some(skills.flatten().unwrap_or_default()),
        }
    }

    fn describe(body: ObjectBuilder, name: &str, _: Missing) -> ObjectBuilder {
        <Option<SkillList> as Field>::describe(body, name, "")
    }
}

/// Declares how every column is parsed and described. The row `bio: Option<text::Bio>, Profile, …` is parsed by
/// `patch.bio = Change::read(fields, "bio", missing)` if `set_by` is `Profile`.
macro_rules! user_fields {
    ($($name:ident: $type:ty, $set_by:ident $(, $mark:ident $value:tt)*;)+) => {
        /// Parses the columns of each group in `sets`.
        fn read(fields: &mut Fields, sets: &[(SetBy, Missing)]) -> UserPatch {
            let mut patch = UserPatch::default();
            for (set_by, missing) in sets.iter().copied() {
                $(if set_by == SetBy::$set_by {
                    patch.$name = Change::read(fields, stringify!($name), missing);
                })+
            }
            patch
        }

        /// Adds the columns of each group in `sets` to the schema `body`.
        fn describe(mut body: ObjectBuilder, sets: &[(SetBy, Missing)]) -> ObjectBuilder {
            for (set_by, missing) in sets.iter().copied() {
                $(if set_by == SetBy::$set_by {
                    body = describe_one(|patch: &UserPatch| &patch.$name, body, stringify!($name), missing);
                })+
            }
            body
        }
    };
}

with_user_columns!(user_fields);

/// Describes the field of [`UserPatch`] that the function returns.
fn describe_one<C: Change>(
    _: fn(&UserPatch) -> &C,
    body: ObjectBuilder,
    name: &str,
    missing: Missing,
) -> ObjectBuilder {
    C::describe(body, name, missing)
}

/// Declares kinds of fields. A kind names the groups of columns that a body sets, what happens to missing columns of
/// each group, and the value that the body holds.
macro_rules! columns {
    ($($(#[doc = $doc:literal])+ $name:ident => $value:ty, $held:expr, [$($set_by:ident: $missing:ident),+];)+) => {$(
        $(#[doc = $doc])+
        pub(super) enum $name {}

        impl Field for $name {
            type Value = $value;

            fn take(fields: &mut Fields, _: &'static str) -> Option<$value> {
                $held(read(fields, &[$((SetBy::$set_by, Missing::$missing)),+]))
            }

            fn describe(body: ObjectBuilder, _: &str, _: &str) -> ObjectBuilder {
                describe(body, &[$((SetBy::$set_by, Missing::$missing)),+])
            }
        }
    )+};
}

columns! {
    /// What a user sets when it registers.
    Registered => NewUser, |patch: UserPatch| patch.new_user(), [Own: Cleared, Profile: Cleared];
    /// What an admin sets of a new user.
    Created => NewUser, |patch: UserPatch| patch.new_user(), [Own: Cleared, Profile: Cleared, Manager: Stays];
    /// Some columns of a user.
    Patched => UserPatch, Some, [Own: Stays, Manager: Stays, Profile: Stays];
    /// All columns of a user. Those that only an admin may set stay if they are missing, so that users can PUT the
    /// columns that they may edit.
    Replaced => UserPatch, Some, [Own: Cleared, Manager: Stays, Profile: Cleared];
    /// Some columns of a profile.
    ProfilePatched => UserPatch, Some, [Profile: Stays];
    /// All columns of a profile.
    ProfileReplaced => UserPatch, Some, [Profile: Cleared];
}

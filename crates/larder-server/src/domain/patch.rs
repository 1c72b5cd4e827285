//! A change of a user: each field is kept, cleared or set.

use crate::domain::read_only::ReadOnly;
use crate::domain::text::Text;
use crate::domain::user::{NewUser, User};
use crate::domain::user_columns::{SetBy, with_user_columns};
use crate::domain::{contact, identity, profile, role, text};

/// The change of one field that may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field becomes empty.
    Clear,
    /// The field gets this value.
    Set(T),
}

/// A field that a change may set.
pub trait Column {
    /// The type of the change of the field; the default keeps the field.
    type Change: Default;

    /// Applies the change.
    fn apply(&mut self, change: &Self::Change);
}

/// A field that is never empty.
pub trait Filled: Clone {}

impl<T: Text + Clone> Filled for T {}
impl Filled for profile::Skills {}
impl Filled for role::Role {}
impl Filled for bool {}

impl<T: Clone> Column for Option<T> {
    type Change = Patch<T>;

    fn apply(&mut self, change: &Patch<T>) {
        match change {
            Patch::Keep => {}
            Patch::Clear => *self = None,
            Patch::Set(value) => *self = Some(value.clone()),
        }
    }
}

impl<T: Filled> Column for T {
    type Change = Option<T>;

    fn apply(&mut self, change: &Option<T>) {
        if let Some(value) = change {
            *self = value.clone();
        }
    }
}

/// Declares `UserPatch`: each row of `user_columns.rs` becomes a field. A field that may be empty, such as
/// `bio: Option<text::Bio>`, becomes `bio: Patch<text::Bio>`; one that may not, such as `email: contact::Email`, becomes
/// `email: Option<contact::Email>`.
macro_rules! user_patch {
    ($(
        $name:ident: $type:ty, $set_by:ident
        $(, needed $needed:ident)? $(, shown $shown:ident)? $(, behind $behind:ident)? $(, initially $initial:expr)?;
    )+) => {
        /// A change of a user. `None` and [`Patch::Keep`] keep a field; the default changes nothing.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each field is named after its type, which is documented")]
        pub struct UserPatch {
            $(pub $name: <$type as Column>::Change,)+
            /// The fields that no request can change, as far as the request repeats them.
            pub read_only: ReadOnly,
            /// Whether the request has the complete user, as GET shows it. If so, the request may repeat fields that
            /// only an admin may set.
            pub is_complete: bool,
        }

        impl UserPatch {
            /// Each field in this change, and who may set it. A field whose new value equals its present value is
            /// included.
            fn changes(&self) -> impl Iterator<Item = (&'static str, SetBy)> {
                let kept = Self::default();
                let fields = [$((stringify!($name), SetBy::$set_by, self.$name != kept.$name)),+];
                fields.into_iter().filter(|(_, _, is_set)| *is_set).map(|(name, set_by, _)| (name, set_by))
            }

            /// The user after this change. Its times and its version are still those of `before`, because the database
            /// sets the new ones.
            pub(crate) fn applied(&self, before: &User) -> User {
                let mut user = before.clone();
                $(user.$name.apply(&self.$name);)+
                user
            }

            /// Removes each field of [`UserPatch::admin_fields`] whose new value equals the value in `before`.
            #[must_use]
            pub(crate) fn without_kept_admin_fields(mut self, before: &User) -> Self {
                let after = self.applied(before);
                $(if SetBy::$set_by == SetBy::Manager && after.$name == before.$name {
                    self.$name = Default::default();
                })+
                self
            }

            /// The new user that this change describes; `None` if a required field is missing.
            pub(crate) fn new_user(&self) -> Option<NewUser> {
                let mut user = NewUser::new($($(self.$needed.clone()?,)?)+);
                $(user.$name.apply(&self.$name);)+
                Some(user)
            }
        }
    };
}

with_user_columns!(user_patch);

impl UserPatch {
    /// A change of nothing but the user's status.
    pub fn active(is_active: bool) -> Self {
        Self { is_active: Some(is_active), ..Self::default() }
    }

    /// The fields in this change, including those whose new value equals the present one.
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        self.changes().map(|(name, _)| name).collect()
    }

    /// Whether this change gives the user another e-mail address, user name or telephone number, with which it logs in.
    pub(crate) fn changes_name_of(&self, user: &User) -> bool {
        let after = self.applied(user);
        (&after.email, &after.username, &after.phone) != (&user.email, &user.username, &user.phone)
    }

    /// The fields in this change that only an admin may set.
    pub fn admin_fields(&self) -> Vec<&'static str> {
        self.changes().filter(|(_, set_by)| *set_by == SetBy::Manager).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::Email;
    use crate::domain::identity::{UserId, Username};
    use crate::domain::role::Role;
    use crate::domain::text::{Bio, FullName, Location};
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn a_change_keeps_clears_and_sets() {
        let mut new = NewUser::new(Email::parse("a@x.com").unwrap(), Username::parse("ann").unwrap());
        new.bio = Some(Bio::parse("hello").unwrap());
        new.location = Some(Location::parse("Nassau").unwrap());
        let before = new.created(UserId::generate(), Timestamp::now());
        assert_eq!(UserPatch::default().applied(&before), before);

        let patch = UserPatch {
            bio: Patch::Clear,
            full_name: Patch::Set(FullName::parse("Ann").unwrap()),
            role: Some(Role::Admin),
            ..UserPatch::active(false)
        };
        let after = patch.applied(&before);
        assert_eq!((&after.bio, &after.location), (&None, &before.location));
        assert_eq!(after.full_name.unwrap().as_str(), "Ann");
        assert_eq!((after.role, after.is_active), (Role::Admin, false));
        assert_eq!(patch.fields(), ["full_name", "bio", "role", "is_active"]);
        assert_eq!(patch.admin_fields(), ["role", "is_active"]);
        let same_role = UserPatch { role: Some(Role::User), ..patch };
        assert_eq!(same_role.without_kept_admin_fields(&before).admin_fields(), ["is_active"]);
    }
}

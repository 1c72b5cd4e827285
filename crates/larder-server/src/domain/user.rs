//! The types of a user: [`User`] is stored and cached, [`PublicUser`] is what other users may see, and [`NewUser`] is a
//! user before its creation.

use serde::{Deserialize, Serialize};

use crate::domain::identity::{Identifier, UserId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user_columns::with_user_columns;
use crate::domain::{contact, identity, profile, role, text};

/// Declares the types of a user. The row `bio: Option<text::Bio>, Profile, shown bio` gives each of them
/// `pub bio: Option<text::Bio>`; without `shown bio`, [`PublicUser`] would not have it.
macro_rules! users {
    ($(
        $name:ident: $type:ty, $set_by:ident
        $(, needed $needed:ident)? $(, shown $shown:ident)? $(, behind $behind:ident)? $(, initially $initial:expr)?;
    )+) => {
        /// A user as the database holds it.
        ///
        /// This type is cached, so it has no field for a password hash or another secret, and no serde attribute that
        /// needs a self-describing format.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[allow(missing_docs, reason = "each field is named after its type, which is documented")]
        pub struct User {
            pub id: UserId,
            $(
                $(
                    /// The sum of the user's ledger, never negative.
                    pub $behind: i64,
                )?
                pub $name: $type,
            )+
            /// Whether the user has proved, by a token, to read what is sent to `email`. A change of `email` makes it
            /// `false`.
            pub email_verified: bool,
            pub created_at: Timestamp,
            pub updated_at: Timestamp,
            /// Increases by one with every change of the row; a trigger of the database does this.
            pub version: i64,
        }

        /// What other users may see of a user: no e-mail address, telephone number or external id.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[allow(missing_docs, reason = "each field is named after its type, which is documented")]
        #[serde(deny_unknown_fields)]
        pub struct PublicUser {
            pub id: UserId,
            $($(pub $behind: i64,)? $(pub $shown: $type,)?)+
            pub created_at: Timestamp,
            pub updated_at: Timestamp,
            pub version: i64,
        }

        /// A user to create. The password is not part of it; only its hash is passed, separately.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each field is named after its type, which is documented")]
        pub struct NewUser {
            $(pub $name: $type,)+
        }

        impl User {
            /// The names of the editable fields in which `after` differs, without `is_active`.
            pub(crate) fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
                let fields = [$((stringify!($name), self.$name != after.$name)),+];
                let changed = fields.into_iter().filter_map(|(name, differs)| differs.then_some(name));
                changed.filter(|name| *name != "is_active").collect()
            }
        }

        impl From<&User> for PublicUser {
            fn from(user: &User) -> Self {
                Self {
                    id: user.id,
                    $($($shown: user.$shown.clone(),)?)+
                    points: user.points,
                    created_at: user.created_at,
                    updated_at: user.updated_at,
                    version: user.version,
                }
            }
        }

        impl NewUser {
            /// An active user with the role `user` and only the required fields.
            pub fn new($($($needed: $type,)?)+) -> Self {
                Self { $($name: initial!($($needed)? $($initial)?),)+ }
            }

            /// The user that is created from this, with the id `id` and the creation time `now`.
            pub(crate) fn created(self, id: UserId, now: Timestamp) -> User {
                User {
                    id,
                    $($name: self.$name,)+
                    points: 0,
                    email_verified: false,
                    created_at: now,
                    updated_at: now,
                    version: 1,
                }
            }
        }
    };
}

/// The initial value of a column for a new user, from the marks in the column's row.
macro_rules! initial {
    () => {
        Default::default()
    };
    ($value:expr) => {
        $value
    };
}

with_user_columns!(users);

impl User {
    /// Whether `identifier` names this user.
    pub fn has(&self, identifier: &Identifier) -> bool {
        match identifier {
            Identifier::Id(id) => self.id == *id,
            Identifier::External(external) => self.external_id.as_ref() == Some(external),
            Identifier::Email(email) => self.email == *email,
            Identifier::Username(username) => self.username == *username,
            Identifier::Phone(phone) => self.phone.as_ref() == Some(phone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{Email, Phone};
    use crate::domain::identity::{ExternalId, Username};

    #[test]
    fn other_users_do_not_see_addresses_or_external_ids() {
        let mut new = NewUser::new(Email::parse("ann@example.com").unwrap(), Username::parse("ann").unwrap());
        new.phone = Some(Phone::parse("+12425550123").unwrap());
        new.external_id = Some(ExternalId::parse("5779356081").unwrap());
        let user = new.created(UserId::generate(), Timestamp::now());
        let public = serde_json::to_string(&PublicUser::from(&user)).unwrap();
        for hidden in ["example.com", "2425550123", "5779356081", "email", "phone", "external_id", "password"]
        {
            assert!(!public.contains(hidden), "{hidden}");
        }
    }

    #[test]
    fn a_user_survives_json_and_is_hidden_in_debug() {
        let new = NewUser::new(Email::parse("ann@example.com").unwrap(), Username::parse("annie").unwrap());
        let user = new.created(UserId::generate(), Timestamp::now());
        let json = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&json).unwrap(), user);
        let debug = format!("{user:?}");
        assert!(!debug.contains("example.com") && !debug.contains("annie"), "{debug}");
    }
}

//! The user: as stored and cached, as others may see it, and as it is before it exists.

use serde::{Deserialize, Serialize};

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Identifier, UserId, Username};
use crate::domain::profile::{AvatarUrl, Skills};
use crate::domain::role::Role;
use crate::domain::text::{Bio, Experience, FullName, Location, Occupation};
use crate::domain::timestamp::Timestamp;

/// A user as the database holds it.
///
/// This is what gets cached, so it has no field for a password hash or any other secret, and no serde attribute
/// that needs a self-describing format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct User {
    pub id: UserId,
    pub external_id: Option<ExternalId>,
    pub email: Email,
    pub username: Username,
    pub phone: Option<Phone>,
    pub full_name: Option<FullName>,
    pub bio: Option<Bio>,
    pub occupation: Option<Occupation>,
    pub location: Option<Location>,
    pub avatar_url: Option<AvatarUrl>,
    pub skills: Skills,
    pub experience: Option<Experience>,
    /// The sum of the user's ledger, never negative.
    pub points: i64,
    pub role: Role,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Rises by one with every change of the row, by a trigger of the database.
    pub version: i64,
}

impl User {
    /// The names of the editable fields in which `after` differs, without `is_active`.
    pub(crate) fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
        let fields = [
            ("external_id", self.external_id != after.external_id),
            ("email", self.email != after.email),
            ("username", self.username != after.username),
            ("phone", self.phone != after.phone),
            ("full_name", self.full_name != after.full_name),
            ("bio", self.bio != after.bio),
            ("occupation", self.occupation != after.occupation),
            ("location", self.location != after.location),
            ("avatar_url", self.avatar_url != after.avatar_url),
            ("skills", self.skills != after.skills),
            ("experience", self.experience != after.experience),
            ("role", self.role != after.role),
        ];
        fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

/// What other users may see of a user: no e-mail address, telephone number or external id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
#[serde(deny_unknown_fields)]
pub struct PublicUser {
    pub id: UserId,
    pub username: Username,
    pub full_name: Option<FullName>,
    pub bio: Option<Bio>,
    pub occupation: Option<Occupation>,
    pub location: Option<Location>,
    pub avatar_url: Option<AvatarUrl>,
    pub skills: Skills,
    pub experience: Option<Experience>,
    pub points: i64,
    pub role: Role,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

impl User {
    /// Whether this is what `identifier` names.
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

impl From<&User> for PublicUser {
    fn from(user: &User) -> Self {
        let user = user.clone();
        Self {
            id: user.id,
            username: user.username,
            full_name: user.full_name,
            bio: user.bio,
            occupation: user.occupation,
            location: user.location,
            avatar_url: user.avatar_url,
            skills: user.skills,
            experience: user.experience,
            points: user.points,
            role: user.role,
            is_active: user.is_active,
            created_at: user.created_at,
            updated_at: user.updated_at,
            version: user.version,
        }
    }
}

/// A user to be created. The password travels apart, and only as its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct NewUser {
    pub external_id: Option<ExternalId>,
    pub email: Email,
    pub username: Username,
    pub phone: Option<Phone>,
    pub full_name: Option<FullName>,
    pub bio: Option<Bio>,
    pub occupation: Option<Occupation>,
    pub location: Option<Location>,
    pub avatar_url: Option<AvatarUrl>,
    pub skills: Skills,
    pub experience: Option<Experience>,
    pub role: Role,
    pub is_active: bool,
}

impl NewUser {
    /// An active user with the role `user` and nothing but what is required.
    pub fn new(email: Email, username: Username) -> Self {
        Self {
            external_id: None,
            email,
            username,
            phone: None,
            full_name: None,
            bio: None,
            occupation: None,
            location: None,
            avatar_url: None,
            skills: Skills::default(),
            experience: None,
            role: Role::User,
            is_active: true,
        }
    }

    /// The user that this becomes under `id` at `now`.
    pub(crate) fn created(self, id: UserId, now: Timestamp) -> User {
        User {
            id,
            external_id: self.external_id,
            email: self.email,
            username: self.username,
            phone: self.phone,
            full_name: self.full_name,
            bio: self.bio,
            occupation: self.occupation,
            location: self.location,
            avatar_url: self.avatar_url,
            skills: self.skills,
            experience: self.experience,
            points: 0,
            role: self.role,
            is_active: self.is_active,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_see_no_way_to_reach_a_user() {
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
    fn a_user_survives_json_and_hides_in_debug() {
        let new = NewUser::new(Email::parse("ann@example.com").unwrap(), Username::parse("annie").unwrap());
        let user = new.created(UserId::generate(), Timestamp::now());
        let json = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&json).unwrap(), user);
        let debug = format!("{user:?}");
        assert!(!debug.contains("example.com") && !debug.contains("annie"), "{debug}");
    }
}

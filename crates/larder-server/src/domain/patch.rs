//! A change of a user: for every field keep, clear or set.

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Username};
use crate::domain::profile::{AvatarUrl, Skills};
use crate::domain::role::Role;
use crate::domain::text::{Bio, Experience, FullName, Location, Occupation};
use crate::domain::user::User;

/// What happens to one field that may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Stays as it is.
    #[default]
    Keep,
    /// Becomes empty.
    Clear,
    /// Becomes this.
    Set(T),
}

impl<T: Clone> Patch<T> {
    fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value.clone()),
        }
    }
}

/// A change of a user. `None` and [`Patch::Keep`] leave a field alone; the default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct UserPatch {
    pub external_id: Patch<ExternalId>,
    pub email: Option<Email>,
    pub username: Option<Username>,
    pub phone: Patch<Phone>,
    pub full_name: Patch<FullName>,
    pub bio: Patch<Bio>,
    pub occupation: Patch<Occupation>,
    pub location: Patch<Location>,
    pub avatar_url: Patch<AvatarUrl>,
    pub skills: Option<Skills>,
    pub experience: Patch<Experience>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

impl UserPatch {
    /// A change of nothing but whether the user is active.
    pub fn active(is_active: bool) -> Self {
        Self { is_active: Some(is_active), ..Self::default() }
    }

    /// The fields in this change, also those that have their new value already.
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        // Taken apart, so that a new field is not forgotten.
        let Self {
            external_id,
            email,
            username,
            phone,
            full_name,
            bio,
            occupation,
            location,
            avatar_url,
            skills,
            experience,
            role,
            is_active,
        } = self;
        let fields = [
            ("external_id", *external_id != Patch::Keep),
            ("email", email.is_some()),
            ("username", username.is_some()),
            ("phone", *phone != Patch::Keep),
            ("full_name", *full_name != Patch::Keep),
            ("bio", *bio != Patch::Keep),
            ("occupation", *occupation != Patch::Keep),
            ("location", *location != Patch::Keep),
            ("avatar_url", *avatar_url != Patch::Keep),
            ("skills", skills.is_some()),
            ("experience", *experience != Patch::Keep),
            ("role", role.is_some()),
            ("is_active", is_active.is_some()),
        ];
        fields.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
    }

    /// The fields in this change that only an admin may set: `role`, `is_active`, `external_id`.
    pub fn admin_fields(&self) -> Vec<&'static str> {
        let mut fields = self.fields();
        fields.retain(|field| ["role", "is_active", "external_id"].contains(field));
        fields
    }

    /// The user after this change; its times and version are the database's business.
    pub(crate) fn applied(&self, before: &User) -> User {
        let mut user = before.clone();
        self.external_id.apply(&mut user.external_id);
        self.phone.apply(&mut user.phone);
        self.full_name.apply(&mut user.full_name);
        self.bio.apply(&mut user.bio);
        self.occupation.apply(&mut user.occupation);
        self.location.apply(&mut user.location);
        self.avatar_url.apply(&mut user.avatar_url);
        self.experience.apply(&mut user.experience);
        if let Some(email) = &self.email {
            user.email = email.clone();
        }
        if let Some(username) = &self.username {
            user.username = username.clone();
        }
        if let Some(skills) = &self.skills {
            user.skills = skills.clone();
        }
        user.role = self.role.unwrap_or(user.role);
        user.is_active = self.is_active.unwrap_or(user.is_active);
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::UserId;
    use crate::domain::timestamp::Timestamp;
    use crate::domain::user::NewUser;

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
        assert_eq!((after.bio, after.location), (None, before.location));
        assert_eq!(after.full_name.unwrap().as_str(), "Ann");
        assert_eq!((after.role, after.is_active), (Role::Admin, false));
        assert_eq!(patch.fields(), ["full_name", "bio", "role", "is_active"]);
        assert_eq!(patch.admin_fields(), ["role", "is_active"]);
    }
}

//! Who may do what to whom.

use uuid::Uuid;

use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::Actor;
use crate::domain::identity::{Identifier, UserId, UserRef};
use crate::domain::permission::{Right, Rights};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::error::ServiceError;

/// Whoever sends a request, as its token and the user's present state say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub id: UserId,
    /// The role it has now, which may differ from the one it had when the token was made.
    pub role: Role,
    /// With what it proved who it is.
    pub credential: Credential,
    /// What its permissions give it beside its role.
    pub rights: Rights,
}

/// With what a caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of this session.
    Session(Uuid),
    /// An API key.
    ApiKey(ApiKeyId),
}

impl Caller {
    /// The session, for what an API key may not do.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`] for an API key.
    pub fn session(&self) -> Result<Uuid, ServiceError> {
        match self.credential {
            Credential::Session(session) => Ok(session),
            Credential::ApiKey(_) => {
                Err(ServiceError::Forbidden("this needs a login; an API key is not enough"))
            }
        }
    }

    /// Whom a path names, for this caller.
    pub fn naming(&self, user: UserRef) -> Identifier {
        match user {
            UserRef::Me => Identifier::Id(self.id),
            UserRef::Id(id) => Identifier::Id(id),
            UserRef::External(external) => Identifier::External(external),
        }
    }

    /// As whom the caller stands in the audit log.
    pub fn actor(&self) -> Actor {
        Actor::User(self.id)
    }

    /// Whether the caller may see and change everything of `user`: itself, or one whom it manages.
    pub fn may_see_all_of(&self, user: &User) -> bool {
        self.id == user.id || self.manages(user.role)
    }

    /// An admin manages all but superadmins, a superadmin everybody.
    fn manages(&self, role: Role) -> bool {
        match self.role {
            Role::User => false,
            Role::Admin => role < Role::Superadmin,
            Role::Superadmin => true,
        }
    }

    /// Whether the caller may change `user`.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`].
    pub fn check_change(&self, user: &User) -> Result<(), ServiceError> {
        match self.may_see_all_of(user) {
            true => Ok(()),
            false => {
                Err(ServiceError::Forbidden("this user may be changed by itself and by those who manage it"))
            }
        }
    }

    /// Whether the caller may do what is for admins: to a user who has `role`, or is to get it.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`].
    pub fn check_manage(&self, role: Role) -> Result<(), ServiceError> {
        match self.manages(role) {
            true => Ok(()),
            false if self.role == Role::User => Err(ServiceError::Forbidden("this is for admins")),
            false => Err(ServiceError::Forbidden("superadmins are managed by superadmins only")),
        }
    }

    /// Whether the caller may do what is for admins and for those who have the permission.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`].
    pub fn check_permission(&self, right: Right) -> Result<(), ServiceError> {
        match self.role >= Role::Admin || self.rights.hold(right) {
            true => Ok(()),
            false => Err(ServiceError::Forbidden("this is for admins and for users with the permission")),
        }
    }

    /// Whether the caller may do to `user` what is for those who manage it and for those who have the permission, which
    /// stands in for being an admin and for no more.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`].
    pub fn check_manage_or(&self, user: &User, right: Right) -> Result<(), ServiceError> {
        self.check_permission(right)?;
        let stands_in = self.rights.hold(right) && user.role < Role::Superadmin;
        if stands_in { Ok(()) } else { self.check_manage(user.role) }
    }

    /// Whether the caller is an admin at all.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`].
    pub fn check_admin(&self) -> Result<(), ServiceError> {
        self.check_manage(Role::User)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::permission::Permission;

    fn caller(role: Role) -> Caller {
        let credential = Credential::Session(Uuid::now_v7());
        Caller { id: UserId::generate(), role, credential, rights: Rights::default() }
    }

    #[test]
    fn who_manages_whom() {
        let expected = [
            (Role::User, [false, false, false]),
            (Role::Admin, [true, true, false]),
            (Role::Superadmin, [true, true, true]),
        ];
        for (role, allowed) in expected {
            let targets = [Role::User, Role::Admin, Role::Superadmin];
            let may = targets.map(|target| caller(role).check_manage(target).is_ok());
            assert_eq!(may, allowed, "{role:?}");
        }
    }

    #[test]
    fn a_permission_stands_in_for_the_role() {
        let held = Rights::of(&[Permission::parse("points.write").unwrap()]);
        for (role, rights, expected) in [
            (Role::User, Rights::default(), false),
            (Role::User, held, true),
            (Role::Admin, Rights::default(), true),
        ] {
            let caller = Caller { rights, ..caller(role) };
            assert_eq!(caller.check_permission(Right::WritePoints).is_ok(), expected, "{role:?}");
            assert_eq!(caller.check_permission(Right::ReadAudit).is_ok(), role == Role::Admin);
        }
    }
}

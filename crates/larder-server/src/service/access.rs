//! Which caller may do what to which user.

use uuid::Uuid;

use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::Actor;
use crate::domain::identity::{Identifier, UserId, UserRef};
use crate::domain::permission::{Right, Rights};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;

/// The authenticated sender of a request, with its present role and rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub id: UserId,
    /// The user's role now; it may differ from the role at the time the token was issued.
    pub role: Role,
    /// The credential with which the caller authenticated.
    pub credential: Credential,
    /// The rights that the caller's permissions add to its role.
    pub rights: Rights,
}

/// The credential with which a caller authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// An access token of this session.
    Session(Uuid),
    /// An API key.
    ApiKey(ApiKeyId),
}

impl Caller {
    /// The caller's session. An action that API keys may not do calls this function, which refuses them.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for an API key.
    pub fn session(&self) -> Result<Uuid, ServiceError> {
        match self.credential {
            Credential::Session(session) => Ok(session),
            Credential::ApiKey(_) => Err(ServiceError::Refused(Refusal::LoginNeeded)),
        }
    }

    /// The identifier of the user that a path names; `me` names the caller.
    pub fn naming(&self, user: UserRef) -> Identifier {
        match user {
            UserRef::Me => Identifier::Id(self.id),
            UserRef::Id(id) => Identifier::Id(id),
            UserRef::External(external) => Identifier::External(external),
        }
    }

    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor::User(self.id)
    }

    /// Whether the caller may see and change everything of `user`: it is `user`, or it manages `user`.
    pub fn may_see_all_of(&self, user: &User) -> bool {
        self.id == user.id || self.manages(user.role)
    }

    /// Whether the caller may learn that `by` names `user`. E-mail addresses and telephone numbers are hidden from callers
    /// that do not see all of the user: a filter on one that a user fulfils, or not, would confirm a guess.
    pub fn may_match(&self, user: &User, by: &Identifier) -> bool {
        match by {
            Identifier::Email(_) | Identifier::Phone(_) => self.may_see_all_of(user),
            Identifier::Id(_) | Identifier::External(_) | Identifier::Username(_) => true,
        }
    }

    /// Whether the caller manages users of this role. An admin manages every user except superadmins; a superadmin
    /// manages every user.
    pub(crate) fn manages(&self, role: Role) -> bool {
        match self.role {
            Role::User => false,
            Role::Admin => role < Role::Superadmin,
            Role::Superadmin => true,
        }
    }

    /// Checks that the caller may change `user`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
    pub fn check_change(&self, user: &User) -> Result<(), ServiceError> {
        match self.may_see_all_of(user) {
            true => Ok(()),
            false => Err(ServiceError::Refused(Refusal::NotOwnUser)),
        }
    }

    /// Checks that the caller may act as an admin on a user who has `role`, or who is to get `role`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
    pub fn check_manage(&self, role: Role) -> Result<(), ServiceError> {
        match self.manages(role) {
            true => Ok(()),
            false if self.role == Role::User => Err(ServiceError::Refused(Refusal::AdminsOnly)),
            false => Err(ServiceError::Refused(Refusal::SuperadminTarget)),
        }
    }

    /// Checks that the caller is an admin or has the permission for `right`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
    pub fn check_permission(&self, right: Right) -> Result<(), ServiceError> {
        match self.role >= Role::Admin || self.rights.hold(right) {
            true => Ok(()),
            false => Err(ServiceError::Refused(Refusal::PermissionMissing)),
        }
    }

    /// Checks that the caller manages `user`, or has the permission for `right` and `user` is no superadmin. A
    /// permission replaces the role `admin`, never the role `superadmin`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
    pub fn check_manage_or(&self, user: &User, right: Right) -> Result<(), ServiceError> {
        self.check_permission(right)?;
        let acts_as_admin = self.rights.hold(right) && user.role < Role::Superadmin;
        if acts_as_admin { Ok(()) } else { self.check_manage(user.role) }
    }

    /// Checks that the caller is an admin or a superadmin.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
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
    fn an_admin_manages_all_but_superadmins_and_a_superadmin_manages_all() {
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
    fn a_permission_replaces_the_role_admin() {
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

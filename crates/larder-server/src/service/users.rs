//! Reads and changes users.

use std::net::IpAddr;

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder_identity::limits::Purpose;

use crate::domain::audit::Actor;
use crate::domain::body::CreateUserBody;
use crate::domain::conditions::Conditions;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::patch::UserPatch;
use crate::domain::role::Role;
use crate::domain::user::{NewUser, User};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::auth::check_not_own;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::changes::{Deleted, Expected, Proven, Updated};

impl Service {
    /// The user that has this identifier.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn find(
        &self,
        by: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<User>, ServiceError> {
        let answer = self.cached.find(by, consistency).await?;
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }

    /// The user that a caller looks up. Only those who manage a user may learn that it has an e-mail address or a
    /// telephone number. For a caller that is no admin, such a look-up reads only the caller's own row. So neither the
    /// answer nor its duration discloses whether another user has the address or number.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn look_up(
        &self,
        caller: Caller,
        by: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<User>, ServiceError> {
        let (Identifier::Email(_) | Identifier::Phone(_), Role::User) = (by, caller.role) else {
            let found = self.find(by, consistency).await?;
            let may_match = found.value.as_deref().is_some_and(|user| caller.may_match(user, by));
            return if may_match { Ok(found) } else { Err(ServiceError::NotFound) };
        };
        let own = self.find(&Identifier::Id(caller.id), consistency).await?;
        let is_own = own.value.as_deref().is_some_and(|user| user.has(by));
        if is_own { Ok(own) } else { Err(ServiceError::NotFound) }
    }

    /// Creates a user as an admin. A caller that gives a role above `user` also sends its password: otherwise the
    /// thief of its token or API key could create an account that outlives it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::Taken`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn create(
        &self,
        caller: Caller,
        body: CreateUserBody,
        from: IpAddr,
    ) -> Result<(User, Receipt), ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        caller.check_manage(body.user.role)?;
        if body.user.role > Role::User {
            self.confirm(caller, &Proof { confirmation: body.confirmation, from }).await?;
        }
        let hash = match &body.password {
            Some(password) => {
                check_not_own(password, &(&body.user).into(), "password")?;
                Some(self.passwords.of_client(from).hash(password).await?)
            }
            None => None,
        };
        self.insert(caller.actor(), body.user, hash).await
    }

    pub(crate) async fn insert(
        &self,
        actor: Actor,
        new: NewUser,
        password_hash: Option<String>,
    ) -> Result<(User, Receipt), ServiceError> {
        let insert = self
            .write(actor, move |tx| async move { Ok(tx.insert_user(new, password_hash.as_deref()).await?) });
        let (user, receipt) = insert.await?;
        self.warm_user(user.id);
        Ok((user, receipt))
    }

    /// Loads a user in the background: a new user is usually read soon.
    fn warm_user(&self, id: UserId) {
        let service = self.clone();
        self.warming.soon(async move {
            // A later read of the same user returns the error to its caller.
            let _ = service.cached.user_details(&id, Consistency::Bounded).await;
        });
    }

    /// Changes a user if its version is as `expected`. A caller confirms with its password that it changes the e-mail
    /// address, user name or telephone number of itself or of a user with rights, gives a role above `user`, or activates
    /// a user with rights.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], [`ServiceError::Taken`],
    /// [`ServiceError::VersionMismatch`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn update(
        &self,
        caller: Caller,
        named: Identifier,
        patch: UserPatch,
        expected: &Conditions<i64>,
        proof: Proof,
    ) -> Result<(User, Receipt), ServiceError> {
        let mut is_confirmed = false;
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.target(caller, &named).await?;
            check_version(&target, expected)?;
            patch.read_only.check(&target).map_err(ServiceError::Invalid)?;
            let mut patch = patch.clone();
            if patch.is_complete && caller.check_manage(target.role).is_err() {
                // A complete body may repeat the present values of fields that only an admin may set. The patch drops
                // them: if an admin changes such a field between this check and the write, the write must not change it
                // back.
                patch = patch.without_kept_admin_fields(&target);
            }
            if !patch.admin_fields().is_empty() {
                caller.check_manage(target.role)?;
            }
            if let Some(role) = patch.role {
                caller.check_manage(role)?;
            }
            let (is_own, changes_name) = (target.id == caller.id, patch.changes_name_of(&target));
            // A reset of the password goes to the e-mail address, so a caller that sets a privileged user's address
            // could then log in as that user.
            let takes_over = changes_name && (is_own || self.has_rights(&target).await?);
            let gives_rights = gives_role(&patch, &target)
                || (patch.is_active == Some(true) && !target.is_active && self.has_rights(&target).await?);
            // A password that this change does not need proves that the caller may set the e-mail address: then mails
            // that reset a password go there.
            let proves = patch.email.is_some()
                && proof.confirmation.current_password.is_some()
                && caller.session().is_ok();
            if (takes_over || proves || gives_rights) && !is_confirmed {
                // The attempt takes from the budget first, and `confirm` spends the second-factor code afterwards. A
                // code is valid once, so an answer of 429 must not spend it.
                let guess = match is_own && changes_name && caller.role == Role::User {
                    true => Some(self.limits.from_address(Purpose::Register, proof.from)?),
                    false => None,
                };
                if let Err(refused) = self.confirm(caller, &proof).await {
                    if let Some(guess) = guess {
                        guess.give_back();
                    }
                    return Err(refused);
                }
                // `drop` spends the attempt, as in `register`: the answer discloses whether a name is taken.
                drop(guess);
                is_confirmed = true;
            }
            let proven = if is_confirmed { Proven::Yes } else { Proven::No };
            let is_conditional = !expected.is_empty();
            let changed =
                self.update_as_judged(caller.actor(), target, patch.clone(), is_conditional, proven);
            if let Some(changed) = changed.await? {
                return Ok(changed);
            }
        }
    }

    /// Returns `None` if the user's row changed after the rights were checked. Then the function that called this one
    /// checks them again.
    async fn update_as_judged(
        &self,
        actor: Actor,
        target: User,
        patch: UserPatch,
        is_conditional: bool,
        proven: Proven,
    ) -> Result<Option<(User, Receipt)>, ServiceError> {
        let update = self.write(actor, move |tx| async move {
            let judged = Some(as_judged(&target, is_conditional));
            match tx.update_user_proven(target.id, &patch, judged, proven).await? {
                Updated::Done { after, .. } => Ok(Some(*after)),
                Updated::NotFound | Updated::VersionMismatch { .. } => Ok(None),
                Updated::LastSuperadmin => Err(ServiceError::Refused(Refusal::LastSuperadmin)),
            }
        });
        let (user, receipt) = update.await?;
        Ok(user.map(|user| (user, receipt)))
    }

    /// Deletes a user if its version is as `expected`. A caller that deletes itself, or a user with rights, confirms the
    /// deletion with its password.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], [`ServiceError::VersionMismatch`],
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn delete(
        &self,
        caller: Caller,
        named: Identifier,
        expected: &Conditions<i64>,
        proof: Proof,
    ) -> Result<Receipt, ServiceError> {
        let mut is_confirmed = false;
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.target(caller, &named).await?;
            check_version(&target, expected)?;
            if !is_confirmed && (target.id == caller.id || self.has_rights(&target).await?) {
                self.confirm(caller, &proof).await?;
                is_confirmed = true;
            }
            if let Some(receipt) = self.delete_as_judged(caller.actor(), target, !expected.is_empty()).await?
            {
                return Ok(receipt);
            }
        }
    }

    /// Deletes the user. `None` means the same as for [`Service::update_as_judged`].
    async fn delete_as_judged(
        &self,
        actor: Actor,
        target: User,
        is_conditional: bool,
    ) -> Result<Option<Receipt>, ServiceError> {
        let delete = self.write(actor, move |tx| async move {
            match tx.delete_user(target.id, Some(as_judged(&target, is_conditional))).await? {
                Deleted::Done { .. } => Ok(true),
                Deleted::NotFound | Deleted::VersionMismatch { .. } => Ok(false),
                Deleted::LastSuperadmin => Err(ServiceError::Refused(Refusal::LastSuperadmin)),
            }
        });
        let (is_deleted, receipt) = delete.await?;
        Ok(is_deleted.then_some(receipt))
    }

    /// The named user, read from the database, if the caller may change it. No cached row decides on a right. The write
    /// that follows requires that the fields that decided on the right are unchanged ([`Expected`]).
    pub(crate) async fn target(&self, caller: Caller, named: &Identifier) -> Result<User, ServiceError> {
        let target = self.found_now(named).await?;
        caller.check_change(&target)?;
        Ok(target)
    }

    /// Whether the user has a role above `user`, or a permission. Both are read from the database. What such a user may
    /// do is worth stealing, so the caller proves its password before it changes the user's login, deletes or activates
    /// it. A permission that is granted after this check was granted after the change too.
    pub(crate) async fn has_rights(&self, user: &User) -> Result<bool, ServiceError> {
        Ok(user.role > Role::User || self.store.has_permission(user.id).await?)
    }

    /// The user, read from the database. The rights to change the user are checked against this row.
    pub(crate) async fn found_now(&self, named: &Identifier) -> Result<User, ServiceError> {
        self.store.user_to_judge(named).await?.ok_or(ServiceError::NotFound)
    }

    /// The id of an existing user.
    pub(crate) async fn id_of(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<UserId, ServiceError> {
        let answer = self.find(named, consistency).await?;
        answer.value.map(|user| user.id).ok_or(ServiceError::NotFound)
    }
}

fn check_version(target: &User, expected: &Conditions<i64>) -> Result<(), ServiceError> {
    match expected.admit(&target.version) {
        true => Ok(()),
        false => Err(ServiceError::VersionMismatch { current: target.version }),
    }
}

/// What the write requires of the row. If the caller sent an expected version, the row must have this version.
/// Otherwise only the fields by which the rights were checked must be unchanged: if the version were required here too,
/// each concurrent write to the same user would make this write start again, at the end of the queue.
fn as_judged(target: &User, is_conditional: bool) -> Expected<'_> {
    if is_conditional { Expected::Version(target.version) } else { Expected::Judged(target) }
}

/// Whether the change gives a role above `user`.
fn gives_role(patch: &UserPatch, target: &User) -> bool {
    patch.role.is_some_and(|role| role != target.role && role > Role::User)
}

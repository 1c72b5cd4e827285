//! Creates, changes and deletes users.

use larder_sql::write::WriteTransaction;
use sqlx::Row;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::patch::UserPatch;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{NewUser, User};
use crate::store::error::StoreError;
use crate::store::passwords;
use crate::store::row::{self, AsRead, select_user};
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// The condition on the user's row under which a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// The row has this version.
    Version(i64),
    /// The row has the same id, role, status and external id as this user, which was read for the check of the caller's
    /// rights. Other fields do not decide who may change the user, so they may differ.
    Judged(&'a User),
}

/// Whether the caller of a change has sent its password in addition to its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proven {
    /// The caller sent its password and, if it has a second factor, a code.
    Yes,
    /// The caller did not send its password.
    No,
}

impl Expected<'_> {
    pub(super) fn holds_of(self, user: &User) -> bool {
        match self {
            Self::Version(version) => user.version == version,
            Self::Judged(judged) => {
                let rights = |user: &User| (user.id, user.role, user.is_active);
                rights(user) == rights(judged) && user.external_id == judged.external_id
            }
        }
    }
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    /// The change was made. If it changed nothing, `before` and `after` are equal and the version stays.
    Done {
        /// The user before the change.
        before: Box<User>,
        /// The user after the change.
        after: Box<User>,
    },
    /// There is no such user.
    NotFound,
    /// The row does not fulfil the expected condition.
    VersionMismatch {
        /// The present version.
        current: i64,
    },
    /// No active superadmin would remain.
    LastSuperadmin,
}

/// The result of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The user, its password and its sessions are deleted.
    Done {
        /// The user before the deletion.
        before: Box<User>,
    },
    /// There is no such user.
    NotFound,
    /// The row does not fulfil the expected condition.
    VersionMismatch {
        /// The present version.
        current: i64,
    },
    /// No active superadmin would remain.
    LastSuperadmin,
}

impl Writer {
    /// Creates a user. Without a password hash the user cannot log in.
    ///
    /// # Errors
    /// [`StoreError::Taken`], or errors of the database.
    pub async fn insert_user(&self, new: NewUser, password_hash: Option<&str>) -> Result<User, StoreError> {
        let mut write = self.begin().await?;
        let user = insert(&mut write, new, password_hash).await?;
        self.commit(write, &[Event::on(Action::UserCreate, user.id)]).await?;
        Ok(user)
    }

    /// Creates the first user if there is no user. Of several concurrent calls, one succeeds.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn create_superadmin_if_empty(
        &self,
        new: NewUser,
        password_hash: &str,
    ) -> Result<Option<User>, StoreError> {
        let mut write = self.begin().await?;
        // Every INSERT into `users` locks a count, so no other transaction can add a user before the commit.
        lock_counts(&mut write).await?;
        if sqlx::query("SELECT id FROM users LIMIT 1").fetch_optional(write.statement()).await?.is_some() {
            return Ok(None);
        }
        let user = insert(&mut write, new, Some(password_hash)).await?;
        self.commit(write, &[Event::on(Action::AdminCreate, user.id)]).await?;
        Ok(Some(user))
    }

    /// Changes a user if the user's row is as expected. Deactivation ends the user's tokens and sessions. A new e-mail
    /// address becomes unproven: no mail to it can reset the password.
    ///
    /// # Errors
    /// [`StoreError::Taken`], or errors of the database.
    pub async fn update_user(
        &self,
        id: UserId,
        patch: &UserPatch,
        expected: Option<Expected<'_>>,
    ) -> Result<Updated, StoreError> {
        self.update_user_proven(id, patch, expected, Proven::No).await
    }

    /// [`Writer::update_user`] of a caller that may have sent its password.
    ///
    /// # Errors
    /// [`StoreError::Taken`], or errors of the database.
    pub async fn update_user_proven(
        &self,
        id: UserId,
        patch: &UserPatch,
        expected: Option<Expected<'_>>,
        proven: Proven,
    ) -> Result<Updated, StoreError> {
        let mut write = self.begin_for(id).await?;
        let Some(AsRead { user: before, unreadable }) = row::locked_as_read(&mut write, id).await? else {
            return Ok(Updated::NotFound);
        };
        if expected.is_some_and(|expected| !expected.holds_of(&before)) {
            return Ok(Updated::VersionMismatch { current: before.version });
        }
        let fields = patch.fields();
        // The update writes every column. A column that cannot be read would be overwritten, so the patch must set it.
        if let Some(lost) = unreadable.iter().find(|column| !fields.contains(column)) {
            return Err(StoreError::Unreadable { field: (*lost).to_owned() });
        }
        let wanted = patch.applied(&before);
        let is_marked = mark_email(&mut write, &before, &wanted, patch.email.is_some(), proven).await?;
        if wanted == before && unreadable.is_empty() {
            if is_marked {
                self.commit(write, &[Event::on(Action::UserUpdate, id).fields(&["email"])]).await?;
            }
            self.found_unchanged(|| UnchangedRow::of_user(&before, &fields));
            return Ok(Updated::Done { after: Box::new(wanted), before: Box::new(before) });
        }
        let leaves = is_active_superadmin(&before) && !is_active_superadmin(&wanted);
        if leaves && !others_remain(&mut write, 1).await? {
            return Ok(Updated::LastSuperadmin);
        }
        row::update(&mut write, &wanted).await?;
        // The row is read again because RETURNING on SQLite shows the row before the triggers raise the version.
        let query = sqlx::query(select_user!("WHERE users.id = $1")).bind(id.to_string());
        let after = row::user(&query.fetch_one(write.statement()).await?)?;
        self.commit(write, &update_events(&before, &after, &unreadable)).await?;
        Ok(Updated::Done { before: Box::new(before), after: Box::new(after) })
    }

    /// Activates or deactivates a user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn set_active(&self, id: UserId, is_active: bool) -> Result<Updated, StoreError> {
        self.update_user(id, &UserPatch::active(is_active), None).await
    }

    /// Deletes a user, its password and its sessions, if the user's row is as expected.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn delete_user(
        &self,
        id: UserId,
        expected: Option<Expected<'_>>,
    ) -> Result<Deleted, StoreError> {
        let mut write = self.begin_for(id).await?;
        let Some(before) = row::locked(&mut write, id).await? else {
            return Ok(Deleted::NotFound);
        };
        if expected.is_some_and(|expected| !expected.holds_of(&before)) {
            return Ok(Deleted::VersionMismatch { current: before.version });
        }
        if is_active_superadmin(&before) && !others_remain(&mut write, 1).await? {
            return Ok(Deleted::LastSuperadmin);
        }
        let query = sqlx::query("DELETE FROM users WHERE id = $1").bind(id.to_string());
        query.execute(write.statement()).await?;
        self.commit(write, &[Event::on(Action::UserDelete, id)]).await?;
        Ok(Deleted::Done { before: Box::new(before) })
    }
}

async fn insert(
    write: &mut WriteTransaction,
    new: NewUser,
    password_hash: Option<&str>,
) -> Result<User, StoreError> {
    let user = new.created(UserId::generate(), Timestamp::now());
    row::insert(write, &user).await?;
    if let Some(hash) = password_hash {
        passwords::insert(write, user.id, hash, user.created_at).await?;
    }
    Ok(user)
}

/// Stores in the user's credentials whether its e-mail address is unproven, that is, was set without the caller's
/// password. Without such a proof, a change marks the address only if it sets another one; with a proof, every change
/// that sets the address removes the mark. A user without a password has no credentials and needs no mark. Returns
/// whether a row was changed.
pub(super) async fn mark_email(
    write: &mut WriteTransaction,
    before: &User,
    after: &User,
    sets_email: bool,
    proven: Proven,
) -> Result<bool, StoreError> {
    let unproven = match proven {
        Proven::Yes if sets_email => None,
        Proven::No if before.email != after.email => Some(after.email.as_str()),
        _ => return Ok(false),
    };
    let query = sqlx::query(
        "UPDATE credentials SET unproven_email = $2 WHERE user_id = $1 AND unproven_email IS DISTINCT FROM $2",
    );
    let query = query.bind(after.id.to_string()).bind(unproven);
    Ok(query.execute(write.statement()).await?.rows_affected() > 0)
}

/// The audit events of a change. `repaired` has the fields that could not be read before the change. Activation and
/// deactivation get events of their own.
pub(super) fn update_events(before: &User, after: &User, repaired: &[&'static str]) -> Vec<Event> {
    let mut events = Vec::with_capacity(2);
    let mut fields = before.changed_fields(after);
    fields.extend(repaired.iter().filter(|field| !before.changed_fields(after).contains(field)));
    if !fields.is_empty() {
        let event = Event::on(Action::UserUpdate, after.id).fields(&fields);
        events.push(match before.role == after.role {
            true => event,
            false => event.text("role_before", before.role.as_str()).text("role_after", after.role.as_str()),
        });
    }
    match (before.is_active, after.is_active) {
        (false, true) => events.push(Event::on(Action::UserActivate, after.id)),
        (true, false) => events.push(Event::on(Action::UserDeactivate, after.id)),
        _ => {}
    }
    events
}

pub(super) fn is_active_superadmin(user: &User) -> bool {
    user.is_active && user.role == Role::Superadmin
}

/// Whether there are more active superadmins than `leaving`. The counts stay locked until the transaction ends: of two
/// transactions that together would leave no superadmin, the second one sees the result of the first.
pub(super) async fn others_remain(write: &mut WriteTransaction, leaving: usize) -> Result<bool, StoreError> {
    lock_counts(write).await?;
    let query = sqlx::query(
        "SELECT CAST(COALESCE(SUM(users), 0) AS BIGINT) AS present FROM user_counts
         WHERE role = 'superadmin' AND is_active",
    );
    let present: i64 = query.fetch_one(write.statement()).await?.try_get("present")?;
    Ok(usize::try_from(present).unwrap_or_default() > leaving)
}

/// Locks every count in the order in which the triggers lock them, so that two transactions cannot deadlock.
pub(super) async fn lock_counts(write: &mut WriteTransaction) -> Result<(), StoreError> {
    let select = write.locking("SELECT shard FROM user_counts ORDER BY shard, role, is_active");
    sqlx::query(select).fetch_all(write.statement()).await?;
    Ok(())
}

//! Imports and exports users: many at once, each import batch in one transaction.

use larder::receipt::{Delivery, Receipt};

use crate::domain::audit::{Action, Event};
use crate::domain::importing::{BulkFormat, ImportRow};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::importing::{BatchLines, RowOutcome, Written};

impl Service {
    /// Checks that the caller may import users. The check is repeated for each batch.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn check_import(&self, caller: Caller) -> Result<(), ServiceError> {
        self.present(caller).await?.check_admin()
    }

    /// Imports a batch in one transaction. The transaction runs to its end even if the client disconnects.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database; then nothing of the batch is written.
    pub async fn import_batch(
        &self,
        caller: Caller,
        rows: Vec<ImportRow>,
        lines: BatchLines,
        is_dry: bool,
    ) -> Result<(Vec<RowOutcome>, Receipt), ServiceError> {
        // A long import must not outlive the rights of its caller.
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        self.write(caller.actor(), move |tx| async move {
            let judge = |written: Written<'_>| judge(caller, written);
            Ok(tx.import_users(&rows, lines, is_dry, judge).await?)
        })
        .await
    }

    /// Checks that the caller may export users, by its password and its code, and notes the export in the audit log.
    /// Returns the caller with its present role.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn begin_export(
        &self,
        caller: Caller,
        proof: &Proof,
        format: BulkFormat,
    ) -> Result<Caller, ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        self.confirm(caller, proof).await?;
        let name = match format {
            BulkFormat::Ndjson => "ndjson",
            BulkFormat::Csv => "csv",
        };
        let events = vec![(caller.actor(), Event::of(Action::UserExport).text("format", name))];
        let note = self.write(caller.actor(), move |tx| async move { Ok(tx.record_events(&events).await?) });
        let ((), _receipt) = note.await?;
        Ok(caller)
    }

    /// The next users of an export, in the order of their ids: those that the caller manages, with an id after `after`.
    /// Also returns the last id that was read; `None`: there are no more users.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if the caller is no admin any more, and errors of the database.
    pub async fn export_page(
        &self,
        caller: Caller,
        after: Option<String>,
    ) -> Result<(Vec<User>, Option<String>), ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        let page = self.store.users_after(after).await?;
        let users = page.users.into_iter().filter(|user| caller.may_see_all_of(user)).collect();
        Ok((users, page.last))
    }
}

/// Checks that the caller may write this row.
fn judge(caller: Caller, written: Written<'_>) -> Result<(), ValidationErrors> {
    let Written { before, after, gives_password, has_permission } = written;
    let refused =
        |field: &str, refusal: Refusal| Err(ValidationErrors::one(field, Invalid::new(refusal.text())));
    let is_allowed = |field, checked: Result<(), ServiceError>| match checked {
        Ok(()) => Ok(()),
        Err(ServiceError::Refused(refusal)) => refused(field, refusal),
        Err(_) => refused(field, Refusal::NotOwnUser),
    };
    // What gives rights needs the caller's password, which an import does not have.
    let gives_no_right = |field, role| match role > Role::User {
        true => refused(field, Refusal::PasswordNeeded),
        false => Ok(()),
    };
    let Some(before) = before else {
        is_allowed("role", caller.check_manage(after.role))?;
        return gives_no_right("role", after.role);
    };
    if before == after && !gives_password {
        return Ok(());
    }
    is_allowed("id", caller.check_manage(before.role))?;
    is_allowed("role", caller.check_manage(after.role))?;
    if before.role != after.role {
        gives_no_right("role", after.role)?;
    }
    if after.is_active && !before.is_active {
        if has_permission {
            return refused("is_active", Refusal::PasswordNeeded);
        }
        gives_no_right("is_active", after.role)?;
    }
    let was_superadmin = before.role == Role::Superadmin && before.is_active;
    if was_superadmin && (after.role != before.role || !after.is_active) {
        let invalid = Invalid::new("an import neither demotes nor deactivates an active superadmin");
        return Err(ValidationErrors::one("role", invalid));
    }
    let names =
        |user: &User| (user.email.clone(), user.username.clone(), user.phone.clone(), user.email_verified);
    if !gives_password && names(before) == names(after) {
        return Ok(());
    }
    // This change alters the login of the caller, or of a user with rights. So it also requires the caller's password.
    match before.id == caller.id || has_permission {
        true => refused("id", Refusal::PasswordNeeded),
        false => gives_no_right("id", before.role),
    }
}

/// The receipt that acknowledges both writes: if one of them is queued, a queued one.
pub fn later(one: Option<Receipt>, other: Receipt) -> Receipt {
    match one {
        Some(one) if one.delivery() == Delivery::Queued => one,
        _ => other,
    }
}

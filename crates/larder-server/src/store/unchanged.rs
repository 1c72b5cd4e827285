//! Rows that already have the state that a write would give them.

use crate::domain::identity::UserId;
use crate::domain::user::User;

/// A row that already has the state that this write would give it, because an earlier write made the same change. The
/// instance of the earlier write may have stopped before it published its change, but the acknowledgement of this write
/// says that the change is published. So the publisher also publishes what a change of this row touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnchangedRow {
    /// The table of the row.
    pub table: &'static str,
    /// The columns by which the entries of the row are found, with their texts; a column that is NULL or not known is
    /// left out.
    pub columns: Vec<(&'static str, String)>,
    /// The columns that the write would update; `None`: it would insert or delete the row.
    pub updated: Option<Vec<&'static str>>,
}

impl UnchangedRow {
    /// A row that the write would insert or delete, identified by this column.
    pub(super) fn known_by(table: &'static str, column: &'static str, text: &impl ToString) -> Self {
        Self { table, columns: vec![(column, text.to_string())], updated: None }
    }

    /// A row of `table` whose column `user_id` has this user's id, and which the write would insert or delete.
    pub(super) fn belonging_to(user_id: UserId, table: &'static str) -> Self {
        Self::known_by(table, "user_id", &user_id)
    }

    /// The row of this user in `users`. A write would update these columns of it.
    pub(super) fn of_user(user: &User, updated: &[&'static str]) -> Self {
        Self { table: "users", columns: key_columns(user), updated: Some(updated.to_vec()) }
    }
}

/// The columns of `users` by which entries are found, with their texts. A column that is NULL is left out.
pub fn key_columns(user: &User) -> Vec<(&'static str, String)> {
    let mut columns = vec![
        ("id", user.id.to_string()),
        ("email", user.email.as_str().to_owned()),
        ("username", user.username.as_str().to_owned()),
    ];
    columns.extend(user.phone.as_ref().map(|phone| ("phone", phone.as_str().to_owned())));
    columns.extend(user.external_id.as_ref().map(|external| ("external_id", external.as_str().to_owned())));
    columns
}

//! Reads users: one by its identifiers, or several by their ids.

use sqlx::AssertSqlSafe;

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Identifier, UserId, Username};
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::placeholders;
use crate::store::row::{self, select_user};

/// The greatest number of ids in one statement.
const IDS_PER_STATEMENT: usize = 500;

impl Store {
    /// The user with this id.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query(select_user!("WHERE users.id = $1")).bind(id.to_string());
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.as_ref().map(row::user).transpose()?)
    }

    /// The user that an identifier names. One statement reads the user, so the identifier cannot move to another user
    /// meanwhile. Fields that cannot be read are empty, so that a caller that may change the user can also repair it.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn user_to_judge(&self, by: &Identifier) -> Result<Option<User>, StoreError> {
        let query = match by {
            Identifier::Id(id) => sqlx::query(select_user!("WHERE users.id = $1")).bind(id.to_string()),
            Identifier::External(external) => {
                sqlx::query(select_user!("WHERE external_id = $1")).bind(external.as_str())
            }
            Identifier::Email(email) => sqlx::query(select_user!("WHERE email = $1")).bind(email.as_str()),
            Identifier::Username(name) => {
                sqlx::query(select_user!("WHERE username = $1")).bind(name.as_str())
            }
            Identifier::Phone(phone) => sqlx::query(select_user!("WHERE phone = $1")).bind(phone.as_str()),
        };
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.as_ref().map(row::as_read).transpose()?.map(|read| read.user))
    }

    /// The users with these ids, in any order. Users that do not exist or cannot be read are left out.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let mut users = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            let (select, list) = (select_user!("WHERE users.id IN"), placeholders::rows(1, ids.len()));
            let query = sqlx::query(AssertSqlSafe(format!("{select} {list}")));
            let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
            let rows = query.fetch_all(self.database.read()).await?;
            users.extend(odd_rows::readable("users", "id", &rows, row::user)?);
        }
        Ok(users)
    }

    /// The id of the user with this external id.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn id_by_external(&self, external: &ExternalId) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE external_id = $1", external.as_str()).await
    }

    /// The id of the user with this e-mail address.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn id_by_email(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE email = $1", email.as_str()).await
    }

    /// The id of the user with this user name.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn id_by_username(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE username = $1", username.as_str()).await
    }

    /// The id of the user with this telephone number.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn id_by_phone(&self, phone: &Phone) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE phone = $1", phone.as_str()).await
    }

    async fn id_of(&self, select: &'static str, value: &str) -> Result<Option<UserId>, StoreError> {
        let row = sqlx::query(select).bind(value).fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::user_id(&row, "id")).transpose()?)
    }
}

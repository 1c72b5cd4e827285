//! The service's data in its database, behind one type for PostgreSQL and SQLite.
//!
//! Each read is one autocommit statement with a snapshot of its own. So a cache may store its value. A value that is
//! read in an open transaction may come from an old snapshot, and must not be cached. Invariants:
//! - `one_lock_order`: transactions lock users (several in the order of their ids), then the parts of their profiles,
//!   then credentials, then sessions, then refresh tokens, then second factors and API keys, then tokens of mails, then
//!   the tables of points, and the counts last. A transaction that creates many users locks the counts of users first.
//!   After that, it waits for another transaction only if both insert the same e-mail address;
//! - `versions_by_trigger`: no statement here writes `version` or `updated_at` of an existing user;
//! - `odd_rows_cost_themselves`: a read of many rows leaves out the rows that it cannot read, through `odd_rows`;
//! - `no_silent_write`: each write leaves its entry in the audit log in its own transaction, because the only way to
//!   commit takes the entries;
//! - `no_unpublished_write`: only [`Store::write`] makes a [`Writer`](writing::Writer). `Store::write` publishes what
//!   was written before it returns. Exception: its caller passes `ByJournal`, which leaves the publication to the
//!   journal;
//! - `no_secret_in_user`: no statement here reads a password hash into a [`User`](crate::domain::user::User).

pub mod achievements;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod bulk_activity;
pub mod changes;
pub mod error;
pub mod exporting;
pub mod importing;
pub mod incidents;
pub mod keys;
pub mod leaderboard;
pub mod lists;
pub mod mail_tokens;
pub mod origin;
pub mod parts;
pub mod passwords;
pub mod permissions;
pub mod points;
pub mod refreshing;
pub mod sessions;
pub mod statistics;
pub mod superadmin;
pub mod totp;
pub mod unchanged;
pub mod users;
pub mod writing;

mod bulk;
mod odd_rows;
mod placeholders;
mod row;
mod search;
mod sql;

use larder_sql::database::Database;
use larder_sql::history::History;
use larder_sql::journal::{SqlJournal, Table};
use larder_sql::migrating::{MigrationOutcome, Migrations};
use larder_sql::options::DatabaseOptions;
use sqlx::Row;
use sqlx::migrate::Migrator;

use crate::store::error::StoreError;

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// The service's database. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Connects and migrates the schema to this version; several processes may do so at the same time.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an invalid URL, and errors of the database.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(&DatabaseOptions::new(url)).await
    }

    /// Opens the store as [`Store::open`] does, with further options of the connections.
    ///
    /// # Errors
    /// The same errors as [`Store::open`].
    pub async fn open_with(options: &DatabaseOptions) -> Result<Self, StoreError> {
        Ok(Self::migrated(options).await?.0)
    }

    /// Opens the store as [`Store::open_with`] does. Also returns what was migrated.
    ///
    /// # Errors
    /// The same errors as [`Store::open`].
    pub async fn migrated(options: &DatabaseOptions) -> Result<(Self, MigrationOutcome), StoreError> {
        let database = Database::open(options).await?;
        let migrated = database.migrate(Migrations { postgres: &POSTGRES, sqlite: &SQLITE }).await?;
        Ok((Self { database }, migrated))
    }

    /// A store on this database, for the checks of the declared tables and classes. It does not migrate the schema.
    pub(crate) fn looking_at(database: &Database) -> Self {
        Self { database: database.clone() }
    }

    /// Checks that [`Store::open`] could use this URL, as far as possible without a connection.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], which says what is allowed.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        Ok(Database::check_url(url)?)
    }

    /// Opens the journal of these tables.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn journal(&self, tables: Vec<Table>) -> Result<SqlJournal, StoreError> {
        Ok(SqlJournal::open(&self.database, tables).await?)
    }

    /// What the caches of all instances did in the last day.
    pub fn history(&self) -> History {
        History::new(&self.database)
    }

    /// The name that distinguishes this database from all others that share a Redis: 32 hexadecimal digits.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn installation(&self) -> Result<String, StoreError> {
        let row = sqlx::query("SELECT id FROM installation").fetch_one(self.database.read()).await?;
        Ok(row.try_get("id")?)
    }

    /// The secret that all instances on this database share, from which they derive the seals of entries: 64
    /// hexadecimal digits.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn entry_secret(&self) -> Result<String, StoreError> {
        let row =
            sqlx::query("SELECT entry_secret FROM installation").fetch_one(self.database.read()).await?;
        Ok(row.try_get("entry_secret")?)
    }

    /// Checks within 1 s that the database answers.
    ///
    /// # Errors
    /// There is no answer in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.ping().await?)
    }

    /// Checks that a write transaction can begin.
    ///
    /// # Errors
    /// No write transaction can begin.
    pub async fn ping_writer(&self) -> Result<(), StoreError> {
        Ok(self.database.ping_writer().await?)
    }

    /// The number of statements so far.
    pub fn statements(&self) -> u64 {
        self.database.statements()
    }

    /// Waits for running statements and closes every connection.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From this version on, each migration names the oldest program version that can run on it.
    const FIRST: i64 = 12;

    #[test]
    fn both_folders_create_the_history_as_larder_sql_says() {
        for migrator in [&POSTGRES, &SQLITE] {
            let created =
                migrator.iter().filter(|one| one.sql.as_str().contains(larder_sql::history::migration()));
            assert_eq!(created.count(), 1);
        }
    }

    #[test]
    fn both_folders_have_the_same_versions_and_each_says_what_is_compatible() {
        let versions = |migrator: &Migrator| migrator.iter().map(|one| one.version).collect::<Vec<_>>();
        assert_eq!(versions(&POSTGRES), versions(&SQLITE));
        for migration in POSTGRES.iter().chain(SQLITE.iter()).filter(|one| one.version >= FIRST) {
            let version = migration.version;
            let says = format!("INSERT INTO larder_compatibility (version, oldest) VALUES ({version}, ");
            assert!(migration.sql.as_str().contains(&says), "migration {version} does not say {says}…");
        }
    }
}

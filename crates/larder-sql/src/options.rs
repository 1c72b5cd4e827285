//! How to reach a database: its URL, the pooler in front of it, and the number of connections.

use std::fmt;

use sqlx::PgPool;

use crate::address::Address;
use crate::error::Error;

/// Default of [`DatabaseOptions::pool_size`]: 20 connections for reads, of which writes may use 10, and one for the
/// journal.
pub const POOL_SIZE: u32 = 21;
/// The smallest pool: one connection for the journal, one for a read and one for a write.
pub const POOL_SIZE_MIN: u32 = 3;

/// How to reach a database.
///
/// # Examples
///
/// ```
/// use larder_sql::options::{DatabaseOptions, Pooler};
///
/// let options = DatabaseOptions::new("postgres://app@pooler:6432/guests")
///     .pooler(Pooler::Transaction)
///     .direct_url("postgres://app@server:5432/guests")
///     .pool_size(8);
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone)]
pub struct DatabaseOptions {
    pub(crate) url: String,
    pub(crate) direct_url: Option<String>,
    pub(crate) pooler: Pooler,
    pub(crate) pool_size: u32,
    /// Whether the database has to be there already.
    pub(crate) must_exist: bool,
    /// The pool whose present options each new connection gets. `None`: the options of the URL.
    pub(crate) like: Option<PgPool>,
}

/// The pooler between larder and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Pooler {
    /// No pooler, or one that gives each client one server connection until the client disconnects (session mode).
    /// Each connection prepares a statement once and keeps it under a name.
    #[default]
    None,
    /// A pooler that may run each transaction on another server connection, such as PgBouncer with `pool_mode =
    /// transaction`. larder then keeps no session state: it prepares each statement without a name and runs it within a
    /// transaction. That costs a read three more round trips.
    Transaction,
}

impl DatabaseOptions {
    /// This URL and the defaults: no pooler, unless the URL says `pgbouncer=true`; at most [`POOL_SIZE`] connections to
    /// PostgreSQL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            direct_url: None,
            pooler: Pooler::None,
            pool_size: POOL_SIZE,
            must_exist: false,
            like: None,
        }
    }

    /// A URL of the same database that leads directly to the server. Migrations use it, because they need one session.
    /// Default: the URL of [`DatabaseOptions::new`]; if that leads to a pooler in transaction mode, pending migrations
    /// fail.
    #[must_use]
    pub fn direct_url(self, url: impl Into<String>) -> Self {
        Self { direct_url: Some(url.into()), ..self }
    }

    /// The pooler in front of PostgreSQL. `pgbouncer=true` in the URL also means [`Pooler::Transaction`].
    #[must_use]
    pub fn pooler(self, pooler: Pooler) -> Self {
        Self { pooler, ..self }
    }

    /// The most connections to PostgreSQL that one process opens, including those of the journal and of writers. A
    /// smaller number counts as [`POOL_SIZE_MIN`]. SQLite ignores this number: it always has 5 connections, and one for
    /// the journal.
    #[must_use]
    pub fn pool_size(self, connections: u32) -> Self {
        Self { pool_size: connections.max(POOL_SIZE_MIN), ..self }
    }

    /// The database has to be there already, with tables of the application: for a program that examines or changes what
    /// another one made. A missing file of SQLite is not created, and
    /// [`Database::migrate`](crate::database::Database::migrate) refuses a database without any migration. Default: both
    /// are made.
    #[must_use]
    pub fn existing(self) -> Self {
        Self { must_exist: true, ..self }
    }

    /// Whether [`Database::open`](crate::database::Database::open) could use these options. It checks only the texts
    /// and does not connect.
    ///
    /// # Errors
    /// [`ErrorKind::Address`](crate::error::ErrorKind::Address), which says what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        let is_server = matches!(Address::parse(&self.url)?, Address::Postgres(_));
        let Some(direct) = &self.direct_url else { return Ok(()) };
        match Address::parse(direct)? {
            Address::Postgres(_) if is_server => Ok(()),
            _ => {
                Err(Error::address("the direct URL goes with PostgreSQL, and must be of PostgreSQL as well"))
            }
        }
    }
}

impl fmt::Debug for DatabaseOptions {
    // Both URLs may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("pooler", &self.pooler)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

//! How to reach a database: its URL, what stands in front of it, how many connections it may have.

use std::fmt;

use crate::address::Address;
use crate::error::Error;

/// Connections to PostgreSQL that an instance opens at most, by default: 10 that read, 10 that write, and the
/// journal's.
pub const POOL_SIZE: u32 = 21;
/// The journal's own, one that reads and one that writes.
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
}

/// What stands between larder and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// Nothing, or a pooler that gives each of its clients a server connection for as long as it stays (session mode).
    /// Statements are prepared once a connection and kept by name.
    #[default]
    None,
    /// A pooler that hands each transaction to any of its server connections, such as PgBouncer with
    /// `pool_mode = transaction`. larder then keeps no state of a session: each statement is prepared without a name, within
    /// a transaction. That costs a read three more round trips.
    Transaction,
}

impl DatabaseOptions {
    /// This URL; no pooler, unless the URL says `pgbouncer=true`; at most [`POOL_SIZE`] connections to PostgreSQL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), direct_url: None, pooler: Pooler::None, pool_size: POOL_SIZE }
    }

    /// A URL of the same database that leads to the server itself, for what needs a session: migrations. Default: the URL.
    #[must_use]
    pub fn direct_url(self, url: impl Into<String>) -> Self {
        Self { direct_url: Some(url.into()), ..self }
    }

    /// What stands in front of PostgreSQL. `pgbouncer=true` in the URL says [`Pooler::Transaction`] too.
    #[must_use]
    pub fn pooler(self, pooler: Pooler) -> Self {
        Self { pooler, ..self }
    }

    /// How many connections to PostgreSQL one process opens at most, those of the journal and of writers included. Raised to
    /// [`POOL_SIZE_MIN`]. SQLite always has 5 and the journal's.
    #[must_use]
    pub fn pool_size(self, connections: u32) -> Self {
        Self { pool_size: connections.max(POOL_SIZE_MIN), ..self }
    }

    /// Whether [`Database::open`](crate::database::Database::open) could use these, as far as can be told without connecting.
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

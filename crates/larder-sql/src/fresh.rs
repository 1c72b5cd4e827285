//! Checks connections that larder did not open: may a loader read on them?

use larder::loading::{is_loading, spoil};
#[cfg(feature = "sqlite")]
use sqlx::SqliteConnection;
use sqlx::{Connection, PgConnection, Row};

use crate::error::Error;

/// Asks whether a transaction is open, and whether the server is a standby. If no transaction is open, the server sets
/// both `transaction_timestamp()` and `statement_timestamp()` to the arrival of this message (simple protocol), so they
/// are equal. If an earlier message opened a transaction, `transaction_timestamp()` is older, even if only BEGIN has
/// run. A transaction that has written also has an id.
const ABOUT: &str = "SELECT transaction_timestamp() <> statement_timestamp()
        OR pg_current_xact_id_if_assigned() IS NOT NULL AS is_open,
    pg_is_in_recovery() AS is_standby";

mod sealed {
    pub trait Sealed {}
    impl Sealed for sqlx::PgConnection {}
    #[cfg(feature = "sqlite")]
    impl Sealed for sqlx::SqliteConnection {}
}

/// A driver's connection that [`fresh`] can check: [`PgConnection`] and, with the feature `sqlite`, `SqliteConnection`.
/// A connection of sqlx's pools dereferences to one of them.
pub trait CheckedConnection: sealed::Sealed + Connection {
    /// Why a load that reads on this connection must not be stored; `None` if it may be stored.
    #[doc(hidden)]
    fn spoil_reason(&mut self) -> impl Future<Output = Result<Option<&'static str>, sqlx::Error>> + Send;
}

const OPEN: &str = "its loader read inside a transaction that was open already";
const STANDBY: &str = "its loader read on a standby, which may lag behind the primary";

impl CheckedConnection for PgConnection {
    async fn spoil_reason(&mut self) -> Result<Option<&'static str>, sqlx::Error> {
        if self.is_in_transaction() {
            return Ok(Some(OPEN));
        }
        let about = sqlx::raw_sql(ABOUT).fetch_one(self).await?;
        let (is_open, is_standby) = (about.try_get("is_open")?, about.try_get("is_standby")?);
        Ok(if is_open { Some(OPEN) } else { Some(STANDBY).filter(|_| is_standby) })
    }
}

#[cfg(feature = "sqlite")]
impl CheckedConnection for SqliteConnection {
    async fn spoil_reason(&mut self) -> Result<Option<&'static str>, sqlx::Error> {
        if self.is_in_transaction() {
            return Ok(Some(OPEN));
        }
        // Find an open transaction by trying to open one: SQLite refuses that within a transaction. DEFERRED takes no
        // lock and no snapshot. The driver's `begin_with` rolls back if this future is dropped before its end.
        match self.begin_with("BEGIN DEFERRED").await {
            Ok(transaction) => transaction.rollback().await.map(|()| None),
            Err(sqlx::Error::Database(error)) if error.message().contains("within a transaction") => {
                Ok(Some(OPEN))
            }
            Err(error) => Err(error),
        }
    }
}

/// Checks a connection for a loader that does not read through a [`Database`](crate::database::Database). If the
/// connection is inside a transaction, or leads to a PostgreSQL standby, the load is [spoiled](larder::loading::spoil):
/// its value goes to the caller and is not stored. The reason is that an open transaction may show its own changes,
/// which it may roll back later. Under REPEATABLE READ, and always on SQLite, it also shows an old state of the
/// database.
///
/// Inside a load it costs one message to the server, outside a load nothing. Call it for each statement, because the
/// connection's user may open a transaction in between.
///
/// # Errors
/// An error of the connection.
///
/// # Examples
///
/// ```no_run
/// # async fn room(pool: &sqlx::PgPool, rooms: &larder::class::Class<i32, String>) -> Result<(), Box<dyn std::error::Error>> {
/// use larder_sql::error::Error;
/// use larder_sql::fresh;
///
/// let load = || {
///     let pool = pool.clone();
///     async move {
///         let mut connection = pool.acquire().await?;
///         let query = sqlx::query_scalar("SELECT name FROM rooms WHERE id = $1").bind(7);
///         let name: Option<String> = query.fetch_optional(fresh(&mut *connection).await?).await?;
///         Ok::<_, Error>(name)
///     }
/// };
/// let room = rooms.get_or_load(&7, load).await?;
/// # Ok(())
/// # }
/// ```
pub async fn fresh<C: CheckedConnection>(connection: &mut C) -> Result<&mut C, Error> {
    if is_loading()
        && let Some(reason) = connection.spoil_reason().await?
    {
        spoil(reason);
    }
    Ok(connection)
}

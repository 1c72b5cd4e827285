//! Checks connections that larder did not open: may a loader read on them?

use larder::loading::{self, is_loading, spoil};
#[cfg(feature = "sqlite")]
use sqlx::SqliteConnection;
use sqlx::{Connection, PgConnection, Row};

use crate::connecting::connector::cannot_be_asked;
use crate::connecting::succession::Life;
use crate::error::Error;
use crate::journal::SqlJournal;

/// Asks whether a transaction is open, and whether the server is a standby. If no transaction is open, the server sets
/// both `transaction_timestamp()` and `statement_timestamp()` to the arrival of this message (simple protocol), so they
/// are equal. If an earlier message opened a transaction, `transaction_timestamp()` is older, even if only BEGIN has
/// run. A transaction that has written also has an id.
const ABOUT: &str = "SELECT transaction_timestamp() <> statement_timestamp()
        OR pg_current_xact_id_if_assigned() IS NOT NULL AS is_open,
    pg_is_in_recovery() AS is_standby";

/// Asks for the server's life, by which the journal knows a former primary. It is a message of its own, after [`ABOUT`] has
/// found no open transaction: the error of a role that may not ask would abort such a transaction.
const LIFE: &str = "SELECT (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) AS system,
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline";

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
const FORMER: &str = "its loader read on a former primary, which does not have what its successor commits";

impl CheckedConnection for PgConnection {
    async fn spoil_reason(&mut self) -> Result<Option<&'static str>, sqlx::Error> {
        if self.is_in_transaction() {
            return Ok(Some(OPEN));
        }
        let about = sqlx::raw_sql(ABOUT).fetch_one(&mut *self).await?;
        if about.try_get("is_open")? {
            return Ok(Some(OPEN));
        }
        if about.try_get("is_standby")? {
            return Ok(Some(STANDBY));
        }
        // Also after a successor was met, the server of an open connection answers and accepts writes.
        let Some(journal) = loading::journal::<SqlJournal>() else { return Ok(None) };
        let life = match sqlx::raw_sql(LIFE).fetch_one(&mut *self).await {
            Err(sqlx::Error::Database(error)) if cannot_be_asked(error.code().as_deref()) => return Ok(None),
            life => life?,
        };
        let (system, timeline): (String, String) = (life.try_get("system")?, life.try_get("timeline")?);
        let is_former =
            Life::parse(system, &timeline).is_some_and(|life| journal.note_foreign(life).is_err());
        Ok(Some(FORMER).filter(|_| is_former))
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
/// database. If the cache has a [`SqlJournal`], a load is spoiled too if the connection leads to a former primary: one
/// whose successor another connection of the application or of the journal has met.
///
/// Inside a load it costs one message to the server, two if the cache has a [`SqlJournal`] of PostgreSQL; outside a load nothing. Call it for each statement, because the
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

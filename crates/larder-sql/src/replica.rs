//! Loaders that read on a PostgreSQL standby. A read first waits until the standby has replayed the primary's log up to
//! the read's start.
//!
//! Invariant `no_read_behind`: a [`ReadConnection`] of a [`Replica`] leads to the primary, or to a standby of the same
//! system, database and timeline. When a caller asks for a connection, larder reads the end of the primary's
//! write-ahead log, and lends a connection to the standby only after the standby has replayed the log up to there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use larder::IntoLoaded;
use larder::class::Class;
use larder::key::Key;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row;

use crate::address::Address;
use crate::connecting::connector::Connector;
use crate::connecting::pool::{PooledConnection, SqlPool};
use crate::database::{Database, POSTGRES_ACQUIRE_TIMEOUT};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::options::POOL_SIZE;
use crate::read_connection::ReadConnection;

/// Default of [`Replica::timeout`]. After this wait, a read on the primary must still fit into the load's time-out,
/// which is 2 s.
const STANDBY_TIMEOUT: Duration = Duration::from_millis(500);
/// Back-off: after the standby was late or away, reads go directly to the primary for this time.
const STANDBY_BACKOFF: Duration = Duration::from_secs(1);
/// The first and the longest pause between two polls of the standby. A healthy standby is a few ms behind.
const POLL_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// The end of the primary's log. Every acknowledged commit is before this position. The *flushed* position may be
/// earlier: under `synchronous_commit = off`, the server acknowledges a commit before it is on disk.
const POSITION: &str = "SELECT CAST(pg_current_wal_insert_lsn() AS TEXT) AS position,
    (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || current_database() || ' ' ||
        substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS identity";

/// Whether the standby has replayed the log up to `$1`, and which system, database and timeline it belongs to. The
/// timeline here is that of the last restart point or of the last written page. It may be older than the timeline that
/// the standby replays, and is never newer, so a standby of a lost primary never shows the new primary's timeline.
const REPLAYED: &str = "SELECT CAST(pg_is_in_recovery()
        AND pg_last_wal_replay_lsn() >= CAST(CAST($1 AS TEXT) AS PG_LSN) AS TEXT) AS has_replayed,
    (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || current_database() || ' ' ||
        upper(lpad(to_hex(GREATEST((SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT min_recovery_end_timeline FROM pg_control_recovery()))), 8, '0')) AS identity";

/// A standby for loaders; opened by [`Database::replica`]. Clones share the connections.
#[derive(Clone)]
pub struct Replica {
    primary: Database,
    shared: Arc<Shared>,
    timeout: Duration,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

struct Shared {
    pool: SqlPool,
    /// Until this instant, reads go directly to the primary. No task holds the lock across an await.
    avoided: Mutex<Option<Instant>>,
    /// How many reads went to the primary. Relaxed: no other data depends on this counter.
    fallbacks: AtomicU64,
}

/// Where the primary's log ended.
struct WalPosition {
    at: String,
    /// The primary's system identifier, database and timeline.
    identity: String,
}

impl Database {
    /// Opens the standby of this database at `url`, for loaders: [`Replica::read_connection`]. The standby need not be
    /// running.
    ///
    /// # Errors
    /// [`ErrorKind::Address`](crate::error::ErrorKind::Address) if this database is SQLite, if the URL is not of
    /// PostgreSQL, or if it leads through a pooler in transaction mode: the pooler may run a query on another server
    /// than the one that larder checked.
    pub fn replica(&self, url: &str) -> Result<Replica, Error> {
        let Address::Postgres(address) = Address::parse(url)? else {
            return Err(Error::address("a replica is a standby of PostgreSQL"));
        };
        if self.dialect() == Dialect::Sqlite || address.has_transaction_pooler {
            return Err(Error::address(
                "a replica goes with a database of PostgreSQL, and is reached without a pooler in transaction mode",
            ));
        }
        let pool = SqlPool::new(
            Connector::postgres(&address, false)?.or_standby(),
            POOL_SIZE / 2,
            POSTGRES_ACQUIRE_TIMEOUT,
        );
        let shared = Shared { pool, avoided: Mutex::default(), fallbacks: AtomicU64::new(0) };
        Ok(Replica { primary: self.clone(), shared: Arc::new(shared), timeout: STANDBY_TIMEOUT })
    }
}

impl Replica {
    /// How long a read waits for the standby before it goes to the primary. Default: 500 ms. This time plus that of a
    /// read on the primary must be less than the cache's load time-out.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Lends a connection for a loader's statements. Call it inside the load: the connection's reads see every commit
    /// that was acknowledged before this call. If the standby catches up in time, the connection leads to it, else to
    /// the primary.
    ///
    /// # Errors
    /// An error of the primary: without its log position, larder cannot check the standby either.
    pub async fn read_connection(&self) -> Result<ReadConnection, Error> {
        match self.standby().await? {
            Some(reading) => Ok(reading),
            None => self.fallback().await,
        }
    }

    /// A connection to the standby. `None` if the standby is late or away or belongs to another primary, or if that was
    /// the case less than 1 s ago.
    async fn standby(&self) -> Result<Option<ReadConnection>, Error> {
        let avoided = *self.shared.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        if avoided.is_none_or(|until| until <= Instant::now()) {
            let position = self.position().await?;
            // Time-out: a half-open connection would block here until the load time-out, and no time would be left for
            // the primary.
            match tokio::time::timeout(self.timeout, self.caught_up(&position)).await {
                Ok(Ok(loan)) => return Ok(Some(ReadConnection::new(loan, &self.primary))),
                Ok(Err(error)) => tracing::debug!(?error, "the replica cannot be read"),
                Err(_) => tracing::debug!(timeout = ?self.timeout, "the replica lags"),
            }
            self.avoid();
        }
        Ok(None)
    }

    fn avoid(&self) {
        let until = Instant::now() + STANDBY_BACKOFF;
        *self.shared.avoided.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    async fn fallback(&self) -> Result<ReadConnection, Error> {
        self.shared.fallbacks.fetch_add(1, Ordering::Relaxed);
        self.primary.read_connection().await
    }

    /// How many reads went to the primary because the standby was late, away, or not of this primary, or failed the
    /// query. Reads in the 1 s after such a case count too.
    pub fn fallbacks(&self) -> u64 {
        self.shared.fallbacks.load(Ordering::Relaxed)
    }

    /// As [`Database::get_or_query`], on the standby after it has caught up. If the query fails there, for example
    /// because it conflicts with the replay, it runs once more on the primary.
    ///
    /// # Errors
    /// As [`Database::get_or_query`].
    pub async fn get_or_query<K, V, Q, F, T, E>(
        &self,
        class: &Class<K, V>,
        key: &K,
        query: Q,
    ) -> Result<Option<Arc<V>>, larder::error::Error>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        Q: Fn(ReadConnection) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Error>,
    {
        let load = || {
            let replica = self.clone();
            async move { replica.query(query).await }
        };
        class.get_or_load(key, load).await
    }

    async fn query<Q, F, T, E>(&self, query: Q) -> Result<T, Error>
    where
        Q: Fn(ReadConnection) -> F,
        F: Future<Output = Result<T, E>>,
        E: Into<Error>,
    {
        if let Some(reading) = self.standby().await? {
            match query(reading).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    let error: Error = error.into();
                    tracing::debug!(?error, "the replica failed a query");
                    self.avoid();
                }
            }
        }
        query(self.fallback().await?).await.map_err(E::into)
    }

    /// Closes the connections to the standby. The primary's connections stay open.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    async fn position(&self) -> Result<WalPosition, Error> {
        let row = sqlx::query(POSITION).fetch_one(self.primary.readers()).await?;
        Ok(WalPosition { at: row.try_get("position")?, identity: row.try_get("identity")? })
    }

    /// A connection to a standby that has replayed the log up to `position`. The check and the reads use one
    /// connection, because another connection may lead to another standby.
    async fn caught_up(&self, position: &WalPosition) -> Result<PooledConnection, Error> {
        let mut loan = self.shared.pool.acquire().await?;
        let mut pause = POLL_PAUSES.0;
        loop {
            let row = sqlx::query(REPLAYED).bind(&position.at).fetch_one(&mut *loan).await?;
            let identity: Option<String> = row.try_get("identity")?;
            if identity.as_deref() != Some(position.identity.as_str()) {
                return Err(Error::unavailable(
                    "it is no standby of this primary, or not yet of its timeline",
                ));
            }
            if row.try_get::<Option<String>, _>("has_replayed")?.as_deref() == Some("true") {
                return Ok(loan);
            }
            tokio::time::sleep(pause).await;
            pause = POLL_PAUSES.1.min(2 * pause);
        }
    }
}

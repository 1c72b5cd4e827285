//! Loaders on a standby of PostgreSQL: each read first waits until the standby has replayed what the primary had when it began.
//!
//! Invariant `no_read_behind`: a [`ReadConnection`] of a [`Replica`] is on the primary, or on a server in recovery of the same system, database
//! and timeline that had replayed, before the `ReadConnection` was handed out, the primary's write-ahead log up to a position that was taken
//! after it was asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use larder::class::Class;
use larder::key::Key;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Row;

use crate::address::Address;
use crate::connecting::connection::SqlConnection;
use crate::connecting::connector::Connector;
use crate::connecting::pool::{PooledConnection, SqlPool};
use crate::database::{Database, POSTGRES_TIMEOUT};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::options::POOL_SIZE;
use crate::read_connection::ReadConnection;

/// How long a read waits for the standby by default: the primary's own read must fit into the same load, which takes 2 s at most.
const STANDBY_TIMEOUT: Duration = Duration::from_millis(500);
/// How long reads go to the primary at once after the standby was late or away: else each of them would wait in vain.
const STANDBY_BACKOFF: Duration = Duration::from_secs(1);
/// The first and the longest pause between two looks at how far the standby is. A standby that keeps up is a few ms behind.
const POLL_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// Up to where the log is written: every commit that was acknowledged is before it, also one that did not wait for the disk
/// (`synchronous_commit = off`), which the *flushed* position may not cover.
const POSITION: &str = "SELECT CAST(pg_current_wal_insert_lsn() AS TEXT) AS position,
    (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || current_database() || ' ' ||
        substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS source";

/// The timeline is that of the last restart point or of the last page that was written, so it may be older than the one that is
/// replayed and never newer. A standby that follows a lost primary has not the timeline of its successor, however far it is.
const REPLAYED: &str = "SELECT CAST(pg_is_in_recovery()
        AND pg_last_wal_replay_lsn() >= CAST(CAST($1 AS TEXT) AS PG_LSN) AS TEXT) AS has_replayed,
    (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || current_database() || ' ' ||
        upper(lpad(to_hex(GREATEST((SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT min_recovery_end_timeline FROM pg_control_recovery()))), 8, '0')) AS source";

/// A standby for loaders; made by [`Database::replica`]. Clones share the connections.
#[derive(Clone)]
pub struct Replica {
    primary: Database,
    shared: Arc<Shared>,
    patience: Duration,
}

struct Shared {
    pool: SqlPool,
    /// Until when reads go to the primary at once. Guarded by a lock that is never held across a wait.
    avoided: Mutex<Option<Instant>>,
    /// Relaxed: it only counts.
    fallbacks: AtomicU64,
}

/// What the primary said.
struct WalPosition {
    at: String,
    /// System, database and timeline.
    source: String,
}

impl Database {
    /// Opens a standby of this database, at `url`, for loaders: [`Replica::read_connection`]. The standby need not be up.
    ///
    /// # Errors
    /// [`ErrorKind::Address`](crate::error::ErrorKind::Address) for a URL that is not of PostgreSQL, or that leads through a pooler in
    /// transaction mode, behind which the server that was waited for may not be the one that answers; and on SQLite.
    pub fn replica(&self, url: &str) -> Result<Replica, Error> {
        let Address::Postgres(address) = Address::parse(url)? else {
            return Err(Error::address("a replica is a standby of PostgreSQL"));
        };
        if self.dialect() == Dialect::Sqlite || address.has_transaction_pooler {
            return Err(Error::address(
                "a replica goes with a database of PostgreSQL, and is reached without a pooler in transaction mode",
            ));
        }
        let pool =
            SqlPool::new(Connector::postgres(&address, false)?.or_standby(), POOL_SIZE / 2, POSTGRES_TIMEOUT);
        let shared = Shared { pool, avoided: Mutex::default(), fallbacks: AtomicU64::new(0) };
        Ok(Replica { primary: self.clone(), shared: Arc::new(shared), patience: STANDBY_TIMEOUT })
    }
}

impl Replica {
    /// How long a read waits for the standby before it goes to the primary. Default: 500 ms. With the primary's own time it must
    /// be less than the cache's load time-out.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Lends a connection for a loader's statements. To be asked for within the load: its reads see every commit that was
    /// acknowledged before this call. It is to the standby if that has caught up in time, else to the primary.
    ///
    /// # Errors
    /// The primary's: without its position there is nothing to wait for.
    pub async fn read_connection(&self) -> Result<ReadConnection, Error> {
        match self.standby().await? {
            Some(reading) => Ok(reading),
            None => self.fallback().await,
        }
    }

    /// A reading on the standby; `None` if it is late, away, not of this primary, or was so less than a second ago.
    async fn standby(&self) -> Result<Option<ReadConnection>, Error> {
        let avoided = *self.shared.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        if avoided.is_none_or(|until| until <= Instant::now()) {
            let position = self.position().await?;
            // A half-open connection would block here until the load's own time-out, and the primary would not be asked.
            match tokio::time::timeout(self.patience, self.caught_up(&position)).await {
                Ok(Ok(loan)) => return Ok(Some(ReadConnection::new(loan, &self.primary))),
                Ok(Err(error)) => tracing::debug!(?error, "the replica cannot be read"),
                Err(_) => tracing::debug!(patience = ?self.patience, "the replica lags"),
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

    /// How many readings went to the primary, because the standby was late, away, or not of this primary.
    pub fn fallbacks(&self) -> u64 {
        self.shared.fallbacks.load(Ordering::Relaxed)
    }

    /// As [`Database::get_or_query`], on the standby once it has caught up. If the query fails there, as one that conflicts with
    /// what is replayed does, it is asked again on the primary.
    ///
    /// # Errors
    /// As [`Database::get_or_query`].
    pub async fn get_or_query<K, V, T, E>(
        &self,
        class: &Class<K, V>,
        key: &K,
        query: impl AsyncFn(&mut SqlConnection) -> Result<T, E>,
    ) -> Result<Option<Arc<V>>, larder::error::Error>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        T: Into<Option<V>>,
        E: Into<Error>,
    {
        let load = || async {
            if let Some(mut reading) = self.standby().await? {
                match query(reading.statement()).await {
                    Ok(found) => return Ok(found),
                    Err(error) => {
                        let error: Error = error.into();
                        tracing::debug!(?error, "the replica failed a query");
                        self.avoid();
                    }
                }
            }
            query(self.fallback().await?.statement()).await.map_err(E::into)
        };
        class.get_or_load(key, load).await
    }

    /// Closes the connections to the standby; the primary's stay.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    async fn position(&self) -> Result<WalPosition, Error> {
        let row = sqlx::query(POSITION).fetch_one(self.primary.readers()).await?;
        Ok(WalPosition { at: row.try_get("position")?, source: row.try_get("source")? })
    }

    /// A connection to a standby that has replayed what was before `position`. Looked for and read on one connection: another one may
    /// lead to another standby.
    async fn caught_up(&self, position: &WalPosition) -> Result<PooledConnection, Error> {
        let mut loan = self.shared.pool.acquire().await?;
        let mut pause = POLL_PAUSES.0;
        loop {
            let row = sqlx::query(REPLAYED).bind(&position.at).fetch_one(&mut *loan).await?;
            let source: Option<String> = row.try_get("source")?;
            if source.as_deref() != Some(position.source.as_str()) {
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

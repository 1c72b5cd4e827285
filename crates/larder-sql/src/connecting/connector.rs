//! Where connections come from: one file of SQLite, or the servers of PostgreSQL that the URL lists, in their order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection, Executor, Row};

use crate::address::PostgresAddress;
use crate::connecting::connection::{SqlConnection, StatementMode};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::refusal::Refusal;

/// What every statement on PostgreSQL wants to know of a fresh connection, in one round trip and without a parameter, so that
/// no statement is prepared for it.
const ABOUT: &str = "SELECT CAST(pg_is_in_recovery() AS TEXT) AS recovery,
    current_setting('default_transaction_isolation') AS isolation";

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Connector {
    dialect: Dialect,
    hosts: Vec<Host>,
    /// The host of the last success, which is tried first: while it answers, no connection pays for those that do not.
    /// Relaxed: any of them will do, and nothing else is read with it.
    last: AtomicUsize,
    /// A standby may answer; else it is refused.
    may_be_standby: bool,
    has_transaction_pooler: bool,
    /// Run on each fresh connection of SQLite.
    pragmas: &'static [&'static str],
}

#[derive(Debug)]
struct Host {
    name: String,
    options: AnyConnectOptions,
}

impl Connector {
    /// The file at `url`, with these pragmas on each connection.
    pub(crate) fn sqlite(url: &str, pragmas: &'static [&'static str]) -> Result<Self, Error> {
        let options = url.parse().map_err(Error::from)?;
        Ok(Self {
            dialect: Dialect::Sqlite,
            hosts: vec![Host { name: "the file".to_owned(), options }],
            last: AtomicUsize::new(0),
            may_be_standby: false,
            has_transaction_pooler: false,
            pragmas,
        })
    }

    /// The servers of `address`.
    pub(crate) fn postgres(address: &PostgresAddress, has_transaction_pooler: bool) -> Result<Self, Error> {
        let host = |(name, url): &(String, String)| {
            Ok(Host { name: name.clone(), options: url.parse().map_err(Error::from)? })
        };
        Ok(Self {
            dialect: Dialect::Postgres,
            hosts: address.hosts.iter().map(host).collect::<Result<_, Error>>()?,
            last: AtomicUsize::new(0),
            may_be_standby: false,
            has_transaction_pooler,
            pragmas: &[],
        })
    }

    /// The same servers, of which a standby will do too.
    pub(crate) fn or_standby(self) -> Self {
        Self { may_be_standby: true, ..self }
    }

    /// A connection to the first host that will do. `limit` is for all of them together: a host that hangs must leave time for
    /// the next.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<SqlConnection, Refusal> {
        let count = self.hosts.len();
        let share = limit / u32::try_from(count).unwrap_or(u32::MAX);
        let first = self.last.load(Ordering::Relaxed);
        let mut refusals = Vec::new();
        for at in (0..count).map(|offset| (first + offset) % count) {
            let host = &self.hosts[at];
            let connected = tokio::time::timeout(share, self.connect_to(host)).await;
            match connected.unwrap_or_else(|_| Err(Refusal::late(&host.name, share))) {
                Ok(connection) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(Refusal::all(refusals))
    }

    async fn connect_to(&self, host: &Host) -> Result<SqlConnection, Refusal> {
        let refused = |error| Refusal::of(&host.name, &error);
        let mut connection = AnyConnection::connect_with(&host.options).await.map_err(refused)?;
        let mode = match self.dialect {
            Dialect::Sqlite => {
                for pragma in self.pragmas {
                    connection.execute(*pragma).await.map_err(refused)?;
                }
                StatementMode::Direct
            }
            Dialect::Postgres => {
                let about = sqlx::raw_sql(ABOUT).fetch_one(&mut connection).await.map_err(refused)?;
                let text = |name| about.try_get::<String, _>(name).map_err(refused);
                if !self.may_be_standby && text("recovery")? == "true" {
                    return Err(Refusal::standby(&host.name));
                }
                match text("isolation")?.as_str() {
                    _ if self.has_transaction_pooler => StatementMode::Pooled,
                    // A server set up with another default level would give a reader needless failures. Setting it
                    // for the session would leak to other clients of a pooler, so each statement brings its own.
                    "read committed" => StatementMode::Direct,
                    _ => StatementMode::InTransaction,
                }
            }
        };
        Ok(SqlConnection::new(connection, mode))
    }
}

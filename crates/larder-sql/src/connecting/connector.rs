//! Opens connections: to one SQLite file, or to the PostgreSQL servers that the URL lists, in their order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::any::{AnyConnectOptions, AnyRow};
use sqlx::{AnyConnection, Connection, Executor, PgPool, Row};

use crate::address::{PostgresAddress, url_like};
use crate::connecting::connection::{SqlConnection, StatementMode};
use crate::connecting::succession::{Life, Succession};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::refusal::Refusal;

/// Asks a new PostgreSQL connection two things in one round trip: whether it leads to a standby, and its default
/// isolation level. The query has no parameter, so the driver does not prepare it.
const ABOUT: &str = "SELECT CAST(pg_is_in_recovery() AS TEXT) AS recovery,
    current_setting('default_transaction_isolation') AS isolation";

/// As [`ABOUT`], and the server's [`Life`], which a standby does not have.
const ABOUT_LIFE: &str = "SELECT CAST(pg_is_in_recovery() AS TEXT) AS recovery,
    current_setting('default_transaction_isolation') AS isolation,
    (SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) AS system,
    CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline";

/// The least time between two surveys of the listed servers: after a fail-over that leaves the former primary running, a
/// process with a journal uses it for about this long.
const SURVEY_INTERVAL: Duration = Duration::from_secs(5);
/// Time-out of a server in a survey that delays no caller.
const SURVEY_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens connections to one database.
#[derive(Debug)]
pub(crate) struct Connector {
    dialect: Dialect,
    hosts: Vec<Host>,
    /// The index of the host that last accepted a connection. `connect` begins with this host, so that it does not wait
    /// for hosts that do not answer. Relaxed: any index is correct, and no other data depends on it.
    last: AtomicUsize,
    /// Whether a standby is accepted.
    may_be_standby: bool,
    has_transaction_pooler: bool,
    /// The application's pool. A new connection has the pool's present options, because an application that changes its
    /// password gives the pool new ones.
    like: Option<PgPool>,
    /// The statements that run on each new SQLite connection.
    pragmas: &'static [&'static str],
    succession: Succession,
    /// When the last survey began. No task holds the lock across an await, so a blocking mutex is enough.
    surveyed: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Host {
    name: String,
    options: AnyConnectOptions,
}

impl Connector {
    /// A connector to the file at `url` that runs `pragmas` on each new connection.
    pub(crate) fn sqlite(url: &str, pragmas: &'static [&'static str]) -> Result<Self, Error> {
        let options = url.parse().map_err(Error::from)?;
        Ok(Self {
            dialect: Dialect::Sqlite,
            hosts: vec![Host { name: "the file".to_owned(), options }],
            last: AtomicUsize::new(0),
            may_be_standby: false,
            has_transaction_pooler: false,
            like: None,
            pragmas,
            succession: Succession::default(),
            surveyed: Mutex::default(),
        })
    }

    /// A connector to the servers of `address`.
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
            like: None,
            pragmas: &[],
            succession: Succession::default(),
            surveyed: Mutex::default(),
        })
    }

    /// Each new connection gets the options that `pool` has at that moment.
    pub(crate) fn like(self, pool: Option<PgPool>) -> Self {
        Self { like: pool, ..self }
    }

    /// Also accepts a standby.
    pub(crate) fn or_standby(self) -> Self {
        Self { may_be_standby: true, ..self }
    }

    /// Tries the hosts in turn and returns the first connection that succeeds. Each host gets an equal part of `limit`,
    /// so that a host that does not answer leaves time for the next. The first call surveys the hosts before.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<SqlConnection, Refusal> {
        let count = self.hosts.len();
        let is_first = self.begins_survey(Duration::MAX);
        let share = limit / u32::try_from(count + usize::from(is_first)).unwrap_or(u32::MAX);
        if is_first {
            self.survey(share).await;
        }
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

    /// Surveys the hosts in the background, at most every [`SURVEY_INTERVAL`]. The journal calls it with each poll.
    pub(crate) fn survey_if_due(self: &Arc<Self>) {
        if self.begins_survey(SURVEY_INTERVAL) {
            let this = self.clone();
            tokio::spawn(async move { this.survey(SURVEY_TIMEOUT).await });
        }
    }

    /// Whether a survey is to begin now; the caller begins it. Where one host is listed, no other could be its successor.
    fn begins_survey(&self, interval: Duration) -> bool {
        if self.hosts.len() < 2 || self.may_be_standby {
            return false;
        }
        let mut surveyed = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = surveyed.is_none_or(|surveyed| surveyed.elapsed() > interval);
        if is_due {
            *surveyed = Some(Instant::now());
        }
        is_due
    }

    /// Asks all hosts at once which of them are primaries, and notes their lives: so a former primary is refused although it
    /// comes first in the list. Each host gets `limit`; what one does not answer is not known.
    async fn survey(&self, limit: Duration) {
        let look = |host| tokio::time::timeout(limit, Self::look_at(host));
        let lives: Vec<_> =
            join_all(self.hosts.iter().map(look)).await.into_iter().flatten().flatten().collect();
        if lives.is_empty() {
            // Nothing was found out, so the next caller asks again.
            *self.surveyed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        for life in lives {
            // An earlier life than the newest says nothing: `connect` refuses it.
            let _ = self.succession.note_listed(life);
        }
    }

    /// The life of the primary at `host`.
    async fn look_at(host: &Host) -> Option<Life> {
        let mut connection = AnyConnection::connect_with(&host.options).await.ok()?;
        let about = sqlx::raw_sql(ABOUT_LIFE).fetch_one(&mut connection).await.ok();
        // The server forgets the connection whether the close succeeds or not.
        let _ = connection.close().await;
        about.as_ref().and_then(life_of)
    }

    async fn connect_to(&self, host: &Host) -> Result<SqlConnection, Refusal> {
        let refused = |error| Refusal::of(&host.name, &error);
        let parsed = |pool| url_like(pool).map_err(|error| sqlx::Error::Tls(error.into()))?.parse();
        let present = self.like.as_ref().map(parsed).transpose().map_err(refused)?;
        let options = present.as_ref().unwrap_or(&host.options);
        let mut connection = AnyConnection::connect_with(options).await.map_err(refused)?;
        let mut life = None;
        let mode = match self.dialect {
            Dialect::Sqlite => {
                for pragma in self.pragmas {
                    connection.execute(*pragma).await.map_err(refused)?;
                }
                StatementMode::Direct
            }
            Dialect::Postgres => {
                let about = match sqlx::raw_sql(ABOUT_LIFE).fetch_one(&mut connection).await {
                    // The role may not ask for it, or the server has no such functions. Any other error refuses the
                    // connection: it must not let a former primary in.
                    Err(sqlx::Error::Database(error)) if cannot_be_asked(error.code().as_deref()) => {
                        sqlx::raw_sql(ABOUT).fetch_one(&mut connection).await
                    }
                    about => about,
                };
                let about = about.map_err(refused)?;
                let text = |name| about.try_get::<String, _>(name).map_err(refused);
                if !self.may_be_standby {
                    if text("recovery")? == "true" {
                        return Err(Refusal::standby(&host.name));
                    }
                    life = match life_of(&about).map(|life| self.succession.note(life)) {
                        Some(Err(newest)) => return Err(Refusal::former(&host.name, newest.timeline)),
                        noted => noted.and_then(Result::ok),
                    };
                }
                match text("isolation")?.as_str() {
                    _ if self.has_transaction_pooler => StatementMode::Pooled,
                    // Under a stricter default, statements can fail with serialization errors, so `InTransaction` sets
                    // the level for each statement. A setting of the session could reach other clients of a pooler.
                    "read committed" => StatementMode::Direct,
                    _ => StatementMode::InTransaction,
                }
            }
        };
        Ok(SqlConnection::new(connection, mode).of_life(life))
    }

    pub(crate) fn succession(&self) -> &Succession {
        &self.succession
    }

    /// Whether the connection leads to the newest primary that a connection of this connector has led to. True for a
    /// connection to a server that does not show its life.
    pub(crate) fn is_newest(&self, connection: &SqlConnection) -> bool {
        connection.life().is_none_or(|life| self.succession.is_newest(life))
    }
}

/// Whether a role or a server with this error has no [`ABOUT_LIFE`]: `insufficient_privilege`, `undefined_function` or
/// `feature_not_supported`.
pub(crate) fn cannot_be_asked(code: Option<&str>) -> bool {
    matches!(code, Some("42501" | "42883" | "0A000"))
}

/// The server's life; `None` if the row of [`ABOUT`] does not have it.
fn life_of(about: &AnyRow) -> Option<Life> {
    let text = |name| about.try_get::<Option<String>, _>(name).ok().flatten();
    Life::parse(text("system")?, &text("timeline")?)
}

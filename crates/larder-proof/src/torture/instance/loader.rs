//! The loader reads from the database. It is slow at the critical place: after it has read the row and before the cache
//! gets the value.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use larder::loading::is_auditing;
use larder::protocol::rules::ProtocolRule;
use larder::{Loaded, Previous};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use sqlx::{AnyConnection, Connection, Executor};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::history::clock::now;
use crate::history::{Key, Version, is_absent};
use crate::torture::instance::Settings;
use crate::torture::instance::release::Value;
use crate::torture::keys::list_of;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const ITEM: &str = "SELECT version + base FROM item, timeline WHERE id = $1";
const LIST: &str = "SELECT CAST(SUM(version) AS BIGINT) + MAX(base) FROM item, timeline WHERE team = $1";

/// How long the faulty loader reads from one snapshot.
const SNAPSHOT: Duration = Duration::from_millis(100);

/// Reads the database for loads.
#[derive(Clone)]
pub(super) struct Loader {
    database: Database,
    /// Only for the mutant that breaks `LoadsThePresent`: a connection whose transaction began up to 100 ms
    /// ago, so that loads read an old snapshot. The lock is held across awaits, so it is an async mutex.
    past: Option<Arc<Mutex<AnyConnection>>>,
}

impl Loader {
    pub(super) async fn open(settings: &Settings, database: &Database) -> Result<Self> {
        let breaks =
            settings.mutant.is_some_and(|mutant| !mutant.rules().keeps(ProtocolRule::LoadsThePresent));
        let past = if breaks { Some(open_past(&settings.database, database.dialect()).await?) } else { None };
        Ok(Loader { database: database.clone(), past })
    }

    /// An item; `None` if its version means absence.
    pub(super) async fn item(self, key: Key) -> Result<Option<Value>, sqlx::Error> {
        let version = self.version(ITEM, key).await?;
        Ok((!is_absent(version)).then_some(Value { key, version }))
    }

    /// An item of `AGING`. If the previous value has the present version, the answer says `unchanged` and has no value.
    pub(super) async fn aging(
        self,
        key: Key,
        previous: Option<Previous<Value>>,
    ) -> Result<Loaded<Value>, sqlx::Error> {
        let version = self.version(ITEM, key).await?;
        let known = previous.and_then(|previous| previous.version);
        let text = version.to_string();
        Ok(if is_absent(version) {
            Loaded::absent()
        } else if known.as_deref() == Some(&*text) {
            Loaded::unchanged().version(text)
        } else {
            Loaded::new(Value { key, version }).version(text)
        })
    }

    /// An item, or at random a [`Refusal`]; then stores the instant of the refusal in `refused`.
    pub(super) async fn faltering(
        self,
        key: Key,
        refused: Arc<AtomicU64>,
    ) -> Result<Option<Value>, BoxError> {
        let value = self.item(key).await?;
        // A refusal is for the read that waits for the load, and no read waits for a load of the auditor.
        if rand::random_bool(0.3) && !is_auditing() {
            // Release: `Instance::read` reads the instant with Acquire, after this load has failed.
            refused.store(now(), Ordering::Release);
            return Err(Refusal.into());
        }
        Ok(value)
    }

    /// A team's list, which is never absent.
    pub(super) async fn list(self, team: Key) -> Result<Option<Value>, sqlx::Error> {
        Ok(Some(Value { key: list_of(team), version: self.version(LIST, team).await? }))
    }

    async fn version(&self, select: &'static str, id: Key) -> Result<Version, sqlx::Error> {
        if rand::random_bool(0.1) {
            sleep(Duration::from_micros(rand::random_range(0..5_000))).await;
        }
        let query = sqlx::query_scalar::<_, i64>(select).bind(i64::from(id));
        let version = match &self.past {
            Some(past) => query.fetch_one(&mut *past.lock().await).await?,
            None => query.fetch_one(self.database.read()).await?,
        };
        sleep_long_or_not_at_all().await;
        Version::try_from(version).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
}

/// The error of a load that fails on purpose.
#[derive(Debug)]
pub(super) struct Refusal;

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the torture refuses this load")
    }
}

impl std::error::Error for Refusal {}

/// Makes a gap in which an invalidation can overtake the load. A load of the auditor stores nothing, so none can.
async fn sleep_long_or_not_at_all() {
    if is_auditing() {
        return;
    }
    let micros = match rand::random_range(0..100) {
        0..50 => return,
        50..97 => rand::random_range(0..20_000),
        _ => rand::random_range(0..300_000),
    };
    sleep(Duration::from_micros(micros)).await;
}

/// A connection inside a read transaction, which is begun again every 100 ms.
async fn open_past(url: &str, dialect: Dialect) -> Result<Arc<Mutex<AnyConnection>>> {
    let begin = match dialect {
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        _ => "BEGIN",
    };
    let past = Arc::new(Mutex::new(AnyConnection::connect(url).await?));
    let renewed = past.clone();
    tokio::spawn(async move {
        loop {
            {
                let mut past = renewed.lock().await;
                // BEGIN takes no snapshot, only the SELECT does. If one of them fails, loads read the present: then the
                // mutant is absent until the next round.
                let _ = past.execute(begin).await;
                let _ = past.execute("SELECT COUNT(*) FROM item").await;
            }
            sleep(SNAPSHOT).await;
            let _ = renewed.lock().await.execute("ROLLBACK").await;
        }
    });
    Ok(past)
}

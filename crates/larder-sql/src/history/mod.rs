//! What a cache did in each minute of the last day, in a table of the application's database, so that the figures survive
//! a restart and one instance can show those of all.
//!
//! [`migration`] creates the table. [`History::record`] writes a row for each minute and process, and deletes rows that are
//! older than a day. [`History::read`] reads them back. `docs/history.md` describes the figures.

mod recording;
mod summary;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::stats::Stats;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
pub use crate::history::summary::{Instance, Staleness, Step, Summary};

/// For how long a row is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// A larger row is not read: no process writes one, and another program may have.
const FIGURES_BYTES_MAX: i64 = 1 << 16;
/// How many minutes one statement reads, so that a day is not in memory at once.
const CHUNK_MINUTES: i64 = 60;

/// The primary key serves the reads, which name a span of minutes, and the deletion of old rows.
const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS larder_history (
    -- Minutes since 1970-01-01 00:00 UTC, by the clock of the process.
    minute   BIGINT NOT NULL,
    instance TEXT NOT NULL,
    -- Random: of two processes under one name, neither overwrites rows of the other.
    process  BIGINT NOT NULL,
    -- Milliseconds since 1970, by the clock of the database.
    written  BIGINT NOT NULL,
    -- JSON.
    figures  TEXT NOT NULL,
    PRIMARY KEY (minute, instance, process)
);
";

/// Milliseconds since 1970, by the clock of the database.
fn clock(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)",
        Dialect::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)",
    }
}

/// The SQL that creates the table of the history, for a migration of the application: the same text on PostgreSQL and
/// SQLite.
pub fn migration() -> &'static str {
    TABLE
}

/// The history of the caches of one application, in the application's database.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use larder_sql::Database;
/// use larder_sql::history::{self, History};
///
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite://{}", folder.path().join("guests.db").display());
/// let database = Database::connect(&url).await?;
/// let mut write = database.begin().await?;
/// sqlx::raw_sql(history::migration()).execute(write.statement()).await?;
/// write.commit().await?;
///
/// let cache = larder::Cache::builder("docs").build().await?;
/// let history = History::new(&database);
/// // An application spawns this, and stops it before it closes the database.
/// history.record(&cache, "guests-1:8080", std::future::ready(())).await;
///
/// let mut minutes = Vec::new();
/// history.read(Duration::from_secs(3600), None, |minute| minutes.push(minute)).await?;
/// assert_eq!(minutes[0].instance, "guests-1:8080");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct History {
    database: Database,
}

/// What one process did within one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Minute {
    /// When the minute begins, by the clock of the process.
    pub start: SystemTime,
    /// The name of the instance; see [`History::record`].
    pub instance: String,
    /// Distinguishes the processes under this name. A process whose clock was put back goes on under another number.
    pub process: i64,
    /// When the row was last written, by the clock of the database. A process that runs writes each 10 s.
    pub written: SystemTime,
    /// How long before the read that was, by the clock of the database.
    pub silent_for: Duration,
    /// What it did.
    pub figures: Figures,
}

/// The figures of one process within one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Figures {
    /// When the process began to record, in milliseconds since 1970, by its clock.
    pub started_ms: u64,
    /// Whether this is the last row of a process that was stopped.
    pub has_ended: bool,
    /// The health of the cache when the row was written: [`Health::as_str`](larder::cache::Health::as_str).
    pub health: String,
    /// What the entries took in memory when the row was written, in bytes.
    pub memory_bytes: u64,
    /// Entries that were evicted within the minute because memory was full.
    pub evictions: u64,
    /// The age of the guard's last certificate, in milliseconds, one sample each second. At that moment the answers of the
    /// tiers were at most so far behind the database. Empty without a guard.
    pub staleness_ms: Vec<u32>,
    /// Samples, one each second, at which the guard certified nothing, so reads ran their loaders.
    pub uncertified_seconds: u32,
    /// What each class counted within the minute, without classes and counts that are 0. A count of another release that
    /// this one does not know is left out when the row is read.
    #[serde(with = "counts")]
    pub classes: BTreeMap<String, Stats>,
}

impl History {
    /// The history in this database, which has the table of [`migration`].
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone() }
    }

    /// Passes each row of the last `span` to `see`, the earliest minute first; at most those of [`KEPT`]. `instance` is the
    /// only one that is read; `None`: all. The minutes in which the span begins and ends are included, the present one as
    /// far as it was written. A row that cannot be read, or is larger than 64 KiB, is left out: another program may have
    /// written it.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn read(
        &self,
        span: Duration,
        instance: Option<&str>,
        mut see: impl FnMut(Minute),
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT minute, instance, process, written, figures, {} AS now FROM larder_history \
             WHERE minute >= $1 AND minute < $2 AND ($3 = '' OR instance = $3) \
             AND length(figures) <= {FIGURES_BYTES_MAX} ORDER BY minute, instance, process",
            clock(self.database.dialect())
        );
        let now = SystemTime::now();
        // Rows of the future are those of a host whose clock is ahead: a minute of them is shown.
        let (mut first, end) = (first_minute(now, span), minute_of(now) + 2);
        while first < end {
            let next = end.min(first + CHUNK_MINUTES);
            let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(first).bind(next);
            let rows = query.bind(instance.unwrap_or_default()).fetch_all(self.database.readers()).await?;
            rows.iter().filter_map(minute_in).for_each(&mut see);
            first = next;
        }
        Ok(())
    }
}

/// The minute that a row holds; `None` if the row has other types or no figures.
fn minute_in(row: &AnyRow) -> Option<Minute> {
    let millis = |name| row.try_get::<i64, _>(name).ok()?.try_into().ok();
    let minute: i64 = row.try_get("minute").ok()?;
    let (written, now): (u64, u64) = (millis("written")?, millis("now")?);
    Some(Minute {
        start: UNIX_EPOCH + MINUTE * u32::try_from(minute).ok()?,
        instance: row.try_get("instance").ok()?,
        process: row.try_get("process").ok()?,
        written: UNIX_EPOCH + Duration::from_millis(written),
        silent_for: Duration::from_millis(now.saturating_sub(written)),
        figures: serde_json::from_str(row.try_get("figures").ok()?).ok()?,
    })
}

/// The minute in which the last `span` begins.
fn first_minute(now: SystemTime, span: Duration) -> i64 {
    minute_of(now.checked_sub(span.min(KEPT)).unwrap_or(UNIX_EPOCH))
}

/// The number of the minute since 1970.
fn minute_of(time: SystemTime) -> i64 {
    minutes(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Milliseconds since 1970.
fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Complete minutes.
fn minutes(span: Duration) -> i64 {
    i64::try_from(span.as_secs() / MINUTE.as_secs()).unwrap_or(i64::MAX)
}

/// [`Stats`] as an object of the counts that are not 0.
mod counts {
    use super::{BTreeMap, Stats};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        classes: &BTreeMap<String, Stats>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let counted =
            |stats: &Stats| stats.named().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>();
        let classes: BTreeMap<_, _> = classes
            .iter()
            .map(|(name, stats)| (name, counted(stats)))
            .filter(|(_, counts)| !counts.is_empty())
            .collect();
        classes.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Stats>, D::Error> {
        let classes = BTreeMap::<String, BTreeMap<String, u64>>::deserialize(deserializer)?;
        let stats = |counts: BTreeMap<String, u64>| {
            counts.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Stats>()
        };
        Ok(classes.into_iter().map(|(name, counts)| (name, stats(counts))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_every_count_and_ignores_those_it_does_not_know() {
        let stats: Stats =
            Stats::default().named().zip(1..).map(|((name, _), count)| (name, count)).collect();
        let classes = BTreeMap::from([("users".to_owned(), stats), ("idle".to_owned(), Stats::default())]);
        let figures = Figures { classes, staleness_ms: vec![180, 375], ..Figures::default() };
        let text = serde_json::to_string(&figures).unwrap();
        let read: Figures = serde_json::from_str(&text).unwrap();
        assert_eq!(read.classes.get("users"), Some(&stats));
        assert_eq!(read.classes.get("idle"), None, "nothing was counted");
        assert_eq!(read.staleness_ms, [180, 375]);
        let newer: Figures =
            serde_json::from_str(r#"{"classes":{"users":{"loads":3,"later_count":9}},"later":1}"#).unwrap();
        assert_eq!(newer.classes["users"], Stats { loads: 3, ..Stats::default() });
    }
}

//! Writes the rows of one process.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, OptionFuture};
use larder::cache::Cache;
use larder::stats::Stats;
use sqlx::AssertSqlSafe;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::database::Database;
use crate::error::Error;
use crate::history::{Figures, History, KEPT, clock, millis_of, minute_of, minutes};

/// How often the staleness is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// After so many samples the present minute's row is written.
const SAMPLES_A_WRITE: u32 = 10;
/// Time-out of a write: a half-open connection would block it for hours.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time-out of the last write: a supervisor waits for the end of the process.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// How many minutes are kept for a database that is away; of more, the oldest are lost.
const UNWRITTEN_MAX: usize = 60;

impl History {
    /// Records the figures of `cache` until `stop` is ready, and then writes the last row, for at most 2 s. `instance` is the
    /// name under which they are shown, such as `host:port`. The first row has all that the cache has counted before.
    ///
    /// It samples each second, writes each 10 s, and deletes rows older than [`KEPT`] once a minute. While the database does
    /// not take the rows, it keeps those of the last hour in memory. It never fails: the first error of an episode is
    /// logged.
    pub async fn record(&self, cache: &Cache, instance: &str, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut recording = Recording::new(self, cache, instance);
        let mut ticks = interval(SAMPLE_INTERVAL);
        // After a pause of the process, one sample is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut samples = 0;
        let mut writing: OptionFuture<BoxFuture<'static, Written>> = None.into();
        loop {
            tokio::select! {
                // Biased: once the stop is requested, no further sample is taken. A write under way is dropped, because the
                // last one repeats it.
                biased;
                () = &mut stop => break,
                _ = ticks.tick() => {
                    let is_new = recording.sample(minute_of(SystemTime::now()));
                    samples += 1;
                    // Samples go on during a write: an outage of the database is when they matter.
                    if (is_new || samples % SAMPLES_A_WRITE == 0) && recording.is_idle {
                        writing = Some(recording.begin(WRITE_TIMEOUT)).into();
                    }
                }
                Some(written) = &mut writing => {
                    writing = None.into();
                    recording.end(written);
                }
            }
        }
        drop(writing);
        recording.figures.has_ended = true;
        let written = recording.begin(LAST_WRITE_TIMEOUT).await;
        recording.end(written);
    }
}

/// The result of a write, and the ended minutes that it wrote.
type Written = (Result<(), Error>, Vec<RowId>);

/// The minute and the process of a row.
type RowId = (i64, i64);

/// A row of the table.
#[derive(Clone)]
struct NewRow {
    id: RowId,
    figures: Figures,
}

/// The minutes of one process that are not completely written.
struct Recording<'a> {
    database: &'a Database,
    cache: &'a Cache,
    instance: &'a str,
    started_ms: u64,
    process: i64,
    /// The number of the present minute.
    minute: i64,
    /// The counts when the present minute began.
    before: Counts,
    /// The present minute. What [`Recording::present`] adds is added when the row is written.
    figures: Figures,
    /// Minutes that have ended and were not written.
    unwritten: VecDeque<NewRow>,
    /// Whether no write is under way.
    is_idle: bool,
    /// Whether the last write failed.
    is_failing: bool,
}

#[derive(Default)]
struct Counts {
    classes: BTreeMap<String, Stats>,
    evictions: u64,
}

impl Counts {
    fn of(cache: &Cache) -> Self {
        let classes = cache.classes().into_iter().map(|class| (class.name, class.stats)).collect();
        Self { classes, evictions: cache.evictions() }
    }
}

impl<'a> Recording<'a> {
    fn new(history: &'a History, cache: &'a Cache, instance: &'a str) -> Self {
        Self {
            database: &history.database,
            cache,
            instance,
            started_ms: millis_of(SystemTime::now()),
            process: rand::random(),
            minute: minute_of(SystemTime::now()),
            before: Counts::default(),
            figures: Figures::default(),
            unwritten: VecDeque::new(),
            is_idle: true,
            is_failing: false,
        }
    }

    /// Samples the staleness. Returns whether a new minute has begun: then the former one waits to be written.
    fn sample(&mut self, minute: i64) -> bool {
        let is_new = minute != self.minute;
        if is_new {
            let (row, now) = self.present();
            if self.unwritten.len() == UNWRITTEN_MAX {
                self.unwritten.pop_front();
            }
            self.unwritten.push_back(row);
            if minute < self.minute {
                // The clock was put back, and this process comes to minutes whose rows it has written.
                self.process = rand::random();
            }
            (self.minute, self.before, self.figures) = (minute, now, Figures::default());
        }
        match self.cache.certified_for() {
            Some(Duration::ZERO) => self.figures.uncertified_seconds += 1,
            Some(left) => {
                let age = self.cache.staleness_bound().saturating_sub(left);
                self.figures.staleness_ms.push(u32::try_from(age.as_millis()).unwrap_or(u32::MAX));
            }
            None => {}
        }
        is_new
    }

    /// The present minute with what was counted in it until now, and the counts now.
    fn present(&self) -> (NewRow, Counts) {
        let now = Counts::of(self.cache);
        let counted = |(name, stats): (&String, &Stats)| {
            // A class that was opened within the minute has none.
            let before = self.before.classes.get(name).copied().unwrap_or_default();
            let since = stats.since(&before);
            (since != Stats::default()).then(|| (name.clone(), since))
        };
        let figures = Figures {
            started_ms: self.started_ms,
            health: self.cache.health_report().state.as_str().to_owned(),
            memory_bytes: self.cache.memory_bytes(),
            evictions: now.evictions.saturating_sub(self.before.evictions),
            classes: now.classes.iter().filter_map(counted).collect(),
            ..self.figures.clone()
        };
        (NewRow { id: (self.minute, self.process), figures }, now)
    }

    /// Begins to write what is not written. What the database does not take is kept for the next time.
    fn begin(&mut self, limit: Duration) -> BoxFuture<'static, Written> {
        self.is_idle = false;
        let mut rows: Vec<_> = self.unwritten.iter().cloned().collect();
        let ended = rows.iter().map(|row| row.id).collect();
        rows.push(self.present().0);
        let (database, instance) = (self.database.clone(), self.instance.to_owned());
        async move {
            let written = timeout(limit, write(&database, &instance, rows)).await;
            (written.unwrap_or_else(|late| Err(Error::unavailable(late))), ended)
        }
        .boxed()
    }

    /// Notes how a write ended.
    fn end(&mut self, (written, ended): Written) {
        self.is_idle = true;
        match &written {
            // By their ids: the minute that was present may have ended meanwhile, with counts that were not written.
            Ok(()) => self.unwritten.retain(|row| !ended.contains(&row.id)),
            Err(error) if !mem::replace(&mut self.is_failing, true) => tracing::warn!(
                error = error.to_string(),
                cause = std::error::Error::source(error).map(ToString::to_string),
                "the history is not written; the last hour of it is kept in memory meanwhile"
            ),
            Err(_) => {}
        }
        self.is_failing = written.is_err();
    }
}

/// Writes the rows in one transaction, and deletes old ones. To write a row again changes nothing.
async fn write(database: &Database, instance: &str, rows: Vec<NewRow>) -> Result<(), Error> {
    let clock = clock(database.dialect());
    let upsert = format!(
        "INSERT INTO larder_history (minute, instance, process, written, figures) VALUES ($1, $2, $3, {clock}, $4) \
         ON CONFLICT (minute, instance, process) DO UPDATE SET written = excluded.written, figures = excluded.figures"
    );
    let mut transaction = database.begin_write().await?;
    let has_ended_minutes = rows.len() > 1;
    for row in rows {
        let figures = serde_json::to_string(&row.figures).map_err(Error::unavailable)?;
        let query = sqlx::query(AssertSqlSafe(upsert.clone())).bind(row.id.0).bind(instance).bind(row.id.1);
        query.bind(figures).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    drop(transaction);
    if has_ended_minutes {
        delete_old(database).await;
    }
    Ok(())
}

/// Deletes the rows of more than a day ago or ahead, by the clock of the database: the clock of one process must not delete
/// the rows of others. An error is left to the next minute or to another instance, which deletes the same rows.
async fn delete_old(database: &Database) {
    let now = format!("{} / 60000", clock(database.dialect()));
    let sql = format!("DELETE FROM larder_history WHERE minute <= {now} - $1 OR minute > {now} + $1");
    let deleted = sqlx::query(AssertSqlSafe(sql)).bind(minutes(KEPT)).execute(database.writers()).await;
    if let Err(error) = deleted {
        tracing::debug!(error = error.to_string(), "old rows of the history were not deleted");
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;

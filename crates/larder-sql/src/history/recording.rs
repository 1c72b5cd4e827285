//! Writes the rows of one process.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::time::{Duration, SystemTime};

use larder::cache::Cache;
use larder::stats::Stats;
use tokio::time::{MissedTickBehavior, interval};

use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::history::{Figures, History, KEPT, millis_of, minute_of, minutes};

/// How often the staleness is sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// After so many samples the present minute's row is written. A crash of the process loses what came after.
const SAMPLES_A_WRITE: u32 = 10;
/// By how many minutes the clock may be put back while the present row stays the same.
const PUT_BACK_MAX: i64 = 30;
/// How many minutes are kept for a database that is away; of more, the oldest are lost.
const UNWRITTEN_MAX: usize = 60;

const UPSERT: &str = "INSERT INTO larder_history (minute, instance, started, figures) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (minute, instance, started) DO UPDATE SET figures = excluded.figures";
/// By the database's clock: the clock of one process that is ahead must not delete the rows of others.
const DELETE_POSTGRES: &str =
    "DELETE FROM larder_history WHERE minute <= CAST(floor(extract(epoch FROM now()) / 60) AS BIGINT) - $1";
const DELETE_SQLITE: &str =
    "DELETE FROM larder_history WHERE minute <= CAST(strftime('%s', 'now') AS INTEGER) / 60 - $1";

impl History {
    /// Records the figures of `cache` until `stop` is ready, and then writes the last row. `instance` is the name of this
    /// process, which no other one has at the same time, such as `host:port`. It samples each second, writes
    /// each 10 s, and deletes rows older than [`KEPT`] once a minute. While the database does not take the rows, it keeps
    /// those of the last hour in memory. It never fails: the first error of an episode is logged.
    pub async fn record(&self, cache: &Cache, instance: &str, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut recording = Recording::new(self, cache, instance);
        let mut ticks = interval(SAMPLE_INTERVAL);
        // After a pause of the process, one sample is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut samples = 0;
        loop {
            tokio::select! {
                // Biased: once the stop is requested, no further sample is taken.
                biased;
                () = &mut stop => break,
                _ = ticks.tick() => {}
            }
            let is_new = recording.sample(minute_of(SystemTime::now()));
            samples += 1;
            if is_new || samples % SAMPLES_A_WRITE == 0 {
                recording.write().await;
            }
        }
        recording.figures.has_ended = true;
        recording.write().await;
    }
}

/// The minutes of one process that are not completely written.
struct Recording<'a> {
    database: &'a Database,
    cache: &'a Cache,
    instance: &'a str,
    /// When this process began to record, in milliseconds since 1970.
    started_ms: u64,
    /// The number of the present minute.
    minute: i64,
    /// Whether rows that are now too old are still to be deleted.
    has_old: bool,
    /// The counts when the present minute began.
    before: Counts,
    /// The present minute. What [`Recording::counted`] adds is added when the row is written.
    figures: Figures,
    /// Minutes that have ended and were not written.
    unwritten: VecDeque<(i64, Figures)>,
    /// Whether the last write failed.
    is_failing: bool,
}

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
            minute: minute_of(SystemTime::now()),
            has_old: true,
            before: Counts::of(cache),
            figures: Figures::default(),
            unwritten: VecDeque::new(),
            is_failing: false,
        }
    }

    /// Samples the staleness. Returns whether a new minute has begun: then the former one waits to be written.
    fn sample(&mut self, minute: i64) -> bool {
        // A clock that was put back a little must not begin a minute that is written already.
        let is_new = minute > self.minute || minute < self.minute - PUT_BACK_MAX;
        if is_new {
            let (figures, now) = self.counted();
            if self.unwritten.len() == UNWRITTEN_MAX {
                self.unwritten.pop_front();
            }
            self.unwritten.push_back((self.minute, figures));
            (self.minute, self.before, self.figures, self.has_old) = (minute, now, Figures::default(), true);
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
    fn counted(&self) -> (Figures, Counts) {
        let now = Counts::of(self.cache);
        let counted = |(name, stats): (&String, &Stats)| {
            // A class that was opened within the minute.
            let before = self.before.classes.get(name).copied().unwrap_or_default();
            (name.clone(), stats.since(&before))
        };
        let figures = Figures {
            written_ms: millis_of(SystemTime::now()),
            health: self.cache.health_report().state.as_str().to_owned(),
            memory_bytes: self.cache.memory_bytes(),
            evictions: now.evictions.saturating_sub(self.before.evictions),
            classes: now.classes.iter().map(counted).collect(),
            ..self.figures.clone()
        };
        (figures, now)
    }

    /// Writes what is not written. What the database does not take is kept for the next time.
    async fn write(&mut self) {
        let written = self.try_to_write().await;
        if let Err(error) = &written
            && !self.is_failing
        {
            tracing::warn!(%error, "the history is not written; the last hour of it is kept in memory meanwhile");
        }
        self.is_failing = written.is_err();
    }

    async fn try_to_write(&mut self) -> Result<(), Error> {
        while let Some((minute, figures)) = self.unwritten.front() {
            self.upsert(*minute, figures).await?;
            self.unwritten.pop_front();
        }
        self.upsert(self.minute, &self.counted().0).await?;
        if self.has_old {
            self.delete_old().await?;
            self.has_old = false;
        }
        Ok(())
    }

    async fn upsert(&self, minute: i64, figures: &Figures) -> Result<(), Error> {
        let figures = serde_json::to_string(figures).map_err(Error::unavailable)?;
        let row = sqlx::query(UPSERT).bind(minute).bind(self.instance).bind(self.started_ms.cast_signed());
        row.bind(figures).execute(self.database.writers()).await?;
        Ok(())
    }

    async fn delete_old(&self) -> Result<(), Error> {
        let sql = match self.database.dialect() {
            Dialect::Postgres => DELETE_POSTGRES,
            Dialect::Sqlite => DELETE_SQLITE,
        };
        sqlx::query(sql).bind(minutes(KEPT)).execute(self.database.writers()).await?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;

//! Tests of `Recording` on both databases. They pass minutes that have not come yet, or have gone, instead of waiting.

use larder::class::Class;
use larder_testbed::{Postgres, Sqlite};

use super::*;
use crate::database::Database;
use crate::history::{KEPT, Minute, Staleness, migration};

/// A cache that is used, and its history.
struct Bed {
    database: Database,
    history: History,
    cache: Cache,
    rooms: Class<i64, String>,
}

impl Bed {
    async fn on(database: Database) -> Self {
        run(&database, migration()).await;
        let cache = Cache::builder("docs").build().await.unwrap();
        let rooms = cache.class("rooms").open().unwrap();
        Bed { history: History::new(&database), database, cache, rooms }
    }

    /// So many reads of one key.
    async fn reads(&self, count: u32) {
        for _ in 0..count {
            let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
            self.rooms.get_or_load(&7, load).await.unwrap();
        }
    }

    fn recording(&self) -> Recording<'_> {
        Recording::new(&self.history, &self.cache, "a:1")
    }

    /// Of another process under the same name.
    fn successor(&self) -> Recording<'_> {
        let mut recording = self.recording();
        recording.started_ms += 1_000;
        recording
    }

    async fn rows(&self) -> Vec<Minute> {
        let mut rows = Vec::new();
        self.history.read(KEPT, |row| rows.push(row)).await.unwrap();
        rows
    }

    /// The look-ups in each row, the earliest first.
    async fn lookups(&self) -> Vec<u64> {
        self.rows().await.iter().map(|row| row.figures.classes.values().map(Stats::lookups).sum()).collect()
    }
}

async fn run(database: &Database, sql: &'static str) {
    let mut write = database.begin().await.unwrap();
    sqlx::raw_sql(sql).execute(write.statement()).await.unwrap();
    write.commit().await.unwrap();
}

fn now() -> i64 {
    minute_of(SystemTime::now())
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let server = super::Sqlite::fresh().unwrap();
                super::$name(super::Bed::on(super::Database::connect(&server.url()).await.unwrap()).await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                let server = larder_testbed::Database::fresh(&super::Postgres::shared().unwrap()).unwrap();
                super::$name(super::Bed::on(super::Database::connect(&server.url()).await.unwrap()).await).await;
            })+
        }
    };
}

on_both!(
    a_row_has_the_counts_of_its_minute,
    a_clock_that_was_put_back_loses_no_count,
    what_a_database_that_is_away_does_not_take_is_written_later,
    rows_are_kept_for_a_day_and_beyond_a_restart,
    a_row_that_cannot_be_read_is_left_out,
    the_last_row_of_a_stopped_process_says_so,
    a_summary_adds_up_instances_and_steps
);

async fn a_row_has_the_counts_of_its_minute(bed: Bed) {
    let mut recording = bed.recording();
    recording.minute = now() - 2;
    bed.reads(3).await;
    recording.write().await;
    assert_eq!(bed.lookups().await, [3], "the present minute is written before it ends");
    bed.reads(2).await;
    assert!(recording.sample(now() - 1), "the first minute has ended");
    bed.reads(4).await;
    recording.write().await;
    assert_eq!(bed.lookups().await, [5, 4]);
    let [first, second] = bed.rows().await.try_into().unwrap();
    let loads = |minute: &Minute| minute.figures.classes["rooms"].loads;
    assert_eq!((loads(&first), loads(&second)), (1, 0));
    assert!(second.figures.memory_bytes > 0 && second.figures.written_ms >= first.figures.written_ms);
    assert_eq!(second.figures.health, "memory-only");
    assert_eq!(
        (&second.figures.staleness_ms[..], second.figures.uncertified_seconds),
        (&[][..], 0),
        "there is no guard"
    );
    assert_eq!(second.start.duration_since(first.start).unwrap(), Duration::from_secs(60));
}

async fn a_clock_that_was_put_back_loses_no_count(bed: Bed) {
    let mut recording = bed.recording();
    bed.reads(1).await;
    assert!(!recording.sample(now() - 20));
    bed.reads(1).await;
    recording.write().await;
    assert_eq!(bed.lookups().await, [2]);
    // A clock that was wrong by a year.
    recording.minute += 525_600;
    assert!(recording.sample(now()));
    bed.reads(3).await;
    recording.write().await;
    assert_eq!(bed.lookups().await, [3], "the present minute, written anew; the other is in the future");
}

async fn what_a_database_that_is_away_does_not_take_is_written_later(bed: Bed) {
    let mut recording = bed.recording();
    recording.minute = now() - 90;
    run(&bed.database, "ALTER TABLE larder_history RENAME TO hidden").await;
    for minute in now() - 89..=now() {
        bed.reads(1).await;
        recording.sample(minute);
        recording.write().await;
        assert!(recording.is_failing);
    }
    run(&bed.database, "ALTER TABLE hidden RENAME TO larder_history").await;
    bed.reads(7).await;
    recording.write().await;
    assert!(!recording.is_failing && recording.unwritten.is_empty());
    let mut expected = vec![1; UNWRITTEN_MAX];
    expected.push(7);
    assert_eq!(bed.lookups().await, expected, "the last hour, and the present minute");
}

async fn rows_are_kept_for_a_day_and_beyond_a_restart(bed: Bed) {
    let day = i64::try_from(KEPT.as_secs() / 60).unwrap();
    let mut recording = bed.recording();
    for minute in [now() - day - 10, now() - day + 10] {
        recording.minute = minute;
        bed.reads(1).await;
        recording.has_old = false;
        recording.write().await;
    }
    let mut recording = bed.successor();
    (recording.minute, recording.has_old) = (now() - day + 10, false);
    recording.write().await;
    let all: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM larder_history")
        .fetch_one(bed.database.read())
        .await
        .unwrap();
    assert_eq!(all, 3);
    recording.sample(now());
    recording.write().await;
    let all: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM larder_history")
        .fetch_one(bed.database.read())
        .await
        .unwrap();
    assert_eq!((all, bed.rows().await.len()), (3, 3), "the row of more than a day ago is gone");
    let started: Vec<_> = bed.rows().await.iter().map(|row| row.started).collect();
    assert!(started[0] < started[1] && started[1] == started[2], "{started:?}");
}

async fn the_last_row_of_a_stopped_process_says_so(bed: Bed) {
    bed.history.record(&bed.cache, "a:1", std::future::ready(())).await;
    let summary = || bed.history.summary(KEPT, KEPT, None);
    assert!(summary().await.unwrap().instances[0].has_ended);
    bed.successor().write().await;
    assert!(!summary().await.unwrap().instances[0].has_ended, "another process runs");
}

async fn a_row_that_cannot_be_read_is_left_out(bed: Bed) {
    bed.recording().write().await;
    run(&bed.database, "UPDATE larder_history SET figures = 'x'").await;
    bed.successor().write().await;
    assert_eq!(bed.rows().await.len(), 1);
}

async fn a_summary_adds_up_instances_and_steps(bed: Bed) {
    let other = || Recording { instance: "b:1", started_ms: 5, ..bed.recording() };
    let hour = Duration::from_secs(3_600);
    // Four steps of ten minutes, all of them complete.
    let begin = (now() / 10 - 4) * 10;
    for (mut recording, minute, reads, ages) in [
        (bed.recording(), 0, 3, [10, 20]),
        (other(), 1, 4, [30, 40]),
        (bed.successor(), 12, 5, [50, 60]),
        (other(), 15, 1, [70, 80]),
    ] {
        recording.before = Counts::of(&bed.cache);
        recording.minute = begin + minute;
        recording.figures.staleness_ms = ages.to_vec();
        recording.figures.uncertified_seconds = 2;
        bed.reads(reads).await;
        recording.write().await;
    }
    let summary = bed.history.summary(hour, Duration::from_secs(541), None).await.unwrap();
    let lookups = |classes: &BTreeMap<String, Stats>| classes["rooms"].lookups();
    let steps: Vec<_> =
        summary.steps.iter().map(|step| (minute_of(step.start) - begin, lookups(&step.classes))).collect();
    assert_eq!(steps, [(0, 7), (10, 6)]);
    assert_eq!(lookups(&summary.classes), 13);
    let Staleness { samples, p50, max, uncertified_seconds, .. } = summary.staleness;
    assert_eq!((samples, p50.as_millis(), max.as_millis(), uncertified_seconds), (8, 40, 80, 8));
    assert_eq!(summary.steps[1].staleness.max.as_millis(), 80);
    let bytes = bed.cache.memory_bytes();
    assert_eq!(summary.steps[0].memory_bytes, 2 * bytes, "of both instances");
    let instances: Vec<_> =
        summary.instances.iter().map(|one| (&*one.name, one.processes, one.memory_bytes)).collect();
    assert_eq!(instances, [("a:1", 2, bytes), ("b:1", 1, bytes)]);
    assert_eq!(summary.instances[0].staleness.max.as_millis(), 60);
    let of_one = bed.history.summary(hour, hour, Some("b:1")).await.unwrap();
    assert_eq!((lookups(&of_one.classes), of_one.instances.len()), (5, 1));
}

//! Tests of `Recording` on both databases. They pass minutes that have not come yet, or have gone, instead of waiting.

use larder::class::Class;
use larder_testbed::{Postgres, Sqlite};

use super::*;
use crate::database::Database;
use crate::dialect::Dialect;
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

    /// Of another process under the same name, which began later.
    fn successor(&self) -> Recording<'_> {
        Recording { started_ms: self.recording().started_ms + 1_000, ..self.recording() }
    }

    async fn write(&self, recording: &mut Recording<'_>) {
        let written = recording.begin(WRITE_TIMEOUT).await;
        recording.end(written);
    }

    async fn rows(&self) -> Vec<Minute> {
        let mut rows = Vec::new();
        self.history.read(KEPT, None, |row| rows.push(row)).await.unwrap();
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
    a_write_that_hangs_does_not_delay_the_stop,
    rows_are_kept_for_a_day_and_beyond_a_restart,
    a_row_that_cannot_be_read_is_left_out,
    the_last_row_of_a_stopped_process_says_so,
    a_summary_adds_up_instances_and_steps
);

async fn a_row_has_the_counts_of_its_minute(bed: Bed) {
    let (mut recording, now) = (bed.recording(), now());
    recording.minute = now - 2;
    bed.reads(3).await;
    bed.write(&mut recording).await;
    assert_eq!(bed.lookups().await, [3], "the present minute is written before it ends");
    bed.reads(2).await;
    assert!(recording.sample(now - 1), "the first minute has ended");
    bed.reads(4).await;
    bed.write(&mut recording).await;
    assert_eq!(bed.lookups().await, [5, 4]);
    let [first, second] = bed.rows().await.try_into().unwrap();
    let loads = |minute: &Minute| minute.figures.classes["rooms"].loads;
    assert_eq!((loads(&first), loads(&second)), (1, 0));
    assert!(second.figures.memory_bytes > 0 && second.written >= first.written);
    assert!(second.silent_for < Duration::from_secs(60), "{second:?}");
    assert_eq!(second.figures.health, "memory-only");
    let sampled = (&second.figures.staleness_ms[..], second.figures.uncertified_seconds);
    assert_eq!(sampled, (&[][..], 0), "there is no guard");
    assert_eq!(second.start.duration_since(first.start).unwrap(), Duration::from_secs(60));
}

async fn a_clock_that_was_put_back_loses_no_count(bed: Bed) {
    let (mut recording, now) = (bed.recording(), now());
    recording.minute = now - 10;
    bed.reads(1).await;
    assert!(recording.sample(now));
    bed.reads(2).await;
    bed.write(&mut recording).await;
    assert_eq!(bed.lookups().await, [1, 2]);
    // Back to the minute that is written already, and the clock was wrong by a year before.
    for minute in [now - 10, now + 525_600, now] {
        bed.reads(3).await;
        assert!(recording.sample(minute));
        bed.write(&mut recording).await;
    }
    bed.reads(4).await;
    bed.write(&mut recording).await;
    let mut counted = bed.lookups().await;
    counted.sort_unstable();
    // The row of the first three reads, that of the past, and that of the present; the one of the future is deleted.
    assert_eq!(counted, [1, 3, 4, 5]);
}

async fn what_a_database_that_is_away_does_not_take_is_written_later(bed: Bed) {
    let (mut recording, now) = (bed.recording(), now());
    recording.minute = now - 90;
    run(&bed.database, "ALTER TABLE larder_history RENAME TO hidden").await;
    for minute in now - 89..=now {
        bed.reads(1).await;
        recording.sample(minute);
        bed.write(&mut recording).await;
        assert!(recording.is_failing);
    }
    run(&bed.database, "ALTER TABLE hidden RENAME TO larder_history").await;
    bed.reads(7).await;
    // A minute ends while a write is under way: that one is not written yet.
    let write = recording.begin(WRITE_TIMEOUT);
    bed.reads(2).await;
    recording.sample(now + 1);
    recording.end(write.await);
    assert!(!recording.is_failing);
    assert_eq!(recording.unwritten.len(), 1);
    bed.write(&mut recording).await;
    assert!(recording.unwritten.is_empty());
    // The oldest of the last hour made room for the minute that ended, after it was written.
    let mut expected = vec![1; UNWRITTEN_MAX];
    expected.push(9);
    assert_eq!(bed.lookups().await, [expected, vec![0]].concat());
}

async fn a_write_that_hangs_does_not_delay_the_stop(bed: Bed) {
    // Another writer has the table.
    let mut blocker = bed.database.begin().await.unwrap();
    let lock = match bed.database.dialect() {
        Dialect::Postgres => "LOCK TABLE larder_history IN ACCESS EXCLUSIVE MODE",
        Dialect::Sqlite => "SELECT 1",
    };
    sqlx::raw_sql(lock).execute(blocker.statement()).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let began = tokio::time::Instant::now();
    let recording = bed.history.record(&bed.cache, "a:1", async { drop(stopped.await) });
    let stopping = async {
        // After the first write has begun.
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(stop);
    };
    tokio::join!(recording, stopping);
    assert!(began.elapsed() < LAST_WRITE_TIMEOUT + Duration::from_secs(2), "{:?}", began.elapsed());
    blocker.rollback().await.unwrap();
    // What was cut off does not damage a later write.
    bed.write(&mut bed.recording()).await;
    assert!(!bed.rows().await.is_empty());
}

async fn rows_are_kept_for_a_day_and_beyond_a_restart(bed: Bed) {
    let (day, now) = (i64::try_from(KEPT.as_secs() / 60).unwrap(), now());
    let mut recording = bed.recording();
    for minute in [now - day - 10, now - day + 10] {
        recording.minute = minute;
        bed.reads(1).await;
        bed.write(&mut recording).await;
    }
    let mut recording = bed.successor();
    recording.minute = now - day + 10;
    bed.write(&mut recording).await;
    let all = async || -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM larder_history");
        count.fetch_one(bed.database.read()).await.unwrap()
    };
    assert_eq!(all().await, 3);
    recording.sample(now);
    bed.write(&mut recording).await;
    assert_eq!((all().await, bed.rows().await.len()), (3, 3), "the row of more than a day ago is gone");
    let started: Vec<_> = bed.history.summary(KEPT, KEPT, None).await.unwrap().instances;
    let started: Vec<_> = started.iter().map(|one| one.started).collect();
    assert!(started.len() == 2 && started[0] < started[1], "{started:?}");
}

async fn a_row_that_cannot_be_read_is_left_out(bed: Bed) {
    for odd in [
        "figures = 'x'",
        "figures = '7'",
        "figures = '{\"memory_bytes\":-1}'",
        "written = -5",
        "figures = '{\"health\":\"' || replace(CAST(1 AS TEXT) || '                ', ' ', figures) || '\"}'",
    ] {
        bed.write(&mut bed.recording()).await;
        let sql = format!("UPDATE larder_history SET {odd}");
        let mut write = bed.database.begin().await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(write.statement()).await.unwrap();
        write.commit().await.unwrap();
        bed.write(&mut bed.successor()).await;
        assert_eq!(bed.rows().await.len(), 1, "{odd}");
        run(&bed.database, "DELETE FROM larder_history").await;
    }
    // On SQLite a column takes any type.
    if bed.database.dialect() == Dialect::Sqlite {
        bed.write(&mut bed.recording()).await;
        run(&bed.database, "UPDATE larder_history SET figures = x'00', process = 1.5, written = 'now'").await;
        assert!(bed.rows().await.is_empty());
    }
}

async fn the_last_row_of_a_stopped_process_says_so(bed: Bed) {
    bed.history.record(&bed.cache, "a:1", std::future::ready(())).await;
    bed.write(&mut bed.successor()).await;
    let ended: Vec<_> = bed.history.summary(KEPT, KEPT, None).await.unwrap().instances;
    let ended: Vec<_> = ended.iter().map(|one| one.has_ended).collect();
    assert_eq!(ended, [true, false]);
}

async fn a_summary_adds_up_instances_and_steps(bed: Bed) {
    let other = bed.recording();
    let other = || Recording { instance: "b:1", started_ms: 5, process: other.process, ..bed.recording() };
    let hour = Duration::from_secs(3_600);
    // Two steps of ten minutes, both in the past.
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
        bed.write(&mut recording).await;
    }
    let summary = bed.history.summary(hour, Duration::from_secs(541), None).await.unwrap();
    assert_eq!(summary.step, Duration::from_secs(600));
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
    let instances: Vec<_> = summary.instances.iter().map(|one| (&*one.name, one.memory_bytes)).collect();
    assert_eq!(instances, [("a:1", bytes), ("a:1", bytes), ("b:1", bytes)]);
    assert_eq!(summary.instances[2].staleness.max.as_millis(), 80);
    let of_one = bed.history.summary(hour, hour, Some("b:1")).await.unwrap();
    assert_eq!((lookups(&of_one.classes), of_one.instances.len()), (5, 1));
}

//! A declared column that is renamed or dropped: writes go on, each touches everything, and the health names it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::events::Event;
use larder::health::{Health, Trouble};
use larder::journal::{FaultEpisodes, Journal};
use larder::{Cache, Touch};
use larder_sql::dialect::Dialect;
use larder_sql::journal::{SqlJournal, Table, triggers};

use crate::bed::Bed;

fn shelves(column: &str) -> Table {
    Table::new("shelves").entry("shelf", [column]).tag_reading("labels", ["label"]).unique(["id"])
}

async fn with_shelves(bed: Bed) -> Bed {
    bed.sql("CREATE TABLE shelves (id BIGINT PRIMARY KEY, code TEXT, label TEXT, room TEXT)");
    bed.sql(&triggers(bed.database.dialect(), &[shelves("code")]).unwrap());
    bed.declaring(vec![shelves("code")]).await
}

#[tokio::test]
async fn a_renamed_column_fails_no_write_and_is_named() {
    let bed = with_shelves(Bed::postgres().await).await;
    let journal = Arc::new(SqlJournal::open(&bed.database, vec![shelves("code")]).await.unwrap());
    let cache = Cache::builder("shop").journal(journal.clone()).build().await.unwrap();
    assert_eq!(cache.health(), Health::MemoryOnly);

    bed.sql("ALTER TABLE shelves RENAME code TO shelf_code");
    for statement in [
        "INSERT INTO shelves VALUES (1, 'a', 'x', NULL), (2, 'b', 'y', NULL)",
        "UPDATE shelves SET room = 'z' WHERE id = 1",
        "DELETE FROM shelves WHERE id = 2",
    ] {
        // The first poll after ALTER TABLE is unknown, and the next ones read the rows.
        bed.journal.changes_since(None).await.unwrap();
        assert_eq!(bed.touched_by(statement).await, [Touch::Everything], "{statement}");
    }
    let mut write = bed.database.begin().await.unwrap();
    sqlx::query("UPDATE shelves SET room = 'q'").execute(write.statement()).await.unwrap();
    assert_eq!(write.touched().await.unwrap(), [Touch::Everything]);
    write.commit().await.unwrap();

    journal.inspect().await.unwrap();
    let report = cache.health_report();
    assert_eq!(report.state, Health::Degraded);
    let [reason] = &report.reasons[..] else { panic!("{report:?}") };
    assert_eq!(reason.trouble, Trouble::ImpreciseJournal);
    let detail = reason.detail.as_deref().unwrap();
    assert!(detail.contains(r#"the table "shelves" has no column "code""#), "{detail}");
    assert_eq!(journal.fault_episodes(), FaultEpisodes { incomplete: 0, imprecise: 1 });
    // An instance may start again meanwhile: its answers are right.
    let _shelves = cache.class::<String, u64>("shelf").tagged("labels").open().unwrap();
    journal.verify(&cache).await.unwrap();

    // The next release without its migration is imprecise too.
    let bed = bed.declaring(vec![shelves("shelf_code")]).await;
    assert!(bed.journal.imprecision().is_some());
    bed.sql(&triggers(Dialect::Postgres, &[shelves("shelf_code")]).unwrap());
    assert_eq!(bed.journal.inspect().await.unwrap(), []);
    assert_eq!(bed.journal.imprecision(), None);
    bed.journal.changes_since(None).await.unwrap();
    assert_eq!(bed.touched_by("UPDATE shelves SET room = 'r'").await, [Touch::entry("shelf", ["a"])]);
    // The former release still runs, and its triggers are precise again.
    journal.inspect().await.unwrap();
    assert_eq!(journal.imprecision(), None);
}

/// A column that only a tag reads: the tag cannot know whether it changed.
#[tokio::test]
async fn a_dropped_column_fails_no_write() {
    let bed = with_shelves(Bed::postgres().await).await;
    bed.sql("INSERT INTO shelves VALUES (1, 'a', 'x', NULL)");
    bed.sql("ALTER TABLE shelves DROP label");
    bed.journal.changes_since(None).await.unwrap();
    assert_eq!(bed.touched_by("UPDATE shelves SET room = 'z'").await, [Touch::Everything]);
    assert_eq!(
        bed.touched_by("DELETE FROM shelves").await,
        [Touch::entry("shelf", ["a"]), Touch::Tag("labels".to_owned())]
    );
    bed.journal.inspect().await.unwrap();
    let named = bed.journal.imprecision().unwrap().reasons.concat();
    assert!(named.contains(r#"no column "label""#), "{named}");
}

/// SQLite renames the column in the triggers too, so they are no longer the declared ones: the journal is incomplete.
#[tokio::test]
async fn on_sqlite_a_renamed_column_fails_no_write_and_is_named() {
    let bed = with_shelves(Bed::sqlite().await).await;
    bed.sql("ALTER TABLE shelves RENAME code TO shelf_code");
    bed.sql("INSERT INTO shelves VALUES (1, 'a', 'x', NULL)");
    let error = bed.journal.changes_since(None).await.unwrap_err().to_string();
    assert!(
        error.contains("larder_journal_shelves_inserted") && error.contains("the rename of a column"),
        "{error}"
    );
    let bed = bed.declaring(vec![shelves("shelf_code")]).await;
    bed.sql(&triggers(Dialect::Sqlite, &[shelves("shelf_code")]).unwrap());
    assert_eq!(bed.touched_by("UPDATE shelves SET room = 'r'").await, [Touch::entry("shelf", ["a"])]);
}

/// A journal that does not answer is part of the health, also without Redis.
#[tokio::test]
async fn a_silent_journal_is_part_of_the_health() {
    let bed = Bed::sqlite().await;
    let journal = Arc::new(SqlJournal::open(&bed.database, crate::bed::tables()).await.unwrap());
    let cache = Cache::builder("shop").journal(journal).build().await.unwrap();
    assert_eq!(cache.health(), Health::MemoryOnly);
    bed.database.close().await;
    let troubles = || cache.health_report().reasons.iter().map(|reason| reason.trouble).collect::<Vec<_>>();
    let start = Instant::now();
    while troubles() != [Trouble::SilentJournal] {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", troubles());
        // Five polls a second: the next one fails.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cache.health(), Health::Degraded);
    let counted = cache.trouble_counts();
    let silent = counted.iter().find(|count| count.trouble == Trouble::SilentJournal).unwrap();
    assert_eq!(silent.episodes, 1);
}

/// The events of a journal that is incomplete, is mended, and does not answer any more.
#[tokio::test]
async fn the_troubles_of_a_journal_are_events() {
    let bed = Bed::sqlite().await;
    let journal = Arc::new(SqlJournal::open(&bed.database, crate::bed::tables()).await.unwrap());
    let cache = Cache::builder("shop").journal(journal).build().await.unwrap();
    let mut events = cache.events_without_hits();
    let mut next = async || {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await.unwrap().unwrap();
            // Everything is dropped after a change of the schema.
            if !matches!(event, Event::Invalidated { .. }) {
                return event;
            }
        }
    };
    bed.sql("DROP TRIGGER larder_journal_guests_updated");
    let incomplete = Trouble::IncompleteJournal;
    assert_eq!(next().await, Event::Degraded { trouble: incomplete });
    bed.sql(&triggers(Dialect::Sqlite, &crate::bed::tables()).unwrap());
    assert_eq!(next().await, Event::Recovered { troubles: vec![incomplete] });
    bed.database.close().await;
    assert_eq!(next().await, Event::Degraded { trouble: Trouble::SilentJournal });
}

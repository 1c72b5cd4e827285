//! Every deed that keeps changes out of the journal is noticed by the poll and by the writer, and the error names it.

use larder::journal::{Changes, Journal, Position, Touch};
use larder_sql::journal::SqlJournal;

use crate::bed::{Bed, guest, tables};
use crate::on_both;

/// What an operator does to a PostgreSQL database, and the state of the journal afterwards without an operator's help.
pub(crate) struct Deed {
    pub(crate) sql: &'static [&'static str],
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// No change can have been missed.
    Nothing,
    /// One poll is unknown, so everything counts as touched.
    Unknown,
    /// The journal has a defect until an operator mends it, and the error contains this text.
    Broken(&'static str),
}

use Outcome::{Broken, Nothing, Unknown};

const CHANGE: &str = "UPDATE guests SET email = 'changed' WHERE id = '1'";

/// Each deed runs in psql, statement by statement, on a database with one guest.
const DEEDS: &[Deed] = &[
    Deed { sql: &["ANALYZE", "VACUUM guests, larder_outbox", "REINDEX TABLE guests"], outcome: Nothing },
    Deed { sql: &["CREATE TABLE other (n BIGINT)", "DROP TABLE other"], outcome: Nothing },
    // As pg_restore --disable-triggers and loaders of fixtures do.
    Deed {
        sql: &["ALTER TABLE guests DISABLE TRIGGER ALL", CHANGE, "ALTER TABLE guests ENABLE TRIGGER ALL"],
        outcome: Unknown,
    },
    Deed {
        sql: &["BEGIN; ALTER TABLE guests DISABLE TRIGGER USER; UPDATE guests SET email = 'changed'; \
                ALTER TABLE guests ENABLE TRIGGER USER; COMMIT"],
        outcome: Unknown,
    },
    Deed {
        sql: &[
            "ALTER TABLE guests DISABLE TRIGGER larder_journal",
            CHANGE,
            "ALTER TABLE guests ENABLE ALWAYS TRIGGER larder_journal",
        ],
        outcome: Unknown,
    },
    Deed { sql: &["ALTER TABLE guests DISABLE TRIGGER ALL", CHANGE], outcome: Broken("guests is disabled") },
    Deed {
        sql: &["ALTER TABLE guests DISABLE TRIGGER larder_journal_truncated", "TRUNCATE guests CASCADE"],
        outcome: Broken("larder_journal_truncated of guests is disabled"),
    },
    Deed { sql: &["ALTER TABLE guests ENABLE TRIGGER larder_journal"], outcome: Unknown },
    Deed { sql: &["ALTER TABLE guests ENABLE REPLICA TRIGGER larder_journal_truncated"], outcome: Unknown },
    Deed {
        sql: &["DROP TRIGGER larder_journal ON guests", CHANGE],
        outcome: Broken("guests has no trigger larder_journal"),
    },
    Deed {
        sql: &["DROP FUNCTION larder_journal_guests() CASCADE", CHANGE],
        outcome: Broken("guests has no trigger larder_journal"),
    },
    Deed {
        sql: &[
            "CREATE OR REPLACE FUNCTION larder_journal_guests() RETURNS TRIGGER LANGUAGE plpgsql \
                SECURITY DEFINER AS 'BEGIN RETURN NULL; END'",
            CHANGE,
        ],
        outcome: Broken("trigger function of \"guests\" was changed by hand"),
    },
    Deed {
        sql: &["ALTER FUNCTION larder_journal_guests() SECURITY INVOKER"],
        outcome: Broken("does not run with its owner's rights"),
    },
    Deed {
        sql: &[
            "CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OF n OR DELETE ON guests \
                FOR EACH ROW EXECUTE FUNCTION larder_journal_guests()",
            CHANGE,
        ],
        outcome: Broken("does not fire after each INSERT, UPDATE and DELETE"),
    },
    Deed {
        sql: &["CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON guests \
                FOR EACH ROW WHEN (FALSE) EXECUTE FUNCTION larder_journal_guests()"],
        outcome: Broken("does not fire after each INSERT, UPDATE and DELETE"),
    },
    Deed {
        sql: &["UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'larder_journal'", CHANGE],
        outcome: Broken("is disabled"),
    },
    // Changes that fire no trigger.
    Deed { sql: &["ALTER TABLE guests ALTER COLUMN email TYPE TEXT USING email || '!'"], outcome: Unknown },
    Deed {
        sql: &["ALTER TABLE guests DROP COLUMN n", "ALTER TABLE guests ADD COLUMN n BIGINT DEFAULT 7"],
        outcome: Unknown,
    },
    // Another table under the name.
    Deed {
        sql: &[
            "CREATE TABLE guests_new (LIKE guests INCLUDING ALL)",
            "BEGIN; ALTER TABLE guests RENAME TO guests_old; ALTER TABLE guests_new RENAME TO guests; COMMIT",
        ],
        outcome: Broken("guests has no trigger larder_journal"),
    },
    Deed {
        sql: &["ALTER TABLE guests RENAME TO people", "CREATE VIEW guests AS SELECT * FROM people"],
        outcome: Broken("guests is not a table"),
    },
    Deed { sql: &["ALTER TABLE guests RENAME TO people"], outcome: Broken("\"guests\" is not there") },
    Deed {
        sql: &["CREATE SCHEMA archive", "ALTER TABLE guests SET SCHEMA archive"],
        outcome: Broken("\"guests\" is not there"),
    },
    Deed {
        sql: &["CREATE SCHEMA postgres", "CREATE TABLE postgres.guests (LIKE public.guests)"],
        outcome: Broken("guests has no trigger larder_journal"),
    },
    Deed { sql: &["DROP TABLE guests CASCADE"], outcome: Broken("\"guests\" is not there") },
    // Tables under a declared one.
    Deed {
        sql: &["CREATE TABLE vips () INHERITS (guests)", "INSERT INTO vips VALUES ('2', 'b')"],
        outcome: Broken("vips has no trigger larder_journal"),
    },
    Deed {
        sql: &[
            "CREATE TABLE vips (LIKE guests INCLUDING ALL)",
            "INSERT INTO vips VALUES ('2', 'b')",
            "ALTER TABLE vips INHERIT guests",
        ],
        outcome: Broken("vips has no trigger larder_journal"),
    },
    // The outbox itself.
    Deed { sql: &["TRUNCATE larder_outbox"], outcome: Unknown },
    Deed { sql: &["TRUNCATE larder_outbox_marks"], outcome: Unknown },
    Deed { sql: &["VACUUM FULL larder_outbox"], outcome: Unknown },
    Deed {
        sql: &[
            "ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE larder_outbox FORCE ROW LEVEL SECURITY",
        ],
        outcome: Broken("row-level security is forced"),
    },
    Deed {
        sql: &["CREATE RULE quiet AS ON INSERT TO larder_outbox DO INSTEAD NOTHING", CHANGE],
        outcome: Broken("rewrite rules"),
    },
    Deed {
        sql: &[
            "CREATE FUNCTION quiet() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "CREATE TRIGGER quiet BEFORE INSERT ON larder_outbox FOR EACH ROW EXECUTE FUNCTION quiet()",
            CHANGE,
        ],
        outcome: Broken("triggers that are not larder's: quiet"),
    },
    Deed {
        sql: &["ALTER TABLE larder_outbox ALTER COLUMN xid SET DEFAULT '3'", CHANGE],
        outcome: Broken("default of larder_outbox.xid"),
    },
    Deed {
        sql: &[
            "ALTER TABLE larder_outbox RENAME TO old_outbox",
            "CREATE TABLE larder_outbox (LIKE old_outbox INCLUDING ALL)",
        ],
        outcome: Broken("guards larder_outbox"),
    },
    // The row security and the policies of a declared table change what its loaders see.
    Deed { sql: &["ALTER TABLE guests ENABLE ROW LEVEL SECURITY"], outcome: Unknown },
];

#[tokio::test]
async fn a_change_of_the_schema_of_postgres_is_noticed() {
    for deed in DEEDS {
        is_noticed(&[], deed).await;
    }
}

/// Asserts the outcome of `deed` on a database where `before` was done and noticed.
pub(crate) async fn is_noticed(before: &[&str], deed: &Deed) {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests VALUES ('1', 'a')");
    before.iter().for_each(|statement| drop(bed.sql(statement)));
    let from = bed.now().await;
    deed.sql.iter().for_each(|statement| drop(bed.sql(statement)));
    let answer = match bed.journal.changes_since(Some(&from)).await {
        // The first poll found the outbox empty and inserted a row, so poll again.
        Err(error) if error.to_string().contains("unavailable") => {
            bed.journal.changes_since(Some(&from)).await
        }
        answer => answer,
    };
    let seen = match answer {
        Ok(since) if since.changes == Changes::Unknown => Unknown,
        Ok(_) => Nothing,
        Err(error) => {
            let Broken(words) = deed.outcome else { panic!("{:?}: {error}", deed.sql) };
            assert!(error.to_string().contains(words), "{:?}: {error}", deed.sql);
            let defects = bed.journal.incompleteness().unwrap().reasons.concat();
            assert!(defects.contains(words), "{:?}", deed.sql);
            deed.outcome
        }
    };
    assert_eq!(seen, deed.outcome, "{:?}", deed.sql);
    if seen == Unknown {
        assert_eq!(bed.journal.inspect().await.unwrap(), [], "{:?}", deed.sql);
        settles(&bed).await;
    }
}

/// Asserts that the journal reports a new change, and only that one.
pub(crate) async fn settles(bed: &Bed) {
    let mut from = bed.now().await;
    assert_eq!(bed.since(&mut from).await, []);
    bed.sql("INSERT INTO guests (id, email) VALUES ('later', 'later')");
    assert_eq!(bed.since(&mut from).await, guest("later", "later", None));
}

/// Invariant `silence_is_attested`: the changes since the position stay unknown, however many consumers have polled
/// meanwhile.
#[tokio::test]
async fn a_position_from_before_a_silence_stays_unknown() {
    let bed = Bed::postgres().await;
    let from = bed.now().await;
    bed.sql("ALTER TABLE guests DISABLE TRIGGER larder_journal");
    assert!(bed.journal.changes_since(Some(&from)).await.is_err());
    bed.sql("INSERT INTO guests VALUES ('1', 'a')");
    bed.sql("ALTER TABLE guests ENABLE ALWAYS TRIGGER larder_journal");
    let another = SqlJournal::open(&bed.database, tables()).await.unwrap();
    for journal in [&bed.journal, &another, &bed.journal] {
        assert_eq!(journal.changes_since(Some(&from)).await.unwrap().changes, Changes::Unknown);
    }
    let position = Position::new(from.as_str().split('@').next().unwrap());
    assert_eq!(
        another.changes_since(Some(&position)).await.unwrap().changes,
        Changes::Unknown,
        "nothing was attested"
    );
}

#[tokio::test]
async fn the_remedies_mend_what_they_name() {
    let deeds = [
        "ALTER TABLE guests DISABLE TRIGGER ALL",
        "DROP FUNCTION larder_journal_guests() CASCADE",
        "CREATE OR REPLACE FUNCTION larder_journal_guests() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP TRIGGER larder_journal_truncated ON notes",
        "DROP TRIGGER larder_outbox_deleted ON larder_outbox",
        "CREATE OR REPLACE FUNCTION larder_outbox_kept() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE OR REPLACE FUNCTION larder_outbox_covers(relation OID, whole TEXT) RETURNS BOOLEAN LANGUAGE sql
             RETURN TRUE",
        "ALTER TABLE larder_outbox ALTER COLUMN xid DROP DEFAULT",
        "ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY; ALTER TABLE larder_outbox FORCE ROW LEVEL SECURITY",
    ];
    let bed = Bed::postgres().await;
    for deed in deeds {
        bed.sql(deed);
        assert_ne!(bed.journal.inspect().await.unwrap(), [], "{deed}");
        assert_eq!(bed.journal.mend().await.unwrap(), [], "{deed}");
        bed.sql("DELETE FROM guests");
        settles(&bed).await;
    }
}

/// A new partition gets its parent's trigger. Attaching and detaching a partition adds or removes rows without firing a
/// trigger.
#[tokio::test]
async fn partitions_that_come_and_go_are_noticed() {
    let bed = Bed::postgres().await;
    bed.sql(
        "CREATE TABLE visits (id TEXT NOT NULL, day BIGINT NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (1) TO (2);
         CREATE TABLE visits_2 (LIKE visits); INSERT INTO visits_2 VALUES ('x', 2)",
    );
    let visits = larder_sql::journal::Table::new("visits")
        .entry("visit", &["id"])
        .tag("visit_list")
        .unique(&["id", "day"]);
    bed.sql(
        &larder_sql::journal::triggers(larder_sql::dialect::Dialect::Postgres, std::slice::from_ref(&visits))
            .unwrap(),
    );
    // The partition has its parent's function, whose defect is listed once; and so is a missing trigger.
    let more = visits.clone().entry("visits_of_day", &["day"]);
    let journal = SqlJournal::open(&bed.database, vec![more]).await.unwrap();
    assert_eq!(journal.defects().len(), 1, "{:?}", journal.defects());
    bed.sql("DROP TRIGGER larder_journal ON visits; DROP TRIGGER larder_journal_truncated ON visits");
    let journal = SqlJournal::open(&bed.database, vec![visits.clone()]).await.unwrap();
    assert_eq!(journal.defects().len(), 1, "{:?}", journal.defects());
    assert_eq!(journal.mend().await.unwrap(), []);
    let journal = SqlJournal::open(&bed.database, vec![visits]).await.unwrap();
    assert_eq!(journal.defects(), []);
    let mut from = journal.changes_since(None).await.unwrap().position;
    bed.sql("INSERT INTO visits VALUES ('a', 1)");
    let since = journal.changes_since(Some(&from)).await.unwrap();
    assert_ne!(since.changes, Changes::Unknown);
    from = since.position;
    let noticed = [
        "ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (2) TO (3)",
        "TRUNCATE visits_2",
        "ALTER TABLE visits DETACH PARTITION visits_1",
        "DROP TABLE visits_2",
        "CREATE TABLE visits_3 PARTITION OF visits FOR VALUES FROM (3) TO (4)",
    ];
    for deed in noticed {
        bed.sql(deed);
        let since = journal.changes_since(Some(&from)).await.unwrap();
        assert_eq!(since.changes, Changes::Unknown, "{deed}");
        from = since.position;
    }
    bed.sql("ALTER TABLE visits_3 DISABLE TRIGGER ALL");
    let error = journal.changes_since(Some(&from)).await.unwrap_err().to_string();
    assert!(error.contains("larder_journal of visits_3 is disabled"), "{error}");
}

/// Renaming the label of an enum changes the value of every row that has it.
#[tokio::test]
async fn a_renamed_label_of_an_enum_is_noticed() {
    let bed = Bed::postgres().await;
    bed.sql("CREATE TYPE mood AS ENUM ('ok', 'bad')");
    let mut from = bed.now().await;
    bed.sql("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'");
    assert_eq!(bed.try_since(&mut from).await, None);
    assert_eq!(bed.since(&mut from).await, []);
}

on_both!(
    rows_that_leave_the_outbox_early_count_as_everything,
    a_write_under_unknown_triggers_touches_everything,
);

async fn rows_that_leave_the_outbox_early_count_as_everything(bed: Bed) {
    bed.sql("INSERT INTO guests (id, email) VALUES ('1', 'a')");
    for deed in ["DELETE FROM larder_outbox", "UPDATE larder_outbox SET touched = '[]'"] {
        let mut from = bed.now().await;
        bed.sql("UPDATE guests SET email = email || 'b'");
        bed.sql(deed);
        match bed.try_since(&mut from).await {
            None => {}
            Some(touches) => assert!(touches.contains(&Touch::Everything), "{deed}: {touches:?}"),
        }
    }
}

/// A release can run beside one whose triggers journal more, and not beside one whose triggers journal less.
/// Before the next poll: if a writer cannot know what it touched, it reports everything.
async fn a_write_under_unknown_triggers_touches_everything(bed: Bed) {
    let insert = async |id: &str| {
        let mut write = bed.database.begin().await.unwrap();
        let insert = sqlx::query("INSERT INTO guests (id, email) VALUES ($1, $1)").bind(id.to_owned());
        insert.execute(write.statement()).await.unwrap();
        let touched = write.touched().await.unwrap();
        (touched, write.commit().await.unwrap())
    };
    assert_eq!(insert("1").await.0, guest("1", "1", None));
    let drop = match bed.database.dialect() {
        larder_sql::dialect::Dialect::Postgres => "ALTER TABLE guests DISABLE TRIGGER larder_journal",
        _ => "DROP TRIGGER larder_journal_guests_inserted",
    };
    bed.sql(drop);
    assert_eq!(insert("2").await, (vec![Touch::Everything], vec![]));
    assert_ne!(bed.journal.defects(), []);
    assert_eq!(bed.journal.mend().await.unwrap(), []);
    assert_eq!(insert("3").await.0, guest("3", "3", None));
    assert_eq!(bed.journal.defects(), []);
}

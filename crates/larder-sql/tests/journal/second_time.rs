//! Schema changes that leave no trace in the table's own row of the catalog, because the same change was made once
//! before, or because they change another row of the catalog.

use larder::journal::{Changes, Journal};
use larder_sql::journal::SqlJournal;
use larder_testbed::Postgres;

use crate::bed::{Bed, tables};
use crate::silence::Outcome::{Broken, Unknown};
use crate::silence::{Deed, is_noticed};

#[tokio::test]
async fn a_schema_change_is_noticed_the_second_time_too() {
    const QUIET: &str = "CREATE RULE quiet AS ON INSERT TO larder_outbox DO INSTEAD NOTHING";
    let cases: [(&[&str], Deed); 5] = [
        (
            &[QUIET, "DROP RULE quiet ON larder_outbox"],
            Deed { sql: &[QUIET, "UPDATE guests SET n = 1"], outcome: Broken("rewrite rules") },
        ),
        (
            &["CREATE TABLE vips () INHERITS (guests)", "DROP TABLE vips"],
            Deed {
                sql: &["CREATE TABLE vips () INHERITS (guests)", "INSERT INTO vips VALUES ('2', 'b')"],
                outcome: Broken("vips has no trigger larder_journal"),
            },
        ),
        (
            &["ALTER TABLE guests ENABLE ROW LEVEL SECURITY", "CREATE POLICY seen ON guests USING (TRUE)"],
            Deed { sql: &["ALTER POLICY seen ON guests USING (id <> '1')"], outcome: Unknown },
        ),
        (
            &["ALTER TABLE guests ADD COLUMN mail TEXT", "UPDATE guests SET mail = 'new'"],
            Deed {
                sql: &[
                    "BEGIN; ALTER TABLE guests RENAME phone TO old_phone; ALTER TABLE guests RENAME mail TO phone; COMMIT",
                ],
                outcome: Unknown,
            },
        ),
        (
            &["CREATE FUNCTION quiet() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"],
            Deed {
                sql: &[
                    "DROP TRIGGER larder_outbox_deleted ON larder_outbox",
                    "CREATE TRIGGER larder_outbox_deleted BEFORE INSERT ON larder_outbox FOR EACH ROW EXECUTE FUNCTION quiet()",
                ],
                outcome: Broken("guards larder_outbox is missing"),
            },
        ),
    ];
    for (before, deed) in &cases {
        is_noticed(before, deed).await;
    }
}

/// A crash must empty either all tables of the outbox or none of them.
#[tokio::test]
async fn a_logged_table_of_the_outbox_is_a_defect() {
    let deed = Deed {
        sql: &["ALTER TABLE larder_outbox_life SET LOGGED"],
        outcome: Broken("a crash would empty some"),
    };
    is_noticed(&[], &deed).await;
}

/// In new sessions a name may mean another table than in the journal's session.
#[tokio::test]
async fn another_search_path_for_new_sessions_is_noticed() {
    let bed = Bed::postgres().await;
    let mut from = bed.now().await;
    let name = bed.url().rsplit('/').next().unwrap().to_owned();
    bed.sql("CREATE SCHEMA v2; CREATE TABLE v2.guests (LIKE public.guests)");
    assert_eq!(bed.since(&mut from).await, []);
    bed.sql(&format!("ALTER DATABASE {name} SET search_path = v2, public"));
    assert_eq!(bed.try_since(&mut from).await, None);
    let error = bed.journal.changes_since(Some(&from)).await.unwrap_err().to_string();
    assert!(error.contains("guests has no trigger"), "{error}");
}

/// A crash empties the outbox, but a transaction that was prepared before the crash can still be committed.
#[tokio::test]
async fn a_transaction_prepared_before_a_crash_is_noticed_at_its_commit() {
    let mut server = Postgres::start_with(&["max_prepared_transactions=5"]).unwrap();
    let bed = Bed::on(&server.url()).await;
    bed.sql("INSERT INTO guests VALUES ('1', 'a')");
    bed.sql("BEGIN; UPDATE guests SET email = 'b'; PREPARE TRANSACTION 'before'");
    server.crash().unwrap();
    server.restart().unwrap();
    let mut from = loop {
        if let Ok(since) = bed.journal.changes_since(None).await {
            break since.position;
        }
    };
    assert_eq!(bed.since(&mut from).await, []);
    bed.sql("COMMIT PREPARED 'before'");
    assert_eq!(bed.try_since(&mut from).await, None);
    assert_eq!(bed.since(&mut from).await, []);
}

/// The inspecting role owns the tables and sees all rows, but other roles do not.
#[tokio::test]
async fn an_inspection_for_every_role_finds_defects_of_other_roles() {
    let bed = Bed::postgres().await;
    let examining = SqlJournal::open_for_inspection(&bed.database, tables()).await.unwrap();
    assert_eq!(examining.defects(), []);
    for table in ["larder_outbox", "larder_outbox_marks", "larder_outbox_life"] {
        bed.sql(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
        assert_eq!(bed.journal.inspect().await.unwrap(), [], "the journal is complete for the owner");
        let [defect] = examining.inspect().await.unwrap().try_into().unwrap();
        assert!(defect.to_string().contains("row-level security is on"), "{defect}");
        assert_eq!(examining.mend().await.unwrap(), [], "{table}");
    }
    let mut from = bed.now().await;
    bed.sql("ALTER TABLE guests ENABLE TRIGGER larder_journal");
    assert_eq!(examining.inspect().await.unwrap().len(), 1, "it mends nothing by itself");
    assert_eq!(examining.mend().await.unwrap(), []);
    assert!(bed.try_since(&mut from).await.is_none());
    assert_eq!(bed.journal.changes_since(Some(&from)).await.unwrap().changes, Changes::Known(vec![]));
}

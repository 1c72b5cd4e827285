//! The migration of the journal: run again, for another declaration, and on an outbox of an earlier release.

use larder::Journal;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{SqlJournal, Table, drop_triggers, migration, triggers};

use crate::bed::{Bed, tables, tag};
use crate::on_both;
use crate::silence::settles;

on_both!(
    the_same_migration_once_more_changes_nothing,
    a_changed_declaration_of_another_release_is_no_defect,
    writes_work_after_the_triggers_and_then_the_outbox_are_dropped,
);

/// So an application puts the same call into each migration that changes a declaration.
async fn the_same_migration_once_more_changes_nothing(bed: Bed) {
    let identity = bed.journal.database().await.unwrap();
    let mut from = bed.now().await;
    bed.sql(&format!("\n{}", migration(bed.database.dialect(), &tables()).unwrap()));
    // The functions are new rows of the catalog, so that the position is unknown once.
    assert_eq!(bed.try_since(&mut from).await.unwrap_or_default(), []);
    settles(&bed).await;
    assert_eq!(bed.journal.inspect().await.unwrap(), []);
    assert_eq!(bed.journal.database().await.unwrap(), identity);
}

async fn a_changed_declaration_of_another_release_is_no_defect(bed: Bed) {
    let dialect = bed.database.dialect();
    let mut more = tables();
    more[0] = more[0].clone().tag("guest_map");
    bed.sql(&triggers(dialect, &more).unwrap());
    assert_eq!(bed.journal.inspect().await.unwrap(), []);
    let mut from = bed.now().await;
    bed.sql("INSERT INTO guests (id, email) VALUES ('1', 'a')");
    assert!(bed.since(&mut from).await.contains(&tag("guest_map")));

    let less = Table::new("guests").entry("guest", &["id"]).unique(&["id"]).unique(&["email"]);
    bed.sql(&triggers(dialect, &[less]).unwrap());
    let defects = bed.journal.inspect().await.unwrap();
    assert!(
        defects[0].to_string().contains(r#"does not journal entry "guest_email" ["email"], "#),
        "{}",
        defects[0]
    );
    assert_eq!(bed.journal.mend().await.unwrap(), []);
}

/// An outbox that an earlier release created.
#[tokio::test]
async fn an_outbox_of_an_earlier_release_says_how_it_is_upgraded() {
    let bed = Bed::postgres().await;
    bed.sql("DROP TABLE larder_outbox_life; DROP FUNCTION larder_outbox_kept() CASCADE; DROP FUNCTION larder_outbox_covers");
    bed.sql("ALTER TABLE larder_outbox SET LOGGED; ALTER TABLE larder_outbox_marks SET LOGGED");
    let error = SqlJournal::open(&bed.database, tables()).await.err().unwrap().to_string();
    assert!(error.contains("larder_sql::journal::migration"), "{error}");
    bed.sql(&migration(Dialect::Postgres, &tables()).unwrap());
    SqlJournal::open(&bed.database, tables()).await.unwrap();
    settles(&bed).await;
    let logged = "SELECT COUNT(*) FROM pg_class WHERE relname LIKE 'larder_outbox%' AND relpersistence = 'p'";
    assert_eq!(bed.sql(logged), "0");
}

/// The order that docs/journal.md says. In another order, a trigger without its outbox fails each write.
async fn writes_work_after_the_triggers_and_then_the_outbox_are_dropped(bed: Bed) {
    let dialect = bed.database.dialect();
    let drop = match dialect {
        Dialect::Postgres => {
            "DROP TABLE larder_outbox, larder_outbox_marks, larder_outbox_life; DROP FUNCTION larder_outbox_covers, larder_outbox_kept"
        }
        _ => "DROP TABLE larder_outbox; DROP TABLE larder_outbox_marks; DROP TABLE larder_identity",
    };
    let insert = "INSERT INTO guests VALUES ('1', 'a', NULL, 0)";
    bed.sql(drop);
    let error = bed.try_sql(insert).unwrap_err();
    assert!(error.contains("larder_outbox"), "{error}");
    bed.sql(&drop_triggers(dialect, &tables()).unwrap());
    bed.sql(insert);
    let left = match dialect {
        Dialect::Postgres => "SELECT count(*) FROM pg_proc WHERE proname LIKE 'larder%'",
        _ => "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'larder%'",
    };
    assert_eq!(bed.sql(left).trim(), "0");
}

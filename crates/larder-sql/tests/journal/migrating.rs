//! The migration of the journal: run again, for another declaration, and on an outbox of an earlier release.

use larder::Journal;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{SqlJournal, Table, migration, triggers};

use crate::bed::{Bed, tables, tag};
use crate::on_both;
use crate::silence::settles;

on_both!(the_same_migration_once_more_changes_nothing, a_changed_declaration_of_another_release_is_no_defect,);

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

//! A journal that is incomplete only for a role that does not own the tables.

use larder::journal::{Changes, Journal, Touch};
use larder_sql::database::Database;
use larder_sql::journal::SqlJournal;

use crate::bed::{Bed, tables};

/// Advisors of hosted databases recommend row security. Here a service that does not own the tables meets it.
#[tokio::test]
async fn an_outbox_behind_row_security_is_noticed_by_poll_and_writer() {
    let bed = Bed::postgres().await;
    let role = Role::of(&bed);
    let database = Database::connect(&role.url).await.unwrap();
    let journal = SqlJournal::open(&database, tables()).await.unwrap();
    let mut from = journal.changes_since(None).await.unwrap().position;
    bed.sql("ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY");

    let mut write = database.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO guests VALUES ('1', 'a')");
    insert.execute(write.statement()).await.unwrap();
    assert_eq!(write.touched().await.unwrap(), [Touch::Everything]);
    assert_eq!(write.commit().await.unwrap(), []);
    assert!(!journal.defects().is_empty());

    let error = journal.changes_since(Some(&from)).await.unwrap_err().to_string();
    assert!(error.contains("row-level security hides rows of larder_outbox"), "{error}");
    let [defect] = journal.defects().try_into().unwrap();
    assert!(error.contains(&defect.to_string()));
    assert_eq!(journal.fault_episodes().incomplete, 1);
    assert!(
        journal.mend().await.unwrap()[0].remedy().unwrap().contains("DISABLE ROW LEVEL SECURITY"),
        "the role has no right to mend"
    );
    // The journal is complete for the owner, who has the same attestation.
    bed.now().await;

    bed.sql("ALTER TABLE larder_outbox DISABLE ROW LEVEL SECURITY");
    assert_eq!(journal.changes_since(Some(&from)).await.unwrap().changes, Changes::Unknown);
    assert_eq!(journal.defects(), []);
    from = journal.changes_since(None).await.unwrap().position;
    bed.sql("INSERT INTO guests VALUES ('2', 'b')");
    assert_ne!(journal.changes_since(Some(&from)).await.unwrap().changes, Changes::Unknown);
    database.close().await;
    role.drop(&bed);
}

/// A role that may read and write, and owns no table.
struct Role {
    name: String,
    url: String,
}

impl Role {
    fn of(bed: &Bed) -> Self {
        let name = format!("guest_service_{}", bed.url().rsplit('_').next().unwrap());
        bed.sql(&format!(
            "CREATE ROLE {name} LOGIN;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
        ));
        Self { url: bed.url().replace("postgres@", &format!("{name}@")), name }
    }

    fn drop(self, bed: &Bed) {
        bed.sql(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
    }
}

/// A role that may not mend reports the defect.
#[tokio::test]
async fn a_lost_always_is_named_where_it_may_not_be_mended() {
    let bed = Bed::postgres().await;
    let role = Role::of(&bed);
    let database = Database::connect(&role.url).await.unwrap();
    let journal = SqlJournal::open(&database, tables()).await.unwrap();
    let from = journal.changes_since(None).await.unwrap().position;
    bed.sql("ALTER TABLE guests DISABLE TRIGGER ALL; ALTER TABLE guests ENABLE TRIGGER ALL");
    for _ in 0..2 {
        let error = journal.changes_since(Some(&from)).await.unwrap_err().to_string();
        assert!(error.contains("larder_journal of guests does not fire ALWAYS"), "{error}");
    }
    // The owner's inspection mends the defect.
    assert_eq!(bed.journal.inspect().await.unwrap(), []);
    assert_eq!(journal.changes_since(Some(&from)).await.unwrap().changes, Changes::Unknown);
    database.close().await;
    role.drop(&bed);
}

/// A prepared statement keeps its plan, including the policies in it, after its role's rights change.
#[tokio::test]
async fn a_statement_planned_under_row_security_hides_no_change() {
    let bed = Bed::postgres().await;
    let role = Role::of(&bed);
    let database = Database::connect(&role.url).await.unwrap();
    let journal = SqlJournal::open(&database, tables()).await.unwrap();
    let insert = async |id: &str| {
        let mut write = database.begin().await.unwrap();
        let insert = sqlx::query("INSERT INTO guests VALUES ($1, $1)").bind(id.to_owned());
        insert.execute(write.statement()).await.unwrap();
        let touched = write.touched().await.unwrap();
        write.commit().await.unwrap();
        touched
    };
    let from = journal.changes_since(None).await.unwrap().position;
    bed.sql("ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY");
    assert!(journal.changes_since(Some(&from)).await.is_err());
    assert_eq!(insert("1").await, [Touch::Everything]);
    bed.sql(&format!("ALTER ROLE {} BYPASSRLS", role.name));
    let mut from = loop {
        match journal.changes_since(Some(&from)).await {
            Ok(since) => break since.position,
            Err(error) => assert!(error.to_string().contains("unavailable"), "{error}"),
        }
    };
    for id in ["2", "3"] {
        bed.sql(&format!("INSERT INTO guests VALUES ('{id}', '{id}')"));
        let since = journal.changes_since(Some(&from)).await.unwrap();
        from = since.position;
        let Changes::Known(changes) = since.changes else { panic!("unknown") };
        assert_eq!(changes.len(), 1, "the poll reports the row");
    }
    for id in ["4", "5"] {
        let touched = insert(id).await;
        assert!(touched == [Touch::Everything] || touched.len() == 3, "{touched:?}");
    }
    database.close().await;
    role.drop(&bed);
}

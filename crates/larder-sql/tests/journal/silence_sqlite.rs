//! Schema changes on SQLite, and whether the journal is complete afterwards.

use larder::journal::{Changes, Journal};

use crate::bed::Bed;
use crate::silence::Outcome::{self, Broken, Nothing, Unknown};

#[tokio::test]
async fn a_change_of_the_schema_of_sqlite_is_noticed() {
    let deeds: &[(&str, Outcome)] = &[
        ("CREATE TEMP TABLE other (n BIGINT)", Nothing),
        ("CREATE TABLE other (n BIGINT); DROP TABLE other", Unknown),
        ("VACUUM", Unknown),
        ("DROP TRIGGER larder_journal_guests_updated; UPDATE guests SET email = 'b'", Broken("no trigger larder_journal_guests_updated")),
        ("DROP TRIGGER larder_journal_guests_updated;
          CREATE TRIGGER larder_journal_guests_updated AFTER UPDATE ON guests BEGIN SELECT 1; END",
         Broken("larder_journal_guests_updated was changed by hand")),
        ("ALTER TABLE guests RENAME TO people", Broken("\"guests\" is not there")),
        // The procedure that SQLite's page on ALTER TABLE recommends.
        ("PRAGMA foreign_keys = OFF; BEGIN; CREATE TABLE new_guests (id TEXT NOT NULL PRIMARY KEY, email TEXT, phone TEXT, n BIGINT);
          INSERT INTO new_guests SELECT id, 'b', phone, n FROM guests; DROP TABLE guests;
          ALTER TABLE new_guests RENAME TO guests; COMMIT", Broken("no trigger larder_journal_guests_inserted")),
        ("CREATE TRIGGER quiet BEFORE INSERT ON larder_outbox BEGIN SELECT RAISE(IGNORE); END; UPDATE guests SET email = 'b'",
         Broken("triggers that are not larder's: quiet")),
        // RAISE(IGNORE) keeps the row's change and skips the later triggers of the row.
        (
            "CREATE TRIGGER aa_skip AFTER UPDATE ON guests BEGIN SELECT RAISE(IGNORE); END; UPDATE guests SET email = 'b'",
            Broken("the trigger aa_skip of guests ends with RAISE(IGNORE)"),
        ),
        ("DROP TRIGGER larder_outbox_deleted; DELETE FROM larder_outbox WHERE id > 1", Broken("larder_outbox_deleted")),
    ];
    for (deed, outcome) in deeds {
        let bed = Bed::sqlite().await;
        bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
        let from = bed.now().await;
        bed.sql(deed);
        match (bed.journal.changes_since(Some(&from)).await, outcome) {
            (Ok(since), Unknown) => assert_eq!(since.changes, Changes::Unknown, "{deed}"),
            (Ok(since), Nothing) => assert_eq!(since.changes, Changes::Known(vec![]), "{deed}"),
            (Err(error), Broken(words)) => assert!(error.to_string().contains(words), "{deed}: {error}"),
            (outcome, _) => panic!("{deed}: {outcome:?}"),
        }
    }
}

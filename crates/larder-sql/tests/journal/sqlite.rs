//! The journal under what only SQLite has: REPLACE, cascades that depend on a setting, restored files.

use larder::journal::{Changes, ChangesSince, Journal, Touch};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{SqlJournal, Table, triggers};
use larder_testbed::Sqlite;

use crate::bed::{Bed, all, guest, notes, tables};

const TWO_GUESTS: &str = "INSERT INTO guests VALUES ('1', 'a', '7', 0), ('2', 'b', NULL, 0)";

#[tokio::test]
async fn insert_or_replace_journals_the_rows_in_its_way() {
    let bed = Bed::sqlite().await;
    bed.sql(TWO_GUESTS);
    // recursive_triggers is off in the shell, so SQLite runs no DELETE trigger for the replaced rows.
    let touched = bed.touched_by("INSERT OR REPLACE INTO guests VALUES ('2', 'a', NULL, 0)").await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM guests"), "1");
    let gone = [guest("1", "a", Some("7")), guest("2", "b", None), guest("2", "a", None)];
    assert_eq!(touched, all(gone));
}

#[tokio::test]
async fn replace_by_rowid_journals_the_row_in_its_way() {
    let bed = Bed::sqlite().await;
    bed.sql(TWO_GUESTS);
    let replace = "REPLACE INTO guests (rowid, id, email) SELECT rowid, '3', 'c' FROM guests WHERE id = '1'";
    let touched = bed.touched_by(replace).await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM guests"), "2");
    assert_eq!(touched, all([guest("1", "a", Some("7")), guest("3", "c", None)]));
}

#[tokio::test]
async fn update_or_replace_journals_the_row_in_its_way() {
    let bed = Bed::sqlite().await;
    bed.sql(TWO_GUESTS);
    let touched = bed.touched_by("UPDATE OR REPLACE guests SET email = 'a' WHERE id = '2'").await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM guests"), "1");
    assert_eq!(touched, all([guest("1", "a", Some("7")), guest("2", "b", None), guest("2", "a", None)]));
}

#[tokio::test]
async fn update_or_replace_of_rowid_journals_the_row_in_its_way() {
    let bed = Bed::sqlite().await;
    bed.sql(TWO_GUESTS);
    let update =
        "UPDATE OR REPLACE guests SET rowid = (SELECT rowid FROM guests WHERE id = '1') WHERE id = '2'";
    let touched = bed.touched_by(update).await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM guests"), "1");
    assert_eq!(touched, all([guest("1", "a", Some("7")), guest("2", "b", None)]));
}

#[tokio::test]
async fn insert_or_ignore_and_upsert_are_journalled() {
    let bed = Bed::sqlite().await;
    let touched = bed.touched_by("INSERT OR IGNORE INTO guests VALUES ('1', 'a', NULL, 0)").await;
    assert_eq!(touched, all([guest("1", "a", None)]));
    let upsert = "INSERT INTO guests VALUES ('1', 'z', NULL, 0) ON CONFLICT (id) DO UPDATE SET email = 'c'";
    assert_eq!(bed.touched_by(upsert).await, all([guest("1", "a", None), guest("1", "c", None)]));
}

#[tokio::test]
async fn cascades_are_journalled_with_foreign_keys_on_and_the_parent_with_them_off() {
    let bed = Bed::sqlite().await;
    let set_up = format!("{TWO_GUESTS}; INSERT INTO notes VALUES ('n', '1'), ('m', '2')");
    bed.sql(&set_up);
    let on = bed.touched_by("PRAGMA foreign_keys = ON; DELETE FROM guests WHERE id = '1'").await;
    assert_eq!(on, all([guest("1", "a", Some("7")), notes("1")]));
    let off = bed.touched_by("PRAGMA foreign_keys = OFF; DELETE FROM guests WHERE id = '2'").await;
    assert_eq!(off, all([guest("2", "b", None)]));
    assert_eq!(bed.sql("SELECT id FROM notes"), "m");
}

#[tokio::test]
async fn a_replace_that_cascades_journals_what_goes_with_it() {
    let bed = Bed::sqlite().await;
    bed.sql(TWO_GUESTS);
    bed.sql("INSERT INTO notes VALUES ('n', '1')");
    let replace = "PRAGMA foreign_keys = ON; REPLACE INTO guests VALUES ('1', 'c', NULL, 0)";
    let touched = bed.touched_by(replace).await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM notes"), "0");
    assert_eq!(touched, all([guest("1", "a", Some("7")), guest("1", "c", None), notes("1")]));
}

#[tokio::test]
async fn texts_that_a_collation_calls_equal_are_two_keys() {
    let bed = Bed::sqlite().await;
    bed.sql("CREATE TABLE teams (name TEXT COLLATE NOCASE UNIQUE); INSERT INTO teams VALUES ('a')");
    let teams = Table::new("teams").entry("team", &["name"]).unique(&["name"]);
    bed.sql(&triggers(Dialect::Sqlite, &[teams]).unwrap());
    let team = |name: &str| Touch::entry("team", [name]);
    assert_eq!(bed.touched_by("UPDATE teams SET name = 'A'").await, [team("A"), team("a")]);
    assert_eq!(bed.touched_by("REPLACE INTO teams VALUES ('a')").await, [team("A"), team("a")]);
}

#[tokio::test]
async fn a_table_without_rowid_journals_the_rows_in_the_way() {
    let bed = Bed::sqlite().await;
    bed.sql("CREATE TABLE teams (name TEXT PRIMARY KEY, led_by TEXT) WITHOUT ROWID; INSERT INTO teams VALUES ('a', 'x')");
    let teams = Table::new("teams").entry("led", &["led_by"]).unique(&["name"]).without_rowid();
    bed.sql(&triggers(Dialect::Sqlite, &[teams]).unwrap());
    let led = |by: &str| Touch::entry("led", [by]);
    assert_eq!(bed.touched_by("REPLACE INTO teams VALUES ('a', 'y')").await, [led("x"), led("y")]);
}

#[tokio::test]
async fn a_restored_file_is_unknown() {
    let bed = Bed::sqlite().await;
    let path = bed.url().strip_prefix("sqlite://").unwrap().to_owned();
    bed.sql(TWO_GUESTS);
    let mut old = bed.now().await;
    bed.sql(&format!("VACUUM INTO '{path}.backup'"));
    bed.sql("UPDATE guests SET n = 1; UPDATE guests SET n = 2");
    let ChangesSince { position: new, changes: lost, .. } =
        bed.journal.changes_since(Some(&old)).await.unwrap();
    assert!(matches!(lost, Changes::Known(changes) if changes.len() == 4));
    bed.sql(&format!(".restore '{path}.backup'"));
    let unknown = bed.journal.changes_since(Some(&new)).await.unwrap().changes;
    assert_eq!(unknown, Changes::Unknown, "the row at the position is gone");
    bed.sql("UPDATE guests SET n = 1; UPDATE guests SET n = 2");
    let unknown = bed.journal.changes_since(Some(&new)).await.unwrap().changes;
    assert_eq!(unknown, Changes::Unknown, "the row at the position is another");
    // The copy has another schema version, so an older position is unknown too.
    assert_eq!(bed.try_since(&mut old).await, None);
    assert_eq!(bed.since(&mut old).await, []);
}

#[tokio::test]
async fn invalid_utf8_is_unknown_once() {
    let bed = Bed::sqlite().await;
    let mut from = bed.now().await;
    bed.sql("INSERT INTO guests (id, email) VALUES ('1', CAST(x'ff' AS TEXT))");
    assert_eq!(bed.try_since(&mut from).await, None);
    bed.sql("INSERT INTO guests (id, email) VALUES ('2', 'b')");
    assert_eq!(bed.since(&mut from).await, all([guest("2", "b", None)]));
}

#[tokio::test]
async fn nothing_is_asked_while_nothing_changes() {
    let bed = Bed::sqlite().await;
    let mut from = bed.now().await;
    assert_eq!(bed.since(&mut from).await, []);
    // A commit on larder's write connection counts as one of another connection.
    let mut write = bed.database.begin().await.unwrap();
    sqlx::query("INSERT INTO guests (id, email) VALUES ('1', 'a')").execute(write.statement()).await.unwrap();
    assert_eq!(bed.since(&mut from).await, []);
    write.commit().await.unwrap();
    assert_eq!(bed.since(&mut from).await, all([guest("1", "a", None)]));
    assert_eq!(bed.since(&mut from).await, []);
}

#[tokio::test]
async fn without_an_outbox_the_error_says_so() {
    let server = Sqlite::fresh().unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    let error = SqlJournal::open(&database, tables()).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(text) if text.contains("migration")), "{error}");
    let mut write = database.begin().await.unwrap();
    let error = write.touched().await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(_)), "{error}");
}

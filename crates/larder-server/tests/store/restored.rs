//! Dumps of PostgreSQL, restored in each way that `pg_dump` offers: every row is restored, and counted once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use larder_server::domain::paging::Filter;
use larder_server::store::Store;
use larder_testbed::{Database, Postgres, Program, find};

use crate::foreign::{ANN, check_counts, data, fill};

fn fresh() -> Database {
    Database::fresh(&Postgres::shared().unwrap()).unwrap()
}

async fn migrated() -> Database {
    let database = fresh();
    drop(Store::open(&database.url()).await.unwrap());
    database
}

/// Returns one of PostgreSQL's client programs, of the server's version.
fn client(name: &str) -> Command {
    let mut command = Command::new(find(Program::Psql).unwrap().with_file_name(name));
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A folder of dumps; dropping this deletes it.
struct Dumps(tempfile::TempDir);

impl Dumps {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    #[track_caller]
    fn of(&self, database: &Database, arguments: &[&str]) -> PathBuf {
        let file = self.0.path().join(format!("{}.dump", arguments.concat().replace(['-', '='], "_")));
        run(client("pg_dump").args(arguments).arg("--file").arg(&file).arg(database.url()));
        file
    }
}

/// Restores with `ON_ERROR_STOP`, so that any error fails the test.
#[track_caller]
fn restore(database: &Database, dump: &Path) {
    run(client("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file"])
        .arg(dump)
        .arg(database.url()));
}

/// Checks that both databases have the same rows, and that later writes are counted and booked.
#[track_caller]
fn check(source: &Database, restored: &Database, about: &str) {
    assert_eq!(data(restored), data(source), "{about}");
    let installation = "SELECT id FROM public.installation";
    assert_eq!(restored.sql(installation).unwrap(), source.sql(installation).unwrap(), "{about}");
    check_counts(restored, about);
    let next = format!(
        "INSERT INTO users (id, email, username) VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'dan@x', 'dan');
         INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{ANN}', 5, 'x');
         INSERT INTO achievements (user_id, badge_type, points) VALUES ('{ANN}', 'next', 3);
         UPDATE users SET is_active = NOT is_active"
    );
    restored.sql(&next).unwrap();
    check_counts(restored, about);
}

#[tokio::test]
async fn a_full_dump_is_restored() {
    let (source, dumps) = (migrated().await, Dumps::new());
    fill(&source);
    let target = fresh();
    restore(&target, &dumps.of(&source, &[]));
    check(&source, &target, "plain");
    Store::open(&target.url()).await.unwrap();
}

#[tokio::test]
async fn data_alone_is_restored_into_a_migrated_database() {
    let (source, dumps) = (migrated().await, Dumps::new());
    fill(&source);
    for arguments in
        [&["--data-only"][..], &["--data-only", "--inserts"], &["--data-only", "--column-inserts"]]
    {
        let target = migrated().await;
        restore(&target, &dumps.of(&source, arguments));
        check(&source, &target, &arguments.concat());
        let store = Store::open(&target.url()).await.unwrap();
        assert_eq!(store.total(&Filter::default()).await.unwrap(), 4);
    }
}

#[tokio::test]
async fn counts_come_out_right_whether_they_come_before_their_users_or_after() {
    let (source, dumps) = (migrated().await, Dumps::new());
    fill(&source);
    let counts = ["user_counts", "user_days", "points_counts"];
    let only: Vec<_> = counts.iter().map(|table| format!("--table={table}")).collect();
    let without: Vec<_> = counts.iter().map(|table| format!("--exclude-table={table}")).collect();
    let dump = |tables: &[String]| {
        let tables = tables.iter().map(String::as_str);
        dumps.of(&source, &["--data-only"].into_iter().chain(tables).collect::<Vec<_>>())
    };
    let (only, without) = (dump(&only), dump(&without));
    for order in [[&only, &without], [&without, &only]] {
        let target = migrated().await;
        order.iter().for_each(|part| restore(&target, part));
        check(&source, &target, "in parts");
    }
    // The dump without counts: the triggers count the restored users.
    let target = migrated().await;
    restore(&target, &without);
    check(&source, &target, "without counts");
}

#[tokio::test]
async fn a_schema_and_its_data_are_restored_one_after_the_other() {
    let (source, dumps) = (migrated().await, Dumps::new());
    fill(&source);
    let target = fresh();
    restore(&target, &dumps.of(&source, &["--schema-only"]));
    restore(&target, &dumps.of(&source, &["--data-only"]));
    check(&source, &target, "schema, then data");
    Store::open(&target.url()).await.unwrap();
}

#[tokio::test]
async fn a_custom_dump_is_restored_in_one_transaction_where_a_service_has_run() {
    let (source, dumps) = (migrated().await, Dumps::new());
    fill(&source);
    let target = migrated().await;
    // A start of the service has created this row.
    target.sql("INSERT INTO signing_keys VALUES ('own', 'EdDSA', 'key', 1, NULL)").unwrap();
    let dump = dumps.of(&source, &["--format=custom", "--data-only"]);
    run(client("pg_restore")
        .args(["--data-only", "--single-transaction", "--exit-on-error", "--dbname"])
        .arg(target.url())
        .arg(dump));
    let retired = target.sql("DELETE FROM signing_keys WHERE kid = 'own' RETURNING retired_at IS NOT NULL");
    assert_eq!(retired.unwrap(), "t", "the old key is retired and still verifies; the restored key signs");
    check(&source, &target, "custom");
}

/// While triggers are off, no count changes. `larder_recount` rebuilds the counts and sets the triggers to ALWAYS again.
#[tokio::test]
async fn counts_are_rebuilt_after_triggers_were_off() {
    let database = migrated().await;
    fill(&database);
    let always = "SELECT COUNT(*) FROM pg_trigger WHERE tgenabled = 'A' AND tgname NOT LIKE 'larder%'";
    let before = database.sql(always).unwrap();
    database
        .sql(
            "ALTER TABLE users DISABLE TRIGGER ALL; UPDATE users SET role = 'superadmin', created_at = 5, is_active = TRUE;
             ALTER TABLE users ENABLE TRIGGER ALL; DELETE FROM user_counts WHERE shard = 3; INSERT INTO user_days VALUES (1, 1, 1)",
        )
        .unwrap();
    assert_ne!(database.sql(always).unwrap(), before);
    let all = "SELECT COUNT(*) FROM pg_trigger WHERE tgname NOT LIKE 'larder%' AND obj_description(oid, 'pg_trigger') LIKE 'larder%'";
    assert_eq!(database.sql(all).unwrap(), before, "a comment marks each trigger that was ALWAYS");
    database.sql("SELECT larder_recount()").unwrap();
    check_counts(&database, "recounted");
    assert_eq!(database.sql(always).unwrap(), before);
    database.sql("UPDATE users SET is_active = FALSE; DELETE FROM users WHERE username = 'bob'").unwrap();
    check_counts(&database, "afterwards");
}

/// Copies the schema of one database into the other with `pg_dump --schema-only`.
pub(crate) fn copy_schema(source: &Database, target: &Database) {
    let dumps = Dumps::new();
    restore(target, &dumps.of(source, &["--schema-only"]));
}

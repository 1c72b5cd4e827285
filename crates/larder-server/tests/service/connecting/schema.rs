//! The schemas on which the service starts: with few rights, after a later release, beside another application.

use std::path::Path;

use larder_testbed::{Database, Postgres, Sqlite};
use rustix::process::Signal;
use serde_json::json;

use crate::connecting::{flows, serve};
use crate::support::app::TestApp;
use crate::support::app::{Stack, on_both_databases};
use crate::support::larder::Larder;

/// Returns the version of this release's newest migration.
fn newest(stack: &Stack) -> i64 {
    stack.sql("SELECT MAX(version) FROM _sqlx_migrations WHERE version < 100").parse().unwrap()
}

fn migrate(settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut larder = Larder::start(&["migrate"], &std::env::temp_dir(), settings);
    let code = larder.wait().code();
    (code, larder.stdout(), larder.stderr())
}

fn last_line(printed: &str) -> &str {
    printed.lines().next_back().unwrap_or_default()
}

/// Returns the grants for the service's role from the documentation.
fn rights() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/connecting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let section = page.split("## A role with few rights").nth(1).unwrap();
    section.split("```sql\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn a_role_that_may_only_change_rows_serves_what_another_migrated() {
    let server = Postgres::shared().unwrap();
    let stack = Stack::postgres_on(&server);
    let owner = stack.database_url();
    let role = format!("service_{}", owner.rsplit('_').next().unwrap());
    let service = owner.replace("postgres://postgres@", &format!("postgres://{role}@"));
    stack.sql(&format!("CREATE ROLE {role} LOGIN"));
    let mut denied = serve(&[("DATABASE_URL", &service)]);
    assert_eq!(denied.wait().code(), Some(1));
    let said = denied.stderr();
    assert!(said.contains("migrations are pending (1, 2, ") && said.contains("`larder migrate`"), "{said}");
    assert_eq!(stack.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");

    let (code, printed, said) = migrate(&[("DATABASE_URL", &service), ("DATABASE_DIRECT_URL", &owner)]);
    let version = newest(&stack);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("\nMigrated: applied 1, 2, "), "{printed}");
    assert!(printed.starts_with("Database: DATABASE_DIRECT_URL=postgres://…@127.0.0.1:"), "{printed}");
    assert!(printed.ends_with(&format!("the schema is at version {version}.\n")), "{printed}");
    let again = format!("Nothing to migrate: the schema is at version {version}.");
    assert_eq!(last_line(&migrate(&[("DATABASE_URL", &owner)]).1), again);

    stack.sql(&rights().replace("CREATE ROLE larder_service LOGIN;", "").replace("larder_service", &role));
    let app = stack.with_setting("DATABASE_URL", &service).start();
    flows::check(&app, &app.second_instance());
    let writes = "SELECT has_table_privilege(, '_sqlx_migrations', 'UPDATE')";
    assert_eq!(app.stack.sql(&writes.replace("(,", &format!("('{role}',"))), "f");
}

#[test]
fn migrate_says_why_it_cannot() {
    let absent = "postgres://u:zqxhunter2@127.0.0.1:1/x";
    let (code, _, said) = migrate(&[("DATABASE_URL", absent)]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("DATABASE_URL cannot be migrated") && said.contains("connection refused"),
        "{said}"
    );
    assert!(!said.contains("zqx"), "{said}");
    let mut help = Larder::start(&["migrate", "--help"], &std::env::temp_dir(), &[]);
    assert!(help.wait().success());
    assert!(help.stdout().contains("Exit codes: 0"), "{}", help.stdout());
    let mut wrong = Larder::start(&["migrate", "--soon"], &std::env::temp_dir(), &[]);
    assert_eq!(wrong.wait().code(), Some(2));
}

/// Records a migration of a later release: its version, and the oldest version that a program must know to run on it.
fn later(stack: &Stack, version: i64, oldest: Option<i64>) {
    stack.sql(&format!(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         SELECT {version}, 'of a later release', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1"
    ));
    if let Some(oldest) = oldest {
        stack
            .sql(&format!("INSERT INTO larder_compatibility (version, oldest) VALUES ({version}, {oldest})"));
    }
}

fn a_later_release_may_migrate_while_this_one_runs_and_restarts(app: &TestApp) {
    let known = newest(&app.stack);
    let ann = app.user("ann");
    app.stack.sql("ALTER TABLE users ADD COLUMN shoe_size BIGINT");
    later(&app.stack, 100, Some(known));
    // After the roll-out the old instance still works; after a roll-back it starts again.
    ann.patch("/api/v1/users/me", &json!({ "bio": "still here" })).expect(200);
    let mut second = app.second_instance();
    let there = second.here(&ann);
    there.patch("/api/v1/users/me", &json!({ "bio": "back again" })).expect(200);
    assert_eq!(ann.get("/api/v1/users/me?consistency=fresh").expect(200).field("bio"), "back again");
    assert!(second.larder.stop(Signal::TERM).success());

    let url = app.stack.database_url();
    let (code, printed, _) = migrate(&[("DATABASE_URL", &url)]);
    let nothing = "Nothing to migrate: the schema is at version 100.";
    assert_eq!((code, last_line(&printed)), (Some(0), nothing));

    later(&app.stack, 101, Some(101));
    let refused = |says: &[&str]| {
        let mut larder = serve(&[("DATABASE_URL", &url)]);
        assert_eq!(larder.wait().code(), Some(1), "{}", larder.printed());
        let said = larder.stderr();
        assert!(says.iter().all(|says| said.contains(says)), "{says:?}: {said}");
    };
    refused(&["migration 101", "knows the schema's version 101", &format!("up to version {known}")]);
    app.stack.sql("DELETE FROM larder_compatibility WHERE version = 101");
    refused(&["migration 101", "does not say", &format!("up to version {known}")]);
    app.stack.sql("DELETE FROM _sqlx_migrations WHERE version = 101");
    // A known migration with another checksum is an error in every case.
    app.stack.sql("UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 2) WHERE version = 1");
    refused(&["migration 1 of this database is not the one"]);
}

on_both_databases!(a_later_release_may_migrate_while_this_one_runs_and_restarts);

#[test]
fn another_applications_tables_are_named_before_anything_is_created() {
    let foreign = "CREATE TABLE users (id INT PRIMARY KEY); CREATE TABLE sessions (id INT)";
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    database.sql(foreign).unwrap();
    let sqlite = Sqlite::fresh().unwrap();
    sqlite.sql(foreign).unwrap();
    for (url, instead) in [(database.url(), "search_path%3Dlarder"), (sqlite.url(), "a file of its own")] {
        let mut larder = serve(&[("DATABASE_URL", &url)]);
        assert_eq!(larder.wait().code(), Some(1));
        let said = larder.stderr();
        assert!(said.contains("belong to another application") && said.contains(instead), "{said}");
        assert!(said.contains(": users, sessions. Nothing was changed"), "{said}");
    }
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap(), "2");
    assert_eq!(sqlite.sql("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'").unwrap(), "2");
    // Follows the advice of the message.
    database.sql("CREATE SCHEMA larder").unwrap();
    let mut larder =
        serve(&[("DATABASE_URL", &format!("{}?options=-csearch_path%3Dlarder", database.url()))]);
    larder.line("Listening on http://");
    assert!(larder.stop(Signal::TERM).success());
    assert_eq!(database.sql("SELECT count(*) FROM larder.users").unwrap(), "1");
    assert_eq!(database.sql("SELECT count(*) FROM public.users").unwrap(), "0");
}

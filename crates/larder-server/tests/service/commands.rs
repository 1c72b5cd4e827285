//! `larder users`: users from a file and into one, on the command line.

use std::io::Write as _;
use std::process::{Command, Stdio};

use larder_testbed::{Database, Postgres};
use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::eventually;
use crate::support::larder::Larder;

fn users_are_imported_and_exported_on_the_command_line(app: &TestApp) {
    let admin = app.admin();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.ndjson");
    let path = file.to_str().unwrap();
    let rows = [
        json!({ "external_id": "staff-1", "email": "ann@example.com", "username": "ann", "role": "admin" }),
        json!({ "external_id": "staff-2", "email": "bea@example.com", "username": "bea" }),
    ];
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&file, &lines).unwrap();

    let dry = app.command(&["users", "import", path, "--dry-run"]);
    assert!(dry.is_success && dry.output.contains("nothing is written: 2 created"), "{}", dry.output);
    admin.get("/api/v1/users/staff-1").expect(404);
    let done = app.command(&["users", "import", path]);
    assert!(done.is_success && done.output.contains("Imported: 2 created, 0 updated"), "{}", done.output);
    eventually("the running instance sees it", || admin.get("/api/v1/users/staff-1").status == 200);
    assert_eq!(admin.get("/api/v1/users/staff-1").json()["role"], "admin", "the command may give a role");

    let changed = [
        json!({ "external_id": "staff-2", "full_name": "Bea Two" }),
        json!({ "external_id": "staff-3", "username": "ann", "email": "cyd@example.com" }),
        json!({ "id": admin.id, "role": "user" }),
    ];
    std::fs::write(&file, changed.map(|row| format!("{row}\n")).concat()).unwrap();
    let refused = app.command(&["users", "import", path]);
    assert!(!refused.is_success, "{}", refused.output);
    for part in ["1 updated", "2 refused", "line 2: username is taken", "line 3: role an import neither"] {
        assert!(refused.output.contains(part), "{part}: {}", refused.output);
    }
    eventually("the good row is written", || {
        admin.get("/api/v1/users/staff-2").json()["full_name"] == "Bea Two"
    });

    for (format, wanted) in [("ndjson", "\"external_id\":\"staff-1\""), ("csv", ",staff-1,ann@example.com,")]
    {
        let exported = app.command(&["users", "export", "--format", format]);
        assert!(exported.is_success && exported.output.contains(wanted), "{}", exported.output);
        assert!(!exported.output.contains("argon2"), "no hashes");
    }
    let page = admin.get("/api/v1/audit?limit=100&action=user.export").expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["actor_id"], Value::Null, "{page}");

    let missing = app.command(&["users", "import", "/nowhere/users.csv"]);
    assert!(!missing.is_success && missing.output.contains("cannot be opened"), "{}", missing.output);
}

#[test]
fn an_import_waits_for_the_first_superadmin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, "external_id,email,username\nstaff-9,kim@example.com,kim\n").unwrap();
    let url = format!("sqlite://{}/larder.db", folder.path().display());
    let migrated = Larder::command(&["migrate"], &[("DATABASE_URL", &url)]);
    let says = format!("Database: DATABASE_URL={url} (environment, DATABASE_URL)\nMigrated: ");
    assert!(migrated.is_success && migrated.output.contains(&says), "{}", migrated.output);
    for arguments in [["users", "import", file.to_str().unwrap()].as_slice(), &["users", "export"]] {
        let ended = Larder::command(arguments, &[("DATABASE_URL", &url)]);
        let says = ended.output.contains("start `larder serve` once");
        assert!(!ended.is_success && says, "{}", ended.output);
    }
}

/// A shell without the settings of the service, as that of root beside a unit of systemd: no command takes an empty
/// database for the service's own.
#[test]
fn no_command_makes_the_database_that_it_is_to_examine_or_change() {
    let folder = tempfile::tempdir().unwrap();
    let empty = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let url = empty.url();
    for arguments in [
        ["doctor"].as_slice(),
        &["doctor", "--mend"],
        &["keys", "rotate"],
        &["keys", "rotate", "--now"],
        &["users", "import", "/nowhere/users.csv"],
        &["users", "export"],
    ] {
        let run = |settings: &[(&str, &str)]| {
            let mut larder = Larder::start(arguments, folder.path(), settings);
            let status = larder.wait();
            assert_eq!(status.code(), Some(1), "{arguments:?}: {}", larder.printed());
            larder.printed()
        };
        let said = run(&[]);
        let file = folder.path().canonicalize().unwrap().join("data/larder.db");
        let names = "DATABASE_URL=sqlite://data/larder.db (default) cannot be opened: there is no file ";
        assert!(said.contains(&format!("{names}{}", file.display())), "{arguments:?}: {said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}: {said}");

        let said = run(&[("DATABASE_URL", &url)]);
        assert!(
            said.contains(&format!("DATABASE_URL={} (environment, DATABASE_URL)", shown(&url))),
            "{said}"
        );
        assert!(said.contains("the database has no schema of"), "{arguments:?}: {said}");
        let tables = empty.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap();
        assert_eq!(tables, "0", "{arguments:?}: {said}");
    }
}

/// A URL as messages show it.
fn shown(url: &str) -> String {
    url.replace("postgres@", "…@")
}

#[test]
fn an_import_reads_standard_input() {
    let app = Stack::sqlite_memory().start();
    let admin = app.admin();
    let mut importing = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(["users", "import", "-", "--format", "csv"])
        .env_clear()
        .env("DATABASE_URL", app.stack.database_url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = importing.stdin.take().unwrap();
    input.write_all(b"external_id,email,username\nstaff-9,kim@example.com,kim\n").unwrap();
    drop(input);
    let ended = importing.wait_with_output().unwrap();
    let output = String::from_utf8(ended.stdout).unwrap();
    assert_eq!((ended.status.code(), output.contains("1 created")), (Some(0), true), "{output}");
    eventually("the running instance sees it", || admin.get("/api/v1/users/staff-9").status == 200);
}

on_both_databases!(users_are_imported_and_exported_on_the_command_line);

//! `larder demo`: its table, the files that it keeps, and how it ends.

use std::path::Path;

use larder_testbed::Redis;
use rustix::process::Signal;
use serde_json::json;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::larder::Larder;

/// Starts a demo of 300 users and two seconds, unless `arguments` say otherwise.
fn demo(arguments: &[&str], scratch: &Path) -> Larder {
    let mut all = vec!["demo", "--users", "300"];
    if !arguments.contains(&"--seconds") {
        all.extend(["--seconds", "2"]);
    }
    all.extend(arguments);
    Larder::start(&all, scratch, &[("TMPDIR", scratch.to_str().unwrap())])
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Returns the cells of a row of the table: cache off, cache on, gain.
fn row<'a>(table: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let line = table.lines().find(|line| line.starts_with('│') && line.contains(name))?;
    Some(line.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty()).skip(1).collect())
}

fn number(cell: &str) -> f64 {
    cell.trim_end_matches([' ', '%', '×']).parse().unwrap_or_else(|_| panic!("no number: {cell:?}"))
}

fn checked_table(larder: &Larder) -> String {
    let table = larder.stdout();
    for name in ["requests/s", "p50", "p99", "database queries per request"] {
        let cells = row(&table, name).unwrap_or_else(|| panic!("no {name}:\n{}", larder.printed()));
        assert!(number(cells[0]) > 0.0 && number(cells[1]) >= 0.0, "{name}: {cells:?}");
    }
    let queries = row(&table, "database queries per request").unwrap();
    assert!(number(queries[0]) > 1.0 && number(queries[1]) < number(queries[0]) / 2.0, "{queries:?}");
    assert!(number(row(&table, "hits in memory").unwrap()[1]) > 10.0, "{table}");
    assert!(table.contains("every answer was right"), "{table}");
    table
}

#[test]
fn the_demo_prints_a_table_and_leaves_no_files() {
    let scratch = tempfile::tempdir().unwrap();
    let mut larder = demo(&["--exit"], scratch.path());
    assert_eq!(larder.wait().code(), Some(0), "{}", larder.printed());
    let table = checked_table(&larder);
    assert_eq!(row(&table, "hits in Redis"), None);
    assert!(table.contains("300 users"), "{table}");
    assert!(is_empty(scratch.path()));
}

#[test]
fn a_demo_with_redis_shows_its_hits_in_a_row() {
    let scratch = tempfile::tempdir().unwrap();
    let redis = Redis::start().unwrap();
    // The second run creates a new database in which the same people have other ids. The entries of the first run in
    // Redis must not answer its reads.
    for _ in 0..2 {
        let mut larder = demo(&["--exit", "--redis", &redis.url()], scratch.path());
        assert_eq!(larder.wait().code(), Some(0), "{}", larder.printed());
        assert!(number(row(&checked_table(&larder), "hits in Redis").unwrap()[1]) > 0.0);
        assert!(is_empty(scratch.path()));
    }
}

#[test]
fn a_kept_database_is_used_again() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("new/demo");
    let data = folder.to_str().unwrap();
    let mut first = demo(&["--exit", "--data", data], scratch.path());
    assert_eq!(first.wait().code(), Some(0), "{}", first.printed());
    checked_table(&first);
    let ids = || {
        let database = folder.join("larder-demo.db");
        let shell = larder_testbed::find(larder_testbed::Program::Sqlite3).unwrap();
        let sql = "SELECT COUNT(*), MIN(id), MAX(id) FROM users";
        let output = std::process::Command::new(shell).arg(&database).arg(sql).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let made = ids();
    assert!(made.starts_with("301|"), "{made}");
    // The second run ignores `--users`, because the database already has its users.
    let mut second = demo(&["--exit", "--data", data], scratch.path());
    assert_eq!(second.wait().code(), Some(0), "{}", second.printed());
    checked_table(&second);
    assert_eq!(ids(), made);
    assert!(is_empty(scratch.path()));
}

#[test]
fn the_demo_serves_until_it_is_asked_to_stop() {
    for signal in [Signal::INT, Signal::TERM] {
        let scratch = tempfile::tempdir().unwrap();
        let mut larder = demo(&[], scratch.path());
        let line = larder.line("Serving on http://");
        let (address, rest) = line.split_once(' ').unwrap();
        let (email, password) = rest.trim().strip_prefix("admin: ").unwrap().split_once(' ').unwrap();
        let password = password.rsplit_once(' ').unwrap().1;
        let client = Client::anonymous(address.parse().unwrap());
        let login = |email: &str| {
            client.post("/api/v1/auth/login", &json!({ "email": email, "password": password })).expect(200)
        };
        let admin = client.with_token(&login(email).field("access_token"));
        let list = admin.get("/api/v1/users?limit=1").expect(200).json();
        assert_eq!(list["total"], 301);
        login(list["items"][0]["email"].as_str().unwrap());
        assert_eq!(larder.stdout().lines().filter(|line| line.contains("curl -s")).count(), 3);
        assert_eq!(larder.stop(signal).code(), Some(0), "{}", larder.printed());
        assert!(is_empty(scratch.path()), "no folder is left behind");
    }
}

#[test]
fn a_demo_that_is_stopped_early_leaves_no_files() {
    let has_file = |folder: &Path| {
        let mut folders = std::fs::read_dir(folder).unwrap().flatten();
        folders.any(|entry| entry.path().join("larder-demo.db").is_file())
    };
    // Before the database exists, and after.
    for begun in [false, true] {
        let scratch = tempfile::tempdir().unwrap();
        let mut larder = demo(&["--seconds", "600"], scratch.path());
        eventually("it has made its folder", || !is_empty(scratch.path()));
        if begun {
            eventually("it has made its database", || has_file(scratch.path()));
        }
        assert_eq!(larder.stop(Signal::INT).code(), Some(1), "{}", larder.printed());
        assert!(larder.stderr().contains("stopped before the table was complete"), "{}", larder.stderr());
        assert!(is_empty(scratch.path()), "{}", larder.printed());
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    for arguments in [
        &["demo", "--seconds", "1"][..],
        &["demo", "--users", "99"],
        &["demo", "--users", "many"],
        &["demo", "--data", "x", "--database", "sqlite://y"],
        &["demo", "--nonsense"],
        &["nonsense"],
        &[],
    ] {
        let mut larder = Larder::start(arguments, scratch.path(), &[]);
        assert_eq!(larder.wait().code(), Some(2), "{arguments:?}: {}", larder.printed());
        assert!(
            larder.stderr().contains("Usage") || larder.stderr().contains("--help"),
            "{}",
            larder.stderr()
        );
    }
    let secret = "postgres://larder:zqxhunter2@127.0.0.1:1/larder";
    let mut larder = demo(&["--exit", "--database", secret], scratch.path());
    assert_eq!(larder.wait().code(), Some(1));
    assert!(!larder.printed().contains("zqxhunter2"), "{}", larder.printed());
    assert!(is_empty(scratch.path()));
}

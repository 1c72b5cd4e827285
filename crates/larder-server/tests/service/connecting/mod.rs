//! How the service connects to its database: before the database is up, through a pooler, with few connections and few
//! rights.

mod flows;
mod limited;
mod pooler;
mod schema;
mod servers;

use std::time::{Duration, Instant};

use larder_testbed::{Database, Postgres, Sqlite, free_port};
use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD};
use crate::support::client::{Client, Request};
use crate::support::larder::Larder;
use crate::support::{eventually, within};

const SECRET: &str = "zqxhunter2";

fn serve(settings: &[(&str, &str)]) -> Larder {
    let ours = [
        ("LARDER_LISTEN", "127.0.0.1:0"),
        ("LARDER_ADMIN_EMAIL", ADMIN_EMAIL),
        ("LARDER_ADMIN_PASSWORD", ADMIN_PASSWORD),
    ];
    Larder::start(&["serve"], &std::env::temp_dir(), &[&ours, settings].concat())
}

/// Returns a client without a token of a service that waits for its database.
fn waiting(larder: &mut Larder) -> Client {
    let line = larder.line("Listening on http://");
    let (address, rest) = line.split_once(", ").unwrap();
    assert_eq!(rest, "not ready: waiting for the database");
    Client::anonymous(address.parse().unwrap())
}

fn reason(anonymous: &Client) -> String {
    let answer = anonymous.get("/readyz").expect(503);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.field("detail")
}

/// Invariant `ready_once`: the service changes once from the routes of its start to its own routes, and never back.
#[test]
fn a_service_that_starts_before_its_database_becomes_ready_by_itself() {
    let mut server = Postgres::start().unwrap();
    let database = Database::fresh(&server.url()).unwrap();
    // The change must be durable, because the server crashes next.
    database.sql("SET synchronous_commit = on; CREATE TABLE something (n int)").unwrap();
    let url = database.url().replace("postgres://postgres@", &format!("postgres://postgres:{SECRET}@"));
    server.crash().unwrap();
    let mut larder = serve(&[("DATABASE_URL", &url)]);
    let anonymous = waiting(&mut larder);
    anonymous.get("/livez").expect(200);
    let said = reason(&anonymous);
    let refused = format!("connection refused by 127.0.0.1:{}", server.port());
    assert!(said.contains(&refused), "{said}");
    for request in [
        Request::new("GET", "/api/v1/users/me"),
        Request::new("POST", "/api/v1/auth/login").json(&json!({ "email": "x", "password": "y" })),
        Request::new("GET", "/metrics"),
    ] {
        let answer = anonymous.send(request).expect(503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.field("detail").contains("127.0.0.1"), "the reason is for /readyz");
    }
    server.restart().unwrap();
    within(Duration::from_secs(15), "it becomes ready by itself", || anonymous.get("/readyz").status == 200);
    larder.line("Ready.");
    assert!(larder.stdout().contains(&format!("First superadmin: {ADMIN_EMAIL}\n")), "{}", larder.stdout());
    let credentials = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
    anonymous.post("/api/v1/auth/login", &credentials).expect(200);
    // If the database stops later, the service is not ready and says why.
    server.crash().unwrap();
    eventually("it is not ready", || anonymous.get("/readyz").status == 503);
    eventually("and says why", || {
        let answer = anonymous.get("/readyz");
        answer.status == 503 && answer.field("detail").contains(&refused)
    });
    server.restart().unwrap();
    eventually("it is ready again", || anonymous.get("/readyz").status == 200);
    assert!(larder.stop(Signal::TERM).success());
    assert!(!larder.printed().contains(SECRET), "{}", larder.printed());
}

#[test]
fn the_reason_names_what_the_server_said_and_never_the_password() {
    let server = Postgres::start().unwrap();
    let database = Database::fresh(&server.url()).unwrap();
    database
        .sql("CREATE ROLE guest LOGIN PASSWORD 'another'; CREATE ROLE nobody_more LOGIN CONNECTION LIMIT 0")
        .unwrap();
    let hba = database.sql("SHOW hba_file").unwrap();
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("host all guest 127.0.0.1/32 scram-sha-256\n{rules}")).unwrap();
    database.sql("SELECT pg_reload_conf()").unwrap();
    let at =
        |user: &str, name: &str| format!("postgres://{user}:{SECRET}@127.0.0.1:{}/{name}", server.port());
    for (url, says) in [
        (at("guest", database.name()), "password authentication failed for user \"guest\""),
        (at("postgres", "absent"), "database \"absent\" does not exist"),
        (at("nobody_more", database.name()), "too many connections for role \"nobody_more\""),
        (at("unknown", database.name()), "role \"unknown\" does not exist"),
    ] {
        let mut larder = serve(&[("DATABASE_URL", &url)]);
        let anonymous = waiting(&mut larder);
        let said = reason(&anonymous);
        assert!(said.contains(says), "{says}: {said}");
        assert_eq!(said.matches(says).count(), 1, "said once: {said}");
        assert!(larder.stop(Signal::TERM).success(), "it can be stopped while it waits");
        assert!(!larder.printed().contains(SECRET) && !said.contains(SECRET), "{}", larder.printed());
        assert!(larder.stdout().ends_with("Stopped.\n"), "{}", larder.stdout());
    }
}

#[test]
fn it_becomes_ready_when_the_database_is_created_later() {
    let server = Postgres::shared().unwrap();
    let database = Database::fresh(&server).unwrap();
    let url = database.url();
    let name = database.name().to_owned();
    drop(database);
    let mut larder = serve(&[("DATABASE_URL", &url)]);
    let anonymous = waiting(&mut larder);
    assert!(reason(&anonymous).contains(&format!("database \"{name}\" does not exist")));
    let elsewhere = Database::fresh(&server).unwrap();
    elsewhere.sql(&format!("CREATE DATABASE {name} TEMPLATE template0")).unwrap();
    eventually("it becomes ready", || anonymous.get("/readyz").status == 200);
    assert!(larder.stop(Signal::TERM).success());
    elsewhere.sql(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}

#[test]
fn a_mistake_in_the_settings_ends_the_start_at_once() {
    let unusable = format!("postgres://u:{SECRET}@127.0.0.1:{}/x?ssl={SECRET}", free_port().unwrap());
    for (name, value) in [
        ("DATABASE_URL", unusable.as_str()),
        ("DATABASE_POOL_SIZE", "1"),
        ("DATABASE_POOLER", "statement"),
        ("DATABASE_DIRECT_URL", "mysql://h/d"),
    ] {
        let sqlite = Sqlite::fresh().unwrap();
        let start = Instant::now();
        let mut larder = serve(&[("DATABASE_URL", &sqlite.url()), (name, value)]);
        assert_eq!(larder.wait().code(), Some(1), "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
        assert!(larder.stderr().contains(name) && !larder.printed().contains(SECRET), "{}", larder.printed());
    }
}

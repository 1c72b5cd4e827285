//! A standby of a PostgreSQL server, and a PgBouncer in front of it.

use std::process::Command;

use larder_testbed::{Database, PgBouncer, PoolMode, Postgres, Program, find};

#[test]
fn a_standby_follows_and_can_be_promoted() {
    let primary = Postgres::start().unwrap();
    let database = Database::fresh(&primary.url()).unwrap();
    database.sql("CREATE TABLE guest (name text); INSERT INTO guest VALUES ('Ada')").unwrap();
    let standby = primary.standby().unwrap();
    let there = standby.url().database(database.name());
    let ask = |sql: &str| {
        let psql =
            Command::new(find(Program::Psql).unwrap()).args(["-XAtd", &there, "-c", sql]).output().unwrap();
        (psql.status.success(), String::from_utf8(psql.stdout).unwrap().trim_end().to_owned())
    };
    assert_eq!(ask("SELECT name FROM guest"), (true, "Ada".to_owned()));
    assert!(!ask("INSERT INTO guest VALUES ('Çelik')").0, "it only reads");
    standby.promote().unwrap();
    assert!(ask("INSERT INTO guest VALUES ('Çelik')").0);
}

#[test]
fn a_pooler_in_transaction_mode_keeps_no_session() {
    let server = Postgres::shared().unwrap();
    let database = Database::fresh(&server).unwrap();
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, 1).unwrap();
    let ask = |sql: &str| {
        let url = pooler.url(database.name());
        let psql =
            Command::new(find(Program::Psql).unwrap()).args(["-XAtd", &url, "-c", sql]).output().unwrap();
        String::from_utf8(psql.stdout).unwrap().trim_end().to_owned()
    };
    let backend = ask("SELECT pg_backend_pid()");
    assert!(!backend.is_empty());
    assert_eq!(ask("SELECT pg_backend_pid()"), backend, "both had the only connection");
    ask("SET lock_timeout = '7s'");
    assert_eq!(ask("SHOW lock_timeout"), "7s", "what one client sets, another finds");
}

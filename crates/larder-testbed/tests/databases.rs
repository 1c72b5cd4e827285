//! The temporary databases, with a real PostgreSQL and the sqlite3 shell.

use std::net::{Ipv4Addr, TcpStream};

use larder_testbed::{Database, Postgres, Program, Sqlite, find};

#[test]
fn a_fresh_database_is_empty_its_own_and_gone_when_dropped() {
    let server = Postgres::shared().unwrap();
    let (one, two) = (Database::fresh(&server).unwrap(), Database::fresh(&server).unwrap());
    assert_ne!(one.url(), two.url());
    assert_eq!(one.sql("CREATE TABLE guest (id int, name text)").unwrap(), "");
    one.sql("INSERT INTO guest VALUES (1, 'Ada'), (2, 'Çelik')").unwrap();
    assert_eq!(one.sql("SELECT id, lower(name) FROM guest ORDER BY id").unwrap(), "1|ada\n2|çelik");
    assert!(two.sql("SELECT * FROM guest").unwrap_err().to_string().contains("guest"));

    let name = one.url().rsplit('/').next().unwrap().to_owned();
    drop(one);
    let left = two.sql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"));
    assert_eq!(left.unwrap(), "0");
}

#[test]
fn several_statements_are_one_transaction() {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    database.sql("CREATE TABLE guest (id int)").unwrap();
    assert!(database.sql("INSERT INTO guest VALUES (1); SELECT 1 / 0").is_err());
    assert_eq!(database.sql("SELECT count(*) FROM guest").unwrap(), "0");
}

#[test]
fn a_server_of_ones_own_is_fast_and_gone_when_dropped() {
    let server = Postgres::start().unwrap();
    let database = Database::fresh(&server.url()).unwrap();
    for (setting, value) in [("fsync", "off"), ("synchronous_commit", "off"), ("max_connections", "200")] {
        assert_eq!(database.sql(&format!("SHOW {setting}")).unwrap(), value);
    }
    let data = database.sql("SHOW data_directory").unwrap();
    let port = server.port();
    drop(database);
    drop(server);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert!(!std::fs::exists(data).unwrap());
}

#[test]
fn a_crashed_server_comes_back_with_what_was_committed_for_good() {
    let mut server = Postgres::start().unwrap();
    let database = Database::fresh(&server.url()).unwrap();
    database.sql("CREATE TABLE guest (name text)").unwrap();
    database.sql("SET synchronous_commit = on; INSERT INTO guest VALUES ('Ada')").unwrap();
    server.crash().unwrap();
    assert!(database.sql("SELECT 1").is_err());
    server.restart().unwrap();
    assert_eq!(database.sql("SELECT name FROM guest").unwrap(), "Ada");
}

#[test]
fn sqlite_has_a_foreign_writer_or_says_what_to_install() {
    let database = Sqlite::fresh().unwrap();
    assert_eq!(database.url(), format!("sqlite://{}", database.path().display()));
    let reply =
        database.sql("CREATE TABLE guest (name); INSERT INTO guest VALUES ('Ada'); SELECT * FROM guest");
    match find(Program::Sqlite3) {
        Ok(_) => assert_eq!(reply.unwrap(), "Ada"),
        Err(_) => assert!(reply.unwrap_err().to_string().contains("apt-get install sqlite3")),
    }
    assert!(database.sql("SELECT * FROM absent").is_err());
}

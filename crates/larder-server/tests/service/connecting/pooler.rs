//! PgBouncer in transaction mode in front of the database.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use larder_testbed::{PgBouncer, PoolMode, Postgres, Program, find};

use crate::connecting::{flows, serve};
use crate::support::app::Stack;
use crate::support::eventually;

/// The number of PgBouncer's connections to the server; two instances use more than this.
const CONNECTIONS: u16 = 3;

/// Reads the state of a server connection that outlives a transaction. The pause keeps the connection busy, so that
/// PgBouncer uses the others for the next probes.
const PROBE: &str = "BEGIN; SELECT pg_backend_pid(), current_setting('lock_timeout'), \
    current_setting('statement_timeout'), current_setting('default_transaction_isolation'), \
    (SELECT count(*) FROM pg_prepared_statements), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
    (SELECT count(*) FROM pg_listening_channels()), pg_sleep(0.2); COMMIT";
const UNTOUCHED: &str = "0|0|read committed|0|0|0|";

fn probe(url: &str) -> Child {
    let mut psql = Command::new(find(Program::Psql).unwrap());
    psql.args(["--no-psqlrc", "-qAtd", url, "-c", PROBE]).stdout(Stdio::piped()).spawn().unwrap()
}

/// Probes until each of PgBouncer's connections has answered, and checks that none has session state.
fn no_session_state_is_left(url: &str) {
    let mut seen = BTreeSet::new();
    eventually("each of the server's connections is asked", || {
        let probes: Vec<_> = (0..CONNECTIONS).map(|_| probe(url)).collect();
        for probe in probes {
            let answer = String::from_utf8(probe.wait_with_output().unwrap().stdout).unwrap();
            let (pid, rest) = answer.trim_end().split_once('|').unwrap();
            assert_eq!(rest, UNTOUCHED);
            seen.insert(pid.to_owned());
        }
        seen.len() >= usize::from(CONNECTIONS)
    });
}

#[test]
fn a_pooler_in_transaction_mode_is_used_without_a_trace() {
    let server = Postgres::shared().unwrap();
    let stack = Stack::postgres_on(&server);
    let direct = stack.database_url();
    let name = direct.rsplit('/').next().unwrap().to_owned();
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, CONNECTIONS).unwrap();
    let url = pooler.url(&name);

    let mut without = serve(&[("DATABASE_URL", &url), ("DATABASE_POOLER", "transaction")]);
    assert_eq!(without.wait().code(), Some(1));
    assert!(without.stderr().contains("set DATABASE_DIRECT_URL"), "{}", without.stderr());

    let stack = stack
        .with_setting("DATABASE_URL", &url)
        .with_setting("DATABASE_POOLER", "transaction")
        .with_setting("DATABASE_DIRECT_URL", &direct);
    let app = stack.start();
    let second = app.second_instance();
    no_session_state_is_left(&url);
    flows::check(&app, &second);
    no_session_state_is_left(&url);

    // If there is nothing to migrate, the service needs no direct address. The URL alone can declare the pooler.
    let mut third = serve(&[("DATABASE_URL", &format!("{url}?pgbouncer=true"))]);
    third.line("Listening on http://");
    no_session_state_is_left(&url);
}

#[test]
fn a_pooler_that_was_not_declared_is_named() {
    let server = Postgres::shared().unwrap();
    let app = Stack::postgres_on(&server).start();
    let name = app.stack.database_url().rsplit('/').next().unwrap().to_owned();
    let pooler = PgBouncer::start(&server, PoolMode::Transaction, CONNECTIONS).unwrap();
    let mut larders: Vec<_> = (0..2).map(|_| serve(&[("DATABASE_URL", &pooler.url(&name))])).collect();
    eventually("one of them says so", || {
        larders.iter().any(|larder| larder.printed().contains("DATABASE_POOLER=transaction"))
    });
    for larder in &mut larders {
        assert!(!larder.printed().contains("panicked"), "{}", larder.printed());
    }
    no_settings_leak(&pooler.url(&name));
}

/// Checks that the undeclared pooler's connections have no settings that another client would find.
fn no_settings_leak(url: &str) {
    let answer = String::from_utf8(probe(url).wait_with_output().unwrap().stdout).unwrap();
    let (_, rest) = answer.trim_end().split_once('|').unwrap();
    assert!(rest.starts_with("0|0|read committed|"), "{rest}");
}

#[test]
fn a_pooler_in_session_mode_needs_no_setting() {
    let server = Postgres::shared().unwrap();
    let stack = Stack::postgres_on(&server);
    let name = stack.database_url().rsplit('/').next().unwrap().to_owned();
    let pooler = PgBouncer::start(&server, PoolMode::Session, 60).unwrap();
    let app = stack.with_setting("DATABASE_URL", &pooler.url(&name)).start();
    flows::check(&app, &app.second_instance());
}

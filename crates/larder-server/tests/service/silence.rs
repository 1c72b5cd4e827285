//! Trace 13: an operator, a restore or a hosted database stops the journal from recording changes. The cache then
//! serves no entry that could be stale, the health says why, and no write is acknowledged as sent.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::{Stack, TestApp, on_every_stack};
use crate::support::client::Client;
use crate::support::postgres_tools::{dump, restore};
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

on_every_stack!(
    triggers_that_were_off_for_a_time_are_detected,
    triggers_that_stay_off_are_named_until_they_are_repaired
);

mod on_postgres {
    use super::{a_hidden_outbox_is_detected, a_restore_under_a_running_service_is_detected};

    crate::support::app::on_stacks!(
        [postgres_memory, postgres_redis],
        a_hidden_outbox_is_detected,
        a_restore_under_a_running_service_is_detected
    );
}

/// Registers a user on an instance and waits until its details are in memory.
fn cached(app: &TestApp, name: &str) -> Client {
    let client = app.user(name);
    within(BOUND, "a copy in memory", || {
        client.get("/api/v1/users/me").expect(200).header("cache-status")
            == Some("larder; hit; detail=memory")
    });
    client
}

fn bio(client: &Client) -> serde_json::Value {
    client.get("/api/v1/users/me").expect(200).json()["bio"].clone()
}

/// Returns the public health.
fn health(app: &TestApp) -> serde_json::Value {
    app.anonymous().get("/api/v1/cache/health").json()
}

/// Waits, within the bound, until the cache is degraded; the public health names the cause, the admins' health the
/// defect.
fn is_named(app: &TestApp, words: &str) {
    within(BOUND, "the health says why", || health(app)["status"] == json!("degraded"));
    let health = health(app).to_string();
    assert!(health.contains("incomplete-journal") && !health.contains(words), "{health}");
    let admin = app.admin();
    within(BOUND, "the admins' health says what exactly", || {
        admin.get("/api/v1/cache/health/detailed").expect(200).json().to_string().contains(words)
    });
}

fn is_well_again(app: &TestApp) {
    within(BOUND * 3, "the journal is complete", || health(app)["status"] != json!("degraded"));
    within(BOUND * 3, "memory serves again", || {
        let answer = app.admin().get("/api/v1/users/me").expect(200);
        answer.header("cache-status") == Some("larder; hit; detail=memory")
    });
}

fn changed(client: &Client, bio: &str) -> String {
    let answer = client.patch("/api/v1/users/me", &json!({ "bio": bio })).expect(200);
    answer.header("cache-invalidation").unwrap().to_owned()
}

/// Creates a role that may only read and write rows, as a service has, and starts an instance with it.
fn as_a_service(app: &TestApp) -> TestApp {
    let url = app.stack.database_url();
    let role = format!("service_{}", url.rsplit('_').next().unwrap());
    app.stack.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    app.instance_with("DATABASE_URL", &url.replace("postgres@", &format!("{role}@")))
}

fn a_hidden_outbox_is_detected(app: &TestApp) {
    let service = as_a_service(app);
    let ann = cached(&service, "ann");
    app.stack.sql("ALTER TABLE larder_outbox ENABLE ROW LEVEL SECURITY");
    // From the first write on, the instance's own writes are acknowledged as queued and visible to it.
    for round in 0..3 {
        let bio = format!("by myself {round}");
        assert_eq!(changed(&ann, &bio), "queued");
        assert_eq!(self::bio(&ann), json!(bio));
    }
    app.stack.sql("UPDATE users SET bio = 'by hand' WHERE username = 'ann'");
    // The bound counts from the commit, so the start of psql is not part of it.
    within(BOUND, "what was written by hand", || bio(&ann) == json!("by hand"));
    is_named(&service, "row-level security hides rows of larder_outbox");
    assert_eq!(changed(&ann, "still"), "queued");
    app.stack.sql("ALTER TABLE larder_outbox DISABLE ROW LEVEL SECURITY");
    is_well_again(&service);
    within(BOUND, "writes are sent", || changed(&ann, "again") == "sent");
}

/// Runs `pg_dump`, a change, and `pg_restore --clean --if-exists` into the running database.
fn a_restore_under_a_running_service_is_detected(app: &TestApp) {
    let ann = cached(app, "ann");
    assert_eq!(changed(&ann, "in the dump"), "sent");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump");
    dump(&app.stack.database_url(), &file);
    changed(&ann, "after the dump");
    within(BOUND, "the change in memory", || bio(&ann) == json!("after the dump"));
    restore(&app.stack.database_url(), &file);
    let restored = Instant::now();
    within(BOUND, "what the dump holds", || bio(&ann) == json!("in the dump"));
    assert!(restored.elapsed() < BOUND);
    is_well_again(app);
    assert_eq!(changed(&ann, "later"), "sent");
    app.stack.sql("UPDATE users SET bio = 'by hand' WHERE username = 'ann'");
    within(BOUND, "a change after the restore", || bio(&ann) == json!("by hand"));
}

fn is_postgres(app: &TestApp) -> bool {
    app.stack.database_url().starts_with("postgres")
}

/// Fixture loaders and `pg_restore --disable-triggers` disable and enable triggers. The triggers lose ALWAYS by this,
/// and the service sets it again.
fn triggers_that_were_off_for_a_time_are_detected(app: &TestApp) {
    let ann = cached(app, "ann");
    if is_postgres(app) {
        for statement in [
            "ALTER TABLE users DISABLE TRIGGER ALL",
            "UPDATE users SET bio = 'unseen' WHERE username = 'ann'",
            "ALTER TABLE users ENABLE TRIGGER ALL",
        ] {
            app.stack.sql(statement);
        }
    } else {
        let trigger =
            app.stack.sql("SELECT sql FROM sqlite_schema WHERE name = 'larder_journal_users_updated'");
        app.stack.sql(&format!(
            "DROP TRIGGER larder_journal_users_updated; UPDATE users SET bio = 'unseen' WHERE username = 'ann'; {trigger};"
        ));
    }
    within(BOUND, "what no trigger saw", || bio(&ann) == json!("unseen"));
    is_well_again(app);
    if is_postgres(app) {
        let lost = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'larder_journal%' AND tgenabled <> 'A'";
        assert_eq!(app.stack.sql(lost), "0");
        app.stack.sql(
            "SET session_replication_role = replica; UPDATE users SET bio = 'seen' WHERE username = 'ann'",
        );
    } else {
        app.stack.sql("UPDATE users SET bio = 'seen' WHERE username = 'ann'");
    }
    within(BOUND, "what the triggers see again", || bio(&ann) == json!("seen"));
}

fn triggers_that_stay_off_are_named_until_they_are_repaired(app: &TestApp) {
    let ann = cached(app, "ann");
    let (off, words) = match is_postgres(app) {
        true => ("ALTER TABLE users DISABLE TRIGGER larder_journal", "larder_journal of users is disabled"),
        false => ("DROP TRIGGER larder_journal_users_updated", "no trigger larder_journal_users_updated"),
    };
    app.stack.sql(off);
    for round in 0..3 {
        let bio = format!("unseen {round}");
        app.stack.sql(&format!("UPDATE users SET bio = '{bio}' WHERE username = 'ann'"));
        within(BOUND, "what no trigger saw", || self::bio(&ann) == json!(bio));
    }
    is_named(app, words);
    assert_eq!(changed(&ann, "mine"), "queued");
    assert_eq!(bio(&ann), json!("mine"));

    let examined = app.command(&["doctor"]);
    assert!(!examined.is_success && examined.output.contains(words), "{}", examined.output);
    let mended = app.command(&["doctor", "--mend"]);
    assert!(mended.is_success && mended.output.contains("The journal is complete"), "{}", mended.output);
    is_well_again(app);
    within(BOUND, "writes are sent", || changed(&ann, "again") == "sent");
}

#[test]
fn doctor_says_that_there_is_no_database_and_makes_none() {
    let stack = Stack::sqlite_memory();
    for _ in 0..2 {
        let url = [("DATABASE_URL", &*stack.database_url())];
        let examined = crate::support::larder::Larder::command(&["doctor"], &url);
        assert!(!examined.is_success && examined.output.contains("there is no file"), "{}", examined.output);
    }
}

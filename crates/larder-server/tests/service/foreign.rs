//! Trace 6: psql or sqlite3 changes rows while two instances run, on every stack.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::{TestApp, on_every_stack};
use crate::support::client::Client;
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

/// Returns one user as a client of both instances, after both have every path of `paths` in memory.
fn both(app: &TestApp, second: &TestApp, paths: &[&str]) -> [Client; 2] {
    let ann = app.user("ann");
    let pair = [ann.clone(), second.here(&ann)];
    for (client, path) in pair.iter().flat_map(|client| paths.iter().map(move |path| (client, path))) {
        within(BOUND, "a copy in memory", || {
            let answer = client.get(path).expect(200);
            answer.header("cache-status") == Some("larder; hit; detail=memory")
        });
    }
    pair
}

fn trace_6_a_row_changed_by_other_software_is_seen_everywhere_within_the_bound(app: &TestApp) {
    let paths = ["/api/v1/users/me", "/api/v1/users"];
    let second = app.second_instance();
    let pair = both(app, &second, &paths);
    for round in 0..3 {
        let bio = format!("by hand {round}");
        app.stack.sql(&format!("UPDATE users SET bio = '{bio}' WHERE username = 'ann'"));
        let committed = Instant::now();
        for client in &pair {
            within(BOUND, "the details", || client.get(paths[0]).json()["bio"] == json!(bio));
            within(BOUND, "the list", || client.get(paths[1]).json()["items"][0]["bio"] == json!(bio));
        }
        assert!(committed.elapsed() < BOUND, "everywhere after {:?}", committed.elapsed());
    }
}

fn trace_6_a_name_that_other_software_moves_finds_its_new_owner(app: &TestApp) {
    let second = app.second_instance();
    let pair = both(app, &second, &[]);
    let by = json!({ "email": "x@moved.example" });
    for client in &pair {
        assert_eq!(
            client.lookup(&by).status,
            404,
            "no user has it yet, and the cache keeps this absent answer"
        );
    }
    app.stack.sql("UPDATE users SET email = 'x@moved.example' WHERE username = 'ann'");
    within(BOUND, "its new owner, everywhere", || pair.iter().all(|client| client.lookup(&by).status == 200));
    app.stack.sql("UPDATE users SET email = 'y@moved.example' WHERE username = 'ann'");
    within(BOUND, "no user has it again, everywhere", || {
        pair.iter().all(|client| client.lookup(&by).status == 404)
    });
}

fn trace_8_deactivated_by_other_software_tokens_end_everywhere_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    for (name, statement) in [
        ("ben", "UPDATE users SET is_active = FALSE WHERE username = 'ben'"),
        ("cat", "DELETE FROM users WHERE username = 'cat'"),
        (
            "dan",
            "UPDATE credentials SET epoch = epoch + 1 WHERE user_id IN (SELECT id FROM users WHERE username = 'dan')",
        ),
        ("eve", "DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE username = 'eve')"),
    ] {
        let user = app.user(name);
        let pair = [user.clone(), second.here(&user)];
        for client in &pair {
            assert_eq!(client.validate(), 200, "{name}");
        }
        app.stack.sql(statement);
        within(BOUND, name, || pair.iter().all(|client| client.validate() == 401));
    }
}

fn trace_6_all_users_removed_at_once_are_gone_everywhere_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let pair = both(app, &second, &["/api/v1/users/me", "/api/v1/users"]);
    let is_postgres = app.stack.database_url().starts_with("postgres");
    app.stack.sql(if is_postgres {
        "TRUNCATE users CASCADE"
    } else {
        "PRAGMA foreign_keys = ON; DELETE FROM users"
    });
    within(BOUND, "tokens end with their users, everywhere", || {
        pair.iter().all(|client| client.get("/api/v1/users/me").status == 401)
    });
}

/// An instance commits and crashes before it publishes; SQL that bypasses the service simulates it. The client repeats
/// the request on the other instance.
fn a_write_that_changes_nothing_is_published_all_the_same(app: &TestApp) {
    let second = app.second_instance();
    let [here, there] = both(app, &second, &["/api/v1/users/me"]);
    for round in 0..8 {
        let bio = json!(format!("again {round}"));
        app.stack.sql(&format!("UPDATE users SET bio = 'again {round}' WHERE username = 'ann'"));
        let repeated = there.patch("/api/v1/users/me", &json!({ "bio": bio })).expect(200);
        assert_eq!(repeated.header("cache-invalidation"), Some("sent"));
        assert_eq!(there.get("/api/v1/users/me").json()["bio"], bio, "where it was acknowledged");
        assert_eq!(here.get("/api/v1/users/me?consistency=fresh").json()["bio"], bio, "fresh, elsewhere");
    }
}

on_every_stack!(
    a_write_that_changes_nothing_is_published_all_the_same,
    trace_6_a_row_changed_by_other_software_is_seen_everywhere_within_the_bound,
    trace_6_a_name_that_other_software_moves_finds_its_new_owner,
    trace_8_deactivated_by_other_software_tokens_end_everywhere_within_the_bound,
    trace_6_all_users_removed_at_once_are_gone_everywhere_within_the_bound,
);

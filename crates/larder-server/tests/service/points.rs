//! Points over HTTP: bookings, ledgers, the leaderboard, and the rank of each user.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::{Client, Request};
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

fn points(client: &Client) -> String {
    format!("{}/points", client.path())
}

fn booking(amount: i64, key: &str) -> Value {
    json!({ "amount": amount, "reason": "a test", "idempotency_key": key })
}

fn balance(client: &Client) -> i64 {
    client.get("/api/v1/users/me/points").expect(200).json()["balance"].as_i64().unwrap()
}

fn a_booking_is_made_once_seen_at_once_and_leaves_no_negative_balance(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let path = points(&ann);
    let made = admin.post(&path, &booking(10, "k:1")).expect(201).json();
    assert_eq!((&made["balance"], &made["transaction"]["actor_id"]), (&json!(10), &json!(admin.id)));
    // From now on every read of this instance shows the booking.
    assert_eq!(ann.get("/api/v1/users/me").json()["points"], 10);
    assert_eq!(ann.get("/api/v1/users").json()["items"][0]["points"], 10);
    assert_eq!(ann.get("/api/v1/leaderboard").json()["items"][0]["id"], json!(ann.id));
    assert_eq!(
        ann.get("/api/v1/leaderboard/me").json(),
        json!({ "user_id": ann.id, "points": 10, "rank": 1 })
    );
    let again = admin.post(&path, &booking(10, "k:1")).expect(200).json();
    assert_eq!(again, made);
    let body = json!({ "amount": 10, "reason": "a test" });
    let header = Request::new("POST", &path).header("Idempotency-Key", "k:1").json(&body);
    assert_eq!(admin.send(header.clone()).expect(200).json(), made);
    admin.send(header.header("Idempotency-Key", "k:2")).complains_about(422, &["idempotency_key"]);
    for different in
        [booking(11, "k:1"), json!({ "amount": 10, "reason": "other", "idempotency_key": "k:1" })]
    {
        let refused = admin.post(&path, &different);
        refused.refuses(409, "idempotency_key_taken");
        assert!(refused.field("detail").contains("idempotency_key"), "{}", refused.text());
    }
    app.user_with_role("helper", "admin")
        .post(&path, &booking(10, "k:1"))
        .refuses(409, "idempotency_key_taken");
    let refused = admin.post(&path, &booking(-11, "k:2"));
    refused.refuses(409, "balance_out_of_bounds");
    assert!(refused.field("detail").contains("negative"), "{}", refused.text());
    admin.post(&path, &booking(1_099_511_627_775, "k:3")).refuses(409, "balance_out_of_bounds");
    admin.post(&path, &booking(-10, "k:4")).expect(201);
    assert_eq!(balance(&ann), 0);
    admin
        .post(&path, &json!({ "amount": 0.5, "more": 1 }))
        .complains_about(422, &["amount", "idempotency_key", "more", "reason"]);
    admin.post(&path, &booking(1 << 40, "k")).complains_about(422, &["amount"]);
    admin.post("/api/v1/users/0192f0c1-2345-7abc-8def-0123456789ab/points", &booking(1, "k")).expect(404);
    admin.post("/api/v1/users/9999999999999999999999/points", &booking(1, "k")).expect(404);
    admin.post("/api/v1/users/a%00b/points", &booking(1, "k")).complains_about(422, &["id"]);

    for number in 0..7 {
        admin.post(&path, &booking(1, &format!("n{number}"))).expect(201);
    }
    let (mut sizes, mut query) = (Vec::new(), "?limit=4".to_owned());
    loop {
        let part = ann.get(&format!("{path}{query}")).expect(200).json();
        sizes.push(part["items"].as_array().unwrap().len());
        let Some(cursor) = part["next_cursor"].as_str() else { break };
        query = format!("?limit=4&cursor={cursor}");
    }
    assert_eq!(sizes, [4, 4, 1]);
    ann.get(&format!("{path}?limit=0&cursor=x")).complains_about(422, &["cursor", "limit"]);
}

fn points_are_booked_by_those_who_may_and_never_for_oneself(app: &TestApp) {
    let admin = app.admin();
    let (ann, bob, helper) = (app.user("ann"), app.user("bob"), app.user_with_role("helper", "admin"));
    for client in [&admin, &helper, &ann] {
        client.post("/api/v1/users/me/points", &booking(1, "own")).expect(403);
        client.post(&points(client), &booking(1, "own")).expect(403);
    }
    helper.post(&points(&ann), &booking(1, "h1")).expect(201);
    helper.post(&points(&admin), &booking(1, "h2")).expect(403);
    bob.post(&points(&ann), &booking(1, "b1")).expect(403);
    bob.get(&points(&ann)).expect(403);
    app.anonymous().post(&points(&ann), &booking(1, "s1")).expect(401);
    app.anonymous().get("/api/v1/leaderboard").expect(401);

    admin.grant(&bob, "points.write").expect(200);
    bob.post(&points(&ann), &booking(1, "b1")).expect(201);
    bob.post(&points(&helper), &booking(1, "b2")).expect(201);
    bob.post(&points(&admin), &booking(1, "b2")).expect(403);
    bob.post(&points(&bob), &booking(1, "b3")).expect(403);
    assert_eq!(bob.get(&points(&ann)).expect(200).json()["balance"], 2);
    admin.delete(&format!("{}/permissions/points.write", bob.path())).expect(204);
    bob.post(&points(&ann), &booking(1, "b4")).expect(403);
    bob.get(&points(&ann)).expect(403);
}

fn two_instances_spend_a_balance_once(app: &TestApp) {
    let second = app.second_instance();
    let (admin, ann) = (app.admin(), app.user("ann"));
    let path = points(&ann);
    admin.post(&path, &booking(100, "income")).expect(201);
    let spend = |key: fn(usize) -> String| -> Vec<u16> {
        thread::scope(|scope| {
            let spenders: Vec<_> = (0..8)
                .map(|number| {
                    let (by, path) = ([app, &second][number % 2].here(&admin), &path);
                    scope.spawn(move || by.post(path, &booking(-30, &key(number))).status)
                })
                .collect();
            spenders.into_iter().map(|spender| spender.join().unwrap()).collect()
        })
    };
    let count = |statuses: &[u16], status| statuses.iter().filter(|each| **each == status).count();
    let same = spend(|_| "same".to_owned());
    assert_eq!((count(&same, 201), count(&same, 200)), (1, 7), "{same:?}");
    let each = spend(|number| format!("each{number}"));
    assert_eq!((count(&each, 201), count(&each, 409)), (2, 6), "{each:?}");
    for client in [&ann, &second.here(&ann)] {
        let fresh = client.get("/api/v1/users/me?consistency=fresh").json();
        assert_eq!((&fresh["points"], balance(client)), (&json!(10), 10));
    }
}

fn names_and_ranks(client: &Client, query: &str) -> Vec<(String, i64)> {
    let board = client.get(&format!("/api/v1/leaderboard{query}")).expect(200).json();
    let rows = board["items"].as_array().unwrap().iter();
    rows.map(|row| (row["username"].as_str().unwrap().to_owned(), row["rank"].as_i64().unwrap())).collect()
}

fn the_leaderboard_pages_with_shared_ranks_of_active_users(app: &TestApp) {
    let admin = app.admin();
    let mut made = Vec::new();
    for (number, amount) in [50, 40, 40, 40, 30, 0, 0].into_iter().enumerate() {
        let user = app.plain_user(&admin, &format!("user{number}"));
        let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap());
        if amount > 0 {
            admin.post(&format!("{path}/points"), &booking(amount, &format!("k{number}"))).expect(201);
        }
        made.push(path);
    }
    let all = names_and_ranks(&admin, "");
    let ranks: Vec<_> = all.iter().map(|(_, rank)| *rank).collect();
    assert_eq!(ranks, [1, 2, 2, 2, 5, 6, 6, 6], "the admin has none either");
    assert_eq!(all[1].0, "user1", "ties in the order of their ids");
    for offset in 0..9 {
        let part = names_and_ranks(&admin, &format!("?limit=3&offset={offset}"));
        assert_eq!(part, all[offset.min(8)..(offset + 3).min(8)], "from {offset}");
    }
    let row = admin.get("/api/v1/leaderboard?limit=1").json()["items"][0].clone();
    let mut fields: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(fields, ["avatar_url", "full_name", "id", "points", "rank", "username"]);
    for (query, wrong) in [
        ("?limit=0", vec!["limit"]),
        ("?limit=101&offset=-1", vec!["limit", "offset"]),
        ("?offset=9991", vec!["offset"]),
        ("?offset=99999999999999999999", vec!["offset"]),
        ("?limit=1%27--", vec!["limit"]),
    ] {
        admin.get(&format!("/api/v1/leaderboard{query}")).complains_about(422, &wrong);
    }
    let standing = |path: &str| admin.get(&path.replace("users", "leaderboard")).expect(200).json();
    assert_eq!(standing(&made[4])["rank"], 5);
    // When a user leaves the leaderboard, the users behind it move up by one.
    admin.post(&format!("{}/deactivate", made[0]), &json!({})).expect(200);
    assert_eq!((&standing(&made[4])["rank"], &standing(&made[0])["rank"]), (&json!(4), &Value::Null));
    assert_eq!(names_and_ranks(&admin, "?limit=2")[0], ("user1".to_owned(), 1));
    admin.delete(&made[1]).expect(204);
    assert_eq!(standing(&made[4])["rank"], 3);
    admin.get(&made[1].replace("users", "leaderboard")).expect(404);
    admin.get("/api/v1/leaderboard/lookup").complains_about(422, &["id"]);
    admin.get("/api/v1/leaderboard/18446744073709551616").expect(404);
    admin.patch(&made[2], &json!({ "full_name": "Zoë" })).expect(200);
    assert_eq!(admin.get("/api/v1/leaderboard").json()["items"][0]["full_name"], "Zoë");
}

fn a_booking_by_other_software_is_seen_everywhere_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    let pair = [ann.clone(), second.here(&ann)];
    let paths = ["/api/v1/users/me", "/api/v1/leaderboard", "/api/v1/leaderboard/me"];
    for client in &pair {
        for path in paths {
            within(BOUND, "a copy in memory", || {
                client.get(path).expect(200).header("cache-status") == Some("larder; hit; detail=memory")
            });
        }
    }
    app.stack.sql(
        "INSERT INTO points_ledger (user_id, amount, reason) SELECT id, 7, 'by hand' FROM users
         WHERE username = 'ann'",
    );
    for client in &pair {
        within(BOUND, "the details", || client.get(paths[0]).json()["points"] == 7);
        within(BOUND, "the leaderboard", || client.get(paths[1]).json()["items"][0]["points"] == 7);
        within(BOUND, "the rank", || client.get(paths[2]).json()["rank"] == 1);
        assert_eq!(balance(client), 7);
    }
    app.stack.sql("UPDATE users SET is_active = FALSE WHERE username = 'admin'");
    for client in &pair {
        within(BOUND, "who left the board", || names_and_ranks(client, "").len() == 1);
    }
}

on_both_databases!(
    a_booking_is_made_once_seen_at_once_and_leaves_no_negative_balance,
    points_are_booked_by_those_who_may_and_never_for_oneself,
    two_instances_spend_a_balance_once,
    the_leaderboard_pages_with_shared_ranks_of_active_users,
    a_booking_by_other_software_is_seen_everywhere_within_the_bound,
);

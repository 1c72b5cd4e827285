//! A change of what the leaderboard and the newest achievements show invalidates them, and no other change does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::{eventually, within};

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);
const LEADERBOARD: &str = "/api/v1/leaderboard";
const RECENT: &str = "/api/v1/achievements/recent";

/// The paths that show this user.
fn paths(user: &Client) -> [String; 3] {
    [LEADERBOARD.to_owned(), RECENT.to_owned(), standing(user)]
}

fn standing(user: &Client) -> String {
    format!("{LEADERBOARD}/{}", user.id)
}

/// Creates Ann with an achievement and a point; returns her client on each instance.
fn pair(app: &TestApp, second: &TestApp) -> [Client; 2] {
    let ann = app.user("ann");
    let award = json!({ "user_id": ann.id, "badge_type": "early", "points": 1 });
    app.admin().post("/api/v1/achievements/award", &award).expect(201);
    [ann.clone(), second.here(&ann)]
}

fn is_held(client: &Client, path: &str) -> bool {
    client.get(path).expect(200).header("cache-status") == Some("larder; hit; detail=memory")
}

/// Waits until each instance has every path that shows `user` in memory.
fn hold(pair: &[Client; 2], user: &Client) {
    for (client, path) in pair.iter().flat_map(|client| paths(user).map(|path| (client, path))) {
        eventually("a copy in memory", || is_held(client, &path));
    }
}

fn a_changed_bio_does_not_drop_them(app: &TestApp) {
    let second = app.second_instance();
    let pair = pair(app, &second);
    let bios = |write: &dyn Fn(&str), round: usize| {
        // An instance that shows the second bio has applied all invalidations of the first.
        for bio in [format!("first {round}"), format!("second {round}")] {
            write(&bio);
            for client in &pair {
                within(BOUND, "the new bio", || client.get("/api/v1/users/me").json()["bio"] == json!(bio));
            }
        }
    };
    let by_api = |bio: &str| drop(pair[0].patch("/api/v1/users/me", &json!({ "bio": bio })).expect(200));
    let by_sql = |bio: &str| drop(app.stack.sql(&format!("UPDATE users SET bio = '{bio}'")));
    for write in [&by_api as &dyn Fn(&str), &by_sql] {
        let mut round = 0;
        // Several attempts: on a busy machine a late heartbeat ends the validity of memory, which also drops the copies.
        eventually("a change that leaves them in memory", || {
            round += 1;
            hold(&pair, &pair[0]);
            bios(write, round);
            pair.iter().all(|client| paths(client).iter().all(|path| is_held(client, path)))
        });
    }
}

fn a_change_of_what_they_show_drops_them(app: &TestApp) {
    let second = app.second_instance();
    let pair = pair(app, &second);
    let admin = app.admin();
    let of_ann = |rest: &str| format!("/api/v1/users/{}{rest}", pair[0].id);
    let sql = |statement: &str| drop(app.stack.sql(statement));
    let first = |client: &Client, path: &str| client.get(path).expect(200).json()["items"][0].clone();
    let book = json!({ "amount": 2, "reason": "test", "idempotency_key": "k" });

    type Write<'a> = &'a dyn Fn();
    type Shows<'a> = &'a dyn Fn(&Client) -> bool;
    let name = |client: &Client, name: Value| {
        [LEADERBOARD, RECENT].iter().all(|path| first(client, path)["full_name"] == name)
    };
    let points = |client: &Client, points: i64| {
        first(client, LEADERBOARD)["points"] == points
            && client.get(&standing(&pair[0])).json()["points"] == points
    };
    let is_gone = |client: &Client| {
        first(client, LEADERBOARD)["id"] != json!(pair[0].id) && first(client, RECENT).is_null()
    };
    let changes: [(&str, Write<'_>, Shows<'_>); 8] = [
        ("a name", &|| drop(admin.patch(&of_ann(""), &json!({ "full_name": "Ann" })).expect(200)), &|c| {
            name(c, json!("Ann"))
        }),
        ("a name, by hand", &|| sql("UPDATE users SET full_name = NULL"), &|c| name(c, Value::Null)),
        ("points", &|| drop(admin.post(&of_ann("/points"), &book).expect(201)), &|c| points(c, 3)),
        (
            "points, by other software",
            &|| {
                sql(
                    "INSERT INTO points_ledger (user_id, amount, reason) SELECT id, 4, 'test' FROM users WHERE username = 'ann'",
                )
            },
            &|c| points(c, 7),
        ),
        ("activity", &|| drop(admin.post(&of_ann("/deactivate"), &json!({})).expect(200)), &is_gone),
        ("activity, by hand", &|| sql("UPDATE users SET is_active = TRUE"), &|c| {
            points(c, 7) && name(c, Value::Null)
        }),
        (
            "activity again",
            &|| drop(admin.patch(&of_ann(""), &json!({ "is_active": false })).expect(200)),
            &is_gone,
        ),
        ("existence", &|| sql("DELETE FROM users WHERE username = 'ann'"), &is_gone),
    ];
    // The readers are admins, because some changes end Ann's tokens.
    let readers = [admin.clone(), second.here(&admin)];
    for (what, write, shows) in changes {
        hold(&readers, &pair[0]);
        write();
        for reader in &readers {
            within(BOUND, what, || shows(reader));
        }
    }
}

on_both_databases!(a_changed_bio_does_not_drop_them, a_change_of_what_they_show_drops_them);

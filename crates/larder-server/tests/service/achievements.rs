//! Achievements over HTTP: which users may award a badge to which, and what each role sees of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);
const AWARD: &str = "/api/v1/achievements/award";

fn award(user: &str, badge: &str) -> Value {
    json!({ "user_id": user, "badge_type": badge })
}

fn badges(client: &Client, path: &str) -> Vec<String> {
    let items = client.get(path).expect(200).json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["badge_type"].as_str().unwrap().to_owned()).collect()
}

fn no_user_awards_itself_and_each_badge_is_awarded_once(app: &TestApp) {
    let admin = app.admin();
    let (ann, bob, helper) = (app.user("ann"), app.user("bob"), app.user_with_role("helper", "admin"));
    for client in [&admin, &helper] {
        client.post(AWARD, &award("me", "a")).expect(403);
        client.post(AWARD, &award(&client.id, "a")).expect(403);
    }
    bob.post(AWARD, &award(&ann.id, "a")).expect(403);
    bob.post(AWARD, &award(&bob.id, "a")).refuses(403, "permission_missing");
    helper.post(AWARD, &award(&admin.id, "a")).expect(403);
    app.anonymous().post(AWARD, &award(&ann.id, "a")).expect(401);
    let body =
        json!({ "user_id": ann.id, "badge_type": "early_bird", "points": 5, "data": { "at": "05:00" } });
    let made = helper.post(AWARD, &body).expect(201).json();
    assert_eq!((&made["data"]["at"], &made["awarded_by"]), (&json!("05:00"), &json!(helper.id)));
    let refused = admin.post(AWARD, &body);
    refused.refuses(409, "badge_held");
    assert!(refused.field("detail").contains("already"), "{}", refused.text());
    assert_eq!(ann.get("/api/v1/users/me/points").json()["items"][0]["reason"], "achievement early_bird");
    assert_eq!(ann.get("/api/v1/users/me").json()["points"], 5, "booked once");

    admin.grant(&bob, "achievements.award").expect(200);
    admin.patch(&ann.path(), &json!({ "external_id": "5779356081" })).expect(200);
    bob.post(AWARD, &award("5779356081", "by_external.id-1")).expect(201);
    bob.post(AWARD, &award(&helper.id, "a")).expect(201);
    bob.post(AWARD, &award(&admin.id, "a")).expect(403);
    bob.post(AWARD, &award(&bob.id, "a")).refuses(403, "own_achievement");
    admin.post(&format!("{}/deactivate", ann.path()), &json!({})).expect(200);
    let refused = bob.post(AWARD, &award(&ann.id, "late"));
    refused.refuses(409, "user_inactive");
    assert!(refused.field("detail").contains("inactive"), "{}", refused.text());

    bob.post(AWARD, &award("123", "a")).expect(404);
    bob.post(AWARD, &json!({ "badge_type": "A b", "data": [], "points": -1, "x": 1 }))
        .complains_about(422, &["badge_type", "data", "points", "user_id", "x"]);
    let rich = json!({ "user_id": helper.id, "badge_type": "b", "points": 1_099_511_627_775_i64 });
    bob.post(AWARD, &rich).expect(201);
    bob.post(AWARD, &json!({ "user_id": helper.id, "badge_type": "c", "points": 1 }))
        .refuses(409, "award_out_of_bounds");
}

fn an_award_is_seen_at_once_here_and_private_parts_by_few(app: &TestApp) {
    let (admin, ann, bob) = (app.admin(), app.user("ann"), app.user("bob"));
    let of_ann = format!("{}/achievements", ann.path());
    for round in 1..4 {
        // The reads at the end of each round fill the cache, so the next award has copies to invalidate.
        let badge = format!("badge{round}");
        let body =
            json!({ "user_id": ann.id, "badge_type": badge, "points": round, "data": { "secret": 1 } });
        admin.post(AWARD, &body).expect(201);
        for client in [&ann, &bob, &admin] {
            let list = client.get(&of_ann).expect(200).json();
            assert_eq!(list["items"].as_array().unwrap().len(), round);
            assert_eq!(list["items"][0]["badge_type"], badge);
            let sees_all = client.id != bob.id;
            for private in ["data", "awarded_by"] {
                assert_eq!(list["items"][0].get(private).is_some(), sees_all, "{private}");
            }
            let query = format!("?user={}", ann.id);
            for (short, long) in [("summary", "summary"), ("stats", "stats")] {
                let short = client.get(&format!("/api/v1/achievements/{short}{query}")).expect(200).json();
                assert_eq!(short, client.get(&format!("{of_ann}/{long}")).expect(200).json());
                assert_eq!(short["total"], round);
            }
            let stats = client.get(&format!("{of_ann}/stats")).json();
            assert_eq!(stats["last_7_days"], json!(round));
            assert_eq!(badges(client, "/api/v1/achievements/recent")[0], badge);
            // Each round awards as many points as its number: 1, 3, 6 in total.
            let first = client.get("/api/v1/leaderboard").expect(200).json()["items"][0].clone();
            assert_eq!((&first["id"], &first["points"]), (&json!(ann.id), &json!(round * (round + 1) / 2)));
        }
    }
    let mine = ann.get("/api/v1/achievements/summary").expect(200).json();
    assert_eq!((&mine["points"], &mine["by_badge"]["badge3"]), (&json!(6), &json!(3)));
    assert_eq!(bob.get("/api/v1/achievements/stats").json()["total"], 0);
    let recent = bob.get("/api/v1/achievements/recent?limit=2").expect(200);
    assert!(!recent.text().contains("secret") && !recent.text().contains("@"), "{}", recent.text());
    assert_eq!(recent.json()["items"].as_array().unwrap().len(), 2);
    bob.get("/api/v1/achievements/recent?limit=x").complains_about(422, &["limit"]);
    bob.get("/api/v1/achievements/summary?user=a%20b").complains_about(422, &["user"]);
    bob.get("/api/v1/achievements/stats?user=99999999999999999999").expect(404);
    bob.get("/api/v1/users/123/achievements").expect(404);
    ann.patch("/api/v1/users/me", &json!({ "full_name": "Ann B" })).expect(200);
    assert_eq!(bob.get("/api/v1/achievements/recent").json()["items"][0]["full_name"], "Ann B");
    admin.post(&format!("{}/deactivate", ann.path()), &json!({})).expect(200);
    assert_eq!(badges(&bob, "/api/v1/achievements/recent"), Vec::<String>::new());
}

fn an_award_by_other_software_is_seen_everywhere_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    let pair = [ann.clone(), second.here(&ann)];
    let paths = [
        "/api/v1/users/me/achievements",
        "/api/v1/achievements/recent",
        "/api/v1/achievements/summary",
        "/api/v1/achievements/stats",
    ];
    let cached = |path: &str| {
        for client in &pair {
            within(BOUND, "a copy in memory", || {
                client.get(path).expect(200).header("cache-status") == Some("larder; hit; detail=memory")
            });
        }
    };
    paths.iter().for_each(|path| cached(path));
    app.stack.sql(
        "INSERT INTO achievements (user_id, badge_type, points) SELECT id, 'by_hand', 3 FROM users
         WHERE username = 'ann'",
    );
    for client in &pair {
        for path in &paths[..2] {
            within(BOUND, path, || badges(client, path) == ["by_hand"]);
        }
        for path in &paths[2..] {
            within(BOUND, path, || client.get(path).json()["total"] == 1);
        }
        within(BOUND, "its points", || client.get("/api/v1/users/me").json()["points"] == 3);
    }
    paths.iter().for_each(|path| cached(path));
    app.stack.sql("DELETE FROM achievements");
    for client in &pair {
        within(BOUND, "nothing again", || paths[..2].iter().all(|path| badges(client, path).is_empty()));
        within(BOUND, "nothing in short", || client.get(paths[2]).json()["total"] == 0);
    }
}

on_both_databases!(
    no_user_awards_itself_and_each_badge_is_awarded_once,
    an_award_is_seen_at_once_here_and_private_parts_by_few,
    an_award_by_other_software_is_seen_everywhere_within_the_bound,
);
